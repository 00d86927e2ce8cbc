"""Redaction: the user's function is given every typed part once; what it returns is what every copy holds.

What is content but no part is shown as one: a participant's name (`{"type": "name", "content": ...}`) and the
text of an exception (`{"type": "exception", "content": ...}`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._operation import Content
from ._plain import is_object

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Part", "redact_content", "redact_text"]


class Part(dict[str, Any]):
    """What a redactor is given: a part as a dict, a copy of its own, that knows who said it.

    `role` is that of the message: `system`, `user`, `assistant`, `tool` or another that the API has;
    `tools` for a tool definition, `exception` for an exception's text.
    """

    __slots__ = ("role",)

    def __init__(self, part: dict[str, Any], role: str) -> None:
        super().__init__(part)
        self.role = role


def _part(part: dict[str, Any], role: str, redact: Callable[[Any], Any]) -> dict[str, Any] | None:
    result = redact(Part(part, role))
    if result is None:
        return None
    if not is_object(result) or not isinstance(result.get("type"), str):
        raise TypeError(f"a redactor returns a part or None, not {type(result).__name__}")
    return dict(result)


def _parts(parts: list[dict[str, Any]], role: str, redact: Callable[[Any], Any]) -> list[dict[str, Any]]:
    return [kept for part in parts if (kept := _part(part, role, redact)) is not None]


def _messages(messages: list[dict[str, Any]], redact: Callable[[Any], Any]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for message in messages:
        role = message["role"]
        copy = {**message, "parts": _parts(message["parts"], role, redact)}
        if "name" in message:
            name = redact_text(message["name"], redact, kind="name", role=role)
            copy["name"] = name or ""
        kept.append(copy)
    return kept


def redact_text(text: str, redact: Callable[[Any], Any], *, kind: str, role: str) -> str | None:
    """What `redact` leaves of a text that is no part, None for nothing. Raises what `redact` raises."""
    result = _part({"type": kind, "content": text}, role, redact)
    content = result.get("content") if result is not None else None
    return content if isinstance(content, str) else None


def redact_content(content: Content, redact: Callable[[Any], Any]) -> Content:
    """What `redact` leaves of `content`: parts for which it returns None are gone. Raises what it raises."""
    return Content(
        system=None if content.system is None else _parts(content.system, "system", redact),
        input=None if content.input is None else _messages(content.input, redact),
        output=None if content.output is None else _messages(content.output, redact),
        tools=None if content.tools is None else _parts(content.tools, "tools", redact),
    )
