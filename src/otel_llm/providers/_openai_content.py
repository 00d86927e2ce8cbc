"""The messages of OpenAI's APIs (and of the many hosts that speak them) as parts of the conventions.

Called only when content is captured.
A stream's chunks are put together to what the response would have been and read by the same functions, so
that streamed and not give the same output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._operation import Content
from .._plain import blob, is_list, joined_base64, known, record
from ._base import whole, words
from ._finish import OPENAI as FINISH
from ._openai_parts import parts, tool_definitions
from ._parts import (
    Part,
    file,
    generic,
    message,
    reasoning,
    refusal,
    text,
    tokens,
    tool_call,
    tool_response,
    unread,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ChatOutput",
    "chat",
    "chat_output",
    "completion_output",
    "embeddings",
    "messages",
    "prompt",
]


def messages(value: Any) -> list[dict[str, Any]]:
    """The chat history, in the order sent."""
    if not is_list(value):
        return [message("user", [unread(value)])]
    read: list[dict[str, Any]] = []
    for item in value:
        facts: Mapping[str, Any] = item if item.__class__ is dict else known(item)  # the one hot loop
        role = facts.get("role")
        content = facts.get("content")
        if type(content) is str and type(role) is str and len(facts) == 2 and role != "tool":  # noqa: PLR2004
            read.append({"role": role, "parts": [{"type": "text", "content": content}]})
        else:
            read.append(_message(item, facts))
    return read


def _message(item: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    role = words(facts.get("role"))
    if role is None:
        return message("user", [generic(item) if record(item) else unread(item)])
    if role in ("tool", "function"):
        content = facts.get("content")
        response = content if isinstance(content, str) or content is None else parts(content)
        return message("tool", [tool_response(facts.get("tool_call_id"), response)])
    read = message(role, _spoken(item, facts))
    name = words(facts.get("name"))
    if name:
        read["name"] = name
    return read


def _thought(item: object) -> str | None:
    """What hosts that show a model's thoughts call them: DeepSeek and vLLM so, OpenRouter and Groq so."""
    facts = record(item)
    return words(facts.get("reasoning_content")) or words(facts.get("reasoning"))


def _spoken(item: Any, facts: Mapping[str, Any]) -> list[Part]:
    """The parts of a message, in the order in which a model makes them: thoughts, text, sound, calls."""
    read: list[Part] = []
    thought = _thought(item)
    if thought is not None:
        read.append(reasoning(thought))
    content = facts.get("content")
    if not isinstance(content, str) or content:  # a stream may say "" where a response has null
        read += parts(content)
    if words(facts.get("refusal")):
        read.append(refusal(facts["refusal"]))
    if facts.get("audio") is not None:
        read += _sound(known(facts["audio"]))
    calls = facts.get("tool_calls")
    if is_list(calls):
        read += [_call(call) for call in calls]
    elif calls is not None:
        read.append(unread(calls))
    if facts.get("function_call") is not None:
        called = known(facts["function_call"])
        read.append(tool_call(None, called.get("name"), called.get("arguments")))
    return read


def _sound(audio: Mapping[str, Any]) -> list[Part]:
    """Audio of the model: what it says as text, then the sound, or the id of sound that it made before."""
    read: list[Part] = []
    if words(audio.get("transcript")):
        read.append(text(audio["transcript"]))
    if words(audio.get("data")):
        read.append(blob(audio["data"], None, "audio"))
    elif words(audio.get("id")):
        read.append(file(audio["id"], "audio"))
    return read


def _call(call: object) -> Part:
    facts = known(call)
    if facts.get("custom") is not None:
        called = known(facts["custom"])
        return tool_call(facts.get("id"), called.get("name"), called.get("input"), free=True)
    called = known(facts.get("function"))
    return tool_call(facts.get("id"), called.get("name"), called.get("arguments"))


def chat(body: Mapping[str, Any]) -> Content:
    """The content of a request for a chat completion."""
    return Content(
        input=messages(body.get("messages")),
        tools=tool_definitions(body.get("tools"), body.get("functions")),
    )


def prompt(body: Mapping[str, Any]) -> Content:
    """The content of a request for a legacy completion."""
    return Content(input=_texts(body.get("prompt")))


def embeddings(body: Mapping[str, Any]) -> Content:
    """The content of a request for embeddings; vectors are never read."""
    return Content(input=_texts(body.get("input")))


def _texts(value: Any) -> list[dict[str, Any]]:
    """One message of a text, texts, or numbered tokens."""
    if is_list(value):
        if value and type(value[0]) is int:
            return [message("user", [tokens(len(value))])]
        return [message("user", [_numbered(item) for item in value])]
    return [message("user", [text(value) if isinstance(value, str) else unread(value)])]


def _numbered(item: Any) -> Part:
    if isinstance(item, str):
        return text(item)
    return tokens(len(item)) if is_list(item) else unread(item)


def chat_output(body: Any) -> list[dict[str, Any]]:
    """The output of a chat completion: a message per choice."""
    choices = known(body).get("choices")
    return [_choice(known(choice)) for choice in choices] if is_list(choices) else []


