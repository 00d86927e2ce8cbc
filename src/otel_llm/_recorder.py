"""The only code that speaks OpenTelemetry about a call: a span at its start, everything else at its single end.

`Recorder` holds tracer, instruments and settings; `Recording` is the live side of one `Operation`.
Whoever notices the end first wins.
A finaliser may run inside any allocation, also while this thread holds one of the OpenTelemetry SDK's locks: it must
not record.
It leaves the recording in a queue (`bury`) that the next call, the reader of a metric or the exit of the program
empties (`drain`).
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from contextvars import ContextVar
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, get_current
from opentelemetry.propagate import inject
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanKind, Status, StatusCode, set_span_in_context

from . import _attributes, _guard, _options, semconv
from ._failure import describe, outcome_of
from ._listeners import listeners, tell
from ._operation import Operation, Outcome, StreamStats
from ._version import __version__
from .semconv import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextvars import Token

    from opentelemetry.context import Context

    from ._capture import Capture
    from ._config import Config
    from ._operation import Content, ErrorInfo
    from .providers._base import Accumulator, Endpoint

__all__ = ["Recorder", "Recording", "bury", "current", "drain", "free", "open_recordings"]

SCOPE = "otel_llm"

_SUPPRESS_PLAIN = "suppress_instrumentation"
_OTHERS = (
    "opentelemetry.genai.client.inference.context",  # opentelemetry-util-genai
    "opentelemetry.genai.inference_span",  # semantic-conventions-genai #475
)
"""Context keys by which a framework says that the current span is already the span of this inference."""

_GAPS = 32
"""Gaps between chunks that wait to be recorded: 256 bytes."""

current: ContextVar[Recording | None] = ContextVar("otel_llm_recording", default=None)
"""The recording whose SDK call is running in this context."""

_buried: deque[tuple[Recording, float]] = deque()
_open: set[Recording] = set()
"""Recordings that have begun and not ended."""
_ending = threading.RLock()
_at_exit = False


def bury(recording: Recording) -> None:
    """Leave a recording whose stream has died to the next `drain`; for finalisers: takes no lock, records nothing."""
    if not recording.ended:
        _buried.append((recording, perf_counter()))


def drain() -> None:
    """End every buried recording, at the time it died."""
    while _buried:
        try:
            recording, died = _buried.popleft()
        except IndexError:
            return
        recording.end(recording.let_go(), at=died)


def _exit() -> None:
    """What is still open when the program ends was not read to its end."""
    drain()
    for recording in list(_open):
        recording.end(recording.let_go())


def _forked() -> None:
    """A child process has none of its parent's calls."""
    _open.clear()
    _buried.clear()


os.register_at_fork(after_in_child=_forked)


def free() -> Context | None:
    """The current OpenTelemetry context if a call in it is to be recorded, else None.

    Not recorded is a call under `suppress_instrumentation()`, inside `options(enabled=False)`, or inside another
    recorded call or a framework's own inference span.
    """
    context = get_current()
    if context:
        get = context.get
        if get(_SUPPRESS_INSTRUMENTATION_KEY) or get(_SUPPRESS_PLAIN):
            return None
        for key in _OTHERS:
            if get(key) is not None:
                return None
        chosen = get(_options.OPTIONS)
        if chosen is not None and chosen.enabled is False:
            return None
    outer = current.get()
    return context if outer is None or outer.ended else None


def silenced() -> bool:
    """Whether all telemetry is switched off here: by `suppress_instrumentation()` or `options(enabled=False)`."""
    context = get_current()
    if not context:
        return False
    chosen = _options.current(context)
    off = chosen is not None and chosen.enabled is False
    return bool(off or context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_PLAIN))


