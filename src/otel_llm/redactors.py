r"""Ready-made redactors for `instrument(redact=...)`.

A redactor is a function that is given each message part before anything else sees it, a dict such as
`{"type": "text", "content": "..."}`.
It returns the part to record instead, or None to record nothing of it; the dict is a copy that it may change.
If it raises, no content of that call is recorded.
`part.role` tells who said it: `system`, `user`, `assistant`, `tool`; `tools` for a tool definition,
`exception` for the text of an exception.

```python
from otel_llm import redactors

instrument(redact=redactors.chain(redactors.keys("ssn", "email"), redactors.pattern(r"\b\d{16}\b")))
```
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ._plain import is_list, is_object
from ._redact import Part
from ._secrets import scrub

__all__ = ["MASK", "Part", "Redactor", "chain", "keys", "pattern", "roles", "secrets", "tools"]

MASK = "[redacted]"
"""What stands in place of what was taken out."""

Redactor = Callable[[Part], dict[str, Any] | None]
"""The type of a redactor."""

_SKELETON = frozenset({"type", "id", "name", "modality", "mime_type"})
_TOOLS = frozenset({"tool_call", "tool_call_response", "server_tool_call", "server_tool_call_response"})


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every text in it changed, those that name its fields too."""
    if isinstance(value, str):
        return change(value)
    if is_object(value):
        if value.get("type") == "blob":
            return _every_text(value, change)
        return {_texts(key, change): _texts(item, change) for key, item in value.items()}
    return [_texts(item, change) for item in value] if is_list(value) else value


def _every_text(part: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A part with every text in it changed but its type and the data of a blob."""
    left = ("type", "content") if part["type"] == "blob" else ("type",)
    return {key: item if key in left else _texts(item, change) for key, item in part.items()}


def pattern(expression: str | re.Pattern[str], replacement: str = MASK) -> Redactor:
    """Replace what matches a regular expression in every text of every part, the data of blobs excepted.

    Texts are also the keys of a tool's arguments and results.
    """
    compiled = re.compile(expression)
    return lambda part: _every_text(part, lambda text: compiled.sub(replacement, text))


def secrets() -> Redactor:
    """Replace what looks like a key or a token in every text of every part."""
    return lambda part: _every_text(part, scrub)


def keys(*names: str, replacement: str = MASK) -> Redactor:
    """Replace the values of these keys, of any case, wherever they stand in arguments and results of tools.

    Also in texts that are JSON, as tools often give their results; a text that begins as JSON, was cut off and
    holds one of the keys is replaced as a whole.
    """
    wanted = frozenset(name.lower() for name in names)
    quoted = re.compile(rf"""["'](?:{"|".join(map(re.escape, wanted))})\\*["']""", re.IGNORECASE)

    def cut(text: str) -> str:
        return replacement if quoted.search(text) else text

    def within(value: Any) -> Any:
        if is_object(value):
            return {
                key: replacement if str(key).lower() in wanted else within(item)
                for key, item in value.items()
            }
        if is_list(value):
            return [within(item) for item in value]
        return _in_json(value, within, cut) if isinstance(value, str) else value

    def redact(part: Part) -> dict[str, Any]:
        if part.role == "tools":  # a schema tells of keys, it does not hold their values
            return part
        return {key: item if key in _SKELETON else within(item) for key, item in part.items()}

    return redact


def _in_json(text: str, within: Callable[[Any], Any], cut: Callable[[str], str]) -> str:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return cut(text)
    changed = within(value)
    return text if changed == value else json.dumps(changed, ensure_ascii=False)


def _blank(part: Part, replacement: str) -> dict[str, Any]:
    """A part of which only its kind is left, and for tools name and id."""
    blank: dict[str, Any] = {}
    for key, item in part.items():
        if key in _SKELETON:
            blank[key] = item
        elif key == part["type"] and is_object(
            item
        ):  # of a server's tool: its kind, and what it was asked or gave
            blank[key] = {"type": item.get("type"), "content": replacement}
        else:
            blank[key] = replacement
    return blank


def roles(*names: str, replacement: str = MASK) -> Redactor:
    """Replace everything that these roles said: `roles("user", "tool")`."""
    wanted = frozenset(names)
    return lambda part: _blank(part, replacement) if part.role in wanted else part


def tools(replacement: str = MASK) -> Redactor:
    """Replace arguments and results of tools; their names and ids stay, and so does every other part."""
    return lambda part: _blank(part, replacement) if part["type"] in _TOOLS else part


def chain(*redactors: Redactor) -> Redactor:
    """Apply redactors one after the other; None of one is the end."""

    def redact(part: Part) -> dict[str, Any] | None:
        for redactor in redactors:
            result = redactor(part)
            if result is None:
                return None
            part = Part(result, part.role)
        return part

    return redact
