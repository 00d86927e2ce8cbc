"""An OTLP receiver in the test's own process: what it was sent, decoded, over HTTP and over gRPC.

Its decoder is written against the OTLP protocol buffers alone, so that it shares no mistake with the package.
"""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.json_format import MessageToJson, Parse
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.proto.trace.v1 import trace_pb2 as spans_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Export", "OtlpSink", "SinkEvent", "SinkLog", "SinkPoint", "SinkSpan"]


@dataclass(slots=True, frozen=True)
class Export:
    """One request that arrived."""

    signal: str
    """`traces`, `metrics` or `logs`."""
    transport: str
    """`http` or `grpc`."""
    headers: Mapping[str, str]
    size: int
    """Bytes of the message, not compressed."""


@dataclass(slots=True, frozen=True, kw_only=True)
class _Sent:
    resource: dict[str, Any]
    scope: str
    scope_version: str
    schema_url: str


@dataclass(slots=True, frozen=True)
class SinkEvent:
    name: str
    time: int
    attributes: dict[str, Any]


@dataclass(slots=True, frozen=True, kw_only=True)
class SinkSpan(_Sent):
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    """`INTERNAL`, `CLIENT`, ..."""
    start: int
    """Nanoseconds since the epoch, as `end` is."""
    end: int
    status: str
    """`UNSET`, `OK` or `ERROR`."""
    message: str
    attributes: dict[str, Any]
    events: list[SinkEvent]
    links: list[str]
    """Span ids."""


@dataclass(slots=True, frozen=True, kw_only=True)
class SinkPoint(_Sent):
    metric: str
    unit: str
    type: str
    """`gauge`, `sum`, `updown`, `histogram` or `exponential_histogram`."""
    temporality: str | None
    """`DELTA` or `CUMULATIVE`; None for gauges."""
    attributes: dict[str, Any]
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    exemplars: tuple[str, ...] = ()
    """Span ids."""


@dataclass(slots=True, frozen=True, kw_only=True)
class SinkLog(_Sent):
    event: str
    body: Any
    severity: int
    attributes: dict[str, Any]
    trace_id: str | None
    span_id: str | None
    time: int


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return [_value(item) for item in inner.values]
    if kind == "kvlist_value":
        return _attributes(inner.values)
    return inner


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _sent(resource: Any, scope: Any) -> dict[str, Any]:
    return {
        "resource": _attributes(resource.resource.attributes),
        "scope": scope.scope.name,
        "scope_version": scope.scope.version,
        "schema_url": scope.schema_url or resource.schema_url,
    }


def _span(raw: Any, sent: dict[str, Any]) -> SinkSpan:
    return SinkSpan(
        **sent,
        name=raw.name,
        trace_id=raw.trace_id.hex(),
        span_id=raw.span_id.hex(),
        parent_id=raw.parent_span_id.hex() or None,
        kind=spans_pb2.Span.SpanKind.Name(raw.kind).removeprefix("SPAN_KIND_"),
        start=raw.start_time_unix_nano,
        end=raw.end_time_unix_nano,
        status=spans_pb2.Status.StatusCode.Name(raw.status.code).removeprefix("STATUS_CODE_"),
        message=raw.status.message,
        attributes=_attributes(raw.attributes),
        events=[
            SinkEvent(item.name, item.time_unix_nano, _attributes(item.attributes)) for item in raw.events
        ],
        links=[link.span_id.hex() for link in raw.links],
    )


def _points(metric: Any, sent: dict[str, Any]) -> Iterable[SinkPoint]:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    told = {**sent, "metric": metric.name, "unit": metric.unit, "type": kind, "temporality": None}
    if kind == "sum" and not data.is_monotonic:
        told["type"] = "updown"
    if kind != "gauge":
        told["temporality"] = {1: "DELTA", 2: "CUMULATIVE"}.get(data.aggregation_temporality)
    for raw in data.data_points:
        here = {**told, "attributes": _attributes(raw.attributes)}
        here["exemplars"] = tuple(item.span_id.hex() for item in raw.exemplars)
        if kind in {"sum", "gauge"}:
            number = raw.WhichOneof("value")
            yield SinkPoint(**here, value=getattr(raw, number) if number else None)
        else:
            bounds, buckets = (raw.explicit_bounds, raw.bucket_counts) if kind == "histogram" else ((), ())
            yield SinkPoint(
                **here, count=raw.count, sum=raw.sum, bounds=tuple(bounds), buckets=tuple(buckets)
            )


def _log(raw: Any, sent: dict[str, Any]) -> SinkLog:
    return SinkLog(
        **sent,
        event=raw.event_name,
        body=_value(raw.body),
        severity=raw.severity_number,
        attributes=_attributes(raw.attributes),
        trace_id=raw.trace_id.hex() or None,
        span_id=raw.span_id.hex() or None,
        time=raw.time_unix_nano or raw.observed_time_unix_nano,
    )