class Recording:
    """The live side of an `Operation`."""

    __slots__ = (
        "__weakref__",
        "_last",
        "_token",
        "_tokens",
        "accumulator",
        "adopting",
        "attributes",
        "capture",
        "context",
        "ended",
        "endpoint",
        "gaps",
        "http",
        "op",
        "parsed",
        "propagate",
        "reading",
        "recorder",
        "sent",
        "span",
        "status",
    )

    def __init__(
        self, recorder: Recorder, op: Operation, endpoint: Endpoint | None, context: Context, *, adopting: bool
    ) -> None:
        self.recorder = recorder
        self.op = op
        self.endpoint = endpoint
        self.ended = False
        self.reading = False
        """A read of the stream is under way: what closes it now is part of that read."""
        self.parsed = False
        """The SDK parses the stream: its bytes need not be."""
        self.http: Any = None
        """The SDK's HTTP response, until the call returns."""
        self.accumulator: Accumulator | None = None
        self.capture: Capture | None = None
        """Collects the call's content, where that goes somewhere."""
        self.gaps: list[float] | None = None
        self._last = 0.0
        self.sent = 0.0
        self.status: int | None = None
        self.propagate = False
        self.adopting = adopting
        """The SDK starts the span of this call itself, and `adopt` is told."""
        attributes = _attributes.start(op)
        self.attributes = _attributes.shared(op, attributes)
        """What every metric point of this call carries."""
        if op.stream:
            attributes = {**attributes, names.REQUEST_STREAM: True}  # a sampler may go by it
        self.context = context
        self.span: trace.Span = INVALID_SPAN
        if not adopting:
            name = f"{op.name} {op.request_model}" if op.request_model else op.name
            tracer = recorder.tracer
            self.adopt(tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=op.start_time))

    def adopt(self, span: trace.Span) -> None:
        """Record to `span`."""
        self.span = span
        ids = span.get_span_context()
        self.op.trace_id = ids.trace_id
        self.op.span_id = ids.span_id
        self.context = set_span_in_context(span, self.context)

    def stand_in(self) -> trace.Span:
        """A span that has this call's identity and records nothing."""
        return NonRecordingSpan(self.span.get_span_context())

    def enter(self) -> None:
        """Make the span current and this recording findable, while the SDK works."""
        self._token = attach(self.context)
        self._tokens = current.set(self)

    def leave(self, error: BaseException | None = None) -> None:
        """Give the caller's own span back.

        A coroutine that is thrown away unfinished leaves in a foreign context, where nothing can be given back.
        """
        if not isinstance(error, GeneratorExit):
            current.reset(self._tokens)
            detach(self._token)

    def stream(self) -> None:
        """The call streams: be ready to count chunks."""
        op = self.op
        op.stream = True
        op.stream_stats = StreamStats()
        if self.endpoint is not None and self.endpoint.accumulator is not None:
            self.accumulator = self.endpoint.accumulator(op)
        if self.capture is not None:
            self.capture.stream()
        if self.recorder.chunk_metrics:
            self.gaps = []

    def chunk(self, chunk: object) -> None:
        """Count a chunk that the caller is about to get."""
        now = perf_counter()
        op = self.op
        stats = op.stream_stats
        if stats is None or self.ended:
            return
        stats.chunks += 1
        last = self._last
        self._last = now
        if not last:
            stats.first_chunk = now - op.started
        elif self.gaps is not None:
            self.gaps.append(now - last)
            if len(self.gaps) == _GAPS:
                self.recorder.flush(self)
        if self.accumulator is not None:
            stats.bytes += self.accumulator.add(chunk)
        if listeners.chunk:
            tell(listeners.chunk, op, chunk, now)
        if self.capture is not None:
            self.capture.chunk(chunk)

    def response(self, body: object) -> None:
        """Read the facts of a response that was received whole; an odd one costs facts, not the span."""
        if self.endpoint is not None and body is not None:
            try:
                self.endpoint.response(self.op, body)
            except Exception as error:  # noqa: BLE001
                _guard.caught(error)
            if self.capture is not None:
                self.capture.response(body)

    def let_go(self) -> Outcome:
        """The outcome of a stream that nobody will read any more."""
        done = self.accumulator is not None and self.accumulator.done
        return Outcome.COMPLETED if done else Outcome.ABANDONED

    def close(self, error: BaseException | None) -> None:
        """The application closes the stream, perhaps because `error` passes through."""
        if self.accumulator is not None and self.accumulator.done:
            self.end(Outcome.COMPLETED)
        elif error is not None and outcome_of(error) is Outcome.CANCELLED and not isinstance(error, GeneratorExit):
            self.end(Outcome.CANCELLED)
        else:
            self.end(Outcome.CLOSED)

    def fail(self, error: BaseException) -> None:
        """The call or a read of its stream ends with `error`."""
        self.end(outcome_of(error), error)

    def end(self, outcome: Outcome, error: BaseException | None = None, *, at: float | None = None) -> None:
        """End the call, exactly once; `at` is the `perf_counter` of an end that is noticed later."""
        with _ending:
            if self.ended:
                return
            self.ended = True
        self.recorder.finish(self, outcome, error, perf_counter() if at is None else at)


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
        self.chunk_metrics = "chunks" in kinds
        self.upload = _completion_hook(config)
        self.captures = config.capture_content != "no_content" or self.upload is not None

    def start(
        self, op: Operation, endpoint: Endpoint | None, context: Context, *, adopting: bool = False
    ) -> Recording | None:
        """Begin `op` as a child of `context`'s span; None when a filter of the user's rejects it."""
        global _at_exit  # noqa: PLW0603 - registered late, so that it runs before the SDK's own exit hook
        if not _at_exit:
            _at_exit = True
            atexit.register(_exit)
        if _buried:
            drain()
        op.start_time = time_ns()
        op.started = perf_counter()
        if self.config.filters and not self._wanted(op):
            return None
        session = context.get(_options.SESSION)
        if session is not None:
            _in_session(op, session)
        recording = Recording(self, op, endpoint, context, adopting=adopting)
        chosen = context.get(_options.OPTIONS)
        if (self.captures or chosen is not None) and (
            adopting or self.upload is not None or recording.span.is_recording()
        ):
            from ._capture import begin  # noqa: PLC0415 - only who captures content needs it

            asked = None if chosen is None else chosen.capture_content
            recording.capture = begin(self.config, asked, endpoint, self.upload)
        _open.add(recording)
        if listeners.start:
            tell(listeners.start, op)
        return recording

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
        """Record the gaps that wait, on the reading thread, under the span's context."""
        gaps = recording.gaps
        if gaps:
            for convention in self.metrics:
                convention.gaps(gaps, recording.attributes, recording.context)
            gaps.clear()

    def finish(self, recording: Recording, outcome: Outcome, error: BaseException | None, now: float) -> None:
        """Write everything about a call that has just ended; called once per recording.

        Each step stands alone, so that one that fails does not cost the others; the guard is written out here, as
        a guarded function more costs every call two frames.
        """
        _open.discard(recording)
        op = recording.op
        recording.http = None
        op.duration = now - op.started
        op.outcome = outcome
        try:
            if error is not None or recording.accumulator is not None or op.error is not None:
                _settle(recording, op, error)
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)
        span = recording.span
        content = None
        if recording.capture is not None and (span.is_recording() or self.upload is not None):
            content = recording.capture.settle(op, span, longest=_attributes.longest(span))
        if listeners.finish:
            tell(listeners.finish, op)
        try:
            if span.is_recording():
                attributes = _attributes.end(op, self.conventions)
                if content is not None:
                    attributes = _attributes.within(span, {**attributes, **content.on_span})
                span.set_attributes(attributes)
                if op.error is not None:
                    span.set_status(Status(StatusCode.ERROR, _attributes.description(op.error)))
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)
        try:
            span.end(op.start_time + int(op.duration * 1e9))
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)
        try:
            if recording.gaps:
                self.flush(recording)
            attributes = _attributes.metric(op, recording.attributes)
            for convention in self.metrics:
                convention.end(op, attributes, recording.context)
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)
        if op.error is not None and op.error.exception:
            self._exception(recording, op, op.error)
        if content is not None and content.on_event:
            self._details(recording, op, content.on_event)
        op.freeze()
        if listeners.end:
            tell(listeners.end, op)

    @_guard.guarded
    def _details(self, recording: Recording, op: Operation, content: Mapping[str, Any]) -> None:
        """The event that carries the content as structures, beside all that the span says of the call."""
        self.logger.emit(
            LogRecord(
                timestamp=time_ns(),
                context=recording.context,
                severity_number=SeverityNumber.DEBUG,
                severity_text="DEBUG",
                attributes={**_attributes.start(op), **_attributes.end(op, self.conventions), **content},
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


def _settle(recording: Recording, op: Operation, error: BaseException | None) -> None:
    """Decide between an error and none, and take in what a stream knows only at its end."""
    if error is not None and op.outcome is Outcome.FAILED:
        op.error = describe(error, text=None if recording.capture is None else recording.capture.error_text)
    elif op.error is not None:
        op.outcome = Outcome.FAILED
    if recording.accumulator is not None:
        recording.accumulator.finish()


def _completion_hook(config: Config) -> Callable[[Content, Any], Content] | None:
    if config.completion_hook is None or config.content_off:
        return None
    from ._upload import load  # noqa: PLC0415 - only who has a hook needs it

    return load(config.completion_hook)


def _in_session(op: Operation, session: _options.Session) -> None:
    """What the application said of the conversation; it knows its id better than a provider's object does."""
    op.conversation_id = session.conversation_id or op.conversation_id
    op.attributes = session.attributes


def open_recordings() -> Iterable[Recording]:
    """The calls that run now; for gauges and tests."""
    return list(_open)
