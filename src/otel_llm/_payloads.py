"""The events that hooks can be attached to, and what they are given: frozen records of plain values, two per event.

They are named tuples, which are made in a fraction of the time of frozen dataclasses.
None of them refers to a request, a response or an exception, and none holds content: a handler may keep them.
Times are seconds unless said otherwise; what is not known is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

__all__ = [
    "EVENTS",
    "PAYLOADS",
    "AttemptMeasurements",
    "AttemptMetadata",
    "AuthMetadata",
    "BreakerMeasurements",
    "BreakerMetadata",
    "BudgetMeasurements",
    "BudgetMetadata",
    "CacheMeasurements",
    "CacheMetadata",
    "CallError",
    "CallMeasurements",
    "CallMetadata",
    "ChunkMeasurements",
    "CostMeasurements",
    "CountMeasurements",
    "LastError",
    "MessageMetadata",
    "RateLimitMeasurements",
    "SessionMetadata",
    "SpanMeasurements",
    "SpanMetadata",
    "StartMeasurements",
    "StreamMetadata",
    "StreamReport",
    "ToolMetadata",
    "UsageMeasurements",
]

_Bytes = bytes
"""Where a field is called `bytes`."""


class StartMeasurements(NamedTuple):
    """Something begins."""

    system_time: int
    """Nanoseconds since the epoch."""


class SpanMeasurements(NamedTuple):
    """A tool run or a `hooks.span` block has ended."""

    duration: float


class CountMeasurements(NamedTuple):
    """Something has happened."""

    number: int
    """How many."""


class CallMeasurements(NamedTuple):
    """A call has ended: figures as far as the provider gave them."""

    duration: float
    input_tokens: int | None
    """Includes cached ones."""
    output_tokens: int | None
    """Includes reasoning."""
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost: Decimal | None
    """US dollars, exact."""
    first_chunk: float | None
    """From issuing the request to the first chunk of the stream."""
    chunks: int | None
    """None for a call that does not stream."""
    bytes: int | None
    """Bytes of chunk data; None for a call that does not stream."""


class CallError(NamedTuple):
    """Why a call failed."""

    type: str
    """The low-cardinality `error.type`."""
    exception: str
    """The qualified name of the exception's class; empty when the response itself said it failed."""
    code: str | None
    """The provider's error code, as sent."""
    status: int | None
    """The HTTP status."""
    category: str
    retryable: bool


class CallMetadata(NamedTuple):
    """Which call: `id` is the same in all its events. What the answer says is None or empty at the start."""

    id: str
    provider: str
    operation: str
    """`chat`, `embeddings`, `text_completion`, or what `track` was given."""
    model: str | None
    """As requested."""
    endpoint: str
    sdk: str
    """Empty for `track`."""
    stream: bool
    conversation_id: str | None
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    attempts: int
    """How often the request was sent."""
    outcome: str | None
    """A value of `Outcome`."""
    response_model: str | None
    response_id: str | None
    finish_reasons: tuple[str, ...]
    tool_calls: tuple[str, ...]
    """Names of the tools that the model asked for."""
    error: CallError | None


class StreamMetadata(NamedTuple):
    """Which call, in few words: for events that come often."""

    id: str
    provider: str
    operation: str
    model: str | None


class ChunkMeasurements(NamedTuple):
    """A stream has given its caller a chunk."""

    chunks: int
    """Chunks so far, this one included."""
    bytes: int
    """Bytes of chunk data so far."""
    elapsed: float
    """Since the request was issued."""


class LastError(NamedTuple):
    """The newest error of a stream."""

    type: str
    message: str | None
    """Only when content is captured."""


class StreamReport(NamedTuple):
    """How a stream stands. Rates and averages are over the whole stream, from issuing the request."""

    stream_id: str
    """The `id` that hooks and the request log have for this call."""
    provider: str
    operation: str
    model: str | None
    status: str
    """`streaming`; in the last report a value of `Outcome`."""
    start_time: int
    """Nanoseconds since the epoch."""
    duration: float
    first_chunk: float | None
    """From issuing the request to the first chunk."""
    chunks: int
    bytes: int
    chunks_per_second: float
    bytes_per_second: float
    average_chunk_size: float
    """Bytes, exact; 0.0 before the first chunk."""
    smallest_chunk: int | None
    largest_chunk: int | None
    deviation: float | None
    """Standard deviation of the chunk sizes in bytes."""
    error_count: int
    """Failed attempts, and the failure of the stream itself."""
    last_error: LastError | None
    attempts: int
    trace_id: str
    response_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    raw_chunks: tuple[_Bytes, ...] | None
    """The chunks as JSON, in order, up to the byte cap; None unless asked for, never in a hook's payload."""
    raw_truncated: bool
    """Whether chunks are missing in `raw_chunks`."""


class AttemptMeasurements(NamedTuple):
    """One HTTP attempt has ended."""

    duration: float
    """That of the last attempt includes reading the response."""
    wait: float | None
    """What the SDK now waits before the next attempt; None after the last."""


