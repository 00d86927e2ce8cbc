"""Calls read off spans of each dialect, and off operations of this process."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm._operation import Attempt, Content, ErrorInfo, Outcome, RateLimit, Server, StreamStats, Usage
from otel_llm.live._calls import Call, from_operation, from_span, money
from otel_llm.live._messages import content_of, from_events
from otel_llm.live._spans import Span, spans_of

NOW = 1_800_000_000_000_000_000


def read(request: ExportTraceServiceRequest) -> list[tuple[Call, dict[str, Any]]]:
    spans = [span for span in spans_of(request, now=NOW) if span is not None]
    return [found for span in spans if (found := from_span(span)) is not None]


def recorded(tools: Any, name: str) -> list[tuple[Call, dict[str, Any]]]:
    return read(ExportTraceServiceRequest.FromString((tools.DATA / f"{name}.pb").read_bytes()))


def facts(call: Call) -> dict[str, Any]:
    """What a call says, without ids and times, without what is not known."""
    row = call.to_json(1)
    left_out = {
        "seq",
        "id",
        "trace_id",
        "span_id",
        "start",
        "duration_ms",
        "ttft_ms",
        "tokens_per_second",
        "service",
    }
    return {key: value for key, value in row.items() if key not in left_out and value not in (None, [])}


OPENAI = {
    "provider": "openai", "operation": "chat", "endpoint": "/v1/chat/completions", "model": "gpt-4o", "request_model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06", "stream": False, "outcome": "completed", "input_tokens": 10, "output_tokens": 20,
    "total_tokens": 30, "cache_read_tokens": 4, "reasoning_tokens": 3, "usage_source": "provider", "attempts": 1,
    "has_content": True, "preview": "q",
}  # fmt: skip
FAILED = {
    "provider": "openai", "operation": "chat", "endpoint": "/v1/chat/completions", "model": "bad", "request_model": "bad",
    "stream": False, "outcome": "failed", "usage_source": "absent", "attempts": 1, "has_content": True, "preview": "q",
}  # fmt: skip
EMBEDDINGS = {
    "provider": "openai", "operation": "embeddings", "endpoint": "/v1/embeddings", "model": "text-embedding-3-small",
    "request_model": "text-embedding-3-small", "response_model": "text-embedding-3-small", "stream": False,
    "outcome": "completed", "input_tokens": 8, "total_tokens": 8, "usage_source": "provider", "attempts": 1,
    "has_content": True, "preview": "hello",
}  # fmt: skip
ANTHROPIC = {
    "provider": "anthropic", "operation": "chat", "endpoint": "/v1/messages", "model": "claude-sonnet-4-5",
    "request_model": "claude-sonnet-4-5", "response_model": "claude-sonnet-4-5-20250929", "stream": False,
    "outcome": "completed", "input_tokens": 10, "output_tokens": 20, "total_tokens": 30, "cache_read_tokens": 4,
    "usage_source": "provider", "attempts": 1,
}  # fmt: skip


def message(role: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": role, "parts": [*parts], "name": None, "finish_reason": None, **more}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


CALL = {"type": "tool_call", "id": "call_1", "name": "w", "arguments": {"a": 1}}
TOOL = {"type": "function", "name": "w", "description": "d", "parameters": {"type": "object"}}


def same(found: Any, expected: Any) -> bool:
    """Equal, but for members that are None on one side and missing on the other."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(same(found.get(key), expected.get(key)) for key in {*expected, *found})
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, found, expected))
    return bool(found == expected)


