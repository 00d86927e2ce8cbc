"""Metrics to a StatsD or DogStatsD daemon over UDP: `OTEL_METRICS_EXPORTER=statsd` (extra `statsd`).

OpenTelemetry             DogStatsD                            plain StatsD
counter                   `c`, what was added since the last   `c`
up-down counter, gauge    `g`, the value now                   `g`; a negative one after `0|g`
histogram                 `d`, one value per filled bucket     `ms`, likewise; seconds as milliseconds
attributes                tags                                 `.key.value` behind the name
service, env, version     tags, from the resource              -

A histogram's values carry `@1/n` for the n measurements in their bucket, and lie where their sum is that of
the measurements; so count, sum and average are exact, percentiles as good as the buckets.
Plain StatsD takes a gauge with a sign for a change, hence the zero before a negative one.

Nothing is ever waited for: a datagram that cannot be sent is dropped.
Environment, each a keyword of `StatsdMetricExporter`: `OTEL_EXPORTER_STATSD_HOST` (127.0.0.1),
`OTEL_EXPORTER_STATSD_PORT` (8125), `OTEL_EXPORTER_STATSD_PREFIX` (none), `OTEL_EXPORTER_STATSD_FLAVOUR`
(`dogstatsd` or `statsd`).
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from opentelemetry.sdk.resources import Resource

__all__ = ["StatsdMetricExporter"]

_log = logging.getLogger("otel_llm")

_MTU = 1432
"""Bytes of a datagram that fit an Ethernet frame, and every tunnel in use."""

_DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
    ObservableCounter: AggregationTemporality.DELTA,
    UpDownCounter: AggregationTemporality.CUMULATIVE,
    ObservableUpDownCounter: AggregationTemporality.CUMULATIVE,
}
_UNIFIED = {
    "service.name": "service",
    "deployment.environment.name": "env",
    "deployment.environment": "env",
    "service.version": "version",
}
"""Resource attributes -> the tags by which Datadog ties metrics, traces and logs together."""

_FLAVOURS = ("dogstatsd", "statsd")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.\-]")
_NO_SEGMENT = re.compile(r"[^A-Za-z0-9_\-]")
_NO_TAG = re.compile(r"[,|\r\n]")
_LONGEST_TAG = 200
_TO_MILLISECONDS = {"s": 1000, "ms": 1, "us": 0.001, "ns": 0.000001}


class StatsdMetricExporter(MetricExporter):
    """Sends metrics to a StatsD or DogStatsD daemon; see the module for what becomes of each kind."""

    def __init__(
        self,
        *,
        host: str | None = None,
        port: int | None = None,
        prefix: str | None = None,
        flavour: Literal["dogstatsd", "statsd"] | None = None,
        max_bytes: int = _MTU,
    ) -> None:
        """Keywords win over the environment; `max_bytes` is the largest datagram.

        Raises ValueError for a keyword that cannot be used; a bad variable warns and leaves the default.
        """
        super().__init__(preferred_temporality=_DELTA)
        environ = os.environ
        self._host = host or environ.get("OTEL_EXPORTER_STATSD_HOST", "").strip() or "127.0.0.1"
        self._port = _port(environ.get("OTEL_EXPORTER_STATSD_PORT", "")) if port is None else port
        prefix = environ.get("OTEL_EXPORTER_STATSD_PREFIX", "") if prefix is None else prefix
        self._prefix = _NO_NAME.sub("_", prefix.strip().rstrip(".")) + "." if prefix.strip() else ""
        self._tagged = _flavour(flavour, environ.get("OTEL_EXPORTER_STATSD_FLAVOUR", "")) == "dogstatsd"
        if not 0 < self._port < 1 << 16 or max_bytes <= 0:
            raise ValueError(f"no port or no size of a datagram: port={port!r}, max_bytes={max_bytes!r}")
        self._max_bytes = max_bytes
        self._warned = False

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,
        **kwargs: Any,
    ) -> MetricExportResult:
        """Send the metrics, and wait for nothing; FAILURE when the host has no address or takes none."""
        del timeout_millis, kwargs
        try:
            address = _resolve(self._host, self._port)
            with socket.socket(address[0], socket.SOCK_DGRAM) as out:
                out.settimeout(0)
                for datagram in _packed(self._lines(metrics_data), self._max_bytes):
                    out.sendto(datagram, address[4])
        except OSError as error:
            _log.log(
                logging.DEBUG if self._warned else logging.WARNING,
                "Metrics were not sent to StatsD at %s:%d: %s",
                self._host,
                self._port,
                type(error).__name__,
            )
            self._warned = True
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is held back."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is held open."""

    def _lines(self, metrics_data: MetricsData) -> Iterator[str]:
        for resource in metrics_data.resource_metrics:
            tags = _resource_tags(resource.resource) if self._tagged else {}
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    yield from self._metric(metric, tags)

    def _metric(self, metric: Metric, tags: Mapping[str, Any]) -> Iterator[str]:
        data = metric.data
        name = self._prefix + _NO_NAME.sub("_", metric.name)
        adds = (
            isinstance(data, Sum)
            and data.is_monotonic
            and data.aggregation_temporality is AggregationTemporality.DELTA
        )
        for point in data.data_points:
            attributes = {**tags, **(point.attributes or {})}
            where = name if self._tagged else name + _path(attributes)
            end = _tags(attributes) if self._tagged else ""
            if isinstance(point, HistogramDataPoint | ExponentialHistogramDataPoint):
                scale = 1 if self._tagged else _TO_MILLISECONDS.get(metric.unit or "", 1)
                kind = "d" if self._tagged else "ms"
                for value, count in _values(point):
                    yield f"{where}:{_number(value * scale)}|{kind}{_rate(count)}{end}"
            elif math.isfinite(point.value):
                if not adds and not self._tagged and point.value < 0:
                    yield f"{where}:0|g"
                yield f"{where}:{_number(point.value)}|{'c' if adds else 'g'}{end}"


