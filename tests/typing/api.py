"""The in-process API as a user writes it: checked by mypy and pyright, strict, and never run."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any, assert_type

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import Span

import otel_llm
from otel_llm import hooks
from otel_llm.helpers import Cache, CircuitBreaker, ToolRun, TrackedCall
from otel_llm.request_log import DailyUsage, RequestRecord, Stats, Summary, WindowUsage
from otel_llm.sampling import KindProcessor, KindSampler, draw


def on_stop(
    event: str, measured: hooks.CallMeasurements, call: hooks.CallMetadata, config: dict[str, str]
) -> None:
    """A handler of one event names its payloads."""
    assert_type(measured.duration, float)
    assert_type(measured.total_tokens, int | None)
    assert_type(measured.cost, Decimal | None)
    assert_type(call.finish_reasons, tuple[str, ...])
    if call.error is not None:
        assert_type(call.error.category, str)
    print(event, config["app"])


def on_any(event: str, measured: object, metadata: object, config: object) -> None:
    """A handler of all events."""
    print(event, measured, metadata, config)


class Method:
    """A bound method is a handler."""

    def handle(self, event: str, measured: Any, metadata: Any, config: None) -> int:
        """What it returns does not matter."""
        return len(event)


def attaching() -> None:
    """Hooks."""
    hooks.attach("a", "llm.chat.stop", on_stop, {"app": "x"})
    hooks.attach("b", hooks.EVENTS, on_any, background=True)
    hooks.attach("c", ["llm.chat.start"], Method().handle)
    hooks.attach_many("d", {"llm.chat.stop": on_stop, "llm.chat.start": on_any}, config={"app": "x"})
    assert_type(hooks.detach("a"), bool)
    assert_type(hooks.list("llm.chat"), list[str])
    assert_type(hooks.stats("b").dropped, int)
    assert_type(hooks.flush(timeout=0.5), bool)
    hooks.execute("llm.cache.hit", hooks.CacheMeasurements(1, None), hooks.CacheMetadata("c"))
    with hooks.span("myapp.step", size=1):
        pass


def progress(report: hooks.StreamReport) -> None:
    """A callback."""
    assert_type(report.bytes_per_second, float)
    assert_type(report.raw_chunks, tuple[bytes, ...] | None)
    if report.last_error is not None:
        assert_type(report.last_error.message, str | None)


def switching() -> None:
    """Settings of single calls, sessions, the log."""
    with otel_llm.options(
        enabled=False, capture_content="span_only", on_progress=progress, progress_interval=0.5
    ):
        pass
    with otel_llm.options(capture_content=True, capture_raw_chunks=True, max_raw_bytes=1000) as options:
        assert_type(options.enabled, bool | None)
    with otel_llm.session("c1", user_id="ada", tenant="t1", **{"app.step": 3}) as session:
        assert_type(session.conversation_id, str | None)
    otel_llm.logger.attach("info")
    otel_llm.logger.attach(logging.DEBUG)
    otel_llm.logger.detach()


def logging_calls() -> None:
    """The request log."""
    with otel_llm.RequestLog(max_size=100, ttl=60.0) as log:
        assert_type(log, otel_llm.RequestLog)
        assert_type(log.query(start=1.0, provider="openai", limit=3), list[RequestRecord])
        assert_type(log.summary(window=60), Summary)
        assert_type(log.percentile("duration", 95), float | None)
        assert_type(log.usage(60, "openai"), WindowUsage)
        assert_type(log.daily(date="2026-11-20"), list[DailyUsage])
        assert_type(log.stats(), Stats)
        assert_type(log.query()[0].to_dict(), dict[str, Any])
        assert_type(log.to_csv(model="gpt-4o"), str)


def sampling() -> None:
    """Sampling by kind."""
    sampler = KindSampler(request=0.5, streaming=0.1, error=1)
    provider = TracerProvider(sampler=sampler)
    processor = sampler.processor(BatchSpanProcessor(ConsoleSpanExporter()))
    assert_type(processor, KindProcessor)
    provider.add_span_processor(processor)
    assert_type(draw(1), float)


def read(call: TrackedCall, answer: str) -> None:
    """For decorators."""
    call.usage(len(answer), 1, cache_read=1)


@otel_llm.track("acme", "m1", read=read)
def ask(question: str, *, loud: bool = False) -> str:
    """A function keeps its signature."""
    return question


@otel_llm.track("acme", "m1")
async def ask_later(question: str) -> int:
    """A coroutine too."""
    return len(question)


@otel_llm.track("acme", "m1", "chat", stream=True)
def stream(count: int) -> Iterator[str]:
    """A generator too."""
    yield "x" * count


@otel_llm.traced
def step(number: int) -> str:
    """Bare."""
    return str(number)


@otel_llm.traced("later", size=1)
async def later() -> AsyncIterator[int]:
    """With a name."""
    yield 1


@otel_llm.tool
def get_weather(city: str) -> dict[str, int]:
    """Bare."""
    return {city: 1}


@otel_llm.tool("look_up", description="Look up", type="datastore")
def look_up(key: int) -> str:
    """With a name."""
    return str(key)


async def helping() -> None:
    """Decorated functions keep their types; blocks give what they give."""
    assert_type(ask("q", loud=True), str)
    assert_type(await ask_later("q"), int)
    assert_type(stream(2), Iterator[str])
    assert_type(step(1), str)
    assert_type(later(), AsyncIterator[int])
    assert_type(get_weather("Bern"), dict[str, int])
    assert_type(look_up(1), str)
    with otel_llm.track("acme", "m1", parameters={"temperature": 0.5}) as call:
        assert_type(call, TrackedCall)
        call.chunk(b"x")
        call.retry(0.5, status=429)
        call.response(model="m", id="r", finish_reasons=["stop"], tool_calls=("f",))
        call.cost(Decimal("0.1"))
        call.attributes(tenant="t")
    async with otel_llm.track("acme") as call:
        assert_type(call, TrackedCall)
    with otel_llm.traced("step") as span:
        assert_type(span, Span)
    async with otel_llm.tool("f", call_id="c", arguments={"x": 1}) as run:
        assert_type(run, ToolRun)
        run.result([1, 2])


def counting() -> None:
    """Caches and breakers."""
    cache = otel_llm.cache("c")
    assert_type(cache, Cache)
    cache.hit()
    cache.put(100, 2)
    breaker = otel_llm.circuit_breaker("b")
    assert_type(breaker, CircuitBreaker)
    breaker.set("open", failures=3)


def instrumenting(operation: otel_llm.Operation) -> bool:
    """Settings."""
    otel_llm.LLMInstrumentor().instrument(on_progress=progress, filters=[instrumenting])
    return operation.provider == "openai"
