"""OTLP/HTTP and OTLP/gRPC: real senders, both encodings, and what no sender should send."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import json
import weakref
import zlib
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from otel_llm.live import _otlp_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROTOBUF = {"content_type": "application/x-protobuf"}
JSON = {"content_type": "application/json"}


def otlp_json(request: Any) -> dict[str, Any]:
    """A request as OTLP/JSON has it: protobuf's JSON, with ids in hex and enums as numbers."""
    message = MessageToDict(request, use_integers_for_enums=True)
    for of_resource in message["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64decode(span[key]).hex().upper()
    return message


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_the_sdks_own_exporters_are_served(tools: Any, kind: str, compression: str) -> None:
    with tools.running(grpc_port=0) as live:
        at = live.server.otlp
        if kind == "http":
            from opentelemetry.exporter.otlp.proto.http import Compression

            exporter: Any = HttpSpanExporter(f"{at['http']}/v1/traces", compression=Compression(compression))
        else:
            compressed = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
            exporter = GrpcSpanExporter(at["grpc"], insecure=True, compression=compressed)
        provider = TracerProvider(resource=Resource.create({"service.name": "real"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("otel_llm")
        with (
            tracer.start_as_current_span("request", kind=trace.SpanKind.SERVER),
            tracer.start_as_current_span("chat gpt-4o", kind=trace.SpanKind.CLIENT, attributes=tools.CHAT),
        ):
            pass
        provider.shutdown()
        (call,) = live.http.get("/api/calls")["calls"]
        (line,) = live.http.get("/api/traces")["traces"]
        spans = live.http.get(f"/api/traces/{line['trace_id']}")["spans"]
        assert (call["service"], call["model"], call["total_tokens"], call["cost"]) == (
            "real",
            "gpt-4o",
            30,
            "0.000063",
        )
        assert (line["name"], line["spans"], line["llm_calls"], line["cost"]) == ("request", 2, 1, "0.000063")
        assert [(span["name"], span["kind"], span["depth"], span["call_id"]) for span in spans] == [
            ("request", "server", 0, None),
            ("chat gpt-4o", "client", 1, call["id"]),
        ]


def test_gauges_of_other_processes_say_what_is_active(live: Any, tools: Any) -> None:
    socket = live.connect()
    assert tools.receive(socket)["data"]["overview"]["active_streams"] is None
    exporter = OTLPMetricExporter(live.server.otlp["http"] + "/v1/metrics")
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=10**6)])
    meter = provider.get_meter("otel_llm")
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    meter.create_up_down_counter("otel_llm.stream.active").add(3, attributes)
    meter.create_up_down_counter("otel_llm.request.active").add(5, attributes)
    meter.create_counter("other").add(1)
    provider.force_flush()
    tools.ask(socket, {"type": "subscribe", "filters": {"interval": 0.1, "model": "gpt-4o"}})
    data = tools.receive(socket, "metrics_update")["data"]
    assert data["queue"] == {"active_streams": 3, "queue_depth": 0}
    assert (data["overview"]["active_streams"], data["overview"]["active_requests"]) == (3, 5)
    assert live.http.get("/api/history")["points"][-1]["active_streams"] == 3
    provider.shutdown()
    assert live.http.get("/api/status")["received"]["metrics"] == 6  # three, and again at shutdown


def test_json_is_read_with_ids_in_hex(live: Any, tools: Any) -> None:
    span = tools.make_span(number=0xABCDEF, trace=0xABC, parent=0xAB)
    message = otlp_json(tools.make_request(span))
    message["unknown"] = {"ignored": [1]}
    answer = live.http.request("POST", "/v1/traces", json.dumps(message).encode(), **JSON)
    assert (answer.status, answer.headers["content-type"], answer.json()) == (200, "application/json", {})
    (call,) = live.http.get("/api/calls")["calls"]
    assert (call["trace_id"], call["span_id"]) == (f"{0xABC:032x}", f"{0xABCDEF:016x}")
    assert (call["input_tokens"], call["cost"]) == (10, "0.000063")


def test_large_json_is_read_too(live: Any, tools: Any) -> None:
    message = otlp_json(tools.make_request(*(tools.make_span() for _ in range(60))))
    body = gzip.compress(json.dumps(message).encode())
    answer = live.http.request("POST", "/v1/traces", body, **JSON, content_encoding="gzip")
    assert answer.status == 200
    assert live.http.get("/api/calls")["matched"] == 60


def test_spans_with_bad_ids_are_a_partial_success(live: Any, tools: Any) -> None:
    bad = [tools.make_span() for _ in range(3)]
    bad[0].trace_id, bad[1].span_id, bad[2].trace_id = b"short", bytes(8), b""
    answer = live.http.send(tools.make_span(), *bad)
    response = ExportTraceServiceResponse.FromString(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert response.partial_success.rejected_spans == 3
    assert response.partial_success.error_message == "spans with an invalid id were not taken"
    body = json.dumps(otlp_json(tools.make_request(bad[2]))).encode()
    answer = live.http.request("POST", "/v1/traces", body, **JSON)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert live.http.get("/api/status")["received"] == {"spans": 1, "metrics": 0, "logs": 0, "rejected": 4}


def test_a_span_that_comes_again_counts_once(live: Any, tools: Any) -> None:
    span = tools.make_span()
    live.http.send(span, span)
    live.http.send(span)
    assert live.http.get("/api/summary")["total"]["calls"] == 1
    assert live.http.get("/api/traces")["traces"][0]["spans"] == 1


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_empty_requests_are_fine(shared: Any, path: str) -> None:
    for headers, body in ((PROTOBUF, b""), (JSON, b"{}")):
        answer = shared.http.request("POST", path, body, **headers)
        assert (answer.status, answer.body) == (200, body)
    answer = shared.http.request("POST", path, b"", **PROTOBUF, content_encoding="gzip")
    assert answer.status == 200


DEEP = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s","attributes":[{"key":"a","value":%s}]}]}]}]}'
REFUSED = {
    "protobuf that is none": (400, PROTOBUF, b"\xff\xff\xff"),
    "truncated protobuf": (400, PROTOBUF, b"\x0a\x10abc"),
    "JSON that is none": (400, JSON, b"{"),
    "JSON of another shape": (400, JSON, b'{"resourceSpans": 5}'),
    "a list": (400, JSON, b"[]"),
    "null": (400, JSON, b"null"),
    "NaN": (400, JSON, b'{"resourceSpans": NaN}'),
    "ids in base64": (400, JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zzzz"}]}]}]}'),
    "an id that is a number": (400, JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":5}]}]}]}'),
    "huge number": (400, JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1%s"}]}]}]}' % (b"0" * 40)),
    "huger number": (400, JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":1%s}]}]}]}' % (b"0" * 5000)),
    "deep nesting": (400, JSON, b"[" * 100_000),
    "deep objects": (400, JSON, b'{"a":' * 50_000),
    "deep attribute": (
        400, JSON,
        DEEP % (b"01" * 16, b"01" * 8, b'{"arrayValue":{"values":[' * 200 + b'{"intValue":1}' + b"]}}" * 200),
    ),
    "not UTF-8": (400, JSON, b'{"a": "\xff"}'),
    "lone surrogate": (400, JSON, DEEP % (b"01" * 16, b"01" * 8, b'{"stringValue":"\\ud800"}')),
    "gzip that is none": (400, {**PROTOBUF, "content_encoding": "gzip"}, b"no gzip"),
    "truncated gzip": (400, {**PROTOBUF, "content_encoding": "gzip"}, gzip.compress(b"0" * 1000)[:-5]),
    "text": (415, {"content_type": "text/plain"}, b""),
    "form": (415, {"content_type": "application/x-www-form-urlencoded"}, b"a=1"),
    "no type": (415, {}, b""),
    "brotli": (415, {**PROTOBUF, "content_encoding": "br"}, b""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_bodies_get_their_status_and_a_fixed_text(shared: Any, case: str) -> None:
    status, headers, body = REFUSED[case]
    answer = shared.http.request("POST", "/v1/traces", body, **headers)
    assert answer.status == status
    if headers.get("content_type") == "application/json":
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"code": 3, "message": "The body is not valid OTLP JSON of this service"}
    else:
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert answer.body[:3] == b"\x08\x03\x12"
        assert answer.body[3] == len(answer.body) - 4
    assert shared.http.get("/healthz") == {"status": "ok"}


def test_only_post_is_allowed(shared: Any) -> None:
    answer = shared.http.request("GET", "/v1/traces")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {"error": "this method is not allowed here"}


def test_sizes_are_limited_after_decompression(shared: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("otel_llm.live._otlp_http.MAX_BODY", 100_000)
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    for body, headers in ((bomb, {"content_encoding": "gzip"}), (bytes(100_001), {})):
        answer = shared.http.request("POST", "/v1/traces", body, **PROTOBUF, **headers)
        assert answer.status == 413, answer
        assert answer.body[:3] == b"\x08\x08\x12"
    # A body without a length is counted as it comes.
    answer = shared.http.request("POST", "/v1/traces", iter([bytes(60_000)] * 2), **PROTOBUF)  # type: ignore[arg-type]
    assert answer.status == 413
    assert (
        shared.http.request(
            "POST", "/v1/traces", gzip.compress(b""), **PROTOBUF, content_encoding="gzip"
        ).status
        == 200
    )


def test_gzip_of_several_members_is_one_body(live: Any, tools: Any) -> None:
    body = tools.make_request(tools.make_span()).SerializeToString()
    packed = gzip.compress(body[:50]) + gzip.compress(body[50:])
    answer = live.http.request("POST", "/v1/traces", packed, **PROTOBUF, content_encoding="gzip")
    assert answer.status == 200
    assert live.http.get("/api/calls")["matched"] == 1


def test_others_have_their_turn_while_a_body_of_empty_members_is_read() -> None:
    members = gzip.compress(b"") * 20_000

    async def read() -> tuple[bytes, int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async def received() -> AsyncIterator[bytes]:
            yield members

        task = asyncio.create_task(other())
        body = b"".join([part async for part in _otlp_http._gunzipped(received())])
        task.cancel()
        return body, turns

    body, turns = asyncio.run(read())
    assert body == b""
    assert turns >= len(members) // 4096


def test_grpc_refuses_what_it_cannot_take(tools: Any) -> None:
    with tools.running(grpc_port=0) as live, grpc.insecure_channel(live.server.otlp["grpc"]) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert export(b"") == b""
        with pytest.raises(grpc.RpcError) as caught:
            export(b"\xff\xff")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            export(bytes(17 * 1024 * 1024))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as caught:
            export(bytes(64 * 1024 * 1024), compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        request = tools.make_request(tools.make_span())
        request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"x")
        response = ExportTraceServiceResponse.FromString(export(request.SerializeToString()))
        assert response.partial_success.rejected_spans == 1
        for service in ("metrics.v1.Metrics", "logs.v1.Logs"):
            assert channel.unary_unary(f"/opentelemetry.proto.collector.{service}Service/Export")(b"") == b""


def test_a_stopped_grpc_server_is_not_left_to_the_garbage_collector(tools: Any, monkeypatch: Any) -> None:
    """Which would free it in a forked child too, where grpc waits for ever for a thread that is not there."""
    made: list[weakref.ref[Any]] = []
    make = grpc.aio.server

    def server(**options: Any) -> Any:
        one = make(**options)
        made.append(weakref.ref(one))
        return one

    monkeypatch.setattr("grpc.aio.server", server)
    gc.collect()
    gc.disable()
    try:
        with tools.running(grpc_port=0) as live, grpc.insecure_channel(live.server.otlp["grpc"]) as channel:
            export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            assert export(b"") == b""
        assert [one() for one in made] == [None]
    finally:
        gc.enable()


def test_grpc_needs_the_token_too(tools: Any) -> None:
    with tools.running(grpc_port=0, token="s3cret") as live:
        exporter = GrpcSpanExporter(
            live.server.otlp["grpc"], insecure=True, headers=(("authorization", "Bearer s3cret"),)
        )
        with (
            grpc.insecure_channel(live.server.otlp["grpc"]) as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(b"")
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert exporter.export([]) is SpanExportResult.SUCCESS
        exporter.shutdown()


def log_of(
    tools: Any, span: Any, name: str, *, body: dict[str, Any] | None = None, **attributes: Any
) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.trace_id, record.span_id, record.event_name = span.trace_id, span.span_id, name
    for key, value in (body or {}).items():
        record.body.kvlist_value.values.append(tools.key_value(key, value))
    for key, value in attributes.items():
        record.attributes.append(tools.key_value(key.replace("__", "."), value))
    return request


@pytest.mark.parametrize("first", ["span", "log"])
def test_content_in_a_log_record_comes_to_its_call(live: Any, tools: Any, first: str) -> None:
    span = tools.make_span()
    messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}])
    record = log_of(
        tools, span, "gen_ai.client.inference.operation.details", gen_ai__input__messages=messages
    )
    if first == "span":
        live.http.send(span)
    assert live.http.request("POST", "/v1/logs", record.SerializeToString(), **PROTOBUF).status == 200
    if first == "log":
        live.http.send(span)
    (call,) = live.http.get("/api/calls")["calls"]
    assert (call["has_content"], call["preview"]) == (True, "Why?")
    detail = live.http.get(f"/api/calls/{call['id']}")
    assert detail["content"] == {
        "system": None,
        "input": [
            {
                "role": "user",
                "parts": [{"type": "text", "content": "Why?"}],
                "name": None,
                "finish_reason": None,
            }
        ],
        "output": None,
        "tools": None,
    }
    assert live.http.get("/api/calls", q="why")["matched"] == 1


def test_former_message_events_are_content_too(live: Any, tools: Any) -> None:
    span = tools.make_span()
    live.http.send(span)
    for request in (log_of(tools, span, "gen_ai.user.message", body={"content": "Why?"}),):
        live.http.request("POST", "/v1/logs", request.SerializeToString(), **PROTOBUF)
    (call,) = live.http.get("/api/calls")["calls"]
    assert call["preview"] == "Why?"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), kind=st.sampled_from([PROTOBUF, JSON]), gzipped=st.sampled_from(["said", "done", "both"]),
       path=st.sampled_from(["/v1/traces", "/v1/metrics", "/v1/logs"]))  # fmt: skip
def test_no_body_brings_the_server_down(shared: Any, body: bytes, kind: Any, gzipped: str, path: str) -> None:
    encoding, pack = "identity" if gzipped == "done" else "gzip", gzipped != "said"
    sent = zlib.compress(body, wbits=31) if pack else body
    answer = shared.http.request("POST", path, sent, **kind, content_encoding=encoding)
    assert answer.status in (200, 400, 413)


NAMES = st.sampled_from([
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "otel_llm.cost",
    "gen_ai.usage.output_tokens", "gen_ai.input.messages", "gen_ai.prompt.0.content", "gen_ai.prompt.0", "gen_ai.prompt.1.role.x",
    "gen_ai.response.finish_reasons", "llm.input_messages.0.message.contents.0.message_content.image.image.url",
    "llm.input_messages.0.message", "llm.tools.0.tool.json_schema", "openinference.span.kind", "llm.invocation_parameters",
    "otel_llm.attempt.durations", "otel_llm.attempt.statuses", "gen_ai.response.time_to_first_chunk", "otel_llm.outcome",
    "otel_llm.stream.chunks", "error.type", "server.port", "otel_llm.ratelimit.reset.tokens", "gen_ai.tool.definitions",
    "gen_ai.usage.text.input_tokens", "gen_ai.request.temperature", "http.route", "gen_ai.completion.0.tool_calls.0.arguments",
])  # fmt: skip


def json_value(value: Any) -> dict[str, Any]:  # noqa: PLR0911 - a table
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return (
                {"intValue": str(value)}
                if -(2**63) <= value < 2**63
                else {"doubleValue": float(min(value, 10**300))}
            )
        case float():
            return {
                "doubleValue": value
                if abs(value) < 1e308
                else str(value).replace("inf", "Infinity").replace("nan", "NaN")
            }
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [json_value(item) for item in value]}}
        case _:
            return {
                "kvlistValue": {
                    "values": [{"key": key, "value": json_value(item)} for key, item in value.items()]
                }
            }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    attributes=st.dictionaries(NAMES, VALUES, max_size=12),
    times=st.tuples(*[st.integers(0, 2**64 - 1)] * 2),
    number=st.integers(1, 2**60),
)
def test_no_span_of_any_dialect_is_too_odd(
    shared: Any, attributes: dict[str, Any], times: tuple[int, int], number: int
) -> None:
    """Whatever is in the attributes: it is taken, and every answer of the JSON interface is strict JSON."""
    span = {
        "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "odd",
        "startTimeUnixNano": str(times[0]), "endTimeUnixNano": str(times[1]),
        "attributes": [{"key": key, "value": json_value(value)} for key, value in attributes.items()],
        "events": [{"name": "exception", "timeUnixNano": str(times[1])}],
    }  # fmt: skip
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    answer = shared.http.request("POST", "/v1/traces", body, **JSON)
    assert answer.status == 200, answer
    shared.http.get(f"/api/traces/{number:032x}")
    one = shared.http.request("GET", f"/api/calls/{number:032x}-{number:016x}")
    assert one.status in (200, 404)
    one.json()
    shared.http.get("/api/calls", limit=1)
    shared.http.get("/api/summary", window=1, group_by="model,provider,endpoint,error")


def test_a_request_parses_as_what_it_is(tools: Any) -> None:
    """The helper of these tests writes what the protobuf has."""
    request = tools.make_request(tools.make_span())
    assert ExportTraceServiceRequest.FromString(request.SerializeToString()) == request
