"""Prompts and answers on spans, redacted before anything else sees them; off by default, and per call."""

from __future__ import annotations

import json

import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_llm
from otel_llm import redactors
from otel_llm.testing import FakeProvider, Reply

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
otel_llm.LLMInstrumentor().instrument(
    tracer_provider=provider,
    capture_content="span_only",
    redact=redactors.chain(redactors.pattern(r"\b\d{16}\b", "[card]"), redactors.secrets()),
)


def said() -> None:
    """Print the messages on the newest span."""
    attributes = spans.get_finished_spans()[-1].attributes or {}
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        messages = json.loads(str(attributes.get(name, "[]")))
        print(name, [part["content"] for message in messages for part in message["parts"]])


with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    server.script(Reply(text="Paid with 4111111111111111."), Reply(text="Nobody reads this."))

    client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Pay with 4111111111111111, token sk-abc123."}],
    )
    said()

    with otel_llm.options(capture_content=False):
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "In confidence"}]
        )
    said()

# Prints:
# gen_ai.input.messages ['Pay with [card], token [secret].']
# gen_ai.output.messages ['Paid with [card].']
# gen_ai.input.messages []
# gen_ai.output.messages []
