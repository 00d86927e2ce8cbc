"""A live server on free ports of loopback, spans as real senders write them, and small clients."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import jsonschema
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from websockets.sync.client import connect

from otel_llm._operation import Operation, Outcome, StreamStats, Usage
from otel_llm.live import LiveOptions, LiveServer
from otel_llm.live._openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(__file__).with_name("data")
_numbers = itertools.count(1)


def key_value(key: str, value: Any) -> KeyValue:
    match value:
        case bool():
            made = AnyValue(bool_value=value)
        case int():
            made = AnyValue(int_value=value)
        case float():
            made = AnyValue(double_value=value)
        case list() | tuple():
            made = AnyValue(array_value=ArrayValue(values=[key_value("", item).value for item in value]))
        case _:
            made = AnyValue(string_value=value)
    return KeyValue(key=key, value=made)


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "otel_llm.cost": 0.000063,
    "otel_llm.outcome": "completed",
}


def make_span(name: str = "chat gpt-4o", *, ms: float = 100.0, ago: float = 0.0, trace: int | None = None,
              parent: int | None = None, number: int | None = None, **attributes: Any) -> Span:  # fmt: skip
    """A span that ended `ago` seconds ago; attributes are `CHAT`'s and these, `__` for a dot; None removes one."""
    number = next(_numbers) if number is None else number
    end = time.time_ns() - int(ago * 1e9)
    values = {**CHAT, **{key.replace("__", "."): value for key, value in attributes.items()}}
    return Span(
        trace_id=(number if trace is None else trace).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=end - int(ms * 1e6),
        end_time_unix_nano=end,
        attributes=[key_value(key, value) for key, value in values.items() if value is not None],
    )


def make_request(*spans: Span, scope: str = "otel_llm", service: str = "app") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.append(key_value("service.name", service))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = scope
    of_scope.spans.extend(spans)
    return request


def make_operation(**values: Any) -> Operation:
    """A call of this process that has not begun."""
    defaults: dict[str, Any] = {
        "provider": "openai", "name": "chat", "endpoint": "/v1/chat/completions", "sdk": "openai",
        "request_model": "gpt-4o", "start_time": time.time_ns(), "started": time.perf_counter(),
    }  # fmt: skip
    return Operation(**{**defaults, **values})


def end_operation(op: Operation, outcome: Outcome = Outcome.COMPLETED, **values: Any) -> Operation:
    """End it as the recorder does."""
    op.duration = time.perf_counter() - op.started
    op.outcome = outcome
    for name, value in values.items():
        setattr(op, name, value)
    op.freeze()
    return op


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        def no_constant(name: str) -> None:
            raise AssertionError(f"{name} in JSON")

        return json.loads(self.body, parse_constant=no_constant)


class Http:
    """A client that says exactly what it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.netloc = urlsplit(url).netloc

    def request(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            lower = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, lower, response.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        answer = self.request("GET", f"{path}?{urlencode(query, doseq=True)}" if query else path)
        assert answer.status == 200, answer
        return answer.json()

    def send(self, *spans: Span, **options: Any) -> Answer:
        body = make_request(*spans, **options).SerializeToString()
        return self.request("POST", "/v1/traces", body, content_type="application/x-protobuf")


class Live:
    """A running server with its clients."""

    def __init__(self, server: LiveServer, stack: ExitStack) -> None:
        self.server = server
        self.http = Http(server.url)
        self._stack = stack

    def connect(self, **options: Any) -> Any:
        """A WebSocket on the stream."""
        options = {"compression": None, "open_timeout": 10, "close_timeout": 2, **options}
        url = self.http.url.replace("http", "ws", 1) + "/metrics/stream"
        return self._stack.enter_context(connect(url, **options))


def receive(socket: Any, kind: str | None = None, *, timeout: float = 10.0) -> dict[str, Any]:
    """The next frame (of a type)."""
    end = time.monotonic() + timeout
    while True:
        frame = json.loads(socket.recv(timeout=max(end - time.monotonic(), 0.001)))
        if kind is None or frame["type"] == kind:
            return frame


def ask(socket: Any, message: Any) -> dict[str, Any]:
    """Send a message and return its answer: the next frame that is no update."""
    socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
    while (frame := receive(socket))["type"] == "metrics_update":
        pass
    return frame


def validate(name: str, value: Any) -> None:
    """`value` is what the OpenAPI document says of an object."""
    schema = {**document(token_needed=False), "$ref": f"#/components/schemas/{name}"}
    jsonschema.Draft202012Validator(schema).validate(value)


def until(true: Callable[[], Any], *, timeout: float = 10.0) -> Any:
    """Wait for something, and return it."""
    end = time.monotonic() + timeout
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return found


@contextmanager
def running(**options: Any) -> Iterator[Live]:
    """A server that receives, on free ports."""
    options = {"port": 0, "otlp_port": 0, "local": False, **options}
    with ExitStack() as stack:
        server = LiveServer(LiveOptions(**options))
        server.start()
        stack.callback(server.stop)
        yield Live(server, stack)


@pytest.fixture
def live() -> Iterator[Live]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def _shared_server() -> Iterator[Live]:
    with running() as found:
        yield found


@pytest.fixture
def shared(_shared_server: Live) -> Iterator[Live]:
    """A server that the tests of a module share: for those that leave nothing behind."""
    with ExitStack() as stack:
        yield Live(_shared_server.server, stack)


@pytest.fixture(scope="session")
def tools() -> Any:
    """This module: test modules cannot import it."""
    import sys

    return sys.modules[__name__]


STREAM = StreamStats
USAGE = Usage
MONEY = Decimal
