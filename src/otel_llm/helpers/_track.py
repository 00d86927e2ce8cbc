"""`track`: the span, metrics and hooks of a call, for calls that no instrumented SDK makes."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _guard, _recording
from .._active import active
from .._around import Block, Scope, around
from .._operation import Attempt, Operation, Outcome, Server, Usage
from .._prices import dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from .._recording import Recording

__all__ = ["TrackedCall", "Tracker", "track"]

_F = TypeVar("_F", bound="Callable[..., Any]")


class _Sizes:
    """Counts the bytes of chunks that the application hands over."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def add(self, chunk: object) -> int:
        if isinstance(chunk, str):
            return len(chunk.encode(errors="surrogatepass"))  # half a pair counts as three bytes
        return len(chunk) if isinstance(chunk, bytes | bytearray) else 0

    def finish(self) -> None:
        pass


class TrackedCall:
    """A call that runs: say what you know of it. Unknown facts are left out of the telemetry.

    Where the call is not recorded (suppressed, or inside another recorded call), all of this does nothing.
    """

    __slots__ = ("_recording",)

    def __init__(self, recording: Recording | None) -> None:
        self._recording = recording

    @property
    def _op(self) -> Operation | None:
        recording = self._recording
        return None if recording is None or recording.ended else recording.op

    @_guard.guarded
    def usage(
        self,
        input: int | None = None,  # noqa: A002 - as in `Usage`
        output: int | None = None,
        *,
        cache_read: int | None = None,
        cache_write: int | None = None,
        reasoning: int | None = None,
    ) -> None:
        """Tokens as billed: `input` with those of a prompt cache, `output` with those of reasoning."""
        op = self._op
        if op is not None:
            op.usage = Usage(input, output, cache_read, cache_write, reasoning)

    @_guard.guarded
    def chunk(self, data: str | bytes | object = None) -> None:
        """A chunk of a stream has come; its size is that of a text (in UTF-8) or of bytes, else 0."""
        recording = self._recording
        if recording is not None and not recording.ended:
            _streams(recording)
            recording.chunk(data)

    @_guard.guarded
    def retry(self, delay: float, *, status: int | None = None, error: str | None = None) -> None:
        """An attempt has failed; the next one comes after `delay` seconds.

        `status` is the HTTP status if there was an answer, `error` a code or the name of an exception class.
        """
        recording, op = self._recording, self._op
        if recording is None or op is None:
            return
        now = perf_counter()
        attempt = Attempt(len(op.attempts) + 1, status, now - recording.sent, float(delay), error)
        recording.sent = now + attempt.wait
        recording.recorder.retried(recording, attempt)

    @_guard.guarded
    def response(
        self,
        *,
        model: str | None = None,
        id: str | None = None,  # noqa: A002 - what it is
        finish_reasons: Sequence[str] = (),
        tool_calls: Sequence[str] = (),
    ) -> None:
        """What the answer says: the model that gave it, its id, why it ended, the names of tools to call."""
        op = self._op
        if op is not None:
            op.response_model = model or op.response_model
            op.response_id = id or op.response_id
            op.finish_reasons = tuple(finish_reasons) or op.finish_reasons
            op.tool_calls = tuple(tool_calls) or op.tool_calls

    @_guard.guarded
    def cost(self, amount: Decimal | int | str) -> None:
        """What the provider says the call cost, in US dollars: a finite amount, not negative."""
        op = self._op
        if op is not None:
            op.cost = dollars(amount)
            op.server = op.server or Server()
            op.server.cost = op.cost

    @_guard.guarded
    def attributes(self, **attributes: Any) -> None:
        """Attributes of your own for the span."""
        op = self._op
        if op is not None:
            op.attributes = {**(op.attributes or {}), **attributes}


class _Run:
    """A tracked call as the `_around.Scope` of one run."""

    __slots__ = ("_read", "_recording", "call")

    def __init__(
        self, recording: Recording | None, read: Callable[[TrackedCall, Any], object] | None
    ) -> None:
        self._recording = recording
        self._read = read
        self.call = TrackedCall(recording)

    @_guard.guarded
    def enter(self) -> None:
        if self._recording is not None:
            self._recording.enter()

    @_guard.guarded
    def leave(self, error: BaseException | None = None) -> None:
        if self._recording is not None:
            self._recording.leave(error)

    def item(self, value: Any) -> None:
        self.call.chunk(value)

    @_guard.guarded
    def result(self, value: Any) -> None:
        if self._read is not None and self._recording is not None:
            self._read(self.call, value)

    @_guard.guarded
    def end(self, error: BaseException | None) -> None:
        recording = self._recording
        if recording is None:
            return
        if error is None:
            recording.end(Outcome.COMPLETED)
        elif isinstance(error, GeneratorExit):
            _recording.bury(recording)  # perhaps a finaliser closes the generator: that must not record
        else:
            recording.fail(error)


def _streams(recording: Recording) -> None:
    if recording.op.stream_stats is None:
        recording.stream(_Sizes())


class Tracker(Block[TrackedCall]):
    """What `track` returns: a `with` or `async with` block, good for one use, or a decorator."""

    __slots__ = ("_facts", "_read", "_stream")

    def __init__(
        self, facts: dict[str, Any], *, stream: bool, read: Callable[[TrackedCall, Any], object] | None
    ) -> None:
        super().__init__()
        self._facts = facts
        self._stream = stream
        self._read = read

    @_guard.guarded
    def _begin(self) -> Recording | None:
        context = _recording.free()
        if context is None:
            return None
        op = Operation(**self._facts, stream=self._stream)
        op.parameters = dict(op.parameters)
        recording = active().start(op, None, context)
        if recording is not None:
            recording.sent = op.started
            if self._stream:
                _streams(recording)
        return recording

    def _open(self) -> tuple[Scope, TrackedCall]:
        run = _Run(self._begin(), self._read)
        return run, run.call

    def __call__(self, fn: _F) -> _F:
        return around(fn, lambda _args, _kwargs: self._open()[0])


def track(
    provider: str,
    model: str | None = None,
    operation: str = "chat",
    *,
    stream: bool = False,
    endpoint: str = "",
    server_address: str | None = None,
    server_port: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    read: Callable[[TrackedCall, Any], object] | None = None,
) -> Tracker:
    """Record a call that no instrumented SDK makes: the same span, metrics and hooks as for one that does.

        with otel_llm.track("acme", "m1") as call:
            answer = post(...)
            call.usage(answer["in"], answer["out"])

    Also `async with`, and a decorator of functions, coroutines and generators (each item is a chunk).

    provider    `gen_ai.provider.name`
    operation   `gen_ai.operation.name`: `chat`, `embeddings`, `text_completion`, or a word of your own
    stream      the call streams: say so for progress reports from its start
    endpoint    the API path, for the live view
    parameters  request parameters by plain name: `temperature`, `max_tokens`, ...
    read        for decorators: called with the call and what the function returned, to tell what it knows
    """
    facts = {
        "provider": provider,
        "name": operation,
        "endpoint": endpoint,
        "request_model": model,
        "server_address": server_address,
        "server_port": server_port,
        "parameters": parameters or {},
    }
    return Tracker(facts, stream=stream, read=read)
