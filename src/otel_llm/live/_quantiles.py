"""Distributions in fixed logarithmic buckets: constant cost and bounded memory, quantiles within 1 %.

A value lies in bucket i when GAMMA^(i-1) < value <= GAMMA^i; the bucket answers with the value that is at
most 1 % from either end. The average, the least and the greatest value are exact.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Distribution", "exact_stats"]

GAMMA: Final = 1.02
_SCALE: Final = 1.0 / math.log(GAMMA)
_MIDDLE: Final = 2.0 / (1.0 + GAMMA)
_LEAST: Final = 1e-3
_GREATEST: Final = 1e9
_LOWEST: Final = math.ceil(math.log(_LEAST) * _SCALE)
_HIGHEST: Final = math.ceil(math.log(_GREATEST) * _SCALE)
_ceil, _log = math.ceil, math.log
QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class Distribution:
    """Count, sum, extremes and buckets of non-negative values; not locked."""

    __slots__ = ("bins", "count", "high", "low", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.low = math.inf
        self.high = 0.0
        self.bins: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count one finite value; a negative one counts as 0."""
        if _LEAST <= value <= _GREATEST:
            index = _ceil(_log(value) * _SCALE)
        else:
            value = max(value, 0.0)
            index = _LOWEST if value < _LEAST else _HIGHEST
        self.count += 1
        self.total += value
        if value < self.low:  # noqa: PLR1730 - on every event: comparing costs less than calling
            self.low = value
        if value > self.high:  # noqa: PLR1730
            self.high = value
        bins = self.bins
        bins[index] = bins.get(index, 0) + 1

    def merge(self, other: Distribution) -> None:
        """Add what `other` has counted."""
        if not other.count:
            return
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        bins = self.bins
        for index, count in other.bins.items():
            bins[index] = bins.get(index, 0) + count

    def subtract(self, other: Distribution) -> None:
        """Take back what was merged from `other`; `low` and `high` then need `set_extremes`."""
        self.count -= other.count
        self.total = self.total - other.total if self.count else 0.0
        bins = self.bins
        for index, count in other.bins.items():
            left = bins[index] - count
            if left:
                bins[index] = left
            else:
                del bins[index]

    def set_extremes(self, parts: Iterable[Distribution]) -> None:
        """Take the extremes anew from the distributions that this one consists of."""
        self.low, self.high = math.inf, 0.0
        for part in parts:
            self.low = min(self.low, part.low)
            self.high = max(self.high, part.high)

    def quantiles(self, *wanted: float) -> list[float]:
        """The values at these shares (0 to 1, ascending) of the count, which is not 0; by nearest rank."""
        indexes = sorted(self.bins)
        sums = accumulate(self.bins[index] for index in indexes)
        found: list[float] = []
        ranks = [max(1, math.ceil(share * self.count)) for share in wanted]
        for index, below in zip(indexes, sums, strict=True):
            while len(found) < len(ranks) and below >= ranks[len(found)]:
                found.append(min(max(GAMMA**index * _MIDDLE, self.low), self.high))
        return found

    def stats(self) -> dict[str, float] | None:
        """`{"avg", "min", "max", "p50", "p90", "p99"}` in the values' unit, None when nothing was counted."""
        if not self.count:
            return None
        found = self.quantiles(*(share for _, share in QUANTILES))
        names = (name for name, _ in QUANTILES)
        return {
            "avg": round(self.total / self.count, 3),
            "min": round(self.low, 3),
            "max": round(self.high, 3),
            **{name: round(value, 3) for name, value in zip(names, found, strict=True)},
        }


def exact_stats(values: Sequence[float], *more: tuple[str, float]) -> dict[str, float] | None:
    """The same from the values themselves, interpolated between ranks; `more` adds shares."""
    if not values:
        return None
    ranked = sorted(values)
    out = {"avg": math.fsum(ranked) / len(ranked), "min": ranked[0], "max": ranked[-1]}
    for name, share in (*QUANTILES, *more):
        place = share * (len(ranked) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ranked) - 1)
        out[name] = ranked[low] + (ranked[high] - ranked[low]) * (place - low)
    return {name: round(value, 3) for name, value in out.items()}
