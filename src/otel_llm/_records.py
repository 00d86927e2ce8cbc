"""What the request log keeps of a call, and the figures that it makes of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ._operation import Outcome, Server, StreamStats, Usage
from ._prices import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._operation import Operation

__all__ = [
    "DailyUsage",
    "Group",
    "RequestRecord",
    "Stats",
    "Summary",
    "WindowUsage",
    "by_error",
    "grouped",
    "plain",
    "quantile",
    "record_of",
    "summarise",
]

_NO_USAGE = Usage(source="absent")
_NO_SERVER = Server()
_NO_STREAM = StreamStats()
_ZERO = Decimal(0)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values ready for `json.dumps`: without what is None or empty, decimals as strings."""
    return {name: _plain(value) for name, value in values.items() if value is not None and value != ()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Group):
        return value.to_dict()
    if hasattr(value, "items"):
        return {str(key): _plain(part) for key, part in value.items()}
    return list(value) if value.__class__ is tuple else value


class RequestRecord(NamedTuple):
    """One call that has ended. What is not known is None."""

    id: str
    """The same in hooks and progress reports."""
    provider: str
    operation: str
    endpoint: str
    sdk: str
    model: str | None
    """As requested."""
    response_model: str | None
    response_id: str | None
    request_id: str | None
    """The provider's id of the request, from a response header."""
    session: str | None
    """The conversation id."""
    user_id: str | None
    stream: bool
    outcome: str
    """A value of `Outcome`."""
    start_time: int
    """Nanoseconds since the epoch."""
    duration: float
    first_chunk: float | None
    """Seconds from issuing the request to the first chunk of the stream."""
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    usage_source: str
    cost: Decimal | None
    finish_reasons: tuple[str, ...]
    tool_calls: tuple[str, ...]
    """Names of the tools that the model asked for."""
    output_type: str | None
    """`text`, `json`, ... as requested."""
    attempts: int
    """How often the request was sent."""
    retry_wait: float
    """Seconds waited between the attempts, all together."""
    processing: float | None
    """Seconds the provider says it worked."""
    status: int | None
    """The HTTP status of the last response."""
    error_type: str | None
    error_code: str | None
    error_category: str | None
    chunks: int | None
    """None for a call that does not stream, as the next two."""
    bytes: int | None
    longest_gap: float | None
    """The longest time between two chunks."""
    trace_id: str
    span_id: str

    @property
    def ended(self) -> float:
        """When the call ended, in seconds since the epoch."""
        return self.start_time / 1e9 + self.duration

    @property
    def answered_by(self) -> str | None:
        """The model that answered, else the one that was asked for."""
        return self.response_model or self.model

    @property
    def failed(self) -> bool:
        """Whether the call ended in an error."""
        return self.outcome == "failed"

    def to_dict(self) -> dict[str, Any]:
        """A dict ready for `json.dumps`: no None, no empty value; the cost is a string, and exact."""
        return plain(self._asdict())


def record_of(op: Operation) -> RequestRecord:
    """What the log keeps of an operation that has ended."""
    usage = op.usage or _NO_USAGE
    server = op.server or _NO_SERVER
    stream = op.stream_stats
    stats = stream or _NO_STREAM
    error = op.error
    return RequestRecord(
        op.id,
        op.provider,
        op.name,
        op.endpoint,
        op.sdk,
        op.request_model,
        op.response_model,
        op.response_id,
        server.request_id,
        op.conversation_id,
        None if op.attributes is None else op.attributes.get("user.id"),
        op.stream,
        (op.outcome or Outcome.COMPLETED).value,
        op.start_time,
        op.duration or 0.0,
        stats.first_chunk,
        usage.input,
        usage.output,
        usage.total,
        usage.cache_read,
        usage.cache_write,
        usage.reasoning,
        usage.source,
        op.cost,
        op.finish_reasons,
        op.tool_calls,
        op.parameters.get("output_type"),
        op.attempt_count,
        sum(attempt.wait for attempt in op.attempts),
        server.processing,
        server.status if error is None or error.status is None else error.status,
        None if error is None else error.type,
        None if error is None else error.code,
        None if error is None else error.category,
        None if stream is None else stats.chunks,
        None if stream is None else stats.bytes,
        stats.gap_max,
        f"{op.trace_id:032x}",
        f"{op.span_id:016x}",
    )


