"""What happens now: sums and distributions of the last 60 seconds, and a point a second for the last 300.

Each series (endpoint, model, provider) counts into one bucket per second, at a cost that does not depend on
how much it has counted. A second that is over is added to the series' window once, and taken out of it once,
60 seconds later; so a snapshot costs by the number of series and buckets, not by traffic.
A call that becomes known late, as calls do that arrive in an exporter's batches, counts in the second in
which it ended.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from ._quantiles import Distribution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._calls import Call

__all__ = ["OTHER", "Aggregator", "Second", "Series"]

WINDOW: Final = 60
"""Seconds that rates and distributions look back."""
HISTORY: Final = 300
"""Seconds for which there are points."""
OTHER: Final = "_OTHER"
"""Stands for the models and endpoints beyond the limits."""
MAX_LABELS: Final = 200
"""Models, endpoints and providers that are told apart, each."""
MAX_SERIES: Final = 400
MAX_LABEL_LENGTH: Final = 200
MAX_SENDERS: Final = 64
STALE: Final = 150.0
"""Seconds for which a report of another process counts: exporters report every 60 s unless told."""

_COUNTS: Final = (
    "requests", "responses", "errors", "input", "output", "with_input", "lookups", "hits", "read", "cost",
    "unpriced",
)  # fmt: skip
_DISTRIBUTIONS: Final = ("latency", "ttft", "speed")


class Second:
    """Sums of one second or of several; latency and ttft in ms, speed in output tokens per second."""

    __slots__ = (*_COUNTS, *_DISTRIBUTIONS)

    def __init__(self) -> None:
        self.requests = 0
        self.responses = 0
        self.errors = 0
        self.input = 0
        self.output = 0
        self.with_input = 0
        """Calls whose input tokens are known."""
        self.lookups = 0
        """Calls that said how many tokens came from a cache."""
        self.hits = 0
        self.read = 0
        self.cost = 0.0
        self.unpriced = 0
        self.latency = Distribution()
        self.ttft = Distribution()
        self.speed = Distribution()

    def add(self, call: Call) -> None:
        """Count the end of a call."""
        self.responses += 1
        self.latency.add(call.duration_ms)
        if call.outcome == "failed":
            self.errors += 1
        if (first := call.ttft_ms) is not None:
            self.ttft.add(first)
        if (tokens := call.input_tokens) is not None:
            self.input += tokens
            self.with_input += 1
        if tokens := call.output_tokens:
            self.output += tokens
            took = call.duration_ms - (first or 0.0)
            if took > 0:
                self.speed.add(tokens * 1000 / took)
        if (tokens := call.cache_read_tokens) is not None:
            self.lookups += 1
            if tokens:
                self.hits += 1
                self.read += tokens
        if (cost := call.cost) is not None:
            self.cost += float(cost)
        elif call.unpriced:
            self.unpriced += 1

    def merge(self, other: Second) -> None:
        """Add another's sums."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _DISTRIBUTIONS:
            getattr(self, name).merge(getattr(other, name))

    def subtract(self, other: Second) -> None:
        """Take back what `merge` has added."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) - getattr(other, name))
        for name in _DISTRIBUTIONS:
            getattr(self, name).subtract(getattr(other, name))


class Series:
    """The counts of one endpoint, model and provider; used under the aggregator's lock."""

    __slots__ = (
        "_extremes", "_window", "active_requests", "active_streams", "completed", "endpoint",
        "failed", "model",
        "provider", "reports", "sealed", "seconds", "waiting",
    )  # fmt: skip

    def __init__(self, endpoint: str, model: str, provider: str, second: int) -> None:
        self.endpoint = endpoint
        self.model = model
        self.provider = provider
        self.seconds: dict[int, Second] = {}
        self.active_requests = 0
        self.active_streams = 0
        self.waiting = 0
        """Requests sent and not yet answered."""
        self.completed = 0
        self.failed = 0
        """Streams since the start."""
        self.reports: dict[str, tuple[float, int, int]] = {}
        """When other processes last reported, and how many active requests and streams."""
        self._window = Second()
        self.sealed = second
        """The window holds the seconds from WINDOW - 1 before this one up to the one before it."""
        self._extremes = True
        """The window's extremes are right."""

    def at(self, second: int) -> Second:
        """The bucket of a second, made if need be."""
        bucket = self.seconds.get(second)
        if bucket is None:
            bucket = self.seconds[second] = Second()
        return bucket

    def parts(self, second: int) -> tuple[Second, ...]:
        """The buckets to change for what happened in `second`: one, or two when that second is over."""
        if second >= self.sealed or second <= self.sealed - WINDOW:
            return (self.at(second),)
        return (self.at(second), self._window)

    def advance(self, second: int) -> None:
        """Make `second` the one that is counting; a clock set back changes nothing."""
        if second <= self.sealed:
            return
        if second - self.sealed >= WINDOW:
            self._window = Second()
            merged: Iterable[int] = range(second - WINDOW + 1, second)
        else:
            for gone in range(self.sealed - WINDOW + 1, second - WINDOW + 1):
                if (bucket := self.seconds.get(gone)) is not None:
                    self._window.subtract(bucket)
                    self._extremes = False
            merged = range(self.sealed, second)
        for over in merged:
            if (bucket := self.seconds.get(over)) is not None:
                self._window.merge(bucket)
        for old in [known for known in self.seconds if known <= second - HISTORY]:
            del self.seconds[old]
        self.sealed = second

    def add_window(self, total: Second) -> None:
        """Merge the last 60 seconds, the one that is counting included, into `total`."""
        if not self._extremes:
            inside = [self.seconds[s] for s in self.seconds if self.sealed - WINDOW < s < self.sealed]
            for name in _DISTRIBUTIONS:
                getattr(self._window, name).set_extremes(getattr(bucket, name) for bucket in inside)
            self._extremes = True
        total.merge(self._window)
        if (bucket := self.seconds.get(self.sealed)) is not None:
            total.merge(bucket)


