"""A redactor of your own: it is given each part once, and what it returns is what every copy holds."""

from __future__ import annotations

import json
from typing import Any

import anthropic
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_llm
from otel_llm import redactors
from otel_llm.testing import FakeProvider, Reply, ToolCall


def redact(part: redactors.Part) -> dict[str, Any] | None:
    """Keep what the model says, drop what it thinks, and of tools only which one was called."""
    if part["type"] == "reasoning":
        return None
    if part["type"] == "tool_call":
        return {"type": "tool_call", "name": part["name"]}
    if part.role == "user":
        part["content"] = f"{len(part['content'])} characters"
    return part


spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
otel_llm.LLMInstrumentor().instrument(tracer_provider=provider, capture_content="span_only", redact=redact)

with FakeProvider() as server:
    server.reply(
        Reply(
            text="One moment.",
            thinking="Ada again.",
            tool_calls=[ToolCall(name="find", arguments={"who": "Ada"})],
        )
    )
    client = anthropic.Anthropic(base_url=server.anthropic_url, api_key="none")
    client.messages.create(
        model="claude-test-1", max_tokens=64, messages=[{"role": "user", "content": "Where is Ada?"}]
    )

attributes = spans.get_finished_spans()[0].attributes or {}
for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
    for message in json.loads(str(attributes[name])):
        print(message["role"], json.dumps(message["parts"]))

# Prints:
# user [{"type": "text", "content": "13 characters"}]
# assistant [{"type": "text", "content": "One moment."}, {"type": "tool_call", "name": "find"}]
