"""Metrics as DogStatsD lines, read here from a UDP socket. Needs the extra `statsd`.

A program needs none of this code: `OTEL_METRICS_EXPORTER=statsd opentelemetry-instrument python app.py`.
"""

from __future__ import annotations

import socket

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import otel_llm
from otel_llm.statsd import StatsdMetricExporter
from otel_llm.testing import FakeProvider

daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
daemon.bind(("127.0.0.1", 0))
daemon.settimeout(5)

exporter = StatsdMetricExporter(host="127.0.0.1", port=daemon.getsockname()[1], prefix="shop")
meter_provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
otel_llm.LLMInstrumentor().instrument(meter_provider=meter_provider)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

meter_provider.shutdown()
print(daemon.recv(1 << 16).decode())
daemon.close()
