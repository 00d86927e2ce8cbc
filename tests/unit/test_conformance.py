"""The checker of the tests finds each kind of violation: a good span, point or event, and one change to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from otel_llm.semconv import names, own, v1_41
from support.conformance import tables, violations

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

RELEASED = "https://opentelemetry.io/schemas/1.41.0"
ERROR = Status(StatusCode.ERROR, "RateLimitError 429")
GONE: Any = object()

GOOD: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "server.address": "api.openai.com",
    "server.port": 443,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 100,
    "gen_ai.request.stream": True,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.output.type": "json",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_creation.input_tokens": 40,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "otel_llm.usage.text.input_tokens": 80,
    "otel_llm.usage.image.input_tokens": 10,
    "otel_llm.usage.cache_write_5m.input_tokens": 30,
    "otel_llm.usage.cache_write_1h.input_tokens": 10,
    "otel_llm.usage.source": "provider",
    "openai.api.type": "chat_completions",
    "otel_llm.outcome": "completed",
    "otel_llm.stream.chunks": 7,
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]),
}
FAILURE = {
    "otel_llm.outcome": "failed",
    "error.type": "rate_limit_exceeded",
    "otel_llm.error.category": "rate_limit",
}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.type": "function"}


def changed(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (good | changes).items() if value is not GONE}


def span(
    attributes: dict[str, Any],
    *,
    name: str = "chat gpt-4o",
    kind: SpanKind = SpanKind.CLIENT,
    status: Status | None = None,
    schema: str | None = RELEASED,
    scope: str = "otel_llm",
    duration: int = 1_000_000_000,
    exception: bool = False,
) -> ReadableSpan:
    """A real span of the SDK."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = provider.get_tracer(scope, schema_url=schema).start_span(name, kind=kind, start_time=5_000_000_000)
    made.set_attributes(attributes)
    if exception:
        made.add_event("exception", {"exception.type": "X"})
    if status is not None:
        made.set_status(status)
    made.end(5_000_000_000 + duration)
    (finished,) = exporter.get_finished_spans()
    return finished


def problems(finished: ReadableSpan, **options: Any) -> list[str]:
    return violations(spans=[finished], **options)


def test_a_good_span_has_no_violations() -> None:
    assert problems(span(GOOD)) == []


def test_a_good_failed_span_has_no_violations() -> None:
    assert problems(span(changed(GOOD, FAILURE), status=ERROR)) == []


def test_a_good_tool_span_has_no_violations() -> None:
    assert problems(span(TOOL, name="execute_tool search", kind=SpanKind.INTERNAL)) == []