@dataclass(slots=True)
class Group:
    """Totals of some calls."""

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cost: Decimal = _ZERO
    duration: float = 0.0
    """Seconds, all together."""

    @property
    def average(self) -> float:
        """Seconds per call; 0.0 without calls."""
        return self.duration / self.calls if self.calls else 0.0

    def add(self, record: RequestRecord) -> None:
        """Count one more call."""
        self.calls += 1
        self.failed += record.failed
        self.input_tokens += record.input_tokens or 0
        self.output_tokens += record.output_tokens or 0
        self.total_tokens += record.total_tokens or 0
        self.cache_read_tokens += record.cache_read_tokens or 0
        self.duration += record.duration
        if record.cost is not None:
            self.cost = EXACT.add(self.cost, record.cost)

    def to_dict(self) -> dict[str, Any]:
        """A dict ready for `json.dumps`."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**plain(values), "average": self.average}


@dataclass(slots=True)
class DailyUsage(Group):
    """Totals of one model on one day (UTC)."""

    date: str = ""
    """As 2026-11-20."""
    provider: str = ""
    model: str | None = None
    """The model that answered, else the one that was asked for."""


@dataclass(slots=True)
class Stats(Group):
    """Totals since the log was made or cleared, with what it no longer holds."""

    held: int = 0
    """Records in the log now."""
    since: float = 0.0
    """Seconds since the epoch."""


class Summary(NamedTuple):
    """Figures of the records that a query finds. Quantiles are exact; None without records."""

    calls: int
    failed: int
    error_rate: float
    average: float | None
    smallest: float | None
    largest: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost: Decimal
    by_provider: Mapping[str, Group]
    by_model: Mapping[str, Group]
    by_error: Mapping[str, int]
    """Failed calls by `error.type`."""

    def to_dict(self) -> dict[str, Any]:
        """A dict ready for `json.dumps`."""
        return plain(self._asdict())


class WindowUsage(NamedTuple):
    """What was used in a window of time that ends now."""

    start: float
    """Seconds since the epoch."""
    length: float
    complete: bool
    """False if the log no longer holds all calls of the window: then the figures are too small."""
    total: Group
    by_provider: Mapping[str, Group]
    by_error: Mapping[str, int]
    """Failed calls by `error.type`."""

    @property
    def calls(self) -> int:
        """Calls that ended in the window."""
        return self.total.calls

    @property
    def succeeded(self) -> int:
        """Those of them that did not fail."""
        return self.total.calls - self.total.failed

    @property
    def failed(self) -> int:
        """Those of them that failed."""
        return self.total.failed

    def to_dict(self) -> dict[str, Any]:
        """A dict ready for `json.dumps`."""
        return plain(self._asdict())


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of the ascending values lie; None without values."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    if below + 1 == len(ordered):
        return ordered[below]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


def grouped(records: Iterable[RequestRecord], key: str) -> dict[str, Group]:
    """Totals by the value of the attribute `key`."""
    groups: dict[str, Group] = {}
    for record in records:
        groups.setdefault(str(getattr(record, key)), Group()).add(record)
    return groups


def by_error(records: Iterable[RequestRecord]) -> dict[str, int]:
    """Failed calls by `error.type`."""
    failed = grouped((record for record in records if record.failed), "error_type")
    return {name: group.calls for name, group in failed.items()}


def summarise(records: Sequence[RequestRecord]) -> Summary:
    """The figures of `records`."""
    total = Group()
    for record in records:
        total.add(record)
    durations = sorted(record.duration for record in records)
    return Summary(
        calls=total.calls,
        failed=total.failed,
        error_rate=total.failed / total.calls if total.calls else 0.0,
        average=total.average if durations else None,
        smallest=durations[0] if durations else None,
        largest=durations[-1] if durations else None,
        p50=quantile(durations, 0.50),
        p90=quantile(durations, 0.90),
        p95=quantile(durations, 0.95),
        p99=quantile(durations, 0.99),
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        total_tokens=total.total_tokens,
        cost=total.cost,
        by_provider=grouped(records, "provider"),
        by_model=grouped(records, "answered_by"),
        by_error=by_error(records),
    )
