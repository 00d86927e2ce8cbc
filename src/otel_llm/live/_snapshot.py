"""The data of frames and charts, for a selection of endpoints and models (docs/live-api.md).

A snapshot is made at most every 50 ms per selection, whoever asks, and its JSON is written once.
Clients that want one a second share one for 100 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ._aggregate import HISTORY, WINDOW, Second
from ._json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._aggregate import Aggregator, Series
    from ._frames import SubscriptionFilter

__all__ = ["FRESH", "RECENT", "MetricSnapshot", "Numbers", "Snapshots"]

RECENT: Final = 10
"""Points that each frame carries."""
FRESH: Final = 0.05
"""Seconds for which a snapshot is as good as new."""
_MAX_CACHED: Final = 256
_NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(slots=True, frozen=True)
class Numbers:
    """The numbers of a frame against which the next one's deltas are."""

    requests_per_sec: float
    tokens_per_sec: float
    active_streams: int


@dataclass(slots=True, frozen=True)
class MetricSnapshot:
    """The metrics of a selection at one time."""

    timestamp: float
    """Seconds since the epoch."""
    data: str
    """The frames' member `data` as JSON."""
    recent: str
    """Their member `recent` as JSON."""
    numbers: Numbers


@dataclass(slots=True, frozen=True)
class _View:
    """The window's sums of a selection."""

    series: list[Series]
    by_endpoint: dict[str, Second]
    lookups: dict[str, int]
    """Cache lookups by endpoint: calls with known input, of the series that say what was cached."""
    total: Second
    seconds: float
    known_active: bool

    def active(self) -> tuple[int, int, int]:
        """Active requests, active streams, and requests that wait for an answer."""
        reports = [report for one in self.series for report in one.reports.values()]
        return (
            sum(one.active_requests for one in self.series) + sum(report[1] for report in reports),
            sum(one.active_streams for one in self.series) + sum(report[2] for report in reports),
            sum(one.waiting for one in self.series),
        )

    def rates(self, name: str) -> dict[str, float]:
        """A count per second, by endpoint."""
        return {end: _rate(getattr(sums, name), self.seconds) for end, sums in self.by_endpoint.items()}


def _rate(count: float, seconds: float) -> float:
    return round(count / seconds, 4)


def _view(aggregator: Aggregator, wanted: SubscriptionFilter, now: float) -> _View:
    series = aggregator.selected(wanted.endpoints, wanted.models, _NOTHING)
    by_endpoint: dict[str, Second] = {}
    lookups: dict[str, int] = {}
    for one in series:
        sums = by_endpoint.get(one.endpoint)
        if sums is None:
            sums = by_endpoint[one.endpoint] = Second()
            lookups[one.endpoint] = 0
        with_input, said = sums.with_input, sums.lookups
        one.add_window(sums)
        if sums.lookups > said:
            lookups[one.endpoint] += sums.with_input - with_input
    total = Second()
    for sums in by_endpoint.values():
        total.merge(sums)
    begin = max(aggregator.started_at, int(now) - WINDOW + 1)
    return _View(series, by_endpoint, lookups, total, max(now - begin, 1.0), aggregator.known_active())


def _throughput(view: _View) -> dict[str, Any]:
    total = view.total
    return {
        "requests_per_sec": view.rates("requests"),
        "responses_per_sec": view.rates("responses"),
        "tokens_per_sec": view.rates("output"),
        "total_requests_per_sec": _rate(total.requests, view.seconds),
        "total_responses_per_sec": _rate(total.responses, view.seconds),
        "total_tokens_per_sec": _rate(total.output, view.seconds),
        "window_s": round(view.seconds, 1),
    }


def _latency(view: _View) -> dict[str, Any]:
    return {
        end: stats for end, sums in view.by_endpoint.items() if (stats := sums.latency.stats()) is not None
    }


def _cache_of(sums: Iterable[Second], lookups: int) -> dict[str, Any]:
    hits = read = tokens = 0
    for one in sums:
        if one.lookups:
            hits, read, tokens = hits + one.hits, read + one.read, tokens + one.input
    return {
        "hit_rate": round(100 * hits / lookups, 3) if lookups else 0.0,
        "token_reuse_rate": round(100 * read / tokens, 3) if tokens else 0.0,
        "avg_prefix_length": round(read / hits, 3) if hits else 0.0,
        "total_lookups": lookups,
        "cache_hits": hits,
    }


def _cache(view: _View) -> dict[str, Any]:
    return {
        **_cache_of(view.by_endpoint.values(), sum(view.lookups.values())),
        "by_endpoint": {
            end: _cache_of([sums], view.lookups[end])
            for end, sums in view.by_endpoint.items()
            if view.lookups[end]
        },
    }


def _queue(view: _View) -> dict[str, Any]:
    _, streams, waiting = view.active()
    return {"active_streams": streams, "queue_depth": waiting}


def _streaming(view: _View) -> dict[str, Any]:
    stats = {"ttft": view.total.ttft.stats(), "tokens_per_second": view.total.speed.stats()}
    return {
        "active_streams": view.active()[1],
        "completed_streams": sum(one.completed for one in view.series),
        "failed_streams": sum(one.failed for one in view.series),
        **{name: value for name, value in stats.items() if value is not None},
    }


def _error(view: _View) -> dict[str, Any]:
    rates = {end: rate for end, rate in view.rates("errors").items() if rate}
    return {"errors_per_sec": rates, "total_errors_per_sec": _rate(view.total.errors, view.seconds)}


