"""The parts of messages in the conventions' shapes, one constructor each.

Shapes: the JSON schemas of the GenAI conventions, v1.41.
What they have no part for becomes a part of its own `type`, as their `GenericPart` allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._plain import omitted, parse, plain, record
from ._base import words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "file",
    "generic",
    "message",
    "reasoning",
    "refusal",
    "server_call",
    "server_response",
    "text",
    "tokens",
    "tool_call",
    "tool_response",
    "unread",
]

Part = dict[str, Any]


def message(role: str, parts: list[Part]) -> dict[str, Any]:
    """A message of the history."""
    return {"role": role, "parts": parts}


def text(content: object) -> Part:
    """Text that was sent or received."""
    return {"type": "text", "content": content if type(content) is str else _text(content)}


def _text(content: object) -> str:
    value = plain(content)
    return value if isinstance(value, str) else ""


def refusal(content: object) -> Part:
    """What the model said instead of an answer; the conventions have no part for it."""
    return {"type": "refusal", "content": _text(content)}


def reasoning(content: object, **opaque: object) -> Part:
    """What the model thought; `opaque` are fields of the provider (signature, encrypted data), if given."""
    part = {"type": "reasoning", "content": words(content) or ""}
    part.update((name, value) for name, value in opaque.items() if isinstance(value, str) and value)
    return part


def tool_call(call_id: object, name: object, arguments: object, *, free: bool = False) -> Part:
    """A call that the model asks the application for; `arguments` in JSON are parsed, `free` text is not."""
    value = plain(arguments) if free else parse(arguments)
    return {"type": "tool_call", "id": words(call_id), "name": words(name) or "", "arguments": value}


def tool_response(call_id: object, response: object) -> Part:
    """What the application's tool gave; `response` is a text or parts."""
    return {"type": "tool_call_response", "id": words(call_id), "response": response}


def server_call(call_id: object, name: object, details: Mapping[str, Any], kind: str | None = None) -> Part:
    """A tool that the provider ran itself."""
    label = words(name) or kind or ""
    return {
        "type": "server_tool_call",
        "id": words(call_id),
        "name": label,
        "server_tool_call": {**details, "type": kind or label},
    }


def server_response(call_id: object, kind: str, details: Mapping[str, Any]) -> Part:
    """What the provider's own tool gave."""
    return {
        "type": "server_tool_call_response",
        "id": words(call_id),
        "server_tool_call_response": {**details, "type": kind},
    }


def file(file_id: object, modality: str = "document", **facts: object) -> Part:
    """A file that the provider has."""
    part = {"type": "file", "modality": modality, "file_id": words(file_id) or ""}
    part.update((name, value) for name, value in facts.items() if isinstance(value, str) and value)
    return part


def tokens(count: int) -> Part:
    """Text that was sent as token numbers: unreadable, so only their count is kept."""
    return {"type": "tokens", "count": count}


_SHAPES = frozenset(
    {"text", "refusal", "reasoning", "blob", "uri", "file", "tokens", "omitted"}
    | {"tool_call", "tool_call_response", "server_tool_call", "server_tool_call_response"}
)
"""Types of parts that have a shape of their own here: what has another shape is no such part."""


def generic(value: object) -> Part:
    """A part of any other type, as sent."""
    part: Part = plain(dict(record(value)))
    kind = part.get("type")
    return part if isinstance(kind, str) and kind not in _SHAPES else {"type": "unknown", "value": part}


def unread(value: object) -> Part:
    """Stands for a value that cannot be read without changing it (a generator), or is of no known kind."""
    return omitted(type(value).__qualname__)
