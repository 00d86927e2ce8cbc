"""From the messages that providers read to what is recorded: redaction once, blobs, then the size budget.

`settle` makes the one redacted copy that every signal shares; `render` its JSON within the budget.
Both run at the end of a call, and only for a call whose content goes somewhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ._blobs import replace
from ._budget import check, clip, encode, fit, level
from ._operation import Content
from ._redact import redact_content

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIELDS", "Rendered", "render", "settle"]

FIELDS = ("system", "input", "output", "tools")


class Rendered(NamedTuple):
    """Content within its budget."""

    content: Content
    """The messages as structures, shortened like their JSON: for events and hooks."""
    json: dict[str, str]
    """Per field of the content that has anything its JSON: for span attributes."""
    dropped: tuple[str, ...] = ()
    """Fields for which the budget has no room at all."""


def settle(content: Content, *, redact: Callable[[Any], Any] | None = None, blobs: bool = False) -> Content:
    """What may be recorded of `content`: what `redact` leaves, blobs by type, size and hash unless `blobs`.

    Raises what `redact` raises, and TypeError or ValueError for what it returns and JSON cannot hold: then nothing
    of the content may be recorded.
    """
    if redact is not None:
        content = redact_content(content, redact)
    settled = Content(
        system=None if content.system is None else replace(content.system, keep=blobs),
        input=None if content.input is None else _messages(content.input, keep=blobs),
        output=None if content.output is None else _messages(content.output, keep=blobs),
        tools=content.tools,
    )
    if redact is not None:
        for name in FIELDS:
            check(getattr(settled, name))
    return settled


def _messages(messages: list[dict[str, Any]], *, keep: bool) -> list[dict[str, Any]]:
    """The same list unless a part of it may hold a blob."""
    odd = [
        index
        for index, message in enumerate(messages)
        if len(parts := message["parts"]) != 1 or parts[0]["type"] != "text"
    ]
    if not odd:
        return messages
    settled = messages.copy()
    for index in odd:
        message = messages[index]
        settled[index] = {**message, "parts": replace(message["parts"], keep=keep)}
    return settled


def render(content: Content, *, attribute_bytes: int, span_bytes: int) -> Rendered:
    """`content` as JSON of at most `attribute_bytes` per field and `span_bytes` in all, in bytes of UTF-8."""
    values = {name: clip(value, attribute_bytes) for name in FIELDS if (value := getattr(content, name))}
    encoded = {name: encode(value) for name, value in values.items()}
    sizes = [min(entry.size, attribute_bytes) for entry in encoded.values()]
    limit = attribute_bytes if sum(sizes) <= span_bytes else level(sizes, span_bytes)
    texts: dict[str, str] = {}
    for name, entry in encoded.items():
        if entry.size <= limit:
            texts[name] = entry.text
            if entry.repaired:
                values[name] = json.loads(entry.text)
        elif (fitting := fit(entry, limit)) is not None:
            values[name], texts[name] = fitting
    dropped = tuple(name for name in values if name not in texts)
    return Rendered(Content(**{name: values[name] for name in texts}), texts, dropped)