def test_openinference_as_it_was_recorded(tools: Any) -> None:
    calls = recorded(tools, "openinference")
    mine = {"source": "openinference"}
    assert [facts(call) for call, _ in calls] == [
        {**OPENAI, **mine, "finish_reasons": ["tool_calls"]},
        {**OPENAI, **mine, "finish_reasons": ["stop"]},
        {**OPENAI, **mine, "finish_reasons": ["stop"], "stream": True},
        {**FAILED, **mine, "error": "openai.RateLimitError"},
        {**EMBEDDINGS, **mine},
        # The anthropic SDK's own span, and the instrumentation's around it: the store takes them for one call.
        {**ANTHROPIC, "source": "other", "cache_write_tokens": 0, "has_content": False},
        {**ANTHROPIC, **mine, "finish_reasons": ["end_turn"], "has_content": True, "preview": "q"},
    ]
    assert calls[2][0].ttft_ms == pytest.approx(51.5, abs=1)
    image = {"type": "uri", "modality": "image", "uri": "https://e.x/a.png"}
    assert same(calls[0][1]["content"], {
        "input": [message("system", text("sys")), message("user", text("q"), image)],
        "output": [message("assistant", CALL)],
        "tools": [TOOL],
    })  # fmt: skip
    assert same(calls[1][1]["content"]["input"], [
        message("user", text("q")),
        message("assistant", CALL),
        message("tool", {"type": "tool_call_response", "id": "call_1", "response": "rain"}),
    ])  # fmt: skip
    assert calls[0][1]["parameters"] == {"max_tokens": 9, "temperature": 0.2}
    assert calls[0][1]["attributes"] == {}
    assert calls[3][1]["error_detail"] == {
        "type": "openai.RateLimitError", "exception": "openai.RateLimitError", "code": None, "status": None,
        "category": "unknown", "retryable": None, "message": "RateLimitError: Error code: 429 - slow",
    }  # fmt: skip


def test_openllmetry_as_it_was_recorded(tools: Any) -> None:
    calls = recorded(tools, "openllmetry")
    mine = {"source": "openllmetry"}
    stream = {key: value for key, value in OPENAI.items() if key != "reasoning_tokens"}
    assert [facts(call) for call, _ in calls] == [
        {**OPENAI, **mine, "finish_reasons": ["tool_call"]},
        {**OPENAI, **mine, "finish_reasons": ["stop"]},
        {**stream, **mine, "finish_reasons": ["stop"], "stream": True},
        {**FAILED, **mine, "error": "RateLimitError"},
        {**EMBEDDINGS, **mine, "cache_read_tokens": 0},
        {
            **ANTHROPIC,
            **mine,
            "finish_reasons": ["stop"],
            "cache_write_tokens": 0,
            "has_content": True,
            "preview": "q",
        },
    ]
    assert calls[2][0].ttft_ms == pytest.approx(51, abs=2)
    assert same(calls[0][1]["content"], {
        "input": [
            message("system", text("sys")),
            message("user", text("q"), {"type": "uri", "modality": "image", "uri": "https://e.x/a.png"}),
        ],
        "output": [message("assistant", CALL, finish_reason="tool_call")],
        "tools": [TOOL],
    })  # fmt: skip
    assert same(calls[5][1]["content"]["system"], [text("sys")])