@dataclass(slots=True)
class _Store:
    arrived: threading.Condition = field(default_factory=threading.Condition)
    exports: list[Export] = field(default_factory=list)
    spans: list[SinkSpan] = field(default_factory=list)
    points: list[SinkPoint] = field(default_factory=list)
    logs: list[SinkLog] = field(default_factory=list)

    def add(self, signal: str, transport: str, headers: Mapping[str, str], message: Any) -> None:
        spans: list[SinkSpan] = []
        points: list[SinkPoint] = []
        logs: list[SinkLog] = []
        if signal == "traces":
            for resource in message.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(_span(raw, _sent(resource, scope)) for raw in scope.spans)
        elif signal == "metrics":
            for resource in message.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        points.extend(_points(metric, _sent(resource, scope)))
        else:
            for resource in message.resource_logs:
                for scope in resource.scope_logs:
                    logs.extend(_log(raw, _sent(resource, scope)) for raw in scope.log_records)
        with self.arrived:
            self.exports.append(Export(signal, transport, dict(headers), message.ByteSize()))
            self.spans += spans
            self.points += points
            self.logs += logs
            self.arrived.notify_all()


_MESSAGES = {
    "/v1/traces": ("traces", trace_pb2.ExportTraceServiceRequest, trace_pb2.ExportTraceServiceResponse),
    "/v1/metrics": (
        "metrics",
        metrics_pb2.ExportMetricsServiceRequest,
        metrics_pb2.ExportMetricsServiceResponse,
    ),
    "/v1/logs": ("logs", logs_pb2.ExportLogsServiceRequest, logs_pb2.ExportLogsServiceResponse),
}


def _handler(store: _Store) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path not in _MESSAGES:
                self._answer(404, b"", "text/plain")
                return
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            signal, request, response = _MESSAGES[self.path]
            as_json = self.headers.get_content_type() == "application/json"
            message = Parse(body, request()) if as_json else request.FromString(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            store.add(signal, "http", headers, message)
            if as_json:
                self._answer(200, MessageToJson(response()).encode(), "application/json")
            else:
                self._answer(200, response().SerializeToString(), "application/x-protobuf")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing goes to standard error."""

    return Handler


def _export(store: _Store, signal: str, response: Callable[[], Any]) -> Callable[[Any, Any], Any]:
    def export(request: Any, context: Any) -> Any:
        store.add(signal, "grpc", dict(context.invocation_metadata()), request)
        return response()

    return export


class OtlpSink:
    """Listens on free ports of the loopback interface from `start` (or entering the context) to `stop`."""

    def __init__(self) -> None:
        self._store = _Store()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._store))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._pool = ThreadPoolExecutor(4)
        self._grpc = grpc.server(self._pool)
        store = self._store
        for base, add, signal, response in (
            (
                trace_grpc.TraceServiceServicer,
                trace_grpc.add_TraceServiceServicer_to_server,
                "traces",
                trace_pb2.ExportTraceServiceResponse,
            ),
            (
                metrics_grpc.MetricsServiceServicer,
                metrics_grpc.add_MetricsServiceServicer_to_server,
                "metrics",
                metrics_pb2.ExportMetricsServiceResponse,
            ),
            (
                logs_grpc.LogsServiceServicer,
                logs_grpc.add_LogsServiceServicer_to_server,
                "logs",
                logs_pb2.ExportLogsServiceResponse,
            ),
        ):
            servicer = base()
            servicer.Export = _export(store, signal, response)
            add(servicer, self._grpc)
        self._grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")

    def start(self) -> Self:
        self._thread.start()
        self._grpc.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._grpc.stop(grace=None).wait()
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def http_url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT` with protocol `http/protobuf`: the exporter adds `/v1/traces` etc."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def grpc_url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT` with protocol `grpc`."""
        return f"http://127.0.0.1:{self._grpc_port}"

    @property
    def exports(self) -> list[Export]:
        with self._store.arrived:
            return list(self._store.exports)

    @property
    def spans(self) -> list[SinkSpan]:
        with self._store.arrived:
            return list(self._store.spans)

    @property
    def points(self) -> list[SinkPoint]:
        """Every point of every export."""
        with self._store.arrived:
            return list(self._store.points)

    @property
    def logs(self) -> list[SinkLog]:
        with self._store.arrived:
            return list(self._store.logs)

    def metric(self, name: str) -> list[SinkPoint]:
        """The last exported points of a metric, one per set of attributes."""
        last = {
            repr(sorted(point.attributes.items())): point for point in self.points if point.metric == name
        }
        return list(last.values())

    def wait_for_spans(self, count: int, timeout: float = 10.0) -> list[SinkSpan]:
        """Wait until `count` spans arrived in all; raises `TimeoutError`."""
        self.wait(lambda: len(self._store.spans) >= count, f"{count} spans", timeout)
        return self.spans

    def wait_for_metric(self, name: str, timeout: float = 10.0) -> list[SinkPoint]:
        """Wait until a metric arrived; raises `TimeoutError`."""
        self.wait(lambda: any(point.metric == name for point in self._store.points), name, timeout)
        return self.metric(name)

    def wait_for_logs(self, count: int, timeout: float = 10.0) -> list[SinkLog]:
        """Wait until `count` log records arrived in all; raises `TimeoutError`."""
        self.wait(lambda: len(self._store.logs) >= count, f"{count} log records", timeout)
        return self.logs

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """Wait until something holds, looking again at each export; raises `TimeoutError`."""
        with self._store.arrived:
            if not self._store.arrived.wait_for(condition, timeout):
                store = self._store
                raise TimeoutError(
                    f"{what}: not within {timeout} s; there are {len(store.spans)} spans, {len(store.points)} points, "
                    f"{len(store.logs)} log records from {len(store.exports)} exports"
                )
