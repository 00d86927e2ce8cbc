"""The messages of the Anthropic API as parts of the conventions.

Called only when content is captured.
A stream's events are put together to the blocks of the response and read by the same functions, so that
streamed and not give the same output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._operation import Content
from .._plain import blob, from_url, is_list, known, omitted, parse, plain, record
from ._base import whole, words
from ._finish import ANTHROPIC as FINISH
from ._parts import (
    Part,
    file,
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

__all__ = [
    "CompletionOutput",
    "MessageOutput",
    "completion_output",
    "message_output",
    "messages",
    "prompt",
]


def _text(block: Mapping[str, Any]) -> Part:
    return text(block.get("text"))


def _media(block: Mapping[str, Any]) -> Part:
    """An image or a document: inline, by URL, an uploaded file; a document also as text or as blocks."""
    modality = "image" if block["type"] == "image" else "document"
    source = known(block.get("source"))
    kind = source.get("type")
    if kind == "base64":
        read = blob(source.get("data"), words(source.get("media_type")), modality)
    elif kind == "url":
        read = from_url(words(source.get("url")) or "", modality)
    elif kind == "file":
        read = file(source.get("file_id"), modality)
    elif kind == "text":
        read = text(source.get("data"))
    elif kind == "content":
        read = {"type": "document", "content": _blocks(source.get("content"))}
    else:
        read = omitted(f"a source of type {words(kind) or type(kind).__qualname__}")
    for name in ("title", "context"):
        if words(block.get(name)):
            read[name] = block[name]
    return read


def _result(block: Mapping[str, Any]) -> Part:
    content = block.get("content")
    response = content if isinstance(content, str) or content is None else _blocks(content)
    read = tool_response(block.get("tool_use_id"), response)
    if block.get("is_error") is True:
        read["is_error"] = True
    return read


def _mcp(block: Mapping[str, Any]) -> Part:
    details = {"server_name": words(block.get("server_name")), "arguments": plain(block.get("input"))}
    return server_call(block.get("id"), block.get("name"), details, "mcp")


def _server(block: Mapping[str, Any]) -> Part:
    asked = plain(block.get("input"))
    return server_call(block.get("id"), block.get("name"), asked if record(asked) else {"input": asked})


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], Part]] = {
    "text": _text,
    "image": _media,
    "document": _media,
    "thinking": lambda block: reasoning(block.get("thinking"), signature=block.get("signature")),
    "redacted_thinking": lambda block: {**reasoning("", data=block.get("data")), "redacted": True},
    "tool_use": lambda block: tool_call(block.get("id"), block.get("name"), block.get("input"), free=True),
    "tool_result": _result,
    "server_tool_use": _server,
    "mcp_tool_use": _mcp,
    "container_upload": lambda block: file(block.get("file_id")),
}


def _block(value: Any) -> Part:
    block = known(value)
    kind = block.get("type")
    if not isinstance(kind, str):
        return text(value) if isinstance(value, str) else unread(value)
    read = _BLOCKS.get(kind)
    if read is not None:
        return read(block)
    if kind.endswith("_tool_result"):
        details = {"content": plain(block.get("content"))}
        return server_response(block.get("tool_use_id"), kind.removesuffix("_tool_result"), details)
    return generic(value)


def _blocks(content: Any) -> list[Part]:
    """The parts of a message's content: a text or a list of blocks."""
    if isinstance(content, str):
        return [text(content)]
    if is_list(content):
        return [_block(block) for block in content]
    return [] if content is None else [unread(content)]


def _history(value: Any) -> list[dict[str, Any]]:
    if not is_list(value):
        return [message("user", [unread(value)])]
    return [
        {"role": role, "parts": [{"type": "text", "content": content}]}
        if item.__class__ is dict
        and type(content := item.get("content")) is str
        and type(role := item.get("role")) is str
        else _message(item)
        for item in value
    ]


def _message(item: Any) -> dict[str, Any]:
    """A message of the history that is more than a text."""
    facts = known(item)
    role, content = facts.get("role"), facts.get("content")
    if isinstance(role, str):
        return message(_role(role, content), _blocks(content))
    return message("user", [unread(item)])


def _role(role: str, content: Any) -> str:
    """A user's message of nothing but tool results has the role `tool` in the conventions."""
    results = (
        is_list(content) and content and all(known(block).get("type") == "tool_result" for block in content)
    )
    return "tool" if results else role


