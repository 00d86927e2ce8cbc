"""The only code that speaks OpenTelemetry about a call: a span at its start, everything else at its single end.

`Recorder` holds tracer, instruments and settings; `_recording.Recording` is the live side of one `Operation`.
"""

from __future__ import annotations

import atexit
from operator import attrgetter
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.propagate import inject
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from . import _attributes, _guard, _recording, semconv
from ._failure import describe
from ._listeners import listeners, tell
from ._metrics import OwnMetrics, gauges
from ._operation import Operation, Outcome
from ._options import OPTIONS, SESSION, Session
from ._plain import utf8
from ._recording import Recording
from ._version import __version__
from .semconv import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

    from ._capture import Capture, Captured
    from ._config import Config
    from ._operation import Attempt, Content, ErrorInfo
    from .cost import Costs, Crossing
    from .providers._base import Endpoint

__all__ = ["Recorder"]

SCOPE = "otel_llm"
_TOLD = frozenset({SESSION, OPTIONS})
"""The context keys by which the application says something of its calls."""
_unusual = attrgetter("error", "attempts", "stream_stats")
_subsets = attrgetter("cache_read", "cache_write", "reasoning")

_at_exit = False


class Recorder:
    """Turns operations into spans, metrics and events, for one set of settings and OpenTelemetry providers."""

    def __init__(
        self,
        config: Config,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: Any = None,
    ) -> None:
        self.config = config
        self.conventions = semconv.chosen(config.semconv)
        schema = self.conventions[0].schema_url if len(self.conventions) == 1 else None
        self.tracer = trace.get_tracer(SCOPE, __version__, tracer_provider, schema_url=schema)
        self.logger = get_logger(SCOPE, __version__, logger_provider, schema_url=schema)
        self.meter = meter = metrics.get_meter(SCOPE, __version__, meter_provider, schema_url=schema)
        self.kinds = kinds = semconv.groups(config.metrics, chunk_metrics=config.chunk_metrics)
        self.metrics = tuple(convention.metrics(meter, kinds=kinds) for convention in self.conventions)
        latest = any(convention.version == "latest" for convention in self.conventions)
        self.own = OwnMetrics(meter, kinds=kinds, beside_latest=latest)
        self.gauges = gauges(meter_provider)
        self.gauges.join(self, meter, kinds)
        # Whatever metrics there are: the span tells gaps too.
        self.chunk_metrics = config.chunk_metrics != "off"
        self.upload = _completion_hook(config)
        self._attributes = _attributes.SpanAttributes(self.conventions)
        self.adopts = config.anthropic_native == "adopt"
        self.captures = config.capture_content != "no_content" or self.upload is not None
        self.extras = self.captures or config.estimate_usage or config.request_hook is not None
        """Whether every call needs more than its start: a capture, an estimate, a hook."""
        self.costs: Costs | None = None  # prices of its own; a recorder without any uses the shared ones

    def close(self) -> None:
        """Fall silent: observable metrics cannot be taken back. Calls under way still end here."""
        self.gauges.leave(self)

    def budget(self, crossing: Crossing) -> None:
        """Tell of a budget that was exceeded, as an event."""
        self.logger.emit(
            LogRecord(
                timestamp=time_ns(),
                context=_of(crossing.operation),
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                attributes=_attributes.budget(crossing),
                event_name=names.BUDGET_EVENT,
            )
        )

    def start(
        self, op: Operation, endpoint: Endpoint | None, context: Context, *, adopting: bool = False
    ) -> Recording | None:
        """Begin `op` as a child of `context`'s span; None when a filter of the user's rejects it."""
        global _at_exit  # noqa: PLW0603 - registered late, so that it runs before the SDK's own exit hook
        if not _at_exit:
            _at_exit = True
            atexit.register(_recording.exit_now)
        if _recording.buried:
            _recording.drain()
        op.start_time = time_ns()
        op.started = perf_counter()
        if op.request_model is not None and not op.request_model.isascii():
            op.request_model = utf8(op.request_model)
        if self.config.filters and not self._wanted(op):
            return None
        told = not _TOLD.isdisjoint(context)
        if told:
            _in_session(op, context.get(SESSION))
        recording = Recording(self, op, endpoint, context, adopting=adopting)
        if told or self.extras:
            self._equip(recording, context.get(OPTIONS))
        _recording.running.add(recording)
        if listeners.start:
            tell(listeners.start, op)
        return recording

    def _equip(self, recording: Recording, chosen: Any) -> None:
        """Give a call what only some need; `chosen` is what an `options(...)` block says."""
        endpoint = recording.endpoint
        if (self.captures or chosen is not None) and (
            recording.adopting or self.upload is not None or recording.span.is_recording()
        ):
            from ._capture import begin  # noqa: PLC0415 - only who captures content needs it

            asked = None if chosen is None else chosen.capture_content
            recording.capture = begin(self.config, asked, endpoint, self.upload)
        if self.config.estimate_usage and endpoint is not None and endpoint.method != "get":
            from ._estimate import CallEstimate  # noqa: PLC0415 - only who estimates needs it

            recording.estimate = CallEstimate(endpoint, recording.op.request_model)

    def _wanted(self, op: Operation) -> bool:
        for wanted in self.config.filters:
            try:
                if not wanted(op):
                    return False
            except Exception as error:  # noqa: BLE001 - the user's filter
                _guard.caught(error, what="a filter of LLM calls")
        return True

    def hook(self, hook: Callable[[Any, Any], object], recording: Recording, thing: object) -> None:
        """Call a request or response hook of the user's."""
        try:
            hook(recording.span, thing)
        except Exception as error:  # noqa: BLE001 - the user's hook
            _guard.caught(error, what="a request or response hook")

    def inject(self, recording: Recording, headers: Any) -> None:
        """Send the call's trace context with a request; for hosts that the user allowed."""
        inject(headers, recording.context)

    def flush(self, recording: Recording) -> None:
        """Record what waits about chunks, on the reading thread."""
        gaps = recording.gaps
        if gaps is not None:
            attributes = _attributes.shared(recording.op)
            for convention in self.metrics:
                convention.gaps(gaps.pending, attributes)
            self.own.sizes(gaps.sizes, attributes)
            gaps.take()

    def retried(self, recording: Recording, attempt: Attempt) -> None:
        """An attempt failed, and the SDK is about to wait and send again."""
        op = recording.op
        op.attempts += (attempt,)
        self.own.retried(attempt, _attributes.shared(op), recording.context)
        if listeners.attempt:
            tell(listeners.attempt, op, attempt)

    def finish(self, recording: Recording, outcome: Outcome, error: BaseException | None, now: float) -> None:
        """Write everything about a call that has just ended; called once per recording.

        Each step stands alone, so that one that fails does not cost the others; their guards are written out, as
        the decorator costs every call two frames a step.
        """
        op = recording.op
        op.duration = now - op.started
        op.outcome = outcome
        if (
            error is not None
            or recording.accumulator is not None
            or op.error is not None
            or recording.estimate is not None
        ):
            _settle(recording, op, error)
        content = None if recording.capture is None else self._content(recording, recording.capture)
        costs = self.costs or listeners.costs
        if costs is not None:
            costs.finish(op)
        try:
            if recording.span.is_recording():
                self._span(recording, op, None if content is None else content.on_span)
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)
        self._metrics(recording, op)
        if op.error is not None and op.error.exception:
            self._exception(recording, op, op.error)
        if content is not None and content.on_event:
            self._details(recording, op, content.on_event)
        op.freeze()
        if costs is not None:
            costs.end(op)
        if listeners.end:
            tell(listeners.end, op)

    def _content(self, recording: Recording, capture: Capture) -> Captured | None:
        span = recording.span
        if not span.is_recording() and self.upload is None:
            return None
        return capture.settle(recording.op, span, longest=_attributes.longest(span))

    def _span(self, recording: Recording, op: Operation, content: Mapping[str, Any] | None) -> None:
        span = recording.span
        try:
            attributes = self._attributes.of(op)
            if content:
                attributes = {**attributes, **content}
            span.set_attributes(_attributes.within(span, attributes))
            if op.error is not None:
                span.set_status(Status(StatusCode.ERROR, _attributes.description(op.error)))
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)
        try:
            span.end(op.start_time + int((op.duration or 0.0) * 1e9))
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)

    def _metrics(self, recording: Recording, op: Operation) -> None:
        try:
            common, ended = _attributes.points(op)
            for convention in self.metrics:
                convention.end(op, ended, common, recording.context)
            usage, server = op.usage, op.server
            if any(_unusual(op)) or (usage is not None and any(_subsets(usage))):
                self.own.end(op, common, recording.context, sent=recording.sent > 0)
            if server is not None and server.rate_limit is not None:
                self.gauges.limits(ended, server.rate_limit)
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)

    @_guard.guarded
    def _details(self, recording: Recording, op: Operation, content: Mapping[str, Any]) -> None:
        """The event that carries the content as structures, beside all that the span says of the call."""
        self.logger.emit(
            LogRecord(
                timestamp=time_ns(),
                context=recording.context,
                severity_number=SeverityNumber.DEBUG,
                severity_text="DEBUG",
                attributes={**_attributes.start(op), **self._attributes.of(op), **content},
                event_name=names.DETAILS_EVENT,
            )
        )

    @_guard.guarded
    def _exception(self, recording: Recording, op: Operation, error: ErrorInfo) -> None:
        """The conventions put an exception in a log event, not on the span."""
        self.logger.emit(
            LogRecord(
                timestamp=time_ns(),
                context=recording.context,
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                attributes={**_attributes.start(op), **_attributes.exception(error)},
                event_name=names.EXCEPTION_EVENT,
            )
        )


