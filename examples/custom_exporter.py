"""A metric backend of your own: twenty lines that write a line per point."""

from __future__ import annotations

import sys
from typing import Any

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

import otel_llm
from otel_llm.testing import FakeProvider


class Lines(MetricExporter):
    """Writes name, attributes and value or count."""

    def export(self, metrics_data: MetricsData, *_: Any, **__: Any) -> MetricExportResult:
        """Write what there is."""
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        value = getattr(point, "value", None) or getattr(point, "count", 0)
                        sys.stdout.write(f"{metric.name} {dict(point.attributes or {})} {value}\n")
        return MetricExportResult.SUCCESS

    def force_flush(self, *_: Any) -> bool:
        """Nothing is held back."""
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Nothing is held open."""


meter_provider = MeterProvider([PeriodicExportingMetricReader(Lines())])
otel_llm.LLMInstrumentor().instrument(meter_provider=meter_provider)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

meter_provider.shutdown()
