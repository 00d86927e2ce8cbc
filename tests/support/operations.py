"""Operations as the recorder makes them, and their way through the listeners."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from otel_llm._listeners import listeners, tell
from otel_llm._operation import Attempt, ErrorInfo, Operation, Outcome, StreamStats, Usage


def call(**values: Any) -> Operation:
    """A call that runs."""
    facts = {
        "provider": "openai",
        "name": "chat",
        "endpoint": "/v1/chat/completions",
        "sdk": "openai",
        "request_model": "gpt-4o",
        "start_time": time.time_ns(),
        "started": time.perf_counter(),
        "trace_id": 0xABC,
        "span_id": 0xDEF,
    }
    return Operation(**{**facts, **values})


def start(**values: Any) -> Operation:
    """A call that begins, told to whoever listens."""
    op = call(**values)
    if op.stream and op.stream_stats is None:
        op.stream_stats = StreamStats()
    tell(listeners.start, op)
    return op


def chunk(op: Operation, size: int, data: object = None) -> None:
    """The next chunk of a stream."""
    assert op.stream_stats is not None
    now = time.perf_counter()
    op.stream_stats.chunks += 1
    op.stream_stats.bytes += size
    if op.stream_stats.first_chunk is None:
        op.stream_stats.first_chunk = now - op.started
    tell(listeners.chunk, op, data, now)


def attempt(
    op: Operation, *, status: int | None = 429, wait: float = 0.25, error: str | None = "slow"
) -> None:
    """A failed attempt."""
    failed = Attempt(len(op.attempts) + 1, status, 0.125, wait, error)
    op.attempts += (failed,)
    tell(listeners.attempt, op, failed)


def end(op: Operation, outcome: Outcome = Outcome.COMPLETED, **values: Any) -> Operation:
    """The end of a call, as the recorder goes about it."""
    for name, value in values.items():
        setattr(op, name, value)
    op.outcome = outcome
    if op.duration is None:
        op.duration = time.perf_counter() - op.started
    op.freeze()
    tell(listeners.end, op)
    return op


def ended(**values: Any) -> Operation:
    """A whole call: 10 tokens in, 20 out, a price."""
    values.setdefault("usage", Usage(10, 20, 4))
    values.setdefault("cost", Decimal("0.000063"))
    outcome = values.pop("outcome", Outcome.COMPLETED)
    late = {name: values.pop(name) for name in ("usage", "cost", "duration", "error") if name in values}
    return end(start(**values), outcome, **late)


def failed(**values: Any) -> Operation:
    """A whole call that failed."""
    error = ErrorInfo(
        "rate_limit_exceeded",
        "openai.RateLimitError",
        "rate_limit_exceeded",
        429,
        "rate_limit",
        retryable=True,
    )
    return ended(**{"outcome": Outcome.FAILED, "error": error, "usage": None, "cost": None, **values})
