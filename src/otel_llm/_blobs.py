"""Binary data in parts: recorded by type, size and hash, or as base64 when it is asked for."""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64
from hashlib import sha256
from typing import Any

from ._plain import is_list, is_object

__all__ = ["replace", "summary", "verbatim"]

_FLAT = frozenset({"text", "reasoning", "refusal", "uri", "file", "tokens", "omitted"})
"""Parts that hold no other values."""


def summary(part: dict[str, Any]) -> dict[str, Any]:
    """A blob without its data: `byte_count` and `sha256` of the decoded bytes, and empty `content`."""
    content = part["content"]
    if isinstance(content, str):
        try:
            content = a2b_base64(content)
        except ValueError:
            content = content.encode("utf-8", "surrogatepass")
    digest = sha256(content, usedforsecurity=False).hexdigest()
    return {**part, "content": "", "byte_count": len(content), "sha256": digest}


def verbatim(part: dict[str, Any]) -> dict[str, Any]:
    """A blob with its data as base64 text."""
    content = part["content"]
    return {**part, "content": b64encode(content).decode()} if isinstance(content, bytes) else part


def replace(parts: list[dict[str, Any]], *, keep: bool) -> list[dict[str, Any]]:
    """`parts` with every blob in them summarised, or with its data if `keep`."""
    change = verbatim if keep else summary
    return [part if part["type"] in _FLAT else _within(part, change) for part in parts]


def _within(value: Any, change: Any) -> Any:
    """`value` with every blob in it changed; what holds none is returned as it is."""
    if is_object(value):
        if value.get("type") == "blob" and isinstance(value.get("content"), str | bytes):
            return value if "sha256" in value else change(value)
        return {key: _within(item, change) for key, item in value.items()}
    if is_list(value):
        return [_within(item, change) for item in value]
    return value
