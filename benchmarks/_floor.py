"""The floor: the least hand-written OpenTelemetry code that gives a call its required span and metrics.

It sets the attributes that the GenAI conventions (1.41) require or recommend for every call, records duration
and token usage, and for streams counts chunks and records the time to the first.
The records are made outside of the span's context, so without exemplars.
It leaves out what a package must have: errors, tool calls, several choices, cancelled and dropped streams,
rate limits, suppression, content.
`per_chunk` adds the histogram of the time between chunks, one record a chunk.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import context
from opentelemetry.trace import SpanKind, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))


class Floor:
    """The instruments, and what is done at a call's start and end."""

    def __init__(self, tracer_provider: Any, meter_provider: Any, *, per_chunk: bool) -> None:
        self.tracer = tracer_provider.get_tracer("floor")
        meter = meter_provider.get_meter("floor")
        make = meter.create_histogram
        name = "gen_ai.client.operation."
        self.duration = make(name + "duration", "s", explicit_bucket_boundaries_advisory=_SECONDS)
        self.first = make(name + "time_to_first_chunk", "s", explicit_bucket_boundaries_advisory=_SECONDS)
        self.gap = make(name + "time_per_output_chunk", "s", explicit_bucket_boundaries_advisory=_SECONDS)
        self.tokens = make(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self.stream = _TimedStream if per_chunk else _Stream
        self.stream_async = _TimedAsyncStream if per_chunk else _AsyncStream

    def start(self, resource: Any, kwargs: dict[str, Any], provider: str, operation: str) -> Any:
        model = kwargs["model"]
        span = self.tracer.start_span(
            operation + " " + model,
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": model,
                "server.address": resource._client.base_url.host,
            },
        )
        return span, {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }

    def end(self, span: Any, attributes: dict[str, Any], began: float, facts: tuple[Any, ...]) -> None:
        model, identifier, reason, taken, given = facts
        if span.is_recording():
            span.set_attributes(
                {"gen_ai.response.model": model, "gen_ai.usage.input_tokens": taken}
                if identifier is None
                else {
                    "gen_ai.response.model": model,
                    "gen_ai.response.id": identifier,
                    "gen_ai.response.finish_reasons": [reason],
                    "gen_ai.usage.input_tokens": taken,
                    "gen_ai.usage.output_tokens": given,
                }
            )
        attributes["gen_ai.response.model"] = model
        self.duration.record(perf_counter() - began, attributes)
        self.tokens.record(taken, {**attributes, "gen_ai.token.type": "input"})
        if given is not None:
            self.tokens.record(given, {**attributes, "gen_ai.token.type": "output"})
        span.end()


def _chat(answer: Any) -> tuple[Any, ...]:
    usage = answer.usage
    return (
        answer.model,
        answer.id,
        answer.choices[0].finish_reason,
        usage.prompt_tokens,
        usage.completion_tokens,
    )


def _message(answer: Any) -> tuple[Any, ...]:
    usage = answer.usage
    return answer.model, answer.id, answer.stop_reason, usage.input_tokens, usage.output_tokens


def _embeddings(answer: Any) -> tuple[Any, ...]:
    return answer.model, None, None, answer.usage.prompt_tokens, None


def _wrap(
    original: Callable[..., Any], floor: Floor, provider: str, operation: str, read: Any
) -> Callable[..., Any]:
    def create(self: Any, **kwargs: Any) -> Any:
        span, attributes = floor.start(self, kwargs, provider, operation)
        token = context.attach(set_span_in_context(span))
        began = perf_counter()
        try:
            answer = original(self, **kwargs)
        finally:
            context.detach(token)
        if kwargs.get("stream"):
            return floor.stream(answer, floor, span, attributes, began, provider)
        floor.end(span, attributes, began, read(answer))
        return answer

    return create


def _wrap_async(
    original: Callable[..., Any], floor: Floor, provider: str, operation: str, read: Any
) -> Callable[..., Any]:
    async def create(self: Any, **kwargs: Any) -> Any:
        span, attributes = floor.start(self, kwargs, provider, operation)
        token = context.attach(set_span_in_context(span))
        began = perf_counter()
        try:
            answer = await original(self, **kwargs)
        finally:
            context.detach(token)
        if kwargs.get("stream"):
            return floor.stream_async(answer, floor, span, attributes, began, provider)
        floor.end(span, attributes, began, read(answer))
        return answer

    return create