def _port(text: str) -> int:
    if not text.strip():
        return 8125
    if text.strip().isdecimal() and 0 < int(text) < 1 << 16:
        return int(text)
    _log.warning("OTEL_EXPORTER_STATSD_PORT is ignored: expected a port, not %r", text)
    return 8125


def _flavour(given: str | None, text: str) -> str:
    if given is not None:
        if given not in _FLAVOURS:
            raise ValueError(f"expected the flavour dogstatsd or statsd, not {given!r}")
        return given
    chosen = text.strip().lower()
    if chosen and chosen not in _FLAVOURS:
        _log.warning("OTEL_EXPORTER_STATSD_FLAVOUR is ignored: expected dogstatsd or statsd, not %r", text)
    return chosen if chosen in _FLAVOURS else "dogstatsd"


def _resolve(host: str, port: int) -> tuple[Any, ...]:
    """The address to send to; IPv4 first, since that is where agents listen when `localhost` has both."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return min(found, key=lambda item: item[0] is not socket.AF_INET)


def _packed(lines: Iterable[str], limit: int) -> Iterator[bytes]:
    """Join lines to datagrams of at most `limit` bytes; a longer line goes alone."""
    waiting: list[bytes] = []
    size = -1
    for line in lines:
        encoded = line.encode("utf-8", "replace")
        if waiting and size + 1 + len(encoded) > limit:
            yield b"\n".join(waiting)
            waiting, size = [], -1
        waiting.append(encoded)
        size += 1 + len(encoded)
    if waiting:
        yield b"\n".join(waiting)


def _resource_tags(resource: Resource) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for name, tag in _UNIFIED.items():
        value = resource.attributes.get(name)
        if value and tag not in tags and not str(value).startswith("unknown_service"):
            tags[tag] = value
    return tags


def _text(value: object) -> str:
    """A boolean in lower case, as everywhere else in OpenTelemetry; several values with `+` between them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "+".join(map(_text, cast("Sequence[object]", value)))
    return str(value)


def _tags(attributes: Mapping[str, Any]) -> str:
    tags = (f"{key.replace(':', '_')}:{_text(value)}" for key, value in attributes.items())
    joined = ",".join(_NO_TAG.sub("_", tag)[:_LONGEST_TAG] for tag in tags)
    return f"|#{joined}" if joined else ""


def _path(attributes: Mapping[str, Any]) -> str:
    parts = (part for key in sorted(attributes) for part in (key, _text(attributes[key]) or "none"))
    return "".join("." + _NO_SEGMENT.sub("_", part) for part in parts)


def _number(value: float) -> str:
    """Without an exponent, which not every daemon reads."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _rate(count: int) -> str:
    """`@1/count`, rounded so that a daemon that cuts off the fraction of 1/rate still finds the count."""
    if count == 1:
        return ""
    rate = 1 / count
    return f"|@{_number(rate if int(1 / rate) == count else math.nextafter(rate, 0))}"


def _values(point: HistogramDataPoint | ExponentialHistogramDataPoint) -> Iterator[tuple[float, int]]:
    """One value and its count for each filled bucket, such that the sum of all is that of the measurements.

    All values lie at the same share of the way through their bucket. A share between 0 and 1 that gives the
    right sum always exists, as every measurement lies in its bucket.
    """
    # A view can switch the extremes off; no measurement is negative, so none exceeds the sum.
    smallest, largest = (point.min, point.max) if point.min <= point.max else (0.0, point.sum)
    buckets = [
        (max(low, smallest), min(high, largest), count)
        for low, high, count in (
            _explicit(point) if isinstance(point, HistogramDataPoint) else _exponential(point)
        )
        if count
    ]
    least = math.fsum(low * count for low, _, count in buckets)
    room = math.fsum((high - low) * count for low, high, count in buckets)
    share = min(max((point.sum - least) / room, 0.0), 1.0) if room > 0 else 0.0
    for low, high, count in buckets:
        yield low + share * (high - low), count


def _explicit(point: HistogramDataPoint) -> Iterator[tuple[float, float, int]]:
    bounds = [-math.inf, *point.explicit_bounds, math.inf]
    yield from zip(bounds[:-1], bounds[1:], point.bucket_counts, strict=True)


def _exponential(point: ExponentialHistogramDataPoint) -> Iterator[tuple[float, float, int]]:
    """The SDK's histograms take no negative measurement."""
    base = 2.0 ** (2.0**-point.scale)
    yield 0.0, 0.0, point.zero_count
    for index, count in enumerate(point.positive.bucket_counts, point.positive.offset):
        yield base**index, base ** (index + 1), count