def _definitions(tools: Any) -> list[dict[str, Any]] | None:
    """Tools as the conventions want them; of those that the provider runs only type and name."""
    if tools is None:
        return None
    if not is_list(tools):
        return [{"type": "omitted", "name": "", "reason": type(tools).__qualname__}]
    read: list[dict[str, Any]] = []
    for tool in tools:
        facts = known(tool)
        kind = words(facts.get("type")) or "custom"
        definition: dict[str, Any] = {"type": "function" if kind == "custom" else kind}
        definition["name"] = words(facts.get("name")) or words(facts.get("mcp_server_name")) or kind
        if kind == "custom":
            if words(facts.get("description")):
                definition["description"] = facts["description"]
            if facts.get("input_schema") is not None:
                definition["parameters"] = plain(facts["input_schema"])
        read.append(definition)
    return read or None


def messages(body: Mapping[str, Any]) -> Content:
    """The content of a request for a message."""
    system = body.get("system")
    return Content(
        system=_blocks(system) or None,
        input=_history(body.get("messages")),
        tools=_definitions(body.get("tools")),
    )


def message_output(body: Any) -> list[dict[str, Any]]:
    """The output of a message: one, of its blocks in their order."""
    facts = known(body)
    return [_ended(facts, _blocks(facts.get("content")))]


def _ended(facts: Mapping[str, Any], read: list[Part]) -> dict[str, Any]:
    """An output message; one without a reason was cut off, which the conventions call `error`."""
    reason = facts.get("stop_reason")
    return {
        "role": words(facts.get("role")) or "assistant",
        "parts": read,
        "finish_reason": FINISH.get(reason, reason) if isinstance(reason, str) else "error",
    }


_PIECES = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("partial_json", "input"),
    "compaction_delta": ("content", "content"),
}
"""Per kind of delta its field, and the field of the block that it is a piece of."""


class MessageOutput:
    """The output message of a stream of message events."""

    __slots__ = ("_blocks", "_facts", "_pieces")

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}

    def add(self, chunk: Any) -> None:
        """Take in an event."""
        event = known(chunk)
        kind = words(event.get("type"))
        if kind == "content_block_delta":
            delta = known(event.get("delta"))
            entry = _PIECES.get(words(delta.get("type")) or "")
            piece = delta.get(entry[0]) if entry is not None else None
            if entry is not None and isinstance(piece, str):
                self._pieces.setdefault((whole(event.get("index")) or 0, entry[1]), []).append(piece)
        elif kind == "content_block_start":
            self._blocks[whole(event.get("index")) or 0] = dict(record(event.get("content_block")))
        elif kind == "message_start":
            self._facts = {"role": known(event.get("message")).get("role")}
        elif kind == "message_delta":
            reason = known(event.get("delta")).get("stop_reason")
            if reason is not None:
                self._facts["stop_reason"] = reason

    def output(self) -> list[dict[str, Any]]:
        """The message as far as it came."""
        if not self._facts and not self._blocks:
            return []
        for (index, name), pieces in self._pieces.items():
            block = self._blocks.setdefault(index, {"type": "text"})
            said = "".join(pieces)
            if name != "input":
                block[name] = (block.get(name) or "") + said
            elif said:  # of a tool without arguments it is not
                block[name] = parse(said)
        self._pieces.clear()
        return [_ended(self._facts, [_block(self._blocks[index]) for index in sorted(self._blocks)])]


def prompt(body: Mapping[str, Any]) -> Content:
    """The content of a request for a legacy completion."""
    asked = body.get("prompt")
    return Content(input=[message("user", [text(asked) if isinstance(asked, str) else unread(asked)])])


def completion_output(body: Any) -> list[dict[str, Any]]:
    """The output of a legacy completion."""
    facts = known(body)
    return [_ended(facts, [text(facts.get("completion"))])]


class CompletionOutput:
    """The output message of a stream of legacy completions, each of which holds a piece."""

    __slots__ = ("_pieces", "_reason")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._reason: str | None = None

    def add(self, chunk: Any) -> None:
        """Take in a completion."""
        facts = known(chunk)
        self._pieces.append(words(facts.get("completion")) or "")
        self._reason = words(facts.get("stop_reason")) or self._reason

    def output(self) -> list[dict[str, Any]]:
        """The message as far as it came."""
        return completion_output({"completion": "".join(self._pieces), "stop_reason": self._reason})
