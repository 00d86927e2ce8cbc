"""Telemetry captured in memory, and its snapshots."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanKind, StatusCode

from otel_llm.testing import Point, capture
from otel_llm.testing._snapshot import of_spans

if TYPE_CHECKING:
    from otel_llm.testing import Capture, FakeProvider


def test_spans_come_in_the_order_of_their_start(llm_capture: Capture) -> None:
    tracer = llm_capture.tracer_provider.get_tracer("t")
    first = tracer.start_span("first")
    second = tracer.start_span("second")
    assert [span.name for span in llm_capture.open_spans()] == ["first", "second"]
    second.end()
    assert [span.name for span in llm_capture.open_spans()] == ["first"]
    first.end()
    assert [span.name for span in llm_capture.spans()] == ["first", "second"]
    assert llm_capture.open_spans() == []
    llm_capture.clear()
    assert llm_capture.spans() == []


def test_the_tree_shows_who_called_whom(llm_capture: Capture) -> None:
    tracer = llm_capture.tracer_provider.get_tracer("t")
    with tracer.start_as_current_span("a"):
        with tracer.start_as_current_span("b"), tracer.start_as_current_span("c"):
            pass
        tracer.start_span("d").end()
    tracer.start_span("e").end()
    assert llm_capture.tree() == "a\n  b\n    c\n  d\ne"


def test_a_span_whose_parent_is_open_is_shown_at_the_left(llm_capture: Capture) -> None:
    tracer = llm_capture.tracer_provider.get_tracer("t")
    with tracer.start_as_current_span("open"):
        tracer.start_span("b").end()
        assert llm_capture.tree() == "b"
        assert llm_capture.span_snapshot()[0]["parent"] == "<not captured>"


def test_points_add_up_and_can_be_forgotten(llm_capture: Capture) -> None:
    meter = llm_capture.meter_provider.get_meter("m")
    counter, histogram = meter.create_counter("c", "{x}"), meter.create_histogram("h", "{token}")
    active, level = meter.create_up_down_counter("u"), meter.create_gauge("g")
    for amount in (1, 2):
        counter.add(amount, {"k": "a"})
        counter.add(10, {"k": "b"})
        histogram.record(amount, {"k": "a"})
        active.add(amount)
        level.set(amount)
        llm_capture.points()  # a look in between changes nothing
    points = llm_capture.points()
    assert {name: [point.attributes for point in told] for name, told in points.items()} == {
        "c": [{"k": "a"}, {"k": "b"}],
        "g": [{}],
        "h": [{"k": "a"}],
        "u": [{}],
    }
    assert points["c"][0] == Point("sum", "{x}", {"k": "a"}, value=3, scope="m")
    assert [points["c"][1].value, points["g"][0].value, points["u"][0].value] == [20, 2, 3]
    assert [points["g"][0].type, points["u"][0].type] == ["gauge", "updown"]
    (told,) = points["h"]
    assert (told.type, told.count, told.sum, told.min, told.max) == ("histogram", 2, 3, 1, 2)
    assert sum(told.buckets) == 2
    assert len(told.buckets) == len(told.bounds) + 1

    llm_capture.clear()
    histogram.record(5, {"k": "a"})
    points = llm_capture.points()
    assert "c" not in points
    assert (points["h"][0].count, points["h"][0].sum) == (1, 5)


@given(st.lists(st.lists(st.floats(0, 1e6), max_size=5), max_size=5))
def test_a_histogram_is_the_same_however_often_it_was_looked_at(rounds: list[list[float]]) -> None:
    with capture() as telemetry:
        histogram = telemetry.meter_provider.get_meter("m").create_histogram("h", "s")
        for values in rounds:
            for value in values:
                histogram.record(value)
            telemetry.points()
        told = telemetry.points().get("h", [])
    values = [value for several in rounds for value in several]
    if not values:
        assert told == []
        return
    (point,) = told
    assert (point.count, point.min, point.max) == (len(values), min(values), max(values))
    assert point.sum == pytest.approx(sum(values))
    limits = [*point.bounds, float("inf")]
    below = [sum(value <= limit for value in values) for limit in limits]
    assert [sum(point.buckets[: i + 1]) for i in range(len(limits))] == below


def test_settings_reach_the_sdk() -> None:
    with capture(
        sampler=ALWAYS_OFF,
        resource={"service.name": "shop"},
        views=[View(instrument_name="h", aggregation=ExponentialBucketHistogramAggregation())],
    ) as telemetry:
        telemetry.tracer_provider.get_tracer("t").start_span("x").end()
        assert telemetry.spans() == []
        assert telemetry.tracer_provider.resource.attributes == {"service.name": "shop"}
        telemetry.meter_provider.get_meter("m").create_histogram("h").record(3)
        (point,) = telemetry.points()["h"]
        assert (point.type, point.count, point.sum, point.bounds) == ("exponential_histogram", 1, 3, ())


def test_a_snapshot_is_the_same_in_each_run(llm_capture: Capture) -> None:
    tracer = llm_capture.tracer_provider.get_tracer("t")
    meter = llm_capture.meter_provider.get_meter("m")
    with tracer.start_as_current_span("outer") as outer:
        span = tracer.start_span("inner", kind=SpanKind.CLIENT, links=[Link(outer.get_span_context())])
        span.set_attributes({
            "server.port": 4711,
            "x.time_to_first_chunk": 0.25,
            "x.delays": [0.5, 1.5],
            "x.cost": 0.25,
            "a": ["x", "y"],
        })  # fmt: skip
        span.record_exception(ValueError("no"))
        span.set_status(StatusCode.ERROR, "broke")
        span.end()
        llm_capture.logger_provider.get_logger("l").emit(event_name="told", body="b", attributes={"k": 1})
        meter.create_histogram("took", "s").record(0.123)
        meter.create_histogram("tokens", "{token}").record(12)
        meter.create_counter("cost", "USD").add(0.5, {"k": "v"})
    llm_capture.logger_provider.get_logger("l").emit(body={"deep": 1})
    assert llm_capture.snapshot() == snapshot(
        {
            "spans": [
                {
                    "span": "span_1",
                    "parent": None,
                    "name": "outer",
                    "kind": "INTERNAL",
                    "status": "UNSET",
                    "attributes": {},
                },
                {
                    "span": "span_2",
                    "parent": "outer",
                    "name": "inner",
                    "kind": "CLIENT",
                    "status": "ERROR: broke",
                    "attributes": {
                        "a": ["x", "y"],
                        "server.port": "<port>",
                        "x.cost": 0.25,
                        "x.delays": ["<seconds>", "<seconds>"],
                        "x.time_to_first_chunk": "<seconds>",
                    },
                    "events": [
                        {
                            "name": "exception",
                            "attributes": {
                                "exception.escaped": "False",
                                "exception.message": "no",
                                "exception.stacktrace": "<stacktrace>",
                                "exception.type": "ValueError",
                            },
                        }
                    ],
                    "links": ["span_1"],
                },
            ],
            "metrics": {
                "cost": [{"type": "sum", "unit": "USD", "attributes": {"k": "v"}, "value": 0.5}],
                "tokens": [{"type": "histogram", "unit": "{token}", "attributes": {}, "count": 1, "sum": 12}],
                "took": [{"type": "histogram", "unit": "s", "attributes": {}, "count": 1}],
            },
            "logs": [
                {"event": "told", "severity": None, "body": "b", "attributes": {"k": 1}, "span": "span_1"},
                {"event": None, "severity": None, "body": {"deep": 1}, "attributes": {}, "span": None},
            ],
        }
    )


def test_times_out_of_order_fail_a_snapshot(llm_capture: Capture) -> None:
    tracer = llm_capture.tracer_provider.get_tracer("t")
    tracer.start_span("backwards", start_time=2_000).end(end_time=1_000)
    with pytest.raises(AssertionError, match="'backwards' ends before it starts"):
        llm_capture.snapshot()
    llm_capture.clear()
    late = tracer.start_span("late event", start_time=1_000)
    late.add_event("e", timestamp=3_000)
    late.end(end_time=2_000)
    with pytest.raises(AssertionError, match="'late event' has an event outside of its time"):
        llm_capture.snapshot()
    llm_capture.clear()
    with tracer.start_as_current_span("parent"):
        tracer.start_span("early", start_time=1_000).end()
    with pytest.raises(AssertionError, match="'early' starts before its parent 'parent'"):
        of_spans(llm_capture.spans())


def test_instrumenting_lasts_as_long_as_the_capture(fake_provider: FakeProvider) -> None:
    def ask() -> None:
        with openai.OpenAI(base_url=fake_provider.openai_url, api_key="k") as client:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    with capture() as telemetry:
        ask()
        assert telemetry.spans() == []
        telemetry.instrument()
        ask()
        assert telemetry.tree() == "chat gpt-4o"
        assert "gen_ai.client.operation.duration" in telemetry.points()
        with pytest.raises(RuntimeError, match="instrumented already"), capture() as other:
            other.instrument()
    ask()
    assert telemetry.tree() == "chat gpt-4o"


def test_without_the_sdk_the_error_names_the_extra() -> None:
    code = (
        "import sys, json; sys.modules['opentelemetry.sdk'] = None\n"
        "import otel_llm.testing\n"
        "try: otel_llm.testing.capture()\n"
        "except ImportError as error: print(json.dumps(str(error)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told: Any = json.loads(done.stdout)
    assert told == "otel_llm.testing.capture needs the OpenTelemetry SDK: pip install 'otel-llm[otlp]'"