@_guard.guarded
def _settle(recording: Recording, op: Operation, error: BaseException | None) -> None:
    """Decide between an error and none, and take in what a stream knows only at its end."""
    if error is not None and op.outcome is Outcome.FAILED:
        op.error = describe(error, text=None if recording.capture is None else recording.capture.error_text)
    elif op.error is not None:
        op.outcome = Outcome.FAILED
    if recording.accumulator is not None:
        recording.accumulator.finish()
    stats = op.stream_stats
    answered = op.outcome is Outcome.COMPLETED or (stats is not None and stats.chunks > 0)
    if recording.estimate is not None and op.usage is None and answered:
        op.usage = recording.estimate.usage()
    if stats is not None:
        if recording.gaps is not None:
            recording.recorder.flush(recording)
            recording.gaps.settle(stats)
        stats.settle(op)


def _of(op: Operation) -> Context:
    """A context in which the span of an ended call is current, for what is said about it afterwards."""
    ended = SpanContext(op.trace_id, op.span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(ended))


def _completion_hook(config: Config) -> Callable[[Content, Any], Content] | None:
    if config.completion_hook is None or config.content_off:
        return None
    from ._upload import load  # noqa: PLC0415 - only who has a hook needs it

    return load(config.completion_hook)


def _in_session(op: Operation, session: object) -> None:
    """What the application said of the conversation; it knows its id better than a provider's object does."""
    if not isinstance(session, Session):
        return
    op.conversation_id = session.conversation_id or op.conversation_id
    op.attributes = session.attributes