class Aggregator:
    """Counts calls as they begin and end, from any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.started_at = clock()
        self.changed: set[int] = set()
        """Seconds already over that have changed since `points` was asked."""
        self.local = False
        """Calls of this process are counted, from their beginning."""
        self._series: dict[tuple[str, str, str], Series] = {}
        self._labels: tuple[set[str], set[str], set[str]] = (set(), set(), set())
        self._active: dict[int, int] = {}
        self._active_streams = 0

    def series(self, endpoint: str, model: str, provider: str) -> Series:
        """The series of these labels; those beyond the limits share `_OTHER`."""
        found = self._series.get((endpoint, model, provider))
        return found if found is not None else self._new_series(endpoint, model, provider)

    def _new_series(self, *labels: str) -> Series:
        with self.lock:
            if len(self._series) >= MAX_SERIES:
                labels = (OTHER, OTHER, OTHER)
            key = [
                self._label(known, label[:MAX_LABEL_LENGTH])
                for known, label in zip(self._labels, labels, strict=True)
            ]
            found = self._series.get((key[0], key[1], key[2]))
            if found is None:
                found = Series(key[0], key[1], key[2], int(self.clock()))
                self._series[key[0], key[1], key[2]] = found
            return found

    @staticmethod
    def _label(known: set[str], label: str) -> str:
        if label in known:
            return label
        if len(known) >= MAX_LABELS:
            return OTHER
        known.add(label)
        return label

    def began(self, series: Series, *, stream: bool) -> None:
        """A request was sent, now."""
        second = int(self.clock())
        with self.lock:
            series.advance(second)
            for bucket in series.parts(second):
                bucket.requests += 1
            series.active_requests += 1
            series.waiting += 1
            if stream:
                series.active_streams += 1
                self._streams(second, 1)

    def answered(self, series: Series) -> None:
        """The first chunk of a stream has come, now."""
        with self.lock:
            series.waiting -= 1

    def streams(self, series: Series) -> None:
        """A request that has begun turns out to stream."""
        with self.lock:
            series.active_streams += 1
            self._streams(int(self.clock()), 1)

    def left(self, series: Series, *, stream: bool, answered: bool) -> None:
        """The request that `began` has ended; `ended` counts how."""
        with self.lock:
            series.active_requests -= 1
            if not answered:
                series.waiting -= 1
            if stream:
                series.active_streams -= 1
                self._streams(int(self.clock()), -1)

    def _streams(self, second: int, change: int) -> None:
        self._active_streams += change
        self._active[second] = self._active_streams
        if len(self._active) > 2 * HISTORY:
            recent = sorted(self._active)[-HISTORY:]
            self._active = {known: self._active[known] for known in recent}

    def report(
        self, series: Series, sender: str, *, requests: int | None = None, streams: int | None = None
    ) -> None:
        """Another process says how many requests and streams it has active; None: as it said before."""
        now = self.clock()
        with self.lock:
            _, old_requests, old_streams = series.reports.pop(sender, (0.0, 0, 0))
            while len(series.reports) >= MAX_SENDERS:
                oldest = next(iter(series.reports))
                self._active_streams -= series.reports.pop(oldest)[2]
            new = (
                now,
                old_requests if requests is None else requests,
                old_streams if streams is None else streams,
            )
            series.reports[sender] = new
            self._streams(int(now), new[2] - old_streams)

    def _forget_reports(self, now: float) -> None:
        for series in self._series.values():
            for sender in [one for one, report in series.reports.items() if report[0] < now - STALE]:
                self._streams(int(now), -series.reports.pop(sender)[2])

    def ended(self, series: Series, call: Call, *, counted: bool = False) -> None:
        """A call ended at `call.end`; `counted`: its beginning was counted by `began`."""
        now = int(self.clock())
        second = int(call.end)
        with self.lock:
            series.advance(now)
            if not counted:
                self._began_before(series, call.start, now)
            if second >= now == series.sealed:  # a clock that is ahead of ours counts now
                series.at(now).add(call)
            elif second > now - HISTORY:
                for bucket in series.parts(min(second, now)):
                    bucket.add(call)
                self._change(min(second, now))
            if call.stream:
                if call.outcome == "completed":
                    series.completed += 1
                elif call.outcome == "failed":
                    series.failed += 1

    def _began_before(self, series: Series, start: float, now: int) -> None:
        """Count the beginning of a call that is known only now that it has ended."""
        if start < self.started_at:
            self.started_at = max(start, now - WINDOW)
        begin = min(int(start), now)
        if begin > now - HISTORY:
            for bucket in series.parts(begin):
                bucket.requests += 1
            if begin < now:
                self._change(begin)

    def _change(self, second: int) -> None:
        self.changed.add(second)
        if len(self.changed) > 2 * HISTORY:
            newest = max(self.changed)
            self.changed = {known for known in self.changed if known > newest - HISTORY}

    def selected(
        self, endpoints: frozenset[str], models: frozenset[str], providers: frozenset[str]
    ) -> list[Series]:
        """The series of a selection, up to date; an empty set selects all. The caller holds the lock."""
        now = self.clock()
        second = int(now)
        self._forget_reports(now)
        found = [
            one
            for one in self._series.values()
            if (not endpoints or one.endpoint in endpoints)
            and (not models or one.model in models)
            and (not providers or one.provider in providers)
        ]
        for one in found:
            one.advance(second)
        return found

    def known_active(self) -> bool:
        """Whether anybody says how many requests and streams are active."""
        return self.local or any(series.reports for series in self._series.values())

    def active_at(self, second: int) -> int | None:
        """Streams that were open when a second ended, None when nobody says. The caller holds the lock."""
        if not self.known_active():
            return None
        known = [at for at in self._active if at <= second]
        return self._active[max(known)] if known else 0

    def labels(self) -> dict[str, list[str]]:
        """The endpoints, models and providers seen, sorted, without empty ones."""
        with self.lock:
            names = ("endpoints", "models", "providers")
            return {name: sorted(known - {""}) for name, known in zip(names, self._labels, strict=True)}