class _Base:
    """A stream that counts its chunks and keeps its first and its last two, where the facts are."""

    __slots__ = (
        "attributes",
        "before",
        "began",
        "chunks",
        "first",
        "floor",
        "inner",
        "last",
        "newest",
        "provider",
        "span",
    )

    def __init__(  # noqa: PLR0917
        self, inner: Any, floor: Floor, span: Any, attributes: Any, began: float, provider: str
    ) -> None:
        self.inner = inner
        self.floor = floor
        self.span = span
        self.attributes = attributes
        self.began = self.newest = began
        self.provider = provider
        self.chunks = 0
        self.first = self.before = self.last = None

    def close(self) -> Any:
        return self.inner.close()

    def finish(self) -> None:
        if self.provider == "openai":
            usage = self.last.usage
            reason, taken, given = (
                self.before.choices[0].finish_reason,
                usage.prompt_tokens,
                usage.completion_tokens,
            )
            head = self.first
        else:
            head = self.first.message
            delta = self.before
            reason, taken, given = delta.delta.stop_reason, head.usage.input_tokens, delta.usage.output_tokens
        self.floor.end(self.span, self.attributes, self.began, (head.model, head.id, reason, taken, given))

    def begin(self, chunk: Any) -> None:
        self.first = chunk
        self.floor.first.record(self.newest - self.began, self.attributes)


class _Stream(_Base):
    __slots__ = ()

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            chunk = self.inner.__next__()
        except StopIteration:
            self.finish()
            raise
        self.newest = perf_counter()
        self.before, self.last = self.last, chunk
        self.chunks += 1
        if self.chunks == 1:
            self.begin(chunk)
        return chunk


class _AsyncStream(_Base):
    __slots__ = ()

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self.inner.__anext__()
        except StopAsyncIteration:
            self.finish()
            raise
        self.newest = perf_counter()
        self.before, self.last = self.last, chunk
        self.chunks += 1
        if self.chunks == 1:
            self.begin(chunk)
        return chunk


class _TimedStream(_Stream):
    __slots__ = ()

    def __next__(self) -> Any:
        try:
            chunk = self.inner.__next__()
        except StopIteration:
            self.finish()
            raise
        now = perf_counter()
        self.before, self.last = self.last, chunk
        self.chunks += 1
        if self.chunks == 1:
            self.newest = now
            self.begin(chunk)
        else:
            self.floor.gap.record(now - self.newest, self.attributes)
            self.newest = now
        return chunk


class _TimedAsyncStream(_AsyncStream):
    __slots__ = ()

    async def __anext__(self) -> Any:
        try:
            chunk = await self.inner.__anext__()
        except StopAsyncIteration:
            self.finish()
            raise
        now = perf_counter()
        self.before, self.last = self.last, chunk
        self.chunks += 1
        if self.chunks == 1:
            self.newest = now
            self.begin(chunk)
        else:
            self.floor.gap.record(now - self.newest, self.attributes)
            self.newest = now
        return chunk


def instrument(tracer_provider: Any, meter_provider: Any, *, per_chunk: bool = False) -> Callable[[], None]:
    """Patch the `create` methods; returns what puts the originals back."""
    from anthropic.resources.messages import AsyncMessages, Messages
    from openai.resources.chat.completions import AsyncCompletions, Completions
    from openai.resources.embeddings import AsyncEmbeddings, Embeddings

    floor = Floor(tracer_provider, meter_provider, per_chunk=per_chunk)
    table: tuple[tuple[Any, Any, str, str, Any], ...] = (
        (Completions, _wrap, "openai", "chat", _chat),
        (AsyncCompletions, _wrap_async, "openai", "chat", _chat),
        (Embeddings, _wrap, "openai", "embeddings", _embeddings),
        (AsyncEmbeddings, _wrap_async, "openai", "embeddings", _embeddings),
        (Messages, _wrap, "anthropic", "chat", _message),
        (AsyncMessages, _wrap_async, "anthropic", "chat", _message),
    )
    originals = [(owner, owner.create) for owner, *_ in table]
    for owner, wrap, provider, operation, read in table:
        owner.create = wrap(owner.create, floor, provider, operation, read)

    def off() -> None:
        for owner, original in originals:
            owner.create = original

    return off
