"""The live side of one call: whoever notices its end first ends it, exactly once.

A finaliser may run inside any allocation, also while this thread holds one of the OpenTelemetry SDK's locks: it must
not record.
It leaves the recording in a queue (`bury`) that the next call, the reader of a metric or the exit of the program
empties (`drain`).
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage] - instrumentations share it
    attach,
    detach,
    get_current,
)
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanKind,
    get_current_span,
    set_span_in_context,
)

from . import _attributes, _guard
from ._failure import outcome_of
from ._gaps import Gaps
from ._listeners import listeners, tell
from ._operation import Operation, Outcome, StreamStats
from ._options import OPTIONS
from ._options import current as chosen_options
from .semconv import names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from opentelemetry.context import Context

    from ._capture import Capture
    from ._estimate import CallEstimate
    from ._recorder import Recorder
    from .providers._base import Accumulator, Endpoint

__all__ = [
    "Recording",
    "bury",
    "current",
    "drain",
    "exit_now",
    "free",
    "open_recordings",
    "running",
    "silenced",
]

_SUPPRESS_PLAIN = "suppress_instrumentation"
_OTHERS = (
    "opentelemetry.genai.client.inference.context",  # opentelemetry-util-genai
    "opentelemetry.genai.inference_span",  # semantic-conventions-genai #475
)
"""Context keys by which a framework says that the current span is already the span of this inference."""
_NOTED = frozenset({_SUPPRESS_INSTRUMENTATION_KEY, _SUPPRESS_PLAIN, OPTIONS, *_OTHERS})
"""The context keys that can keep a call from being recorded."""

current: ContextVar[Recording | None] = ContextVar("otel_llm_recording", default=None)
"""The recording whose SDK call is running in this context."""

running: set[Recording] = set()
"""The calls that have begun and not ended: whoever takes one out ends it."""
buried: deque[tuple[Recording, float]] = deque()


def bury(recording: Recording) -> None:
    """Leave a recording whose stream has died to the next `drain`; for finalisers: takes no lock, records nothing."""
    if not recording.ended:
        buried.append((recording, perf_counter()))


def drain() -> None:
    """End every buried recording, at the time it died."""
    while buried:
        try:
            recording, died = buried.popleft()
        except IndexError:
            return
        recording.end(recording.let_go(), at=died)


def exit_now() -> None:
    """End what is still open when the program ends: it was not read to its end."""
    drain()
    for recording in list(running):
        recording.end(recording.let_go())


def _forked() -> None:
    """A child process has none of its parent's calls, and drops what it inherited of them without a word."""
    for recording in running:
        recording.ended = True
    running.clear()
    buried.clear()


os.register_at_fork(after_in_child=_forked)


def free() -> Context | None:
    """The current OpenTelemetry context if a call in it is to be recorded, else None.

    Not recorded is a call under `suppress_instrumentation()`, inside `options(enabled=False)`, or inside another
    recorded call or a framework's own inference span.
    """
    context = get_current()
    if not _NOTED.isdisjoint(context) and _kept_out(context):
        return None
    outer = current.get()
    return context if outer is None or outer.ended else None


def _kept_out(context: Context) -> bool:
    if context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_PLAIN):
        return True
    if any(context.get(key) is not None for key in _OTHERS):
        return True
    chosen = chosen_options(context)
    return chosen is not None and chosen.enabled is False


def silenced() -> bool:
    """Whether all telemetry is switched off here: by `suppress_instrumentation()` or `options(enabled=False)`."""
    context = get_current()
    if not context:
        return False
    chosen = chosen_options(context)
    off = chosen is not None and chosen.enabled is False
    return bool(off or context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_PLAIN))


def _no_size(_: object) -> int:
    return 0


