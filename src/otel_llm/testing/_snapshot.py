"""Telemetry as plain data that is the same in each run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from ._points import Point

__all__ = ["of_logs", "of_points", "of_spans", "tree"]

_TIMES = re.compile(r"time_to_|time_per_|duration|delay|\.gap\.|rate$|\.reset(\.|$)")
"""Attributes that hold measured times, or what follows from one."""
_OUTSIDE = "<not captured>"
_VARYING = {"server.port": "<port>", "exception.stacktrace": "<stacktrace>", "thread.id": "<thread>"}


def _attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in sorted((attributes or {}).items())}


def _value(name: str, value: Any) -> Any:
    if name in _VARYING:
        return _VARYING[name]
    if isinstance(value, float) and _TIMES.search(name):
        return "<seconds>"
    if isinstance(value, tuple | list):
        return [_value(name, item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _numbers(spans: Sequence[ReadableSpan]) -> dict[int, str]:
    return {span.context.span_id: f"span_{i + 1}" for i, span in enumerate(spans) if span.context is not None}


def _ordered(span: ReadableSpan, parent: ReadableSpan | None) -> None:
    start, end = span.start_time or 0, span.end_time or 0
    if not start <= end:
        raise AssertionError(f"{span.name!r} ends before it starts")
    if not all(start <= event.timestamp <= end for event in span.events):
        raise AssertionError(f"{span.name!r} has an event outside of its time")
    if parent is not None and start < (parent.start_time or 0):
        raise AssertionError(f"{span.name!r} starts before its parent {parent.name!r}")


def of_spans(spans: Sequence[ReadableSpan]) -> list[dict[str, Any]]:
    """Spans in the order of their start."""
    numbers = _numbers(spans)
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    told: list[dict[str, Any]] = []
    for span in spans:
        above = by_id.get(span.parent.span_id) if span.parent is not None else None
        _ordered(span, above)
        status = span.status.status_code.name
        told.append({
            "span": numbers[span.context.span_id] if span.context is not None else None,
            "parent": above.name if above is not None else span.parent and _OUTSIDE,
            "name": span.name,
            "kind": span.kind.name,
            "status": f"{status}: {span.status.description}" if span.status.description else status,
            "attributes": _attributes(span.attributes),
        })  # fmt: skip
        if span.events:
            told[-1]["events"] = [
                {"name": event.name, "attributes": _attributes(event.attributes)} for event in span.events
            ]
        if span.links:
            told[-1]["links"] = [numbers.get(link.context.span_id, _OUTSIDE) for link in span.links]
    return told


def of_points(points: Mapping[str, Sequence[Point]]) -> dict[str, list[dict[str, Any]]]:
    """Points per metric: the value of sums and gauges, count and sum of histograms (in seconds: count)."""
    told: dict[str, list[dict[str, Any]]] = {}
    for name, several in points.items():
        told[name] = []
        for point in several:
            entry: dict[str, Any] = {
                "type": point.type,
                "unit": point.unit,
                "attributes": _attributes(point.attributes),
            }
            if point.count is None:
                entry["value"] = _value(name, point.value)
            else:
                entry["count"] = point.count
                if point.unit != "s":
                    entry["sum"] = point.sum
            told[name].append(entry)
    return told


def of_logs(logs: Sequence[Any], spans: Sequence[ReadableSpan]) -> list[dict[str, Any]]:
    """Log records in the order of their emission, with the span they belong to."""
    numbers = _numbers(spans)
    told: list[dict[str, Any]] = []
    for item in logs:
        record = item.log_record
        severity = record.severity_number
        told.append(
            {
                "event": getattr(record, "event_name", None),
                "severity": severity.name if severity is not None else None,
                "body": record.body,
                "attributes": _attributes(record.attributes),
                "span": numbers.get(record.span_id, _OUTSIDE) if record.span_id else None,
            }
        )
    return told


def tree(spans: Sequence[ReadableSpan]) -> str:
    """The names of spans as an indented list."""
    known = {span.context.span_id for span in spans if span.context is not None}
    below: dict[int | None, list[ReadableSpan]] = {}
    for span in spans:
        parent = span.parent.span_id if span.parent is not None and span.parent.span_id in known else None
        below.setdefault(parent, []).append(span)
    lines: list[str] = []

    def add(parent: int | None, depth: int) -> None:
        for span in below.get(parent, ()):
            lines.append("  " * depth + span.name)
            if span.context is not None:
                add(span.context.span_id, depth + 1)

    add(None, 0)
    return "\n".join(lines)