def test_our_own_span_says_everything(tools: Any) -> None:
    attributes = {
        "gen_ai.request.temperature": 0.2, "gen_ai.output.type": "json", "gen_ai.conversation.id": "conv",
        "gen_ai.response.id": "r1", "gen_ai.response.finish_reasons": ["stop", "length"], "openai.api.type": "responses",
        "gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.5, "server.address": "api.openai.com",
        "server.port": 443, "otel_llm.stream.chunks": 7, "otel_llm.stream.size": 70, "otel_llm.stream.gap.p50": 0.01,
        "otel_llm.stream.gap.p99": 0.02, "otel_llm.stream.gap.max": 0.03, "otel_llm.outcome": "closed",
        "otel_llm.request.attempts": 2, "otel_llm.attempt.statuses": [429], "otel_llm.attempt.durations": [0.1],
        "otel_llm.attempt.delays": [0.25], "otel_llm.attempt.errors": ["rate_limit_exceeded"],
        "otel_llm.response.request_id": "req", "otel_llm.response.organization": "org", "otel_llm.response.processing_time": 0.7,
        "otel_llm.response.status_code": 200, "openai.response.service_tier": "default", "openai.response.system_fingerprint": "fp",
        "otel_llm.ratelimit.remaining.requests": 9, "otel_llm.ratelimit.reset.tokens": 1.5, "otel_llm.request.max_retries": 2,
        "otel_llm.response.tool_calls": ["f", "g"], "otel_llm.usage.source": "estimate", "app.team": "search",
        "otel_llm.usage.text.input_tokens": 6, "gen_ai.usage.audio.input_tokens": 4, "otel_llm.usage.text.cache_read.input_tokens": 4,
        "otel_llm.usage.text.output_tokens": 20,
    }  # fmt: skip
    request = tools.make_request(
        tools.make_span(ms=2000, **{key.replace(".", "__"): value for key, value in attributes.items()})
    )
    ((call, detail),) = read(request)
    expected = {
        **OPENAI, "source": "otel_llm", "endpoint": "/v1/responses", "stream": True, "outcome": "closed", "chunks": 7,
        "finish_reasons": ["stop", "length"], "usage_source": "estimate", "cost": "0.000063", "attempts": 2,
        "conversation_id": "conv", "has_content": False,
    }  # fmt: skip
    del expected["preview"], expected["reasoning_tokens"]
    assert facts(call) == expected
    assert call.ttft_ms == 500.0
    assert call.speed == pytest.approx(20 / 1.5)
    assert detail == {
        "parameters": {"temperature": 0.2, "max_retries": 2, "output_type": "json"},
        "modalities": {"text.input": 6, "audio.input": 4, "text.cache_read": 4, "text.output": 20},
        "server": {
            "address": "api.openai.com", "port": 443, "request_id": "req", "organization": "org", "processing_ms": 700.0,
            "service_tier": "default", "system_fingerprint": "fp", "status": 200, "response_id": "r1",
        },
        "rate_limit": {
            "limit_requests": None, "remaining_requests": 9, "reset_requests_s": None, "limit_tokens": None,
            "remaining_tokens": None, "reset_tokens_s": 1.5,
        },
        "retries": [{"number": 1, "status": 429, "duration_ms": 100.0, "wait_ms": 250.0, "error": "rate_limit_exceeded"}],
        "error_detail": None,
        "tool_calls": ["f", "g"],
        "stream_stats": {
            "chunks": 7, "bytes": 70, "first_chunk_ms": 500.0, "last_chunk_ms": None, "gap_p50_ms": 10.0, "gap_p99_ms": 20.0,
            "gap_max_ms": 30.0,
        },
        "content": None,
        "attributes": {"app.team": "search"},
        "resource": {"service.name": "app"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai__operation__name": "execute_tool"},
        {"gen_ai__operation__name": "invoke_agent"},
        {"gen_ai__operation__name": "search_memory"},
        {"gen_ai__operation__name": "fetch_response"},
        {"gen_ai__operation__name": None},
        {"gen_ai__operation__name": None, "openinference__span__kind": "CHAIN"},
        {"gen_ai__operation__name": "chat", "gen_ai__provider__name": None, "gen_ai__request__model": None},
        {"gen_ai__operation__name": 5},
    ],
)
def test_other_spans_are_no_calls(tools: Any, attributes: dict[str, Any]) -> None:
    assert read(tools.make_request(tools.make_span(**attributes))) == []


@pytest.mark.parametrize(
    ("attributes", "endpoint"),
    [
        ({}, "/v1/chat/completions"),
        ({"gen_ai__provider__name": "anthropic"}, "/v1/messages"),
        ({"openai__api__type": "responses"}, "/v1/responses"),
        ({"gen_ai__operation__name": "embeddings"}, "/v1/embeddings"),
        ({"gen_ai__operation__name": "text_completion"}, "/v1/completions"),
        ({"gen_ai__operation__name": "generate_content"}, "/generate_content"),
        ({"http__route": "/v1/messages/batches"}, "/v1/messages/batches"),
        ({"url__path": "/v1/x"}, "/v1/x"),
        ({"url__path": "/other"}, "/v1/chat/completions"),
    ],
)
def test_the_endpoint_is_read_or_guessed(tools: Any, attributes: dict[str, Any], endpoint: str) -> None:
    ((call, _),) = read(tools.make_request(tools.make_span(**attributes)))
    assert call.endpoint == endpoint


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "20", True, [1], 2**62])
def test_counts_that_are_none_are_unknown(tools: Any, value: Any) -> None:
    ((call, _),) = read(
        tools.make_request(tools.make_span(gen_ai__usage__output_tokens=value, otel_llm__cost=value))
    )
    assert (call.output_tokens, call.cost, call.speed) == (None, None, None)