class Recording:
    """The live side of an `Operation`.

    What most calls leave as it is are attributes of the class, so that a call sets few.
    """

    ended = False
    parsed = False
    """The SDK parses the stream: its bytes need not be."""
    http: Any = None
    """The SDK's HTTP response, until the call returns."""
    accumulator: Accumulator | None = None
    stats: StreamStats | None = None
    """Those of the stream, while it runs."""
    gaps: Gaps | None = None
    capture: Capture | None = None
    """Collects the content, where that goes somewhere."""
    estimate: CallEstimate | None = None
    """Counts tokens, where the user asks for it and the provider does not."""
    sent = 0.0
    """When the newest attempt was sent, on the clock of `perf_counter`."""
    status: int | None = None
    """What the newest attempt was answered with, when that was an error."""
    propagate = False
    hides = False
    """The stream has a chunk that we asked for, and the application did not."""
    adopting = False
    """The SDK starts the span of this call itself, and `adopt` is told."""
    _size: Callable[[Any], int] = staticmethod(_no_size)
    _more = False
    """A chunk is more than a count and a time."""

    def __init__(
        self,
        recorder: Recorder,
        op: Operation,
        endpoint: Endpoint | None,
        context: Context,
        *,
        adopting: bool,
    ) -> None:
        self.recorder = recorder
        self.op = op
        self.endpoint = endpoint
        self.caller = self.context = context
        if adopting:
            self.adopting = True
            self.span: Span = INVALID_SPAN
        else:
            self.begin()

    def begin(self) -> None:
        """Start a span of our own."""
        op = self.op
        attributes = _attributes.start(op)
        if op.stream:
            attributes[names.REQUEST_STREAM] = True  # a sampler may go by it
        name = f"{op.name} {op.request_model}" if op.request_model else op.name
        tracer = self.recorder.tracer
        self.adopt(
            tracer.start_span(name, self.caller, SpanKind.CLIENT, attributes, start_time=op.start_time)
        )

    def take(self, span: Span | None) -> bool:
        """Adopt the span that the SDK started, or start ours if it started none; whether there was one.

        Without a provider the SDK gets no span, or one that stands for the caller's: not this call's to write to.
        """
        if span is not None and span.get_span_context() != get_current_span(self.caller).get_span_context():
            self.adopt(span)
            return True
        self.begin()
        return False

    def adopt(self, span: Span) -> None:
        """Record to `span`."""
        self.span = span
        self.op.trace_id, self.op.span_id, *_ = span.get_span_context()
        self.context = set_span_in_context(span, self.context)

    def stand_in(self) -> Span:
        """A span that has this call's identity and records nothing."""
        return NonRecordingSpan(self.span.get_span_context())

    @contextmanager
    def outside(self) -> Generator[None]:
        """The caller's context again, while the SDK starts a span of its own."""
        token = attach(self.caller)
        try:
            yield
        finally:
            detach(token)

    def enter(self) -> None:
        """Make the span current and this recording findable, while the SDK works."""
        self._token = attach(self.context)
        self._tokens = current.set(self)

    def leave(self, error: BaseException | None = None) -> None:
        """Give the caller's own span back; never raises.

        A coroutine that is thrown away unfinished leaves in a foreign context, where nothing can be given back.
        """
        if isinstance(error, GeneratorExit):
            return
        try:
            current.reset(self._tokens)
            self._token.var.reset(self._token)  # as `detach`, which logs what is no error here
        except ValueError:
            pass  # a block of `track` that ends in another context than it began in
        except Exception as mistake:  # noqa: BLE001
            _guard.caught(mistake)

    def stream(self, accumulator: Accumulator | None = None) -> None:
        """The call streams: be ready to count chunks, with the endpoint's accumulator if none is given."""
        op = self.op
        op.stream = True
        op.stream_stats = self.stats = StreamStats()
        if accumulator is None and self.endpoint is not None and self.endpoint.accumulator is not None:
            accumulator = self.endpoint.accumulator(op)
        if accumulator is not None:
            self.accumulator = accumulator
            self._size = accumulator.add
        if self.capture is not None:
            self.capture.stream()
        if self.recorder.chunk_metrics:
            self.gaps = Gaps()
        self._more = (self.gaps or self.capture or self.estimate) is not None

    def chunk(self, chunk: object) -> None:
        """Count a chunk that the caller is about to get: the hot path of streams."""
        now = perf_counter()
        stats = self.stats
        if stats is None:
            return
        stats.chunks += 1
        size = self._size(chunk)
        stats.bytes += size
        last = stats.last_chunk
        stats.last_chunk = now
        if last is None:
            stats.first_chunk = now - self.op.started
        if self._more or listeners.chunk:
            self._tell(chunk, size, now, last)

    def _tell(self, chunk: object, size: int, now: float, last: float | None) -> None:
        """Give a chunk to whoever wants more of it than its count."""
        gaps = self.gaps
        if gaps is not None:
            gaps.sizes.append(size)
            if last is not None:
                gaps.pending.append(now - last)
                if len(gaps.pending) == gaps.MOST:
                    self.recorder.flush(self)
        if listeners.chunk:
            tell(listeners.chunk, self.op, chunk, now)
        if self.capture is not None:
            self.capture.chunk(chunk)
        if self.estimate is not None:
            self.estimate.chunk(chunk)

    def response(self, body: object) -> None:
        """Read the facts of a response that was received whole; an odd one costs facts, not the span."""
        if self.endpoint is not None and body is not None:
            try:
                self.endpoint.response(self.op, body)
            except Exception as error:  # noqa: BLE001
                _guard.caught(error)
            if self.capture is not None:
                self.capture.response(body)
            if self.estimate is not None:
                self.estimate.response(body)

    def let_go(self) -> Outcome:
        """The outcome of a stream that nobody will read any more."""
        done = self.accumulator is not None and self.accumulator.done
        return Outcome.COMPLETED if done else Outcome.ABANDONED

    def close(self, error: BaseException | None) -> None:
        """The application closes the stream, perhaps because `error` passes through."""
        if self.accumulator is not None and self.accumulator.done:
            self.end(Outcome.COMPLETED)
        elif (
            error is not None
            and outcome_of(error) is Outcome.CANCELLED
            and not isinstance(error, GeneratorExit)
        ):
            self.end(Outcome.CANCELLED)
        else:
            self.end(Outcome.CLOSED)

    def fail(self, error: BaseException) -> None:
        """The call or a read of its stream ends with `error`."""
        if isinstance(error, GeneratorExit):  # a coroutine is thrown away: perhaps by the garbage collector
            bury(self)
        else:
            self.end(outcome_of(error), error)

    def end(self, outcome: Outcome, error: BaseException | None = None, *, at: float | None = None) -> None:
        """End the call, exactly once; `at` is the `perf_counter` of an end that is noticed later."""
        now = perf_counter() if at is None else at
        try:
            running.remove(self)
        except KeyError:
            return  # somebody else was first
        self.ended = True
        self.stats = self.http = None
        self.recorder.finish(self, outcome, error, now)


def open_recordings() -> Collection[Recording]:
    """The calls that run now; for gauges and tests."""
    return list(running)
