"""What the steps of recording a call cost in the OpenTelemetry SDK alone, in counts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ._count import Owners, count

if TYPE_CHECKING:
    from collections.abc import Callable


def measure() -> dict[str, list[float]]:
    """`{step: [function calls, bytecodes]}`, in a process of its own."""
    from ._process import ROOT, environment

    command = [sys.executable, "-m", "benchmarks._prices"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment("floor")
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _price(action: Callable[[], object]) -> tuple[float, float]:
    found = count(action, Owners(()), repeat=3)
    return sum(found["calls"].values()), sum(found["opcodes"].values())


def main() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import set_span_in_context

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("prices")
    meter = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("prices")
    histogram = meter.create_histogram("h")

    def span(attributes: dict[str, Any]) -> Callable[[], None]:
        def action() -> None:
            made = tracer.start_span("x")
            if attributes:
                made.set_attributes(attributes)
            made.end()

        return action

    def record(attributes: dict[str, Any], context: Any = None) -> Callable[[], None]:
        return lambda: histogram.record(0.5, attributes, context)

    def texts(number: int) -> dict[str, Any]:
        return {f"key.{index}": "value" for index in range(number)}

    within = set_span_in_context(tracer.start_span("outer"))
    found = {
        "a span without attributes": _price(span({})),
        "each attribute of a span, a text or a number": _each(span(texts(2)), span(texts(12)), 10),
        "an attribute of a span, a list of one text": _each(
            span(texts(2)), span(texts(2) | {"list": ["x"]}), 1
        ),
        "a histogram record without attributes": _price(record({})),
        "each attribute of a record": _each(record(texts(2)), record(texts(7)), 5),
        "the exemplar of a record in a sampled span": _each(record(texts(2)), record(texts(2), within), 1),
    }
    json.dump(found, sys.stdout)


def _each(less: Callable[[], None], more: Callable[[], None], by: int) -> list[float]:
    return [(b - a) / by for a, b in zip(_price(less), _price(more), strict=True)]


if __name__ == "__main__":
    main()