@pytest.mark.parametrize("value", [["completed"], "exploded", 5, True])
def test_an_outcome_that_is_none_costs_no_call(tools: Any, value: Any) -> None:
    ((call, _),) = read(
        tools.make_request(tools.make_span(otel_llm__outcome=value, otel_llm__usage__source=value))
    )
    assert (call.outcome, call.usage_source) == ("completed", "provider")


def test_times_that_are_none_become_now(tools: Any) -> None:
    spans = [tools.make_span() for _ in range(3)]
    spans[0].start_time_unix_nano, spans[0].end_time_unix_nano = 0, 0
    spans[1].start_time_unix_nano = spans[1].end_time_unix_nano = 2**63
    spans[2].end_time_unix_nano = spans[2].start_time_unix_nano - 1
    calls = [call for call, _ in read(tools.make_request(*spans))]
    assert [(call.start, call.duration_ms) for call in calls[:2]] == [(NOW / 1e9, 0.0)] * 2
    assert calls[2].duration_ms == 0.0


def test_former_openllmetry_content_is_unflattened() -> None:
    assert same(content_of({
        "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "sys",
        "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": '[{"type":"text","text":"q"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]',
        "gen_ai.prompt.2.role": "tool", "gen_ai.prompt.2.tool_call_id": "call_1", "gen_ai.prompt.2.content": "rain",
        "gen_ai.prompt.10.role": "user", "gen_ai.prompt.10.content": "last",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.finish_reason": "tool_calls",
        "gen_ai.completion.0.tool_calls.0.id": "call_1", "gen_ai.completion.0.tool_calls.0.name": "w",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"a":1}',
        "llm.request.functions.0.name": "w", "llm.request.functions.0.parameters": "{}",
    }), {
        "input": [
            message("system", text("sys")),
            message("user", text("q") | {"text": "q"}, {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="}),
            message("tool", {"type": "tool_call_response", "id": "call_1", "response": "rain"}),
            message("user", text("last")),
        ],
        "output": [message("assistant", CALL, finish_reason="tool_calls")],
        "tools": [{"name": "w", "parameters": "{}"}],
    })  # fmt: skip


def test_former_events_become_messages() -> None:
    assert same(from_events([
        ("gen_ai.system.message", {"content": "sys"}),
        ("gen_ai.user.message", {"content": "q"}),
        ("gen_ai.tool.message", {"id": "call_1", "content": "rain"}),
        ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}),
        ("gen_ai.choice", "odd"),
        ("gen_ai.other", {"x": 1}),
    ]), {
        "input": [
            message("system", text("sys")),
            message("user", text("q")),
            message("tool", {"type": "tool_call_response", "id": "call_1", "response": "rain"}),
        ],
        "output": [message("assistant", text("hi"), finish_reason="stop")],
    })  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[1, {",
        "[[[",
        "plain",
        5,
        [1, None, "x"],
        {"role": 5, "parts": "x"},
        [{"parts": [1, {"x": 1}]}],
        "[" * 90_000,
    ],
)
def test_odd_content_is_shown_as_it_is(value: Any) -> None:
    content = content_of({"gen_ai.input.messages": value})
    assert content is not None
    for one in content["input"] or []:
        assert set(one) == {"role", "parts", "name", "finish_reason"}
        assert all(isinstance(part["type"], str) for part in one["parts"])


