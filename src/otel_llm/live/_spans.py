"""Spans as they arrive in OTLP, turned into plain data."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

__all__ = ["Span", "any_value", "attributes_of", "spans_of", "valid_ids"]

_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")
_LATEST: Final = 4_102_444_800_000_000_000
"""The year 2100 in nanoseconds: a time beyond it is no time."""


@dataclass(slots=True, frozen=True)
class Span:
    """One finished span; times are nanoseconds since the epoch, ids lower-case hex."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start: int
    end: int
    status: str
    status_message: str | None
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    """`{"name", "time", "attributes"}`"""
    links: list[dict[str, str]]
    scope: str
    resource: dict[str, Any]

    @property
    def service(self) -> str | None:
        """The resource's `service.name`."""
        name = self.resource.get("service.name")
        return str(name)[:200] if name is not None else None

    def record(self) -> dict[str, Any]:
        """What is kept of the span for its trace, ready for JSON."""
        return {
            "span_id": self.span_id, "parent_id": self.parent_id, "name": self.name, "kind": self.kind,
            "service": self.service, "scope": self.scope, "start": self.start, "end": self.end,
            "status": self.status, "status_message": self.status_message, "attributes": self.attributes,
            "events": self.events, "links": self.links,
        }  # fmt: skip


def any_value(value: AnyValue) -> Any:
    """The plain value; bytes become base64, and numbers that JSON lacks become text."""
    kind = value.WhichOneof("value")
    match kind:
        case "string_value" | "bool_value" | "int_value":
            return getattr(value, kind)
        case "double_value":
            number = value.double_value
            return number if math.isfinite(number) else str(number)
        case "array_value":
            return [any_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return None


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a dict; of several with the same key the last counts."""
    return {pair.key: any_value(pair.value) for pair in pairs}


def valid_ids(span: ProtoSpan) -> bool:
    """Whether both ids have the length that they must have and are not all zeros."""
    lengths = (len(span.trace_id), len(span.span_id))
    return lengths == (16, 8) and any(span.trace_id) and any(span.span_id)


def spans_of(request: ExportTraceServiceRequest, *, now: int) -> Iterator[Span | None]:
    """Each span of a request; None for one whose ids are not valid. A time that is none becomes `now`."""
    for of_resource in request.resource_spans:
        resource = attributes_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope.name
            for span in of_scope.spans:
                yield _span(span, scope, resource, now) if valid_ids(span) else None


def _span(span: ProtoSpan, scope: str, resource: dict[str, Any], now: int) -> Span:
    start = span.start_time_unix_nano
    end = span.end_time_unix_nano
    if not 0 < start < _LATEST:
        start = min(end, now) if 0 < end < _LATEST else now
    if not start <= end < _LATEST:
        end = start
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "unspecified",
        start=start,
        end=end,
        status=_STATUSES[span.status.code] if 0 <= span.status.code < len(_STATUSES) else "unset",
        status_message=span.status.message or None,
        attributes=attributes_of(span.attributes),
        events=[
            {"name": event.name, "time": event.time_unix_nano, "attributes": attributes_of(event.attributes)}
            for event in span.events
        ],
        links=[{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
        scope=scope,
        resource=resource,
    )