def _overview(view: _View) -> dict[str, Any]:
    total = view.total
    requests, streams, _ = view.active()
    lookups = sum(view.lookups.values())
    return {
        "calls": total.responses,
        "errors": total.errors,
        "error_rate": round(total.errors / total.responses, 6) if total.responses else 0.0,
        "latency_ms": total.latency.stats(),
        "ttft_ms": total.ttft.stats(),
        "tokens_per_second": total.speed.stats(),
        "input_tokens": total.input,
        "output_tokens": total.output,
        "cost": round(total.cost, 9) if total.responses else 0.0,
        "unpriced": total.unpriced,
        "cache_hit_rate": round(total.hits / lookups, 6) if lookups else None,
        "active_streams": streams if view.known_active else None,
        "active_requests": requests if view.known_active else None,
        "requests_per_sec": _rate(total.requests, view.seconds),
        "tokens_per_sec": _rate(total.output, view.seconds),
    }


_SECTIONS: Final = {
    "throughput": _throughput,
    "latency": _latency,
    "cache": _cache,
    "queue": _queue,
    "streaming": _streaming,
    "error": _error,
    "overview": _overview,
}


def _point(second: int, parts: Iterable[Second], active: int | None) -> dict[str, Any]:
    """The object `POINT` of docs/live-api.md."""
    total = Second()
    lookups = 0
    for part in parts:
        total.merge(part)
        lookups += part.with_input if part.lookups else 0
    latency = total.latency.quantiles(0.5, 0.9, 0.99) if total.latency.count else [None, None, None]
    ttft = total.ttft.quantiles(0.5, 0.9) if total.ttft.count else [None, None]
    p50, p90, p99, ttft50, ttft90 = (
        value if value is None else round(value, 1) for value in (*latency, *ttft)
    )
    return {
        "t": second, "requests": total.requests, "responses": total.responses, "errors": total.errors,
        "input_tokens": total.input, "output_tokens": total.output, "cost": round(total.cost, 9),
        "latency_p50": p50, "latency_p90": p90, "latency_p99": p99, "ttft_p50": ttft50, "ttft_p90": ttft90,
        "tokens_per_second": round(total.speed.total / total.speed.count, 1) if total.speed.count else None,
        "cache_lookups": lookups, "cache_hits": total.hits, "active_streams": active,
    }  # fmt: skip


class Snapshots:
    """Makes snapshots and points from an aggregator; usable from any thread."""

    def __init__(self, aggregator: Aggregator) -> None:
        self.aggregator = aggregator
        self.made = 0
        """How many snapshots were made; the others were those made before."""
        self._cached: dict[SubscriptionFilter, MetricSnapshot] = {}
        self._points: dict[int, dict[str, Any]] = {}
        self._history = (-1.0, "")

    def get(self, wanted: SubscriptionFilter, *, age: float = FRESH) -> MetricSnapshot:
        """The snapshot of a filter's `selection`, at most `age` seconds old."""
        now = self.aggregator.clock()
        cached = self._cached.get(wanted)
        if cached is not None and 0 <= now - cached.timestamp < age:
            return cached
        with self.aggregator.lock:
            snapshot = self._make(wanted, now)
        if len(self._cached) >= _MAX_CACHED:
            self._cached = {
                known: old for known, old in list(self._cached.items()) if 0 <= now - old.timestamp < FRESH
            }
        self._cached[wanted] = snapshot
        return snapshot

    def _make(self, wanted: SubscriptionFilter, now: float) -> MetricSnapshot:
        self.made += 1
        view = _view(self.aggregator, wanted, now)
        data = {name: make(view) for name, make in _SECTIONS.items() if wanted.wants(name)}
        last = int(now)
        if wanted.endpoints or wanted.models:
            recent = [self._one(at, view.series, None) for at in range(last - RECENT + 1, last + 1)]
        else:
            recent = self._all(range(last - RECENT + 1, last + 1), view.series)
        return MetricSnapshot(
            timestamp=round(now, 3),
            data=dumps(data),
            recent=dumps(recent),
            numbers=Numbers(
                requests_per_sec=_rate(view.total.requests, view.seconds),
                tokens_per_sec=_rate(view.total.output, view.seconds),
                active_streams=view.active()[1],
            ),
        )

    def everything(self) -> str:
        """`history` of everything as JSON, at most 50 ms old."""
        now = self.aggregator.clock()
        if not 0 <= now - self._history[0] < FRESH:
            self._history = (now, dumps(self.history()))
        return self._history[1]

    def history(
        self,
        endpoints: frozenset[str] = _NOTHING,
        models: frozenset[str] = _NOTHING,
        providers: frozenset[str] = _NOTHING,
    ) -> list[dict[str, Any]]:
        """The points of the last 300 seconds, oldest first, none missing."""
        with self.aggregator.lock:
            series = self.aggregator.selected(endpoints, models, providers)
            last = int(self.aggregator.clock())
            seconds = range(last - HISTORY + 1, last + 1)
            if endpoints or models or providers:
                return [self._one(at, series, None) for at in seconds]
            return self._all(seconds, series)

    @staticmethod
    def _one(second: int, series: list[Series], active: int | None) -> dict[str, Any]:
        return _point(
            second, [part for one in series if (part := one.seconds.get(second)) is not None], active
        )

    def _all(self, seconds: range, series: list[Series]) -> list[dict[str, Any]]:
        """Points of everything; those of seconds that are over are kept until something changes them."""
        points = self._points
        for changed in self.aggregator.changed:
            points.pop(changed, None)
        self.aggregator.changed.clear()
        last = seconds[-1]
        found: list[dict[str, Any]] = []
        for second in seconds:
            made = points.get(second)
            if made is None:
                made = self._one(second, series, self.aggregator.active_at(second))
                if second < last:
                    points[second] = made
            found.append(made)
        if len(points) > 2 * HISTORY:
            self._points = {known: made for known, made in points.items() if known > last - HISTORY}
        return found
