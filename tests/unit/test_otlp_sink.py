"""The sink decodes what the SDK's own exporters send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode

from support.otlp_sink import OtlpSink, SinkPoint

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCE = Resource({"service.name": "shop"})


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as server:
        yield server


def _exporters(sink: OtlpSink, transport: str) -> tuple[Any, Any, Any]:
    if transport == "grpc":
        where = {"endpoint": sink.grpc_url, "insecure": True}
        return GrpcSpans(**where), GrpcMetrics(**where), GrpcLogs(**where)
    squeeze = Compression.Gzip if transport == "http-gzip" else Compression.NoCompression
    return tuple(
        made(endpoint=f"{sink.http_url}/v1/{signal}", compression=squeeze)
        for made, signal in ((HttpSpans, "traces"), (HttpMetrics, "metrics"), (HttpLogs, "logs"))
    )


@pytest.mark.parametrize("transport", ["http", "http-gzip", "grpc"])
def test_every_signal_arrives_as_it_was_recorded(sink: OtlpSink, transport: str) -> None:
    spans, metrics, logs = _exporters(sink, transport)
    tracers = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider(
        [PeriodicExportingMetricReader(metrics, export_interval_millis=60_000)],
        RESOURCE,
        shutdown_on_exit=False,
    )
    loggers = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))

    tracer = tracers.get_tracer("shop.scope", "1.2", schema_url="https://example.com/schema")
    meter = meters.get_meter("shop.scope")
    with tracer.start_as_current_span("outer") as outer:
        inner = tracer.start_span("inner", kind=SpanKind.CLIENT, links=[Link(outer.get_span_context())])
        inner.set_attributes({"text": "x", "whole": 3, "real": 0.5, "yes": True, "many": ["a", "b"]})
        inner.add_event("happened", {"n": 1})
        inner.set_status(StatusCode.ERROR, "broke")
        inner.end()
        loggers.get_logger("shop.scope").emit(
            event_name="told", body={"deep": [1, "two"]}, attributes={"k": "v"}
        )
        meter.create_counter("sales", "{sale}").add(2, {"kind": "book"})
        meter.create_up_down_counter("open").add(-1)
        meter.create_histogram("took", "s", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(1.5)
    meters.force_flush()

    second, first = sorted(sink.wait_for_spans(2), key=lambda span: span.name, reverse=True)
    assert (second.name, second.parent_id, second.kind, second.status) == ("outer", None, "INTERNAL", "UNSET")
    assert (first.name, first.parent_id, first.kind) == ("inner", second.span_id, "CLIENT")
    assert (first.status, first.message) == ("ERROR", "broke")
    assert first.attributes == {"text": "x", "whole": 3, "real": 0.5, "yes": True, "many": ["a", "b"]}
    assert [(event.name, event.attributes) for event in first.events] == [("happened", {"n": 1})]
    assert first.links == [second.span_id]
    assert (first.scope, first.scope_version, first.schema_url) == (
        "shop.scope",
        "1.2",
        "https://example.com/schema",
    )
    assert first.resource == {"service.name": "shop"}
    assert second.start <= first.start <= first.end <= second.end

    def told(point: SinkPoint) -> tuple[Any, ...]:
        return (
            point.type,
            point.temporality,
            point.unit,
            point.attributes,
            point.value,
            point.count,
            point.sum,
        )

    assert [told(p) for p in sink.wait_for_metric("sales")] == [
        ("sum", "CUMULATIVE", "{sale}", {"kind": "book"}, 2, None, None)
    ]
    assert [told(p) for p in sink.metric("open")] == [("updown", "CUMULATIVE", "", {}, -1, None, None)]
    assert [told(p) for p in sink.metric("took")] == [("histogram", "CUMULATIVE", "s", {}, None, 1, 1.5)]
    (took,) = sink.metric("took")
    assert (took.bounds, took.buckets) == ((1.0, 2.0), (0, 1, 0))
    assert took.exemplars == (second.span_id,)

    (log,) = sink.wait_for_logs(1)
    assert (log.event, log.body, log.attributes) == ("told", {"deep": [1, "two"]}, {"k": "v"})
    assert (log.trace_id, log.span_id) == (second.trace_id, second.span_id)

    by_signal = {export.signal: export for export in sink.exports}
    assert set(by_signal) == {"traces", "metrics", "logs"}
    assert {export.transport for export in sink.exports} == {transport.partition("-")[0]}
    if transport == "http-gzip":
        assert {export.headers["content-encoding"] for export in sink.exports} == {"gzip"}
    for provider in (tracers, meters, loggers):
        provider.shutdown()


def test_waiting_for_what_does_not_come_says_what_came(sink: OtlpSink) -> None:
    with pytest.raises(TimeoutError, match=r"3 spans: not within .* there are 0 spans"):
        sink.wait_for_spans(3, timeout=0.01)
