"""Presets of metrics, on real instruments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
)

from otel_llm import views
from otel_llm._recorder import SCOPE
from otel_llm.semconv import chosen, own

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.metrics.view import View

GOLDEN = Path(__file__).parents[1] / "golden"
VERSIONS = ["1.41", "latest", "both"]


def golden(version: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((GOLDEN / f"semconv-{version}.json").read_text())["metrics"]
    return metrics


def exported(version: str, given: list[View], meter_name: str = SCOPE) -> dict[str, Metric]:
    """What a provider with these views exports after every instrument of a version has recorded a value."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], views=given).get_meter(meter_name)

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(1)]

    made: set[str] = set()
    for item in (
        *(item for convention in chosen(version) for item in convention.instruments),
        *own.INSTRUMENTS,
    ):
        if item.name in made:
            continue
        made.add(item.name)
        instrument = item.create(meter, [observe])
        if not item.observable:
            getattr(instrument, {"histogram": "record", "gauge": "set"}.get(item.kind, "add"))(1)
    data = reader.get_metrics_data()
    return {
        metric.name: metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


TOKENS = {
    "1.41": {"gen_ai.client.token.usage"},
    "latest": {
        *(f"gen_ai.client.inference.operation.{name}_tokens" for name in ("input", "output")),
        *(
            f"gen_ai.client.inference.usage.{name}_tokens"
            for name in ("input", "output", "cache_read.input", "cache_write.input", "reasoning.output")
        ),
    },
}
DURATIONS = {
    "1.41": {"gen_ai.client.operation.duration"},
    "latest": {"gen_ai.client.operation.duration", "gen_ai.client.inference.duration"},
}
for table in (TOKENS, DURATIONS):
    table["both"] = table["1.41"] | table["latest"]


@pytest.mark.parametrize("version", VERSIONS)
def test_basic_keeps_the_durations(version: str) -> None:
    assert set(exported(version, views.basic())) == DURATIONS[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_cost_keeps_cost_and_tokens(version: str) -> None:
    assert set(exported(version, views.cost())) >= TOKENS[version] | {"otel_llm.cost", "otel_llm.last_cost"}
    assert not set(exported(version, views.cost())) & {
        *DURATIONS[version],
        "otel_llm.request.active",
        "otel_llm.errors",
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("exponential", [False, True])
def test_all_keeps_everything(version: str, exponential: bool) -> None:
    assert set(exported(version, views.all(exponential=exponential))) == set(golden(version))


@pytest.mark.parametrize("version", VERSIONS)
def test_all_has_the_buckets_of_the_conventions(version: str) -> None:
    buckets = {
        name: list(point.explicit_bounds)
        for name, metric in exported(version, views.all()).items()
        for point in metric.data.data_points
        if isinstance(point, HistogramDataPoint)
    }
    assert buckets == {
        name: item["buckets"] for name, item in golden(version).items() if item["kind"] == "histogram"
    }


def test_exponential_buckets_know_the_smallest_and_the_largest() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], views=views.all(exponential=True)).get_meter(SCOPE)
    sizes = meter.create_histogram("otel_llm.stream.chunk.size", "By")
    for size in range(1, 11):
        sizes.record(size)
    data = reader.get_metrics_data()
    assert data is not None
    [point] = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert isinstance(point, ExponentialHistogramDataPoint)
    assert (point.min, point.max, point.sum, point.count) == (1, 10, 55, 10)


@pytest.mark.parametrize("preset", [views.basic, views.cost])
def test_metrics_of_other_packages_are_left_alone(preset: Any) -> None:
    assert set(exported("1.41", preset(), meter_name="somebody.else")) == set(golden("1.41"))


def test_the_sdk_is_imported_late() -> None:
    program = "import sys; from otel_llm import views; print('opentelemetry.sdk.metrics' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "False\n"
