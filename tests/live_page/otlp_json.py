"""Spans as OTLP/JSON."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Span:
    """One span, times in seconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    """1 internal, 2 server, 3 client."""
    start: float
    end: float
    scope: str
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    failed: str | None = None
    """The status message of a span in error."""


def resource_spans(service: str, spans: list[Span]) -> dict[str, Any]:
    """The spans of a service, as one member of `resourceSpans`."""
    attributes = {
        "service.name": service,
        "service.version": "1.42.0",
        "host.name": "worker-3",
        "telemetry.sdk.language": "python",
    }
    scopes: list[dict[str, Any]] = []
    for scope, members in itertools.groupby(
        sorted(spans, key=lambda span: span.scope), lambda span: span.scope
    ):
        scopes.append({"scope": {"name": scope}, "spans": [_span(span) for span in members]})
    return {"resource": {"attributes": _attributes(attributes)}, "scopeSpans": scopes}


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id, "spanId": span.span_id, "parentSpanId": span.parent_id, "name": span.name, "kind": span.kind,
        "startTimeUnixNano": str(int(span.start * 1e9)), "endTimeUnixNano": str(int(span.end * 1e9)), "attributes": _attributes(span.attributes),
        "status": {"code": 2, "message": span.failed} if span.failed else {},
        "events": [{"name": "gen_ai.client.retry", "timeUnixNano": str(int((span.start + 0.02) * 1e9)), "attributes": _attributes({"attempt": 1})}] if span.attributes.get("otel_llm.request.attempts", 1) > 1 else [],
    }  # fmt: skip


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": str(value)}
