"""Attribute values as what they should be: anything else is None, as if it were not there."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from ._json import is_list

__all__ = ["LONGEST", "amount", "count", "ms", "number", "text", "texts"]

LONGEST: Final = 200
"""Characters of a name, an id, a code."""
_MOST: Final = 10**15


def text(value: Any) -> str | None:
    """A text that is not empty, shortened."""
    return value[:LONGEST] if isinstance(value, str) and value else None


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or one."""
    values = value if is_list(value) else [value]
    return tuple(item[:LONGEST] for item in values[:32] if isinstance(item, str) and item)


def number(value: Any) -> float | None:
    """A finite number from 0 to 10^15."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return value if math.isfinite(value) else None


def count(value: Any) -> int | None:
    """The same as a whole number."""
    found = number(value)
    return None if found is None else int(found)


def amount(value: Any) -> Decimal | None:
    """The same, exactly as it was written."""
    found = number(value)
    return None if found is None else Decimal(repr(found))


def ms(value: Any) -> float | None:
    """Seconds as milliseconds."""
    found = number(value)
    return None if found is None else round(found * 1000, 3)
