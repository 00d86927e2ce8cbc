"""The record of one call, read off a span of any instrumentation or off an `Operation` of this process.

`Call` has what lists, sums and charts need, and is small; `Detail` has the rest, and is kept as JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _dialects, _messages

if TYPE_CHECKING:
    from decimal import Decimal

    from otel_llm._operation import Operation

    from ._messages import Content
    from ._spans import Span

__all__ = ["Call", "Detail", "from_operation", "from_span", "money"]

Detail: TypeAlias = "dict[str, Any]"
"""The members of docs/live-api.md, `/api/calls/{id}`, beside those of `CALL`; for `usage`, `modalities`."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Call:
    """One finished call. Times are seconds since the epoch, `_ms` milliseconds; what is not known is None."""

    id: str
    trace_id: str
    span_id: str
    parent_id: str | None
    service: str | None
    source: str
    start: float
    end: float
    duration_ms: float
    ttft_ms: float | None
    provider: str
    operation: str
    endpoint: str
    request_model: str | None
    response_model: str | None
    stream: bool
    outcome: str
    error: str | None
    finish_reasons: tuple[str, ...]
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    usage_source: str
    cost: Decimal | None
    attempts: int
    chunks: int | None
    conversation_id: str | None
    has_content: bool
    preview: str | None

    @property
    def model(self) -> str:
        """The model as asked for, else the one that answered, else an empty text."""
        return self.request_model or self.response_model or ""

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.outcome == "failed"

    @property
    def completed(self) -> bool:
        """Whether the response came whole."""
        return self.outcome == "completed"

    @property
    def total_tokens(self) -> int | None:
        """Input and output, None when neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def unpriced(self) -> bool:
        """Whether it used tokens of which nobody knows the price."""
        return self.cost is None and bool(self.input_tokens or self.output_tokens)

    @property
    def speed(self) -> float | None:
        """Output tokens per second, from the first chunk on where that is known."""
        if not self.output_tokens:
            return None
        took = self.duration_ms - (self.ttft_ms or 0.0)
        return self.output_tokens / took * 1000 if took > 0 else None

    def to_json(self, seq: int) -> dict[str, Any]:
        """The object `CALL` of docs/live-api.md."""
        return {
            "seq": seq, "id": self.id, "trace_id": self.trace_id or None, "span_id": self.span_id or None,
            "service": self.service, "source": self.source, "start": round(self.start, 6),
            "duration_ms": round(self.duration_ms, 3), "ttft_ms": _rounded(self.ttft_ms),
            "provider": self.provider, "operation": self.operation, "endpoint": self.endpoint,
            "model": self.model or None, "request_model": self.request_model,
            "response_model": self.response_model,
            "stream": self.stream, "outcome": self.outcome, "error": self.error,
            "finish_reasons": list(self.finish_reasons), "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens, "total_tokens": self.total_tokens,
            "cache_read_tokens": self.cache_read_tokens, "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens, "usage_source": self.usage_source,
            "tokens_per_second": _rounded(self.speed), "cost": money(self.cost), "attempts": self.attempts,
            "chunks": self.chunks, "conversation_id": self.conversation_id, "has_content": self.has_content,
            "preview": self.preview,
        }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def money(amount: Decimal | None) -> str | None:
    """US dollars as a plain decimal number, without an exponent and without trailing zeros."""
    if amount is None:
        return None
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def from_span(span: Span) -> tuple[Call, Detail] | None:
    """The call that a span is, None when it is none."""
    facts = _dialects.read(span)
    if facts is None:
        return None
    content = _messages.content_of(span.attributes) or _messages.from_events(
        (event["name"], event["attributes"]) for event in span.events
    )
    call = Call(
        id=f"{span.trace_id}-{span.span_id}",
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        service=span.service,
        start=span.start / 1e9,
        end=span.end / 1e9,
        duration_ms=(span.end - span.start) / 1e6,
        has_content=content is not None,
        preview=_messages.preview(content),
        **facts.call,
    )
    return call, {**facts.detail, "content": content, "resource": span.resource}


def from_operation(op: Operation, *, service: str | None = None) -> tuple[Call, Detail]:
    """The call that an ended operation of this process is."""
    usage, stats, server = op.usage, op.stream_stats, op.server
    trace_id = format(op.trace_id, "032x") if op.trace_id else ""
    span_id = format(op.span_id, "016x") if op.span_id else ""
    seconds = op.duration or 0.0
    first = stats.first_chunk if stats is not None else None
    cost = op.cost if op.cost is not None else server.cost if server is not None else None
    content = _content(op)
    call = Call(
        id=f"{trace_id}-{span_id}" if trace_id else op.id,
        trace_id=trace_id,
        span_id=span_id,
        parent_id=None,
        service=service,
        source="otel_llm",
        start=op.start_time / 1e9,
        end=op.start_time / 1e9 + seconds,
        duration_ms=seconds * 1000,
        ttft_ms=first * 1000 if first is not None else None,
        provider=op.provider,
        operation=op.name,
        endpoint=op.endpoint,
        request_model=op.request_model,
        response_model=op.response_model,
        stream=op.stream,
        outcome=str(op.outcome or "completed"),
        error=op.error.type if op.error is not None else None,
        finish_reasons=op.finish_reasons,
        input_tokens=usage.input if usage is not None else None,
        output_tokens=usage.output if usage is not None else None,
        cache_read_tokens=usage.cache_read if usage is not None else None,
        cache_write_tokens=usage.cache_write if usage is not None else None,
        reasoning_tokens=usage.reasoning if usage is not None else None,
        usage_source=usage.source if usage is not None else "absent",
        cost=cost if cost is not None and cost.is_finite() else None,
        attempts=op.attempt_count,
        chunks=stats.chunks if stats is not None else None,
        conversation_id=op.conversation_id,
        has_content=content is not None,
        preview=_messages.preview(content),
    )
    return call, _detail(op, content)


def _content(op: Operation) -> Content | None:
    if op.content is None:
        return None
    held = op.content
    return _messages.content_of(
        {
            "gen_ai.system_instructions": held.system,
            "gen_ai.input.messages": held.input,
            "gen_ai.output.messages": held.output,
            "gen_ai.tool.definitions": held.tools,
        }
    )


def _detail(op: Operation, content: Content | None) -> Detail:
    server, stats, error = op.server, op.stream_stats, op.error
    limit = server.rate_limit if server is not None else None
    return {
        "parameters": op.parameters,
        "modalities": dict((op.usage.modalities if op.usage is not None else None) or {}),
        "server": {
            "address": op.server_address,
            "port": op.server_port,
            "request_id": server.request_id if server else None,
            "organization": server.organization if server else None,
            "processing_ms": _ms(server.processing) if server else None,
            "service_tier": server.service_tier if server else None,
            "system_fingerprint": server.system_fingerprint if server else None,
            "status": server.status if server else None,
            "response_id": op.response_id,
        },
        "rate_limit": limit
        and {
            "limit_requests": limit.limit_requests,
            "remaining_requests": limit.remaining_requests,
            "reset_requests_s": limit.reset_requests,
            "limit_tokens": limit.limit_tokens,
            "remaining_tokens": limit.remaining_tokens,
            "reset_tokens_s": limit.reset_tokens,
        },
        "retries": [
            {
                "number": attempt.number, "status": attempt.status, "duration_ms": _ms(attempt.duration),
                "wait_ms": _ms(attempt.wait), "error": attempt.error,
            }
            for attempt in op.attempts
        ],
        "error_detail": error
        and {
            "type": error.type, "exception": error.exception or None, "code": error.code,
            "status": error.status,
            "category": error.category, "retryable": error.retryable, "message": error.message,
        },
        "tool_calls": list(op.tool_calls),
        "stream_stats": stats
        and {
            "chunks": stats.chunks, "bytes": stats.bytes, "first_chunk_ms": _ms(stats.first_chunk),
            "last_chunk_ms": _ms(stats.last_chunk), "gap_p50_ms": _ms(stats.gap_p50),
            "gap_p99_ms": _ms(stats.gap_p99),
            "gap_max_ms": _ms(stats.gap_max),
        },
        "content": content,
        "attributes": dict(op.attributes or {}),
        "resource": {},
    }  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1000, 3)
