"""How request parameters reach an operation: one table per API from a body's key to a plain name and a check.

A value of another type than the API documents is left out, and nothing is ever iterated that could be a generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ._base import ABSENT, LIST, fields, whole, words

if TYPE_CHECKING:
    from .._operation import Operation

__all__ = ["Table", "collect", "effort", "floating", "integer", "several", "stops", "text"]

Table = Mapping[str, tuple[str, Callable[[Any], Any]]]


def floating(value: object) -> float | None:
    """A number, as a float."""
    return float(value) if type(value) in (int, float) else None  # type: ignore[arg-type]


integer = whole
text = words


def several(value: object) -> int | None:
    """A number of choices, when it is not the one that everybody asks for."""
    return value if type(value) is int and value != 1 else None


def stops(value: Any) -> list[str] | None:
    """Stop sequences: a text or a list of texts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, (LIST, tuple)) and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def effort(value: object) -> str | None:
    """The `effort` of a nested object (`reasoning`, `output_config`)."""
    return words(fields(value).get("effort"))


def collect(op: Operation, body: Mapping[str, Any], table: Table) -> None:
    """Put the parameters of `body` that `table` knows into `op.parameters`."""
    for key in filter(table.__contains__, body):
        given = body[key]
        if type(given).__name__ in ABSENT:
            continue
        name, check = table[key]
        value = check(given)
        if value is not None:
            op.parameters[name] = value
