"""Streams, and the five ways in which one can end: the outcome says which. Needs the extra `otlp`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from otel_llm import LLMInstrumentor
from otel_llm.testing import FakeProvider, Reply


def line(span: ReadableSpan) -> str:
    """One line of a span."""
    found = span.attributes or {}
    first = found.get("gen_ai.response.time_to_first_chunk")
    return (
        f"{found['otel_llm.outcome']!s:10} chunks: {found['otel_llm.stream.chunks']}, "
        f"first after {first if isinstance(first, float) else 0:.3f} s, "
        f"output tokens: {found.get('gen_ai.usage.output_tokens', 'not told')}\n"
    )


tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
trace.set_tracer_provider(tracer_provider)
LLMInstrumentor().instrument()


def read_to_the_end(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[], stream=True, stream_options={"include_usage": True}
    )
    for _ in stream:
        pass


def leave_early(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="gpt-4o", messages=[], stream=True) as stream:
        for _ in stream:
            break


def lose_the_connection(client: openai.OpenAI) -> None:
    with suppress(openai.APIConnectionError):
        for _ in client.chat.completions.create(model="gpt-4o", messages=[], stream=True):
            pass


async def be_cancelled(client: openai.AsyncOpenAI) -> None:
    async def read() -> None:
        async for _ in await client.chat.completions.create(model="gpt-4o", messages=[], stream=True):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


def forget_it(client: openai.OpenAI) -> None:
    next(iter(client.chat.completions.create(model="gpt-4o", messages=[], stream=True)))


with FakeProvider() as server, openai.OpenAI(base_url=server.openai_url, api_key="none") as client:
    server.reply(Reply(text="one two three four five six", chunks=6, chunk_delay=0.01))
    read_to_the_end(client)
    leave_early(client)
    server.script(Reply(chunks=6, die_after=3))
    lose_the_connection(client)
    server.script(Reply(chunks=6, hang_after=2))
    asyncio.run(be_cancelled(openai.AsyncOpenAI(base_url=server.openai_url, api_key="none")))
    forget_it(client)
