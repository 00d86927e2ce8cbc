"""A pytest plugin that instruments both SDKs before any test of theirs runs: `-p proof_plugin`.

The SDKs' own tests assert the spans that anthropic's SDK makes itself, so those stay (`coexist`).
Everything else is on, content capture included.
How many calls were recorded goes to the file that `PROOF_SPANS` names, a line per process: a run that recorded nothing
proves nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from opentelemetry.sdk.trace import SpanProcessor


class _Ended(SpanProcessor):
    count = 0

    def on_end(self, span: object) -> None:
        self.count += 1


_ended = _Ended()


def pytest_configure() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from otel_llm.instrumentor import LLMInstrumentor

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(_ended)
    LLMInstrumentor().instrument(
        tracer_provider=tracers,
        meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
        capture_content="span_and_event",
        anthropic_native="coexist",
    )


def pytest_unconfigure() -> None:
    with Path(os.environ["PROOF_SPANS"]).open("a") as told:
        told.write(f"{_ended.count}\n")
