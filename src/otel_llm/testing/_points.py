"""Metric points as plain data, added up over the collections they came in."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Point", "Points"]


@dataclass(slots=True, frozen=True)
class Point:
    """What one instrument measured with one set of attributes."""

    type: str
    """`sum`, `updown` (a sum that can fall), `gauge`, `histogram` or `exponential_histogram`."""
    unit: str
    attributes: Mapping[str, Any]
    value: float | None = None
    """Of sums and gauges; None for histograms, as the rest is for these."""
    count: int | None = None
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    bounds: tuple[float, ...] = ()
    """Upper boundaries of the buckets but the last."""
    buckets: tuple[int, ...] = ()
    """Counts per bucket."""
    exemplars: tuple[Any, ...] = ()
    """The SDK's exemplars."""
    scope: str = ""
    """The name of the meter."""


class Points:
    """Adds up what a reader with delta temporality collects. Not for use by several threads at once."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str, str], Point] = {}

    def add(self, data: Any) -> None:
        """Add one collection: the SDK's `MetricsData`, or None when nothing was measured."""
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for raw in metric.data.data_points:
                        point = _point(metric, raw, scope.scope.name)
                        key = (
                            metric.name,
                            point.scope,
                            json.dumps(dict(point.attributes), sort_keys=True, default=list),
                        )
                        known = self._points.get(key)
                        self._points[key] = point if known is None else _added(known, point)

    def by_name(self) -> dict[str, list[Point]]:
        """The points per metric, both in the order of their names and attributes."""
        found: dict[str, list[Point]] = {}
        for key in sorted(self._points):
            found.setdefault(key[0], []).append(self._points[key])
        return found

    def clear(self) -> None:
        """Start again from nothing."""
        self._points.clear()


_TYPES = {"Gauge": "gauge", "Histogram": "histogram", "ExponentialHistogram": "exponential_histogram"}


def _point(metric: Any, raw: Any, scope: str) -> Point:
    data = metric.data
    kind = _TYPES.get(type(data).__name__) or ("sum" if data.is_monotonic else "updown")
    told = Point(
        kind, metric.unit or "", dict(raw.attributes or {}), exemplars=tuple(raw.exemplars), scope=scope
    )
    if "histogram" not in kind:
        return replace(told, value=raw.value)
    counted = replace(told, count=raw.count, sum=raw.sum, min=raw.min, max=raw.max)
    if kind == "histogram":
        return replace(counted, bounds=tuple(raw.explicit_bounds), buckets=tuple(raw.bucket_counts))
    return counted


def _added(old: Point, new: Point) -> Point:
    if new.value is not None:
        return replace(new, value=(old.value or 0) + new.value) if new.type == "sum" else new
    return replace(
        new,
        count=(old.count or 0) + (new.count or 0),
        sum=(old.sum or 0) + (new.sum or 0),
        min=min(x for x in (old.min, new.min) if x is not None),
        max=max(x for x in (old.max, new.max) if x is not None),
        buckets=tuple(a + b for a, b in zip(old.buckets, new.buckets, strict=True)),
        exemplars=(*old.exemplars, *new.exemplars),
    )
