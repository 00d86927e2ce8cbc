"""What the conventions' parameters, usage and instruments come to, with real instruments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import metrics as metrics_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_llm import semconv
from otel_llm._attributes import SpanAttributes
from otel_llm._operation import ErrorInfo, Operation, StreamStats, Usage
from otel_llm.semconv import names, own, v1_41
from support.conformance import tables, violations

SETTINGS = ("1.41", "latest", "both")

# Attributes of requests and usage.


def call(**fields: Any) -> Operation:
    return Operation(
        **{"provider": "openai", "name": "chat", "endpoint": "/v1/x", "api": "responses"} | fields
    )


PARAMETERS = {
    "temperature": 0.5, "top_p": 1.0, "top_k": 40, "max_tokens": 10, "frequency_penalty": 0.1, "presence_penalty": 0.2,
    "seed": 7, "stop_sequences": ["a"], "choice_count": 2, "output_type": "json", "reasoning_level": "low",
    "previous_response_id": "resp_1", "encoding_formats": ["float"], "dimension_count": 8, "service_tier": "flex",
    "max_retries": 2, "stream_cursor": "4", "response_status": "completed", "made_up": 1,
}  # fmt: skip
SAME = {
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 1.0,
    "gen_ai.request.max_tokens": 10,
    "gen_ai.request.frequency_penalty": 0.1,
    "gen_ai.request.presence_penalty": 0.2,
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ["a"],
    "gen_ai.request.choice.count": 2,
    "gen_ai.output.type": "json",
    "gen_ai.request.encoding_formats": ["float"],
    "gen_ai.embeddings.dimension.count": 8,
    "openai.request.service_tier": "flex",
    "otel_llm.request.max_retries": 2,
}
RELEASED = {
    "gen_ai.request.top_k": 40.0,
    "otel_llm.request.reasoning.level": "low",
    "otel_llm.request.previous_response.id": "resp_1",
    "otel_llm.request.stream_cursor": "4",
    "otel_llm.response.status": "completed",
}
UNRELEASED = {
    "gen_ai.request.reasoning.level": "low",
    "gen_ai.request.previous_response.id": "resp_1",
    "gen_ai.request.stream_cursor": "4",
    "gen_ai.response.status": "completed",
}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("1.41", {**SAME, **RELEASED}),
        ("latest", {**SAME, **UNRELEASED, "gen_ai.request.top_k": 40}),
        ("both", {**SAME, **RELEASED, **UNRELEASED}),
    ],
)
def test_parameters(setting: str, expected: dict[str, Any]) -> None:
    attributes: dict[str, Any] = {}
    for convention in semconv.chosen(setting):
        convention.fill_request(call(parameters=PARAMETERS), attributes)
    assert attributes == expected
    assert type(attributes["gen_ai.request.top_k"]) is type(expected["gen_ai.request.top_k"])


def test_a_service_tier_elsewhere_is_not_openais() -> None:
    attributes: dict[str, Any] = {}
    v1_41.CONVENTION.fill_request(call(api=None, parameters={"service_tier": "flex"}), attributes)
    assert attributes == {"otel_llm.request.service_tier": "flex"}


FULL = Usage(100, 20, 40, 30, 5, {"text.input": 60, "image.input": 25, "text.cache_read": 10}, 10, 20)


def _usage_of(setting: str, usage: Usage | None) -> dict[str, Any]:
    attributes = SpanAttributes(semconv.chosen(setting)).of(call(usage=usage))
    return {name: value for name, value in attributes.items() if ".usage." in name and "source" not in name}


@pytest.mark.parametrize(
    ("setting", "cache", "modalities"),
    [
        ("1.41", ["gen_ai.usage.cache_creation.input_tokens"], ["otel_llm.usage"]),
        ("latest", ["gen_ai.usage.cache_write.input_tokens"], ["gen_ai.usage"]),
        (
            "both",
            ["gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens"],
            ["otel_llm.usage", "gen_ai.usage"],
        ),
    ],
)
def test_usage(setting: str, cache: list[str], modalities: list[str]) -> None:
    attributes = _usage_of(setting, FULL)
    expected = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "otel_llm.usage.cache_write_5m.input_tokens": 10,
        "otel_llm.usage.cache_write_1h.input_tokens": 20,
        **dict.fromkeys(cache, 30),
    }
    for prefix in modalities:
        expected |= {f"{prefix}.text.input_tokens": 60, f"{prefix}.image.input_tokens": 25}
        expected[f"{prefix}.text.cache_read.input_tokens"] = 10
    assert attributes == expected


@pytest.mark.parametrize("usage", [None, Usage(source="absent"), Usage(modalities={"video.input": 3})])
def test_absent_usage_is_absent(usage: Usage | None) -> None:
    assert _usage_of("both", usage) == {}


def test_a_count_of_zero_is_an_attribute() -> None:
    assert _usage_of("1.41", Usage(input=3, output=0)) == {
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 0,
    }


# What the instruments record.


class Meter:
    """Real instruments of a setting, and their points."""

    def __init__(self, setting: str, kinds: frozenset[str] = semconv.GROUPS) -> None:
        self.reader = InMemoryMetricReader()
        self.conventions = semconv.chosen(setting)
        meter = MeterProvider([self.reader]).get_meter("otel_llm", schema_url=self.conventions[0].schema_url)
        self.metrics = tuple(each.metrics(meter, kinds=kinds) for each in self.conventions)
        self.setting = setting

    def end(self, op: Operation, **extra: Any) -> None:
        shared = {name: value for name, value in LABELS.items() if name != names.OUTCOME}
        shared[names.OPERATION_NAME] = op.name
        ended = {**shared, names.OUTCOME: "completed", **extra}
        before = dict(shared), dict(ended)
        for each in self.metrics:
            each.end(op, ended, shared, otel_context.Context())
        assert (shared, ended) == before

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """By metric: the attributes beyond the shared ones, and the value (of a histogram: sum and count)."""
        data = self.reader.get_metrics_data()
        assert violations(metrics=data, setting=self.setting) == []
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            for point in metric.data.data_points:
                extra = {name: value for name, value in point.attributes.items() if name not in LABELS}
                value = point.value if hasattr(point, "value") else (point.sum, point.count)
                found.setdefault(metric.name, []).append((extra, value))
        return found


LABELS = {names.OPERATION_NAME: "chat", names.PROVIDER_NAME: "openai", names.OUTCOME: "completed"}
INPUT, OUTPUT = {"gen_ai.token.type": "input"}, {"gen_ai.token.type": "output"}


def test_metrics_of_1_41() -> None:
    meter = Meter("1.41")
    meter.end(call(duration=2.0, usage=FULL, stream_stats=StreamStats(first_chunk=0.5)))
    meter.end(call(name="embeddings", duration=1.0, usage=Usage(input=7)))
    assert meter.points() == {
        "gen_ai.client.operation.duration": [({}, (2.0, 1)), ({}, (1.0, 1))],
        "gen_ai.client.token.usage": [(INPUT, (100, 1)), (OUTPUT, (20, 1)), (INPUT, (7, 1))],
        "gen_ai.client.operation.time_to_first_chunk": [({}, (0.5, 1))],
    }


def modality(kind: str) -> dict[str, str]:
    return {"gen_ai.token.modality": kind}


USAGE = "gen_ai.client.inference.usage"
LATEST = {
    "gen_ai.client.inference.duration": [({}, (2.0, 1))],
    "gen_ai.client.inference.time_to_first_chunk": [({}, (0.5, 1))],
    "gen_ai.client.inference.operation.input_tokens": [({}, (100, 1))],
    "gen_ai.client.inference.operation.output_tokens": [({}, (20, 1))],
    f"{USAGE}.input_tokens": [(modality("text"), 60), (modality("image"), 25), (modality("unknown"), 15)],
    f"{USAGE}.output_tokens": [(modality("unknown"), 20)],
    f"{USAGE}.cache_read.input_tokens": [(modality("text"), 10), (modality("unknown"), 30)],
    f"{USAGE}.cache_write.input_tokens": [(modality("unknown"), 30)],
    f"{USAGE}.reasoning.output_tokens": [(modality("unknown"), 5)],
}


def test_metrics_of_latest() -> None:
    meter = Meter("latest")
    meter.end(call(duration=2.0, usage=FULL, stream_stats=StreamStats(first_chunk=0.5)))
    meter.end(call(name="embeddings", duration=1.0, usage=Usage(input=7)))
    assert meter.points() == {**LATEST, "gen_ai.client.operation.duration": [({}, (1.0, 1))]}


def test_metrics_of_both_count_nothing_twice() -> None:
    meter = Meter("both")
    meter.end(call(duration=2.0, usage=FULL, stream_stats=StreamStats(first_chunk=0.5)))
    meter.end(call(name="embeddings", duration=1.0, usage=Usage(input=7)))
    assert meter.points() == {
        **LATEST,
        "gen_ai.client.operation.duration": [({}, (2.0, 1)), ({}, (1.0, 1))],
        "gen_ai.client.token.usage": [(INPUT, (100, 1)), (OUTPUT, (20, 1)), (INPUT, (7, 1))],
        "gen_ai.client.operation.time_to_first_chunk": [({}, (0.5, 1))],
    }


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_unknown_count_is_not_recorded(setting: str) -> None:
    meter = Meter(setting)
    for usage in (None, Usage(), Usage(source="absent")):
        meter.end(call(duration=1.0, usage=usage, stream_stats=StreamStats()))
    assert {name for name in meter.points() if not name.endswith("duration")} == set()


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_count_of_zero_is_a_count(setting: str) -> None:
    meter = Meter(setting)
    meter.end(call(usage=Usage(input=3, output=0, cache_read=0)))
    points = meter.points()
    if setting != "latest":
        assert points.pop("gen_ai.client.token.usage") == [(INPUT, (3, 1)), (OUTPUT, (0, 1))]
    if setting != "1.41":
        assert points.pop("gen_ai.client.inference.operation.input_tokens") == [({}, (3, 1))]
        assert points.pop("gen_ai.client.inference.operation.output_tokens") == [({}, (0, 1))]
        assert points.pop(f"{USAGE}.input_tokens") == [
            (modality("unknown"), 3)
        ]  # a counter has no use for zeros
    assert points == {}


FAILED = {names.OUTCOME: "failed", names.ERROR_TYPE: "timeout"}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_failed_call_has_its_error_on_the_duration_alone(setting: str) -> None:
    meter = Meter(setting)
    error = ErrorInfo("timeout", "X")
    meter.end(call(duration=1.0, error=error), **FAILED)
    meter.end(
        call(duration=1.0, error=error, usage=Usage(input=5), stream_stats=StreamStats(first_chunk=0.1)),
        **FAILED,
    )
    points = meter.points()
    durations = [name for name in points if name.endswith("duration")]
    assert [points.pop(name) for name in durations] == [[({names.ERROR_TYPE: "timeout"}, (2.0, 2))]] * len(
        durations
    )
    assert points
    assert all(names.ERROR_TYPE not in extra for each in points.values() for extra, _ in each)


@pytest.mark.parametrize("setting", SETTINGS)
def test_estimates_are_marked_and_never_counted(setting: str) -> None:
    meter = Meter(setting)
    meter.end(call(usage=Usage(input=5, output=2, cache_read=1, source="estimate")))
    mark = {names.USAGE_SOURCE: "estimate"}
    expected: dict[str, Any] = {}
    if setting != "latest":
        expected["gen_ai.client.token.usage"] = [({**mark, **INPUT}, (5, 1)), ({**mark, **OUTPUT}, (2, 1))]
    if setting != "1.41":
        expected["gen_ai.client.inference.operation.input_tokens"] = [(mark, (5, 1))]
        expected["gen_ai.client.inference.operation.output_tokens"] = [(mark, (2, 1))]
    assert meter.points() == expected


@pytest.mark.parametrize("setting", SETTINGS)
def test_gaps(setting: str) -> None:
    meter = Meter(setting)
    shared = {name: value for name, value in LABELS.items() if name != names.OUTCOME}
    for each in meter.metrics:
        each.gaps([0.25, 0.5], shared)
    points = meter.points()
    assert set(points) == {
        f"gen_ai.client.{scope}.time_per_output_chunk"
        for scope in {"1.41": ["operation"], "latest": ["inference"], "both": ["operation", "inference"]}[
            setting
        ]
    }
    assert all(each == [({}, (0.75, 2))] for each in points.values())


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("preset", ["off", "basic", "cost"])
def test_what_is_switched_off_is_not_made(setting: str, preset: str) -> None:
    kinds = semconv.groups(preset)
    meter = Meter(setting, kinds)
    meter.end(call(duration=2.0, usage=FULL, stream_stats=StreamStats(first_chunk=0.5)))
    meter.end(call(name="embeddings", duration=2.0))
    shared = {name: value for name, value in LABELS.items() if name != names.OUTCOME}
    for each in meter.metrics:
        each.gaps([0.1], shared)
    expected = {item.name for each in meter.conventions for item in each.instruments if item.group in kinds}
    assert set(meter.points()) == expected


counts = st.integers(min_value=0, max_value=10**6)


@given(
    total=counts, split=st.dictionaries(st.sampled_from(["text.input", "image.input", "audio.input"]), counts)
)
def test_counters_by_modality_add_up_to_the_total(total: int, split: dict[str, int]) -> None:
    meter = Meter("latest", frozenset({"tokens"}))
    meter.end(call(usage=Usage(input=total, modalities=split)))
    points = meter.points().get(f"{USAGE}.input_tokens", [])
    assert sum(value for _, value in points) == total
    if sum(split.values()) <= total:
        found = {f"{extra['gen_ai.token.modality']}.input": value for extra, value in points}
        assert {key: value for key, value in split.items() if value} == {
            key: value for key, value in found.items() if key != "unknown.input"
        }


def test_our_instruments_are_made_as_the_table_says() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("otel_llm", schema_url=v1_41.CONVENTION.schema_url)
    known = tables("1.41").points
    for item in own.INSTRUMENTS:
        value = 1 if item.type == "int" else 1.0
        labels = {name: (known[name].values or ("x",))[0] for name in item.required}
        if item.observable:
            item.create(
                meter, [lambda _, value=value, labels=labels: [metrics_api.Observation(value, labels)]]
            )
        else:
            instrument = item.create(meter)
            getattr(instrument, {"histogram": "record", "gauge": "set"}.get(item.kind, "add"))(value, labels)
    data = reader.get_metrics_data()
    assert data is not None
    made = {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert made == {item.name for item in own.INSTRUMENTS}
    assert violations(metrics=data) == []
