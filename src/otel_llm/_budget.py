"""A list of messages, parts or tool definitions as JSON of at most so many bytes.

What is too much is taken off where it hurts least: the longest texts are cut first, all to the same length,
and say how much is missing.
Where texts are not what is long, nested values become (cut) texts of their JSON; where that is not enough
either, entries between the first and the last ones go.
The result is valid JSON of the same shape at every step.
"""

from __future__ import annotations

import json
from functools import cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ._blobs import summary
from ._plain import is_object, omitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Encoded", "check", "clip", "encode", "fit", "level"]

_FLOOR = 64
"""Bytes below which no text is cut: ids and hashes stay whole, and a cut text has room for its mark."""
_MARK = 40
"""Bytes for `... [truncated N characters]`."""
_NESTED = 256
"""Bytes from which a nested value is worth being cut as a text."""
_LEAST_MESSAGE, _LEAST_PART = 48, 24
"""Bytes of JSON below which no message, and no part or definition, is."""
_LEFT_OUT = " left out to keep within the size budget"
_KEPT = frozenset({"type", "role", "finish_reason"})

_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


class Encoded(NamedTuple):
    """A value as JSON."""

    text: str
    size: int
    """Bytes of UTF-8."""
    repaired: bool = False
    """Whether the value has half surrogate pairs, which UTF-8 has no bytes for: in `text` they are `?`."""


@cache
def _writer() -> Callable[[Any], bytes] | None:
    """Pydantic's writer of compact JSON, where the SDK brought it: it is four times as fast as that of `json`.

    Looked for by the first call, which has loaded it with the SDK.
    """
    try:
        from pydantic_core import to_json  # noqa: PLC0415
    except ImportError:
        return None
    return to_json


def encode(value: Any) -> Encoded:
    """`value`, which JSON can hold, as JSON."""
    write = _writer()
    try:
        data = _encode(value).encode() if write is None else write(value)
    except ValueError:  # half a surrogate pair
        data = _encode(value).encode("utf-8", "replace")
        return Encoded(data.decode(), len(data), repaired=True)
    return Encoded(data.decode(), len(data))


def check(value: Any) -> None:
    """Raise TypeError or ValueError for what JSON cannot hold; some of it `encode` would write all the same."""
    _encode(value)


def level(sizes: list[int], total: int) -> int:
    """The highest size to which all larger `sizes` can be brought so that their sum is at most `total`."""
    left = total
    for rank, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - rank)
        if size > share:
            return max(share, 0)
        left -= size
    return max(sizes, default=0)


def clip(value: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """`value` without entries in its middle for which `limit` bytes have no room however short they are made.

    It spares turning them into JSON: a list may have a million.
    """
    most = limit // (_LEAST_MESSAGE if "parts" in value[0] else _LEAST_PART) + 2
    return value if len(value) <= most else _dropped(value, len(value) - most)


def fit(encoded: Encoded, limit: int) -> tuple[list[dict[str, Any]], str] | None:
    """Bring an encoded list to at most `limit` bytes; None where nothing of it fits.

    Returns a shortened copy of the list, and its JSON.
    """
    value: list[dict[str, Any]] = json.loads(encoded.text)
    for simplify in (None, _flatten, _thin, _only_mark):
        if simplify is not None:
            value = simplify(value, limit)
            encoded = encode(value)
        _cut(value, encoded.size, limit)
        encoded = encode(value)
        if encoded.size <= limit:
            return value, encoded.text
    return None


def _leaves(node: Any) -> Iterator[tuple[Any, Any, int]]:
    """Every text that may be cut: what holds it, under which key, and its size in bytes of JSON."""
    entries: Iterable[tuple[Any, Any]] = (
        node.items() if is_object(node) else enumerate(cast("list[Any]", node))
    )
    for key, item in entries:
        if isinstance(item, str):
            if len(item) > _FLOOR and key not in _KEPT:
                yield node, key, _size(item)
        elif isinstance(item, dict | list):
            yield from _leaves(item)


def _size(text: str) -> int:
    return len(encode_basestring(text).encode()) - 2


def _cut(value: list[dict[str, Any]], size: int, limit: int) -> None:
    """Cut the longest texts in `value`, which is of `size` bytes, all to the same length."""
    if size <= limit:
        return
    leaves = list(_leaves(value))
    sizes = [length for _, _, length in leaves]
    bound = max(level(sizes, limit - size + sum(sizes)), _FLOOR)
    for holder, key, length in leaves:
        if length > bound:
            if key == "content" and holder.get("type") == "blob":
                holder.update(summary(holder))
            else:
                holder[key] = _shortened(holder[key], bound)


def _shortened(text: str, bound: int) -> str:
    """The start of `text` and a mark, together of at most `bound` bytes of JSON."""
    room = bound - _MARK
    kept = text[:room]
    while (size := _size(kept)) > room:
        kept = kept[: len(kept) * room // size]
    return f"{kept}... [truncated {len(text) - len(kept)} characters]"


def _flatten(value: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Turn nested values that are too long into texts of their JSON; an object with a type stays one."""
    for entry in value:
        for part in entry.get("parts", [entry]):
            for key, item in part.items():
                if isinstance(item, dict | list) and (nested := encode(item)).size > min(_NESTED, limit):
                    kind = item.get("type") if is_object(item) else None
                    part[key] = {"type": kind, "json": nested.text} if isinstance(kind, str) else nested.text
    return value


def _thin(value: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Leave out entries between the first and the last ones; of a message that is too long alone, parts."""
    for entry in value:
        if "parts" in entry:
            entry["parts"] = _without_middle(entry["parts"], limit // 2 - _FLOOR)
    return _without_middle(value, limit)


def _only_mark(value: list[dict[str, Any]], _: int) -> list[dict[str, Any]]:
    return [_mark(len(value), value[0])]


def _mark(count: int, like: dict[str, Any]) -> dict[str, Any]:
    """What says that `count` entries like `like` are missing, in their shape."""
    part = omitted(f"{count}{_LEFT_OUT}")
    if "parts" not in like:
        return {**part, "name": ""} if "name" in like else part
    message = {"role": "system", "parts": [part]}
    return {**message, "finish_reason": "error"} if "finish_reason" in like else message


def _dropped(entries: list[dict[str, Any]], last: int) -> list[dict[str, Any]]:
    """`entries` with a mark in place of those between the first and number `last`."""
    count = sum(map(_stands_for, entries[1:last]))
    return [entries[0], _mark(count, entries[0]), *entries[last:]]


def _stands_for(entry: dict[str, Any]) -> int:
    """How many entries `entry` is: 1, or as many as a mark says."""
    part = next(iter(entry.get("parts", (entry,))), entry)
    if part.get("type") == "omitted" and part.get("reason", "").endswith(_LEFT_OUT):
        return int(part["reason"].removesuffix(_LEFT_OUT))
    return 1


def _without_middle(entries: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The first entry and as many of the last as `limit` bytes hold, with a mark for those between."""
    left = limit
    for entry in entries:
        left -= encode(entry).size + 1
        if left < 0:
            break
    else:
        return entries
    left = limit - 2 - encode(_mark(len(entries), entries[0])).size - encode(entries[0]).size - 1
    last = len(entries)
    while last > 1 and (size := encode(entries[last - 1]).size + 1) <= left:
        last -= 1
        left -= size
    return _dropped(entries, last) if last > 1 else entries
