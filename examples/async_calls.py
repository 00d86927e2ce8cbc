"""Calls at the same time, each below the span that was current where it was made. Needs the extra `otlp`."""

from __future__ import annotations

import asyncio

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from opentelemetry import trace

from otel_llm.testing import FakeProvider, Reply, capture

with FakeProvider() as server, capture() as telemetry:
    telemetry.instrument()  # as LLMInstrumentor().instrument(), with what is recorded kept in memory
    tracer = trace.get_tracer("example", tracer_provider=telemetry.tracer_provider)
    server.reply(Reply(chunks=4, first_delay=0.05, chunk_delay=0.01))

    async def ask(number: int) -> None:
        """One question to each provider."""
        with tracer.start_as_current_span(f"question {number}"):
            async with AsyncOpenAI(base_url=server.openai_url, api_key="none") as openai:
                await openai.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": f"{number}?"}]
                )
            async with (
                AsyncAnthropic(base_url=server.anthropic_url, api_key="none") as anthropic,
                anthropic.messages.stream(
                    model="claude-haiku-5-5",
                    max_tokens=64,
                    messages=[{"role": "user", "content": f"{number}?"}],
                ) as stream,
            ):
                async for _ in stream.text_stream:
                    pass

    async def main() -> None:
        """Three at the same time."""
        with tracer.start_as_current_span("main"):
            await asyncio.gather(*(ask(number) for number in range(3)))

    asyncio.run(main())
    print(telemetry.tree())