def test_an_operation_of_this_process_says_the_same(tools: Any) -> None:
    op = tools.make_operation(
        stream=True, api="chat_completions", parameters={"temperature": 0.2}, conversation_id="conv",
        server_address="api.openai.com", server_port=443, trace_id=0xABC, span_id=0xDEF, start_time=NOW, started=time.perf_counter(),
    )  # fmt: skip
    tools.end_operation(
        op, Outcome.FAILED, response_model="gpt-4o-2024-08-06", response_id="r1", finish_reasons=("error",), tool_calls=("f",),
        usage=Usage(input=10, output=20, cache_read=4, modalities={"text.input": 10}), cost=Decimal("0.000063"),
        stream_stats=StreamStats(chunks=7, bytes=70, first_chunk=0.5, last_chunk=0.9, gap_p50=0.01, gap_p99=0.02, gap_max=0.03),
        attempts=(Attempt(1, 429, 0.1, 0.25, "rate_limit_exceeded"),),
        server=Server("req", "org", 0.7, "default", "fp", 200, RateLimit(remaining_requests=9, reset_tokens=1.5)),
        error=ErrorInfo("overloaded", "x.Overloaded", "code", 529, "server_error", retryable=True),
        content=Content(input=[{"role": "user", "parts": [{"type": "text", "content": "q"}]}]), attributes={"app.team": "search"},
    )  # fmt: skip
    call, detail = from_operation(op, service="app")
    expected = {
        **OPENAI, "source": "otel_llm", "stream": True, "outcome": "failed", "error": "overloaded", "chunks": 7, "attempts": 2,
        "finish_reasons": ["error"], "cost": "0.000063", "conversation_id": "conv",
    }  # fmt: skip
    del expected["reasoning_tokens"]
    assert facts(call) == expected
    assert call.id == f"{0xABC:032x}-{0xDEF:016x}"
    assert (call.start, call.ttft_ms, call.service) == (NOW / 1e9, 500.0, "app")
    assert detail == {
        "parameters": {"temperature": 0.2},
        "modalities": {"text.input": 10},
        "server": {
            "address": "api.openai.com", "port": 443, "request_id": "req", "organization": "org", "processing_ms": 700.0,
            "service_tier": "default", "system_fingerprint": "fp", "status": 200, "response_id": "r1",
        },
        "rate_limit": {
            "limit_requests": None, "remaining_requests": 9, "reset_requests_s": None, "limit_tokens": None,
            "remaining_tokens": None, "reset_tokens_s": 1.5,
        },
        "retries": [{"number": 1, "status": 429, "duration_ms": 100.0, "wait_ms": 250.0, "error": "rate_limit_exceeded"}],
        "error_detail": {
            "type": "overloaded", "exception": "x.Overloaded", "code": "code", "status": 529, "category": "server_error",
            "retryable": True, "message": None,
        },
        "tool_calls": ["f"],
        "stream_stats": {
            "chunks": 7, "bytes": 70, "first_chunk_ms": 500.0, "last_chunk_ms": 900.0, "gap_p50_ms": 10.0, "gap_p99_ms": 20.0,
            "gap_max_ms": 30.0,
        },
        "content": {"system": None, "input": [message("user", text("q"))], "output": None, "tools": None},
        "attributes": {"app.team": "search"},
        "resource": {},
    }  # fmt: skip


def test_an_operation_without_anything_is_a_call_too(tools: Any) -> None:
    op = tools.end_operation(tools.make_operation(request_model=None), Outcome.CANCELLED)
    call, detail = from_operation(op)
    assert (call.id, call.model, call.outcome, call.total_tokens, call.cost, call.unpriced) == (
        op.id,
        "",
        "cancelled",
        None,
        None,
        False,
    )
    assert detail["content"] is None


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0.000063", "0.000063"),
        ("6.3E-5", "0.000063"),
        ("0", "0"),
        ("10", "10"),
        ("1E+2", "100"),
        ("0.10", "0.1"),
        (None, None),
    ],
)
def test_money_is_written_out(amount: str | None, written: str | None) -> None:
    assert money(None if amount is None else Decimal(amount)) == written


def test_a_record_of_a_span_is_plain(tools: Any) -> None:
    (span,) = spans_of(tools.make_request(tools.make_span(a=[1, "b"])), now=NOW)
    assert isinstance(span, Span)
    assert span.record()["attributes"]["a"] == [1, "b"]
