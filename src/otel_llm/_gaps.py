"""Times between the chunks of one stream: a few wait to be recorded, all of them are summed up in fixed memory."""

from __future__ import annotations

from array import array
from math import exp2, log2
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ._operation import StreamStats

__all__ = ["Gaps"]

_STEPS = 16
"""Buckets per doubling: a quantile is off by 2.2 % at most."""
_SHORTEST = 1e-7


class Gaps:
    """What is known of the gaps of one stream."""

    MOST: ClassVar[int] = 32
    """So many wait: with their sizes 256 bytes."""

    __slots__ = ("_buckets", "_first", "_longest", "_total", "pending", "sizes")

    def __init__(self) -> None:
        self.pending = array("f")
        """Seconds; those that are not recorded yet."""
        self.sizes = array("I")
        """Bytes of the chunks that are not recorded yet."""
        self._buckets: dict[int, int] = {}
        self._longest = 0.0
        self._total = 0
        self._first: list[float] = []

    def take(self) -> None:
        """Sum up and forget what waited, since it is recorded now."""
        if self._total == 0:
            self._first = sorted(self.pending)  # a short stream gets exact quantiles
        buckets = self._buckets
        for gap in self.pending:
            bucket = int(log2(max(_SHORTEST, gap)) * _STEPS)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        if self.pending:
            self._longest = max(self._longest, *self.pending)
            self._total += len(self.pending)
        self.pending = array("f")
        self.sizes = array("I")

    def settle(self, stats: StreamStats) -> None:
        """Write the quantiles of a stream that has ended."""
        if self._total:
            stats.gap_p50 = self._quantile(0.5)
            stats.gap_p99 = self._quantile(0.99)
            stats.gap_max = self._longest

    def _quantile(self, share: float) -> float:
        rank = int(share * (self._total - 1) + 0.5)
        if self._total == len(self._first):
            return self._first[rank]
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank < 0:
                return min(exp2((bucket + 0.5) / _STEPS), self._longest)
        return self._longest