@pytest.mark.parametrize("outcome", ["cancelled", "closed", "abandoned"])
def test_an_outcome_that_is_no_error(outcome: str) -> None:
    assert problems(span(changed(GOOD, {"otel_llm.outcome": outcome}))) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gen_ai.request.colour": "red"}, "unknown attribute gen_ai.request.colour"),
        (
            {"gen_ai.usage.cache_write.input_tokens": 40},
            "unknown attribute gen_ai.usage.cache_write.input_tokens",
        ),
        ({"gen_ai.request.temperature": 1}, "gen_ai.request.temperature is no double: 1"),
        ({"gen_ai.request.top_k": 40}, "gen_ai.request.top_k is no double: 40"),
        ({"gen_ai.request.max_tokens": 1.0}, "gen_ai.request.max_tokens is no int: 1.0"),
        ({"gen_ai.request.max_tokens": True}, "gen_ai.request.max_tokens is no int: True"),
        ({"gen_ai.request.seed": 2**63}, f"gen_ai.request.seed is no int: {2**63}"),
        ({"gen_ai.response.id": 7}, "gen_ai.response.id is no string: 7"),
        ({"gen_ai.request.stream": "true"}, "gen_ai.request.stream is no boolean: 'true'"),
        ({"gen_ai.request.stop_sequences": "END"}, "gen_ai.request.stop_sequences is no string[]: 'END'"),
        ({"gen_ai.response.finish_reasons": (1,)}, "gen_ai.response.finish_reasons is no string[]: (1,)"),
        ({"otel_llm.attempt.statuses": (1.5,)}, "otel_llm.attempt.statuses is no int[]: (1.5,)"),
        ({"otel_llm.attempt.delays": (1,)}, "otel_llm.attempt.delays is no double[]: (1,)"),
        ({"gen_ai.input.messages": "Hi"}, "gen_ai.input.messages is no any: 'Hi'"),
        ({"gen_ai.response.id": ""}, "gen_ai.response.id is empty"),
        ({"gen_ai.response.finish_reasons": ()}, "gen_ai.response.finish_reasons is empty"),
        ({"gen_ai.output.type": "json_object"}, "gen_ai.output.type has none of its values: 'json_object'"),
        ({"otel_llm.outcome": "done"}, "otel_llm.outcome has none of its values: 'done'"),
        ({"otel_llm.error.category": "bad"}, "otel_llm.error.category has none of its values: 'bad'"),
        ({"gen_ai.operation.name": GONE}, "missing gen_ai.operation.name (required)"),
        ({"gen_ai.provider.name": GONE, "openai.api.type": GONE}, "missing gen_ai.provider.name (required)"),
        ({"otel_llm.outcome": GONE}, "missing otel_llm.outcome (required)"),
        ({"server.port": GONE}, "missing server.port beside server.address"),
        ({"server.address": GONE}, "server.port without server.address"),
        ({"gen_ai.request.stream": GONE}, "missing gen_ai.request.stream on a stream"),
        ({"gen_ai.request.stream": False}, "gen_ai.request.stream is false instead of absent"),
        ({"gen_ai.request.choice.count": 1}, "gen_ai.request.choice.count is 1 instead of absent"),
        ({"openai.request.service_tier": "auto"}, "openai.request.service_tier is auto instead of absent"),
        ({"gen_ai.provider.name": "groq"}, "openai.api.type on a call to groq"),
        ({"gen_ai.request.model": "gpt-5"}, "name is not 'chat gpt-5'"),
        ({"gen_ai.request.model": GONE}, "name is not 'chat'"),
        ({"error.type": "timeout"}, "error.type without the error status"),
        ({"otel_llm.outcome": "failed"}, "outcome failed with status UNSET"),
        ({"gen_ai.usage.input_tokens": 99}, "cache_read + cache_write tokens are more than input tokens"),
        ({"gen_ai.usage.output_tokens": 19}, "reasoning tokens are more than output tokens"),
        ({"gen_ai.usage.output_tokens": GONE}, "reasoning tokens are more than output tokens"),
        (
            {"otel_llm.usage.cache_write_1h.input_tokens": 11},
            "cache_write_5m + cache_write_1h tokens are more than cache_write tokens",
        ),
        ({"otel_llm.usage.image.input_tokens": 21}, "input tokens by modality are more than input tokens"),
        ({"otel_llm.usage.audio.output_tokens": 21}, "output tokens by modality are more than output tokens"),
        (
            {"otel_llm.usage.text.cache_read.input_tokens": 61},
            "cache_read tokens by modality are more than cache_read tokens",
        ),
        ({"otel_llm.usage.source": "absent"}, "token counts whose source is absent"),
        (
            {"gen_ai.response.time_to_first_chunk": 1.5},
            "gen_ai.response.time_to_first_chunk is outside the span",
        ),
        (
            {"gen_ai.response.time_to_first_chunk": -0.1},
            "gen_ai.response.time_to_first_chunk is outside the span",
        ),
    ],
)
def test_one_wrong_attribute(changes: dict[str, Any], expected: str) -> None:
    assert problems(span(changed(GOOD, changes))) == [f"span 'chat gpt-4o': {expected}"]


def test_a_negative_count() -> None:
    found = problems(span(changed(GOOD, {"gen_ai.usage.reasoning.output_tokens": -1})))
    assert found == ["span 'chat gpt-4o': the count of reasoning tokens is negative"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": SpanKind.INTERNAL}, "kind INTERNAL instead of CLIENT"),
        ({"status": Status(StatusCode.OK)}, "status OK is the application's to set"),
        ({"schema": None}, f"schema URL None instead of {RELEASED!r}"),
        ({"duration": -1}, "does not end after its start"),
        ({"exception": True}, "an exception is a log event, not a span event"),
    ],
)
def test_one_wrong_thing_about_the_span(options: dict[str, Any], expected: str) -> None:
    assert problems(span(GOOD, **options)) == [f"span 'chat gpt-4o': {expected}"]


def test_a_wrong_name() -> None:
    assert problems(span(GOOD, name="gpt-4o chat")) == ["span 'gpt-4o chat': name is not 'chat gpt-4o'"]


def test_an_error_without_its_type() -> None:
    found = problems(span(changed(GOOD, {"otel_llm.outcome": "failed"}), status=ERROR))
    assert found == ["span 'chat gpt-4o': missing error.type on an error"]


def test_an_error_status_on_a_call_that_did_not_fail() -> None:
    found = problems(span(changed(GOOD, {"error.type": "x", "otel_llm.outcome": "cancelled"}), status=ERROR))
    assert found == ["span 'chat gpt-4o': outcome cancelled with status ERROR"]


