"""Strict JSON: what Python would write as `NaN` or `Infinity` becomes text, too deep nesting is cut."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dumps", "is_dict", "is_list", "loads"]

_LEVELS: Final = 60

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=str).encode


def is_dict(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether parsed JSON is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether parsed JSON is an array."""
    return isinstance(value, list)


def _is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def dumps(value: Any) -> str:
    """Compact ASCII JSON of plain data, whatever it holds."""
    try:
        return _encode(value)
    except (ValueError, RecursionError):
        return _encode(_clean(value, _LEVELS))


def _clean(value: Any, levels: int) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if is_dict(value):
        return {str(key): _clean(item, levels - 1) for key, item in value.items()} if levels else "..."
    if _is_sequence(value):
        return [_clean(item, levels - 1) for item in value] if levels else "..."
    return value


def loads(text: str | bytes) -> Any:
    """Parse JSON; ValueError for what is none, for `NaN` and the like, and for what is nested too deep."""
    try:
        return _decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
