"""Takes in what a program sends by OTLP/HTTP, as little as the demo needs, and passes it on to a backend."""

from __future__ import annotations

import gzip
import http.client
import os
import threading
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

__all__ = ["Receiver", "Span", "attributes", "headers_from_environment"]

_TIMEOUT = 10.0


@dataclass(slots=True, frozen=True)
class Span:
    """A span as received; times are nanoseconds since the epoch."""

    id: bytes
    parent: bytes
    trace: bytes
    name: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    error: str | None
    """The description of its status if that is an error."""


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)


def headers_from_environment() -> dict[str, str]:
    """`OTEL_EXPORTER_OTLP_HEADERS`: `name=value`, comma separated, values percent-encoded."""
    pairs = [part.partition("=") for part in os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")]
    return {name.strip(): urllib.parse.unquote(value.strip()) for name, equals, value in pairs if equals}


class Receiver:
    """An OTLP/HTTP receiver on a free port of 127.0.0.1 that keeps what it gets.

    With `forward`, the base URL of a backend, each request goes there too, as it came, with `headers`.
    """

    def __init__(self, forward: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.spans: list[Span] = []
        self.metrics: list[Metric] = []
        self.logs: list[LogRecord] = []
        self.failures: list[str] = []
        """What the backend answered when it did not take something, each text once."""
        self._forward = forward
        self._headers = dict(headers or {})
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="otel-llm-demo-receiver", daemon=True
        )

    @property
    def url(self) -> str:
        """The value for `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                take(self.path, body, self.headers.get("Content-Encoding"))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        return Handler

    def _take(self, path: str, body: bytes, encoding: str | None) -> None:
        plain = gzip.decompress(body) if encoding == "gzip" else body
        with self._lock:
            if path == "/v1/traces":
                traces = ExportTraceServiceRequest.FromString(plain).resource_spans
                self.spans += [
                    _span(span) for of in traces for scope in of.scope_spans for span in scope.spans
                ]
            elif path == "/v1/metrics":
                measured = ExportMetricsServiceRequest.FromString(plain).resource_metrics
                self.metrics += [
                    metric for of in measured for scope in of.scope_metrics for metric in scope.metrics
                ]
            elif path == "/v1/logs":
                logged = ExportLogsServiceRequest.FromString(plain).resource_logs
                self.logs += [
                    record for of in logged for scope in of.scope_logs for record in scope.log_records
                ]
        if self._forward is not None:
            self._pass_on(f"{self._forward}{path}", body, encoding)

    def _pass_on(self, url: str, body: bytes, encoding: str | None) -> None:
        headers = {"Content-Type": "application/x-protobuf", **self._headers}
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - a URL of the user's
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT).close()  # noqa: S310
        except (OSError, http.client.HTTPException) as error:
            failure = f"{url}: {getattr(error, 'reason', None) or error}"
            with self._lock:
                if failure not in self.failures:
                    self.failures.append(failure)


def _span(span: Any) -> Span:
    failed = span.status.code == span.status.STATUS_CODE_ERROR
    return Span(
        span.span_id,
        span.parent_span_id,
        span.trace_id,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        attributes(span.attributes),
        (span.status.message or "error") if failed else None,
    )