def test_a_tool_span_is_held_against_its_own_form() -> None:
    found = problems(span(TOOL | {"gen_ai.request.model": "m"}, name="execute_tool m"))
    assert [text.partition(": ")[2] for text in found] == [
        "name is not 'execute_tool search'",
        "kind CLIENT instead of INTERNAL",
        "unknown attribute gen_ai.request.model",
    ]


def test_the_application_may_set_attributes_of_its_own() -> None:
    finished = span(GOOD | {"tenant": "blue"})
    assert problems(finished, extra={"tenant"}) == []
    assert problems(finished) == ["span 'chat gpt-4o': unknown attribute tenant"]


def test_spans_of_others_are_not_looked_at() -> None:
    assert problems(span({"http.method": "POST"}, scope="opentelemetry.instrumentation.httpx")) == []
    assert problems(span({"http.method": "POST"}, scope="otel_llm.else")) != []


def test_a_setting_has_its_own_names() -> None:
    other = {
        name: value
        for name, value in GOOD.items()
        if not name.startswith(("otel_llm.usage.", "gen_ai.usage."))
    }
    renamed = other | {
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.cache_write.input_tokens": 4,
        "gen_ai.request.reasoning.level": "low",
    }
    finished = span(renamed, schema=None)
    assert problems(finished, setting="latest") == []
    assert problems(finished, setting="both") == []
    assert [text.partition(": ")[2] for text in problems(finished)] == [
        f"schema URL None instead of {RELEASED!r}",
        "unknown attribute gen_ai.usage.cache_write.input_tokens",
        "unknown attribute gen_ai.request.reasoning.level",
    ]


def test_two_names_of_a_count_agree() -> None:
    both = {"gen_ai.usage.cache_creation.input_tokens": 40, "gen_ai.usage.cache_write.input_tokens": 39}
    found = problems(span(GOOD | both, schema=None), setting="both")
    assert found == [
        "span 'chat gpt-4o': gen_ai.usage.cache_write.input_tokens differs from the same count under its other name"
    ]


# Metrics.

CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
ENDED = CALL | {"otel_llm.outcome": "completed"}
DURATION = v1_41.INSTRUMENTS[0]
TOKENS = v1_41.INSTRUMENTS[1]
ANSWERED = {name: value for name, value in ENDED.items() if name != "otel_llm.outcome"}


def recorded(
    instrument: Any,
    value: float,
    labels: dict[str, Any],
    *,
    schema: str | None = RELEASED,
    scope: str = "otel_llm",
) -> list[str]:
    """The violations of one point that a real instrument recorded."""
    reader = InMemoryMetricReader()
    made = instrument.create(MeterProvider([reader]).get_meter(scope, schema_url=schema))
    getattr(made, {"histogram": "record", "gauge": "set"}.get(instrument.kind, "add"))(value, labels)
    return violations(metrics=reader.get_metrics_data())


def test_good_points_have_no_violations() -> None:
    assert recorded(DURATION, 0.5, ENDED) == []
    assert recorded(TOKENS, 5, ANSWERED | {"gen_ai.token.type": "input"}) == []
    assert recorded(DURATION, 0.5, ENDED | {"otel_llm.outcome": "failed", "error.type": "timeout"}) == []
    assert recorded(DURATION, 0.5, {}, scope="somebody") == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "gen_ai.client.operation.latency"}, "unknown metric"),
        ({"unit": "ms"}, "unit 'ms' instead of 's'"),
        ({"brief": "Else."}, f"description 'Else.' instead of {DURATION.brief!r}"),
        ({"kind": "counter"}, "counter instead of histogram"),
        ({"kind": "updowncounter"}, "updowncounter instead of histogram"),
        ({"kind": "gauge"}, "gauge instead of histogram"),
        ({"buckets": (1.0, 2.0)}, "buckets (1.0, 2.0)"),
    ],
)
def test_one_wrong_thing_about_the_metric(change: dict[str, Any], expected: str) -> None:
    wrong = DURATION._replace(**change)
    assert recorded(wrong, 0.5, ENDED) == [f"metric {wrong.name}: {expected}"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gen_ai.provider.name": GONE}, "missing gen_ai.provider.name"),
        ({"otel_llm.outcome": GONE}, "missing otel_llm.outcome"),
        ({"gen_ai.response.id": "chatcmpl-1"}, "unknown attribute gen_ai.response.id"),
        ({"gen_ai.request.model": 4}, "gen_ai.request.model is no string: 4"),
        ({"gen_ai.request.model": ""}, "gen_ai.request.model is empty"),
        ({"otel_llm.outcome": "done"}, "otel_llm.outcome has none of its values: 'done'"),
        ({"server.address": "h"}, "missing server.port beside server.address"),
        ({"error.type": "timeout"}, "error.type does not agree with the outcome completed"),
        ({"otel_llm.outcome": "failed"}, "error.type does not agree with the outcome failed"),
    ],
)
def test_one_wrong_attribute_of_a_point(changes: dict[str, Any], expected: str) -> None:
    assert recorded(DURATION, 0.5, changed(ENDED, changes)) == [f"metric {DURATION.name}: {expected}"]