def _choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    answer = choice.get("message")
    facts = known(answer)
    return _ended(words(facts.get("role")), _spoken(answer, facts), choice.get("finish_reason"))


def _ended(role: str | None, read: list[Part], reason: object) -> dict[str, Any]:
    """An output message; one without a reason was cut off, which the conventions call `error`."""
    return {
        "role": role or "assistant",
        "parts": read,
        "finish_reason": FINISH.get(reason, reason) if isinstance(reason, str) else "error",
    }


def completion_output(body: Any) -> list[dict[str, Any]]:
    """The output of a legacy completion."""
    choices = known(body).get("choices")
    if not is_list(choices):
        return []
    said = [known(choice) for choice in choices]
    return [_choice({**choice, "message": {"content": choice.get("text")}}) for choice in said]


class _Call:
    """A tool call of a stream, as far as it came."""

    __slots__ = ("argument", "fragments", "id", "index", "kind", "name")

    def __init__(self, index: int | None, *, custom: bool) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.kind, self.argument = ("custom", "input") if custom else ("function", "arguments")
        self.fragments: list[str] = []


class _Choice:
    """A choice of a stream, as far as it came: fragments by the name of their field."""

    __slots__ = ("audio", "calls", "fragments", "reason", "role")

    def __init__(self) -> None:
        self.role: str | None = None
        self.reason: object = None
        self.fragments: dict[str, list[str]] = {}
        self.audio: dict[str, list[str]] = {}
        self.calls: list[_Call] = []

    def put(self, name: str, fragment: object) -> None:
        if isinstance(fragment, str):
            self.fragments.setdefault(name, []).append(fragment)

    def delta(self, delta: Any) -> None:
        facts = known(delta)
        if self.role is None:
            self.role = words(facts.get("role"))
        content = facts.get("content")
        if content is not None:
            self.put("content", content)
        if facts.get("refusal") is not None:
            self.put("refusal", facts["refusal"])
        if content is None or facts is delta or getattr(delta, "__pydantic_extra__", None):
            self.put("reasoning_content", _thought(delta))
        if facts.get("audio") is not None:
            self._sound(known(facts["audio"]))
        if is_list(facts.get("tool_calls")):
            for call in facts["tool_calls"]:
                self._call(call)
        if facts.get("function_call") is not None:
            self._function(known(facts["function_call"]))

    def _sound(self, audio: Mapping[str, Any]) -> None:
        self.audio.setdefault("id", [words(audio.get("id")) or ""])
        for name in ("data", "transcript"):
            if isinstance(audio.get(name), str):
                self.audio.setdefault(name, []).append(audio[name])

    def _call(self, call: object) -> None:
        """Fragments of one call share its index; a host that gives none starts a call with its id."""
        facts = known(call)
        index, call_id = whole(facts.get("index")), words(facts.get("id"))
        entry = next((known for known in reversed(self.calls) if known.index == index), None)
        if entry is None or (call_id and entry.id not in (None, call_id)):
            entry = _Call(index, custom=facts.get("custom") is not None)
            self.calls.append(entry)
        called = known(facts.get(entry.kind))
        entry.id = entry.id or call_id
        entry.name = entry.name or words(called.get("name"))
        entry.fragments.append(words(called.get(entry.argument)) or "")

    def _function(self, called: Mapping[str, Any]) -> None:
        self.put("name", called.get("name"))
        self.put("arguments", called.get("arguments"))

    def whole(self) -> dict[str, Any]:
        """The choice as a response that is not streamed has it."""
        joined = {name: "".join(fragments) for name, fragments in self.fragments.items()}
        function = {name: joined.pop(name, "") for name in ("name", "arguments") if name in joined}
        answer: dict[str, Any] = {"role": self.role, **joined}
        if self.audio:
            answer["audio"] = {name: "".join(fragments) for name, fragments in self.audio.items()}
            if "data" in self.audio:
                answer["audio"]["data"] = joined_base64(self.audio["data"])
        answer["tool_calls"] = [
            {"id": call.id, call.kind: {"name": call.name, call.argument: "".join(call.fragments)}}
            for call in self.calls
        ]
        if function:
            answer["function_call"] = function
        return {"message": answer, "finish_reason": self.reason}


class ChatOutput:
    """The output messages of a stream of chat completions or of legacy completions."""

    __slots__ = ("_choices",)

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Any) -> None:
        """Take in a chunk."""
        choices = known(chunk).get("choices")
        if not is_list(choices):
            return
        for item in choices:
            facts = known(item)
            index = whole(facts.get("index")) or 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice()
            if facts.get("delta") is not None:
                choice.delta(facts["delta"])
            else:
                choice.put("content", facts.get("text"))
            if facts.get("finish_reason") is not None:
                choice.reason = facts["finish_reason"]

    def output(self) -> list[dict[str, Any]]:
        """A message per choice, in the order of the choices."""
        return [_choice(self._choices[index].whole()) for index in sorted(self._choices)]
