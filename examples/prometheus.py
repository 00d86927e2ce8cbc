"""Metrics for Prometheus to scrape. Needs opentelemetry-exporter-prometheus.

A program needs none of this code: `OTEL_METRICS_EXPORTER=prometheus opentelemetry-instrument python app.py`.
"""

from __future__ import annotations

import openai
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

import otel_llm
from otel_llm.testing import FakeProvider, Reply

registry = CollectorRegistry()
meter_provider = MeterProvider([PrometheusMetricReader(registry=registry)])
otel_llm.LLMInstrumentor().instrument(meter_provider=meter_provider)

with FakeProvider() as server:
    server.reply(Reply(text="Hello there", chunks=3))
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    for _ in stream:
        pass

for line in generate_latest(registry).decode().splitlines():
    if "_count{" in line or "_total{" in line:
        print(line)
