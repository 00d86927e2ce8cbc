"""Sample the spans of calls by kind, and keep the ones that fail.

    sampler = KindSampler(request=0.5, streaming=0.1, error=1.0)
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(sampler.processor(BatchSpanProcessor(exporter)))

Sampling concerns spans only: metrics, hooks and the request log hear of every call.
Needs the OpenTelemetry SDK (extra `otlp`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
)

from .semconv import names

try:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.sampling import (
        DEFAULT_ON,
        Decision,
        Sampler,
        SamplingResult,
    )
except ImportError as error:
    raise ImportError(
        "otel_llm.sampling needs the OpenTelemetry SDK: pip install 'otel-llm[otlp]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span
    from opentelemetry.trace import Link, TraceState
    from opentelemetry.util.types import Attributes

__all__ = ["KindProcessor", "KindSampler", "draw"]

_LOW = (1 << 64) - 1
_EXACT_BITS = 53  # as many as a float holds


def draw(trace_id: int) -> float:
    """The number from 0 up to 1 that a trace has drawn: a rate above it keeps the trace.

    It is made of the same bits as by the SDK's `TraceIdRatioBased`: both agree about a trace, everywhere.
    """
    return ((trace_id & _LOW) >> (64 - _EXACT_BITS)) / (1 << _EXACT_BITS)


class KindSampler(Sampler):
    """Draws once per trace, and keeps calls by the rate of their kind.

    A call is kept if its trace has drawn less than its kind's rate, and its parent, if it has one, is kept.
    So of one kind all calls in a trace are kept, or none.
    Spans that are no calls are left to `others`.
    Below a call that is not kept nothing is kept either, except for failed calls (see `processor`).
    """

    def __init__(
        self,
        *,
        request: float = 1.0,
        streaming: float = 1.0,
        error: float = 1.0,
        others: Sampler = DEFAULT_ON,
    ) -> None:
        """Take rates from 0 to 1.

        request     of calls that do not stream
        streaming   of calls that stream
        error       of failed calls, whatever was drawn for their kind; needs `processor`
        others      decides about spans that are no calls (default: as their parent, else keep)

        Raises ValueError for a rate that is not from 0 to 1.
        """
        for name, rate in (("request", request), ("streaming", streaming), ("error", error)):
            if not 0 <= rate <= 1:
                raise ValueError(f"KindSampler({name}={rate!r}): expected a rate from 0 to 1")
        self.request = request
        self.streaming = streaming
        self.error = error
        self.others = others

    def should_sample(  # noqa: PLR0917 - the signature of the base class
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about a span that starts, by its kind and its attributes."""
        if kind is not SpanKind.CLIENT or not attributes or names.OPERATION_NAME not in attributes:
            return self.others.should_sample(
                parent_context, trace_id, name, kind, attributes, links, trace_state
            )
        parent = get_current_span(parent_context).get_span_context()
        rate = self.streaming if attributes.get(names.REQUEST_STREAM) else self.request
        if draw(trace_id) < rate and (not parent.is_valid or parent.trace_flags.sampled):
            decision = Decision.RECORD_AND_SAMPLE
        else:
            decision = Decision.RECORD_ONLY if draw(trace_id) < self.error else Decision.DROP
        return SamplingResult(decision, attributes, parent.trace_state)

    def get_description(self) -> str:
        """The sampler and its rates."""
        return f"KindSampler{{request={self.request},streaming={self.streaming},error={self.error}}}"

    def processor(self, next_processor: SpanProcessor) -> KindProcessor:
        """Put before a processor that exports, so that it gets failed calls which were not sampled."""
        return KindProcessor(next_processor)


class KindProcessor(SpanProcessor):
    """Hands the spans that are kept to the next processor: the sampled ones, and calls that failed.

    A call that failed is exported as if it had been sampled; its parent and its children may be missing, as
    these were not recorded.
    """

    def __init__(self, next_processor: SpanProcessor) -> None:
        self._next = next_processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on a span that starts."""
        self._next.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on a span that has ended, if it is to be kept."""
        context = span.get_span_context()
        if context is None or context.trace_flags.sampled:
            self._next.on_end(span)
        elif _failed_call(span):
            self._next.on_end(_sampled(span, context))

    def shutdown(self) -> None:
        """Shut the next processor down."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the next processor."""
        return self._next.force_flush(timeout_millis)


def _failed_call(span: ReadableSpan) -> bool:
    return (
        span.kind is SpanKind.CLIENT
        and span.status.status_code is StatusCode.ERROR
        and names.OPERATION_NAME in (span.attributes or {})
    )


def _sampled(span: ReadableSpan, context: SpanContext) -> ReadableSpan:
    """The span as it would be had it been sampled: exporting processors drop it otherwise."""
    return ReadableSpan(
        span.name,
        SpanContext(
            context.trace_id,
            context.span_id,
            context.is_remote,
            TraceFlags(context.trace_flags | TraceFlags.SAMPLED),
            context.trace_state,
        ),
        span.parent,
        span.resource,
        span.attributes,
        span.events,
        span.links,
        span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
