"""The messages of the Responses API as parts of the conventions: items in, items out, and a stream's events.

Called only when content is captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._operation import Content
from .._plain import blob, is_list, known, parse, plain, record
from ._base import NOTHING, whole, words
from ._finish import CLIENT_TOOLS, of_response
from ._openai_content import messages
from ._openai_parts import parts, tool_definitions
from ._parts import (
    Part,
    generic,
    message,
    reasoning,
    server_call,
    server_response,
    text,
    tool_call,
    tool_response,
    unread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ResponseOutput", "response_output", "responses"]

_SERVER = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "tool_search_call",
        "mcp_call",
        "mcp_list_tools",
    }
)
"""Tools that the provider runs."""
_ENVELOPE = frozenset({"id", "type", "call_id", "status", "name", "caller", "fingerprint"})
_RESULTS = frozenset({"output", "outputs", "result", "results", "tools", "error"})


def _function(item: Mapping[str, Any]) -> list[Part]:
    free = item.get("type") == "custom_tool_call"
    return [
        tool_call(
            item.get("call_id"), item.get("name"), item.get("input" if free else "arguments"), free=free
        )
    ]


def _client(item: Mapping[str, Any]) -> list[Part]:
    details = {key: value for key, value in item.items() if key not in _ENVELOPE}
    return [tool_call(item.get("call_id"), CLIENT_TOOLS[item["type"]], details)]


def _answer(item: Mapping[str, Any]) -> list[Part]:
    """What a tool of the application gave: a text, parts, or one object (a screenshot)."""
    given = item.get("output")
    response = given if isinstance(given, str) or given is None else parts(given)
    return [tool_response(item.get("call_id") or item.get("id"), response)]


def _thoughts(item: Mapping[str, Any]) -> list[Part]:
    """A part per text: the thoughts themselves where the model shows them, else their summary."""
    shown, summary = item.get("content"), item.get("summary")
    texts: list[Any] | tuple[Any, ...] = (
        shown if is_list(shown) and shown else summary if is_list(summary) else []
    )
    read = [reasoning(known(each).get("text")) for each in texts]
    sealed = words(item.get("encrypted_content"))
    if sealed:
        read = [*read[:-1], {**(read[-1] if read else reasoning("")), "encrypted_content": sealed}]
    return read


def _server(item: Mapping[str, Any]) -> list[Part]:
    """A call and, where the item has it, its result."""
    kind = item["type"].removesuffix("_call")
    details: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for key, value in item.items():
        if key == "result" and kind == "image_generation":
            results[key] = blob(value, f"image/{words(item.get('output_format')) or 'png'}", "image")
        elif key == "arguments":
            details[key] = parse(value)
        elif key not in _ENVELOPE:
            (results if key in _RESULTS else details)[key] = plain(value)
    read = [server_call(item.get("id"), item.get("name"), details, kind)]
    if results:
        read.append(server_response(item.get("id"), kind, results))
    return read


_ITEMS: Mapping[str, Callable[[Mapping[str, Any]], list[Part]]] = {
    "function_call": _function,
    "custom_tool_call": _function,
    "reasoning": _thoughts,
    **dict.fromkeys(CLIENT_TOOLS, _client),
    **dict.fromkeys(_SERVER, _server),
}
"""Items of the model."""


def _item(value: Any) -> tuple[str, list[Part]]:
    """The role of an item and its parts."""
    item = {key: field for key, field in record(value).items() if field is not None}
    kind = item.get("type")
    if kind == "message" or (kind is None and "role" in item):
        return words(item.get("role")) or "user", parts(item.get("content"))
    if not isinstance(kind, str):
        return "user", [generic(item) if item else unread(value)]
    read = _ITEMS.get(kind)
    if read is not None:
        return "assistant", read(item)
    if kind == "additional_tools":
        return "developer", [{"type": kind, "tools": tool_definitions(item.get("tools"))}]
    if kind.endswith("_call_output"):
        return "tool", _answer(item)
    role = words(item.get("role")) or ("user" if kind.endswith("_response") else "assistant")
    return role, [generic(item)]


def responses(body: Mapping[str, Any]) -> Content:
    """The content of a request for a Response: a message per item, in the order sent."""
    asked = body.get("input")
    instructions = body.get("instructions")
    if isinstance(asked, str):
        history = [message("user", [text(asked)])]
    elif is_list(asked):
        history = [message(*_item(item)) for item in asked]
    else:
        history = messages(asked) if asked is not None else []
    return Content(
        system=parts(instructions) if instructions is not None else None,
        input=history,
        tools=tool_definitions(body.get("tools")),
    )


def response_output(body: Any) -> list[dict[str, Any]]:
    """The output of a Response: one message, with the parts of all its items in their order."""
    facts = known(body)
    items = facts.get("output")
    return _message(facts, [_item(item)[1] for item in items] if is_list(items) else [])


def _message(response: Mapping[str, Any], items: list[list[Part]]) -> list[dict[str, Any]]:
    read = [part for item in items for part in item]
    incomplete = known(response.get("incomplete_details")).get("reason")
    called = any(part["type"] == "tool_call" for part in read)
    reason = of_response(words(response.get("status")), incomplete, called=called) or "error"
    return [{"role": "assistant", "parts": read, "finish_reason": reason}] if read or response else []


_TEXTS: Mapping[str, tuple[str, str, str]] = {
    "response.output_text.delta": ("content", "content_index", "output_text"),
    "response.refusal.delta": ("content", "content_index", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text"),
}
"""Events with a piece of a list of texts: the list, the event's field for the place in it, its type."""
_WORDS: Mapping[str, str] = {
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "code",
}
"""Events with a piece of one field of an item."""
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