def test_token_types_are_the_conventions() -> None:
    found = recorded(TOKENS, 5, ANSWERED | {"gen_ai.token.type": "cached"})
    assert found == ["metric gen_ai.client.token.usage: gen_ai.token.type has none of its values: 'cached'"]


def test_wrong_type_of_number() -> None:
    assert recorded(TOKENS, 5.0, ANSWERED | {"gen_ai.token.type": "input"}) == [
        "metric gen_ai.client.token.usage: 5.0 is no int"
    ]
    cost = next(item for item in own.INSTRUMENTS if item.name == names.COST)
    assert recorded(cost, 1, CALL) == ["metric otel_llm.cost: 1 is no double"]


def test_a_value_below_zero() -> None:
    cost = next(item for item in own.INSTRUMENTS if item.name == "otel_llm.last_cost")
    assert recorded(cost, -1.0, CALL) == ["metric otel_llm.last_cost: -1.0 is negative"]


def test_a_released_schema_is_claimed_by_released_names_alone() -> None:
    assert recorded(DURATION, 0.5, ENDED, schema=None) == [
        f"metrics: schema URL None instead of {RELEASED!r}"
    ]


# Events.

EXCEPTION = CALL | {"exception.type": "openai.RateLimitError", "error.type": "rate_limit_exceeded"}
DETAILS = {name: value for name, value in GOOD.items() if name != "gen_ai.input.messages"} | {
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
}


def event(
    attributes: dict[str, Any],
    *,
    name: str | None = names.EXCEPTION_EVENT,
    severity: SeverityNumber | None = SeverityNumber.WARN,
    schema: str | None = RELEASED,
    in_span: bool = True,
) -> ReadableLogRecord:
    """A real log record of the SDK."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    parent = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    record = LogRecord(
        event_name=name,
        severity_number=severity,
        attributes=attributes,
        context=trace.set_span_in_context(parent) if in_span else None,
    )
    provider.get_logger("otel_llm", schema_url=schema).emit(record)
    (finished,) = exporter.get_finished_logs()
    return finished


def test_good_events_have_no_violations() -> None:
    good = [event(EXCEPTION), event(DETAILS, name=names.DETAILS_EVENT, severity=SeverityNumber.DEBUG)]
    assert violations(logs=good) == []
    assert violations(logs=[event({}, name=None)]) == []  # a line of the default logger is no event


@pytest.mark.parametrize(
    ("options", "changes", "expected"),
    [
        ({"name": "gen_ai.choice"}, {}, "unknown event"),
        ({"severity": SeverityNumber.ERROR}, {}, "severity 17 instead of 13"),
        ({"severity": None}, {}, "severity 0 instead of 13"),
        ({"schema": None}, {}, f"schema URL None instead of {RELEASED!r}"),
        ({"in_span": False}, {}, "belongs to no span"),
        ({}, {"exception.type": GONE}, "missing exception.type (required)"),
        ({}, {"exception.escaped": True}, "unknown attribute exception.escaped"),
        ({}, {"exception.message": 5}, "exception.message is no string: 5"),
    ],
)
def test_one_wrong_thing_about_an_event(
    options: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    finished = event(changed(EXCEPTION, changes), **options)
    assert violations(logs=[finished]) == [f"event {finished.log_record.event_name}: {expected}"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gen_ai.input.messages": "[]"}, "gen_ai.input.messages is no any: '[]'"),
        ({"gen_ai.request.stream": False}, "gen_ai.request.stream is false instead of absent"),
        ({"gen_ai.usage.output_tokens": 1}, "reasoning tokens are more than output tokens"),
    ],
)
def test_one_wrong_attribute_of_the_details(changes: dict[str, Any], expected: str) -> None:
    finished = event(changed(DETAILS, changes), name=names.DETAILS_EVENT, severity=SeverityNumber.DEBUG)
    assert violations(logs=[finished]) == [f"event {names.DETAILS_EVENT}: {expected}"]


def test_an_event_may_carry_attributes_of_the_application() -> None:
    assert violations(logs=[event(EXCEPTION | {"tenant": "blue"})], extra={"tenant"}) == []


def test_tables_merge_both_conventions() -> None:
    both = tables("both")
    assert both.schema_url is None
    assert set(both.instruments) == set(tables("1.41").instruments) | set(tables("latest").instruments)
    top_k = next(item for item in both.form("chat").attributes if item.name == names.REQUEST_TOP_K)
    assert top_k.type == "double"  # the released definition holds
