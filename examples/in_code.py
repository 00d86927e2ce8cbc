"""One line switches it on in a program that sets up OpenTelemetry itself. Needs the extra `otlp`."""

from __future__ import annotations

from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from otel_llm import LLMInstrumentor
from otel_llm.testing import FakeProvider, Reply

# What any program that uses OpenTelemetry has; in yours a batching processor, and an exporter of OTLP.
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(tracer_provider)

# The one line. It may stand before or after the imports of the SDKs, and after the making of clients.
LLMInstrumentor().instrument()

with FakeProvider() as server:  # stands in for the provider: without it, no base_url and a real key
    server.reply(Reply(text="Hello!"))
    client = OpenAI(base_url=server.openai_url, api_key="none")
    client.responses.create(model="gpt-4o-mini", input="Say hello")