class _Item:
    """An item of a stream that is not done: what was known when it was added, and the pieces since."""

    __slots__ = ("facts", "lists", "words")

    def __init__(self, item: object) -> None:
        self.facts = dict(record(item))
        self.lists: dict[tuple[str, int, str], list[str]] = {}
        self.words: dict[str, list[str]] = {}

    def whole(self) -> dict[str, Any]:
        item = {**self.facts, **{name: "".join(pieces) for name, pieces in self.words.items()}}
        texts: dict[str, list[dict[str, Any]]] = {}
        for (name, _, kind), pieces in sorted(self.lists.items()):
            field = "refusal" if kind == "refusal" else "text"
            texts.setdefault(name, []).append({"type": kind, field: "".join(pieces)})
        return {**item, **texts}


class ResponseOutput:
    """The output messages of a stream of Response events.

    An item that is done, and the Response at the end, are read at once: the SDK goes on changing its objects.
    """

    __slots__ = ("_done", "_final", "_last", "_open")

    def __init__(self) -> None:
        self._open: dict[int, _Item] = {}
        self._done: dict[int, list[Part]] = {}
        self._last: Mapping[str, Any] = NOTHING
        self._final: list[dict[str, Any]] = []

    def add(self, chunk: Any) -> None:
        """Take in an event."""
        event = known(chunk)
        kind = words(event.get("type")) or ""
        index = whole(event.get("output_index")) or 0
        if kind in _TEXTS:
            name, place, text_kind = _TEXTS[kind]
            key = (name, whole(event.get(place)) or 0, text_kind)
            self._put(self._at(index).lists, key, event.get("delta"))
        elif kind in _WORDS:
            self._put(self._at(index).words, _WORDS[kind], event.get("delta"))
        elif kind == "response.output_item.added":
            self._open[index] = _Item(event.get("item"))
        elif kind == "response.output_item.done":
            self._done[index] = _item(event.get("item"))[1]
        elif kind in _LAST:
            self._end(event.get("response"))

    def _at(self, index: int) -> _Item:
        item = self._open.get(index)
        if item is None:
            item = self._open[index] = _Item({"type": "message", "role": "assistant"})
        return item

    @staticmethod
    def _put(pieces: dict[Any, list[str]], key: object, piece: object) -> None:
        if isinstance(piece, str):
            pieces.setdefault(key, []).append(piece)

    def _end(self, response: object) -> None:
        facts = known(response)
        if is_list(facts.get("output")) and facts["output"]:
            self._final = response_output(response)
        self._last = {
            "status": facts.get("status"),
            "incomplete_details": dict(record(facts.get("incomplete_details"))),
        }

    def output(self) -> list[dict[str, Any]]:
        """The one message: of the final Response where that came with its items, else of what came before."""
        if self._final:
            return self._final
        items = [
            self._done[index] if index in self._done else _item(self._open[index].whole())[1]
            for index in sorted({*self._open, *self._done})
        ]
        return _message(self._last, items)
