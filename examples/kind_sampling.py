"""Sampling by kind of call: no span of what goes well, every span of what fails, all metrics."""

from __future__ import annotations

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_llm
from otel_llm.sampling import KindSampler
from otel_llm.testing import FakeProvider, Reply

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
sampler = KindSampler(request=0.0, streaming=0.0, error=1.0)
tracer_provider = TracerProvider(sampler=sampler)
tracer_provider.add_span_processor(sampler.processor(SimpleSpanProcessor(exporter)))
otel_llm.LLMInstrumentor().instrument(tracer_provider=tracer_provider, meter_provider=MeterProvider([reader]))

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
    server.script(*[Reply()] * 9, Reply.error(500))
    for _ in range(10):
        try:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        except openai.InternalServerError:
            pass

print([(span.name, span.status.status_code.name) for span in exporter.get_finished_spans()])
data = reader.get_metrics_data()
assert data is not None
for metric in data.resource_metrics[0].scope_metrics[0].metrics:
    if metric.name == "gen_ai.client.operation.duration":
        print(metric.name, sum(point.count for point in metric.data.data_points))

# Prints:
# [('chat gpt-4o', 'ERROR')]
# gen_ai.client.operation.duration 10
