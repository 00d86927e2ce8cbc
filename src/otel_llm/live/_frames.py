"""The WebSocket protocol of docs/live-api.md: what clients may say, subscribe to, and are told.

Every text of an error is fixed: nothing that a client sent is sent to anybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ._json import dumps, is_dict, loads
from ._snapshot import MetricSnapshot, Numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BadMessage",
    "ClientConnection",
    "MetricSnapshot",
    "MetricType",
    "SubscriptionFilter",
    "historical_data",
    "metrics_update",
    "parse",
    "simple",
    "subscribed",
]

LEAST_INTERVAL: Final = 0.1
GREATEST_INTERVAL: Final = 60.0
MAX_VALUES: Final = 64
"""Endpoints, and models, of one client."""
MAX_LENGTH: Final = 200
KINDS: Final = frozenset({"subscribe", "unsubscribe", "ping", "auth"})


class BadMessage(ValueError):  # noqa: N818 - an answer
    """A client's message cannot be used; the text is fixed and goes back to the client."""


class MetricType(StrEnum):
    """What a client can subscribe to."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    CACHE = "cache"
    QUEUE = "queue"
    STREAMING = "streaming"
    ERROR = "error"
    ALL = "all"


_EVERYTHING: Final = frozenset({MetricType.ALL})
_TYPES: Final[frozenset[str]] = frozenset(MetricType)


@dataclass(slots=True, frozen=True)
class SubscriptionFilter:
    """What one client wants; an empty set means no restriction."""

    endpoints: frozenset[str] = field(default_factory=frozenset[str])
    models: frozenset[str] = field(default_factory=frozenset[str])
    metric_types: frozenset[MetricType] = _EVERYTHING
    interval: float = 1.0
    """Seconds between updates."""

    def wants(self, section: str) -> bool:
        """Whether a section of the data is to be sent."""
        return MetricType.ALL in self.metric_types or section in self.metric_types

    def selection(self) -> SubscriptionFilter:
        """The same filter at the default interval: what decides about the data."""
        return self if self.interval == 1.0 else replace(self, interval=1.0)

    def add(self, filters: Mapping[str, Any]) -> SubscriptionFilter:
        """This filter and that of a `subscribe`; raises `BadMessage` when a value cannot be used."""
        types = self.metric_types
        if (wanted := filters.get("metric_type")) is not None:
            if not isinstance(wanted, str) or wanted not in _TYPES:
                raise BadMessage("Invalid filter: metric_type is unknown")
            one = MetricType(wanted)
            types = _EVERYTHING if one is MetricType.ALL else (types - _EVERYTHING) | {one}
        return SubscriptionFilter(
            endpoints=_with(self.endpoints, filters.get("endpoint"), "endpoint"),
            models=_with(self.models, filters.get("model"), "model"),
            metric_types=types,
            interval=self.interval if filters.get("interval") is None else _interval(filters["interval"]),
        )

    def to_json(self) -> dict[str, Any]:
        """The member `filters` of `subscribed`."""
        return {
            "endpoints": sorted(self.endpoints),
            "models": sorted(self.models),
            "metric_types": sorted(self.metric_types),
            "interval": self.interval,
        }


def _with(known: frozenset[str], value: Any, name: str) -> frozenset[str]:
    if value is None:
        return known
    if not isinstance(value, str) or not 0 < len(value) <= MAX_LENGTH:
        raise BadMessage(f"Invalid filter: {name} must be a string of 1 to {MAX_LENGTH} characters")
    if len(known | {value}) > MAX_VALUES:
        raise BadMessage(f"Invalid filter: more than {MAX_VALUES} values of {name}")
    return known | {value}


def _interval(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) <= GREATEST_INTERVAL else math.inf
        if LEAST_INTERVAL <= number <= GREATEST_INTERVAL:
            return number
    raise BadMessage(
        f"Invalid filter: interval must be a number from {LEAST_INTERVAL} to {GREATEST_INTERVAL:g}"
    )


def parse(text: str) -> dict[str, Any]:
    """A client's message, an object with a known `type`; raises `BadMessage`."""
    try:
        message = loads(text)
    except ValueError:
        raise BadMessage("Invalid JSON: cannot be read") from None
    if not is_dict(message):
        raise BadMessage("Invalid JSON: not an object")
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadMessage("Invalid message: type is unknown")
    if kind == "subscribe" and not is_dict(message.setdefault("filters", {})):
        raise BadMessage("Invalid message: filters is not an object")
    return message


@dataclass(slots=True, frozen=True)
class ClientConnection:
    """What is known of a connected client."""

    number: int
    """Counts the clients of this server."""
    kind: str
    """`websocket` or `events`."""
    connected_at: float
    """Seconds since the epoch."""
    filter: SubscriptionFilter
    frames: int
    """Sent so far."""
    pending: int
    """Bytes that wait for the client to read."""


def historical_data(snapshot: MetricSnapshot, history: str, counts: str) -> str:
    """The first frame; `history` is JSON, `counts` that of `cursor` and `spans` without braces."""
    return (
        f'{{"type":"historical_data","timestamp":{snapshot.timestamp},"data":{snapshot.data},'
        f'"history":{history},{counts}}}'
    )


def metrics_update(snapshot: MetricSnapshot, before: Numbers, wanted: SubscriptionFilter, counts: str) -> str:
    """An update; its deltas are against what this client was sent before."""
    now = snapshot.numbers
    deltas: dict[str, dict[str, float]] = {}
    if wanted.wants("throughput"):
        deltas["throughput"] = {
            "total_requests_per_sec": round(now.requests_per_sec - before.requests_per_sec, 4),
            "total_tokens_per_sec": round(now.tokens_per_sec - before.tokens_per_sec, 4),
        }
    if wanted.wants("streaming"):
        deltas["streaming"] = {"active_streams_delta": now.active_streams - before.active_streams}
    return (
        f'{{"type":"metrics_update","timestamp":{snapshot.timestamp},"data":{snapshot.data},'
        f'"deltas":{dumps(deltas)},"recent":{snapshot.recent},{counts}}}'
    )


def subscribed(wanted: SubscriptionFilter) -> str:
    """The answer to `subscribe`."""
    return dumps({"type": "subscribed", "filters": wanted.to_json()})


def simple(kind: str, timestamp: float | None = None, **members: str) -> str:
    """A frame of a type, a time and texts: `pong`, `unsubscribed`, `error`."""
    return dumps(
        {"type": kind, **({} if timestamp is None else {"timestamp": round(timestamp, 3)}), **members}
    )
