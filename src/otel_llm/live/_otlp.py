"""The three OTLP services, apart from how they are reached: bytes in, the service's response out.

Over HTTP (`_otlp_http`) bodies are protobuf or JSON, over gRPC (`_grpc`) protobuf.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import (  # pyright: ignore[reportMissingTypeStubs]
    logs_service_pb2 as logs,
)
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from ._json import is_dict, is_list, loads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._forward import Forwarder
    from ._receiver import Receiver, Rejected

__all__ = ["MAX_BODY", "SIGNALS", "BadBody", "Otlp", "Signal"]

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes of a request, decompressed."""
_LARGE_JSON: Final = 16 * 1024
"""From this size on JSON is read in a thread: it takes about a second per 2 MiB."""
_IDS: Final = ("traceId", "spanId", "parentSpanId")


class BadBody(ValueError):  # noqa: N818 - an answer
    """A body is not what its content type says."""


@dataclass(slots=True, frozen=True)
class Signal:
    """One of traces, metrics and logs."""

    path: str
    service: str
    """The gRPC service."""
    request: Any
    response: Any
    rejected: str
    """The field of a partial success that counts what was not taken."""


_PACKAGE: Final = "opentelemetry.proto.collector"
SIGNALS: Final = {
    "traces": Signal(
        "/v1/traces",
        f"{_PACKAGE}.trace.v1.TraceService",
        traces.ExportTraceServiceRequest,
        traces.ExportTraceServiceResponse,
        "rejected_spans",
    ),
    "metrics": Signal(
        "/v1/metrics",
        f"{_PACKAGE}.metrics.v1.MetricsService",
        metrics.ExportMetricsServiceRequest,
        metrics.ExportMetricsServiceResponse,
        "rejected_data_points",
    ),
    "logs": Signal(
        "/v1/logs",
        f"{_PACKAGE}.logs.v1.LogsService",
        logs.ExportLogsServiceRequest,
        logs.ExportLogsServiceResponse,
        "rejected_log_records",
    ),
}


class Otlp:
    """Takes in requests of all three signals, and passes them on."""

    def __init__(self, receiver: Receiver, forwarder: Forwarder | None) -> None:
        self._receiver = receiver
        self._forwarder = forwarder
        self._take: dict[str, Callable[[Any], Awaitable[Rejected]]] = {
            "traces": receiver.traces,
            "metrics": receiver.metrics,
            "logs": receiver.logs,
        }

    async def take(self, name: str, body: bytes, *, json: bool = False) -> Any:
        """The response's protobuf message. Raises `BadBody`, and `Busy` when the sender is to try again."""
        signal = SIGNALS[name]
        if json and len(body) > _LARGE_JSON:
            request = await asyncio.to_thread(_from_json, signal, body)
        else:
            request = _from_json(signal, body) if json else _from_protobuf(signal, body)
        rejected = await self._take[name](request)
        if self._forwarder is not None:
            self._forwarder.put(signal.path, request.SerializeToString() if json else body)
        response = signal.response()
        if rejected.count:
            setattr(response.partial_success, signal.rejected, rejected.count)
            response.partial_success.error_message = rejected.reason
        return response


def _from_protobuf(signal: Signal, body: bytes) -> Any:
    request = signal.request()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise BadBody("The body is not a valid protobuf message of this service") from None
    return request


def _from_json(signal: Signal, body: bytes) -> Any:
    request = signal.request()
    try:
        message = loads(body)
        if not is_dict(message):
            raise BadBody("not an object")
        _ids_to_base64(message)
        json_format.ParseDict(message, request, ignore_unknown_fields=True)
    except (ValueError, json_format.ParseError, RecursionError, TypeError, AttributeError, OverflowError):
        raise BadBody("The body is not valid OTLP JSON of this service") from None
    return request


def _ids_to_base64(message: Any) -> None:
    """OTLP/JSON has ids in hex, where protobuf's own JSON has base64.

    Raises ValueError for an id that is not hex.
    """
    waiting = [message]
    while waiting:
        node = waiting.pop()
        if is_list(node):
            waiting.extend(node)
        elif is_dict(node):
            for key, value in node.items():
                if key in _IDS:
                    if not isinstance(value, str):
                        raise BadBody("an id is not a string")
                    node[key] = base64.b64encode(binascii.unhexlify(value)).decode()
                else:
                    waiting.append(value)
