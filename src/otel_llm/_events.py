"""From operations to events: what each phase of a call tells the handlers of hooks.

`sync` registers with `_listeners` exactly the phases that somebody is attached to.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

from . import _dispatch
from ._dispatch import emit, wanted
from ._listeners import listeners
from ._operation import Outcome, RateLimit, Usage
from ._payloads import (
    AttemptMeasurements,
    AttemptMetadata,
    AuthMetadata,
    BudgetMeasurements,
    BudgetMetadata,
    CallError,
    CallMeasurements,
    CallMetadata,
    ChunkMeasurements,
    CostMeasurements,
    CountMeasurements,
    MessageMetadata,
    RateLimitMeasurements,
    SessionMetadata,
    SpanMeasurements,
    StartMeasurements,
    StreamMetadata,
    UsageMeasurements,
)
from .cost import add_budget_listener, remove_budget_listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._dispatch import Handler
    from ._listeners import Phase
    from ._operation import Attempt, ErrorInfo, Operation
    from ._options import Session
    from .cost import Crossing

__all__ = ["brief", "refresh", "session", "sync"]

_COMPONENTS = {
    name: tuple(f"llm.{name}.{phase}" for phase in ("start", "stop", "exception"))
    for name in ("chat", "embeddings", "text_completion", "operation", "stream")
}
_OTHER = _COMPONENTS["operation"]
_STREAM = _COMPONENTS["stream"]
_REQUEST = tuple(f"llm.provider.request.{phase}" for phase in ("start", "stop", "exception"))
_BUDGET = "llm.cost.threshold_exceeded"
_RATE_LIMIT = "llm.provider.rate_limit"
_TOO_MANY_REQUESTS = 429
_NO_USAGE = Usage(source="absent")


def brief(op: Operation) -> StreamMetadata:
    """Which call, in few words."""
    return StreamMetadata(op.id, op.provider, op.name, op.request_model)


def _error(error: ErrorInfo) -> CallError:
    return CallError(error.type, error.exception, error.code, error.status, error.category, error.retryable)


def _metadata(op: Operation) -> CallMetadata:
    return CallMetadata(
        op.id,
        op.provider,
        op.name,
        op.request_model,
        op.endpoint,
        op.sdk,
        op.stream,
        op.conversation_id,
        f"{op.trace_id:032x}",
        f"{op.span_id:016x}",
        op.attempt_count,
        None if op.outcome is None else op.outcome.value,
        op.response_model,
        op.response_id,
        op.finish_reasons,
        op.tool_calls,
        None if op.error is None else _error(op.error),
    )


def _measurements(op: Operation) -> CallMeasurements:
    usage, stats = op.usage or _NO_USAGE, op.stream_stats
    return CallMeasurements(
        op.duration or 0.0,
        usage.input,
        usage.output,
        usage.total,
        usage.cache_read,
        usage.cache_write,
        usage.reasoning,
        op.cost,
        None if stats is None else stats.first_chunk,
        None if stats is None else stats.chunks,
        None if stats is None else stats.bytes,
    )


def _attempt(op: Operation, number: int, status: int | None, error: str | None) -> AttemptMetadata:
    return AttemptMetadata(op.id, op.provider, op.name, op.request_model, number, status, error)


def _begin(op: Operation) -> None:
    """The phase `start`."""
    call = _COMPONENTS.get(op.name, _OTHER)[0]
    now = StartMeasurements(op.start_time)
    if wanted(call) or (op.stream and wanted(_STREAM[0])):
        metadata = _metadata(op)
        emit(call, now, metadata)
        if op.stream:
            emit(_STREAM[0], now, metadata)
    if wanted(_REQUEST[0]):
        emit(_REQUEST[0], now, _attempt(op, 1, None, None))


def _attempted(op: Operation, attempt: Attempt) -> None:
    """The phase `attempt`: one has failed, the next comes after the wait."""
    metadata = _attempt(op, attempt.number, attempt.status, attempt.error)
    emit(_REQUEST[2], AttemptMeasurements(attempt.duration, attempt.wait), metadata)
    if attempt.status == _TOO_MANY_REQUESTS:
        _limited(op, attempt.wait, metadata)
    if wanted(_REQUEST[0]):
        now = StartMeasurements(time_ns() + int(attempt.wait * 1e9))
        emit(_REQUEST[0], now, _attempt(op, attempt.number + 1, None, None))


def _limited(op: Operation, wait: float | None, metadata: AttemptMetadata) -> None:
    left = (op.server and op.server.rate_limit) or RateLimit()
    emit(
        _RATE_LIMIT,
        RateLimitMeasurements(
            wait, left.remaining_requests, left.remaining_tokens, left.reset_requests, left.reset_tokens
        ),
        metadata,
    )


def _chunk(op: Operation, _: object, now: float) -> None:
    """The phase `chunk`."""
    stats = op.stream_stats
    if stats is not None:
        emit("llm.stream.chunk", ChunkMeasurements(stats.chunks, stats.bytes, now - op.started), brief(op))


def _end(op: Operation) -> None:
    """The phase `end`."""
    phase = 2 if op.outcome is Outcome.FAILED else 1
    call = _COMPONENTS.get(op.name, _OTHER)[phase]
    if wanted(call) or (op.stream and wanted(_STREAM[phase])):
        measurements, metadata = _measurements(op), _metadata(op)
        emit(call, measurements, metadata)
        if op.stream:
            emit(_STREAM[phase], measurements, metadata)
    if wanted(_REQUEST[phase]) or wanted(_RATE_LIMIT):
        _last_attempt(op, _REQUEST[phase])
    if op.cost is not None and wanted("llm.cost.calculated"):
        emit("llm.cost.calculated", CostMeasurements(op.cost), brief(op))
    if op.conversation_id is not None and any(map(wanted, _SESSION)):
        _session(op, op.conversation_id)


def _last_attempt(op: Operation, event: str) -> None:
    error = op.error
    status = op.server.status if op.server is not None else None
    if error is not None and error.status is not None:
        status = error.status
    metadata = _attempt(
        op, op.attempt_count, status, None if error is None else error.code or error.exception
    )
    before = sum(attempt.duration + attempt.wait for attempt in op.attempts)
    emit(event, AttemptMeasurements(max((op.duration or 0.0) - before, 0.0), None), metadata)
    if status == _TOO_MANY_REQUESTS and error is not None:
        _limited(op, None, metadata)


_SESSION = ("llm.session.message", "llm.session.usage", "llm.session.truncated")


def _session(op: Operation, conversation: str) -> None:
    user = (op.attributes or {}).get("user.id")
    metadata = SessionMetadata(conversation, user, op.id)
    roles: dict[str, int] = {}
    for message in (op.content and op.content.input) or ():
        role = str(message.get("role"))
        roles[role] = roles.get(role, 0) + 1
    for role, count in roles.items():
        emit("llm.session.message", CountMeasurements(count), MessageMetadata(conversation, role, op.id))
    usage = op.usage
    tokens = (None, None, None) if usage is None else (usage.input, usage.output, usage.total)
    emit("llm.session.usage", UsageMeasurements(*tokens, op.cost, op.duration or 0.0), metadata)
    if "length" in op.finish_reasons or (op.error is not None and op.error.category == "context_length"):
        emit("llm.session.truncated", CountMeasurements(1), metadata)


def refresh(provider: str) -> None:
    """A client of `provider` asked for a fresh key."""
    emit("llm.provider.auth_refresh", CountMeasurements(1), AuthMetadata(provider))


def session(event: str, of: Session, seconds: float | None = None) -> None:
    """A block of a session begins, or ends after `seconds`."""
    now = StartMeasurements(time_ns()) if seconds is None else SpanMeasurements(seconds)
    emit(event, now, SessionMetadata(of.conversation_id, of.user_id, None))


def _crossed(crossing: Crossing) -> None:
    """A budget was exceeded."""
    op = crossing.operation
    emit(
        _BUDGET,
        BudgetMeasurements(crossing.spent, crossing.limit, crossing.exceeded_by),
        BudgetMetadata(crossing.scope, op.id, op.provider, op.request_model),
    )


_LISTENERS: dict[Phase, Callable[..., None]] = {
    "start": _begin,
    "attempt": _attempted,
    "chunk": _chunk,
    "end": _end,
}

_PHASES: dict[str, tuple[Phase, ...]] = {
    **{names[0]: ("start",) for names in _COMPONENTS.values()},
    **{name: ("end",) for names in _COMPONENTS.values() for name in names[1:]},
    _REQUEST[0]: ("start", "attempt"),
    _REQUEST[1]: ("end",),
    _REQUEST[2]: ("attempt", "end"),
    _RATE_LIMIT: ("attempt", "end"),
    "llm.stream.chunk": ("chunk",),
    "llm.cost.calculated": ("end",),
    **dict.fromkeys(_SESSION, ("end",)),
}
"""At which phases of a call an event can come; those not here come from elsewhere."""


def sync(handlers: Iterable[Handler]) -> None:
    """Make `handlers` the ones that are attached, and listen to the phases that their events come from."""
    _dispatch.attach(handlers)
    phases = {phase for event in _dispatch.table for phase in _PHASES.get(event, ())}
    for phase, listener in _LISTENERS.items():
        (listeners.add if phase in phases else listeners.remove)(phase, listener)
    (add_budget_listener if wanted(_BUDGET) else remove_budget_listener)(_crossed)
