"""From operations to events: who is attached to what, and what each phase of a call tells them.

`sync` registers with `_listeners` exactly the phases that somebody is attached to.
"""

from __future__ import annotations

import threading
from time import time_ns
from typing import TYPE_CHECKING

from . import _guard
from ._background import Worker
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
    StartMeasurements,
    StreamMetadata,
    UsageMeasurements,
)
from .cost import add_budget_listener, remove_budget_listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._listeners import Phase
    from ._operation import Attempt, ErrorInfo, Operation
    from .cost import Crossing

__all__ = ["Handler", "brief", "emit", "refreshed", "sync", "table", "wanted", "worker"]

_QUEUE = 10_000
"""Events that wait for background handlers, all together."""

worker = Worker("otel_llm-hooks", limit=_QUEUE)
_counting = threading.RLock()


class Handler:
    """A function of the user's, with what it was attached with."""

    __slots__ = ("attached", "background", "config", "dropped", "errors", "events", "fn", "id")

    def __init__(
        self,
        identity: str,
        events: tuple[str, ...],
        fn: Callable[..., object],
        config: object,
        *,
        background: bool,
    ) -> None:
        self.id = identity
        self.events = events
        self.fn = fn
        self.config = config
        self.background = background
        self.attached = True
        self.errors = 0
        self.dropped = 0

    def __call__(self, event: str, measurements: object, metadata: object) -> None:
        if self.background:
            if not worker.put(self._run, event, measurements, metadata):
                with _counting:
                    self.dropped += 1
        else:
            self._run(event, measurements, metadata)

    def _run(self, event: str, measurements: object, metadata: object) -> None:
        if not self.attached:
            return
        try:
            self.fn(event, measurements, metadata, self.config)
        except BaseException as error:
            if not (self.background or isinstance(error, Exception)):
                raise  # an interrupt is the application's; a thread of ours has none
            with _counting:
                self.errors += 1
            _guard.caught(error, what=f"the hook {self.id!r}")


table: dict[str, tuple[Handler, ...]] = {}
"""The handlers of each event, in the order in which they were attached; replaced as a whole by `sync`."""


def wanted(event: str) -> bool:
    """Whether anybody is attached to `event`: ask before making a payload."""
    return event in table


def emit(event: str, measurements: object, metadata: object) -> None:
    """Call whoever is attached to `event`."""
    for handler in table.get(event, ()):
        handler(event, measurements, metadata)


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
    if call in table or (op.stream and _STREAM[0] in table):
        metadata = _metadata(op)
        emit(call, now, metadata)
        if op.stream:
            emit(_STREAM[0], now, metadata)
    if _REQUEST[0] in table:
        emit(_REQUEST[0], now, _attempt(op, 1, None, None))


def _attempted(op: Operation, attempt: Attempt) -> None:
    """The phase `attempt`: one has failed, the next comes after the wait."""
    metadata = _attempt(op, attempt.number, attempt.status, attempt.error)
    emit(_REQUEST[2], AttemptMeasurements(attempt.duration, attempt.wait), metadata)
    if attempt.status == _TOO_MANY_REQUESTS:
        _limited(op, attempt.wait, metadata)
    if _REQUEST[0] in table:
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
    if call in table or (op.stream and _STREAM[phase] in table):
        measurements, metadata = _measurements(op), _metadata(op)
        emit(call, measurements, metadata)
        if op.stream:
            emit(_STREAM[phase], measurements, metadata)
    if _REQUEST[phase] in table or _RATE_LIMIT in table:
        _last_attempt(op, _REQUEST[phase])
    if op.cost is not None and "llm.cost.calculated" in table:
        emit("llm.cost.calculated", CostMeasurements(op.cost), brief(op))
    if op.conversation_id is not None and not _SESSION.isdisjoint(table):
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


_SESSION = {"llm.session.message", "llm.session.usage", "llm.session.truncated"}


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


def refreshed(provider: str) -> None:
    """A client of `provider` asked for a fresh key; for the driver."""
    if wanted("llm.provider.auth_refresh"):
        emit("llm.provider.auth_refresh", CountMeasurements(1), AuthMetadata(provider))


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
    global table  # noqa: PLW0603 - replaced as a whole, so that readers need no lock
    new: dict[str, tuple[Handler, ...]] = {}
    for handler in handlers:
        for event in handler.events:
            new[event] = (*new.get(event, ()), handler)
    table = new
    phases = {phase for event in new for phase in _PHASES.get(event, ())}
    for phase, listener in _LISTENERS.items():
        (listeners.add if phase in phases else listeners.remove)(phase, listener)
    (add_budget_listener if _BUDGET in new else remove_budget_listener)(_crossed)