class AttemptMetadata(NamedTuple):
    """Which HTTP attempt of which call."""

    id: str
    provider: str
    operation: str
    model: str | None
    number: int
    """From 1."""
    status: int | None
    """The HTTP status; None before the answer, or when none came."""
    error: str | None
    """The provider's error code, or the exception's class."""


class RateLimitMeasurements(NamedTuple):
    """The provider refused an attempt because of a rate limit."""

    wait: float | None
    """What the SDK now waits; None when it gave up."""
    remaining_requests: int | None
    remaining_tokens: int | None
    reset_requests: float | None
    reset_tokens: float | None


class AuthMetadata(NamedTuple):
    """A client asked for a fresh key. The key itself is not here."""

    provider: str


class CostMeasurements(NamedTuple):
    """The price of a call."""

    cost: Decimal
    """US dollars, exact."""


class BudgetMeasurements(NamedTuple):
    """A budget has been exceeded. US dollars, exact."""

    cost: Decimal
    threshold: Decimal
    exceeded_by: Decimal


class BudgetMetadata(NamedTuple):
    """Which budget, and the call that exceeded it."""

    scope: str
    """`call` or `window`."""
    id: str
    provider: str
    model: str | None


class UsageMeasurements(NamedTuple):
    """What one call added to a session."""

    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cost: Decimal | None
    duration: float


class SessionMetadata(NamedTuple):
    """Which session; `id` names the call where the event is about one."""

    conversation_id: str | None
    user_id: str | None
    id: str | None


class MessageMetadata(NamedTuple):
    """Messages of one role in a request of a session."""

    conversation_id: str | None
    role: str
    id: str


class ToolMetadata(NamedTuple):
    """A run of a tool."""

    id: str
    name: str
    call_id: str | None
    """The model's id of the tool call."""
    trace_id: str
    span_id: str
    error: str | None
    """The class of the exception that ended it."""


class CacheMeasurements(NamedTuple):
    """An application's cache was used."""

    number: int
    """Of entries."""
    bytes: int | None
    """Of the entries put or evicted."""


class CacheMetadata(NamedTuple):
    """Which cache. Keys are never recorded."""

    name: str


class BreakerMeasurements(NamedTuple):
    """A circuit breaker changed its state."""

    failures: int | None
    """Failures that it counts, if it was told."""


class BreakerMetadata(NamedTuple):
    """Which circuit breaker went from where to where."""

    name: str
    state: str
    """`closed`, `open` or `half_open`."""
    previous: str


class SpanMetadata(NamedTuple):
    """A block of the application (`hooks.span`)."""

    id: str
    """The same in start, stop and exception."""
    name: str
    attributes: Mapping[str, Any]
    """What `span` was given."""
    error: str | None
    """The class of the exception that ended it."""


_ended = (CallMeasurements, CallMetadata)
_began = (StartMeasurements, CallMetadata)

PAYLOADS: Mapping[str, tuple[type, type]] = {
    **{
        f"llm.{component}.{phase}": _began if phase == "start" else _ended
        for component in ("chat", "embeddings", "text_completion", "operation", "stream")
        for phase in ("start", "stop", "exception")
    },
    "llm.stream.chunk": (ChunkMeasurements, StreamMetadata),
    "llm.stream.progress": (StreamReport, StreamMetadata),
    "llm.provider.request.start": (StartMeasurements, AttemptMetadata),
    "llm.provider.request.stop": (AttemptMeasurements, AttemptMetadata),
    "llm.provider.request.exception": (AttemptMeasurements, AttemptMetadata),
    "llm.provider.rate_limit": (RateLimitMeasurements, AttemptMetadata),
    "llm.provider.auth_refresh": (CountMeasurements, AuthMetadata),
    "llm.cost.calculated": (CostMeasurements, StreamMetadata),
    "llm.cost.threshold_exceeded": (BudgetMeasurements, BudgetMetadata),
    "llm.session.start": (StartMeasurements, SessionMetadata),
    "llm.session.message": (CountMeasurements, MessageMetadata),
    "llm.session.usage": (UsageMeasurements, SessionMetadata),
    "llm.session.truncated": (CountMeasurements, SessionMetadata),
    "llm.session.stop": (SpanMeasurements, SessionMetadata),
    "llm.tool.start": (StartMeasurements, ToolMetadata),
    "llm.tool.stop": (SpanMeasurements, ToolMetadata),
    "llm.tool.exception": (SpanMeasurements, ToolMetadata),
    "llm.cache.hit": (CacheMeasurements, CacheMetadata),
    "llm.cache.miss": (CacheMeasurements, CacheMetadata),
    "llm.cache.put": (CacheMeasurements, CacheMetadata),
    "llm.cache.evict": (CacheMeasurements, CacheMetadata),
    "llm.circuit_breaker.state": (BreakerMeasurements, BreakerMetadata),
}
"""Of every event, the classes of its measurements and of its metadata."""

EVENTS: tuple[str, ...] = tuple(PAYLOADS)
"""Every event, `llm.<component>.<phase>`; docs/hooks.md says when each comes.

A call emits the events of its operation (`llm.operation` if that is not chat, embeddings or text completion);
one that streams emits those of `llm.stream` as well.
"""
