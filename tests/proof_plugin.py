"""A pytest plugin that instruments both SDKs before any test of theirs runs: `-p proof_plugin`.

The SDKs' own tests assert the spans that anthropic's SDK makes itself, so those stay (`coexist`).
Everything else is on, content capture included.
"""

from __future__ import annotations


def pytest_configure() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from otel_llm.instrumentor import LLMInstrumentor

    LLMInstrumentor().instrument(
        tracer_provider=TracerProvider(shutdown_on_exit=False),
        meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
        capture_content="span_and_event",
        anthropic_native="coexist",
    )
