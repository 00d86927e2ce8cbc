"""Only some metrics: a preset by views. `OTEL_INSTRUMENTATION_LLM_METRICS=basic` does it without code."""

from __future__ import annotations

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import otel_llm
from otel_llm import views
from otel_llm.testing import FakeProvider

reader = InMemoryMetricReader()
meter_provider = MeterProvider([reader], views=views.basic())  # or views.cost(), views.all(exponential=True)
otel_llm.LLMInstrumentor().instrument(meter_provider=meter_provider)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

data = reader.get_metrics_data()
assert data is not None
for metric in data.resource_metrics[0].scope_metrics[0].metrics:
    print(metric.name, metric.unit)
