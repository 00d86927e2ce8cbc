"""Request and response hooks: the span, and the SDK's own objects, for what we leave out on purpose."""

from __future__ import annotations

from typing import Any

import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_llm
from otel_llm.testing import FakeProvider


def on_request(span: Any, options: Any) -> None:
    """`options` are the SDK's options of the request."""
    span.set_attribute("app.messages", len(options.json_data["messages"]))


def on_response(span: Any, response: Any) -> None:
    """`response` is what the application is about to get."""
    span.set_attribute("app.choices", len(response.choices))


exporter = InMemorySpanExporter()
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
otel_llm.LLMInstrumentor().instrument(
    tracer_provider=tracer_provider, request_hook=on_request, response_hook=on_response
)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], n=2)

for span in exporter.get_finished_spans():
    attributes = span.attributes or {}
    print(span.name, attributes["app.messages"], attributes["app.choices"])

# Prints:
# chat gpt-4o 1 2
