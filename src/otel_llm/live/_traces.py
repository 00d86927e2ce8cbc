"""A trace's spans in the order of a waterfall, and the line of a trace in the list."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ._calls import money

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from ._store import Trace

__all__ = ["line", "waterfall"]


def line(trace: Trace) -> dict[str, Any]:
    """The members that a trace has in the list and by itself."""
    return {
        "trace_id": trace.trace_id,
        "name": trace.name,
        "services": list(trace.services),
        "start": trace.start / 1e9,
        "duration_ms": round((trace.end - trace.start) / 1e6, 3),
        "total_tokens": trace.tokens,
        "cost": money(trace.cost),
    }


def waterfall(
    trace_id: str, records: Iterable[dict[str, Any]], calls: Container[str]
) -> list[dict[str, Any]]:
    """The spans depth first, children by start; a span whose parent is missing, or is below it, is a root."""
    by_id = {record["span_id"]: record for record in records}
    children: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for record in sorted(by_id.values(), key=lambda record: (record["start"], record["span_id"])):
        parent = record["parent_id"]
        children[parent if parent in by_id else None].append(record)
    start = min((record["start"] for record in by_id.values()), default=0)
    ordered = list(_walk(children, children[None]))
    seen = {record["span_id"] for record, _ in ordered}
    # Spans that are their own ancestors hang on no root.
    ordered += [(record, 0) for span_id, record in by_id.items() if span_id not in seen]
    return [
        {
            **_span(record, start),
            "depth": depth,
            "missing_parent": record["parent_id"] is not None and record["parent_id"] not in by_id,
            "call_id": call_id if (call_id := f"{trace_id}-{record['span_id']}") in calls else None,
        }
        for record, depth in ordered
    ]


def _walk(
    children: dict[str | None, list[dict[str, Any]]], roots: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], int]]:
    waiting = [(record, 0) for record in reversed(roots)]
    while waiting:
        record, depth = waiting.pop()
        yield record, depth
        waiting.extend((child, depth + 1) for child in reversed(children.get(record["span_id"], [])))


def _span(record: dict[str, Any], start: int) -> dict[str, Any]:
    return {
        "span_id": record["span_id"],
        "parent_id": record["parent_id"],
        "name": record["name"],
        "kind": record["kind"],
        "service": record["service"],
        "scope": record["scope"],
        "offset_ms": (record["start"] - start) / 1e6,
        "duration_ms": (record["end"] - record["start"]) / 1e6,
        "status": record["status"],
        "status_message": record["status_message"],
        "attributes": record["attributes"],
        "events": [
            {
                "name": event["name"],
                "offset_ms": max(event["time"] - start, 0) / 1e6,
                "attributes": event["attributes"],
            }
            for event in record["events"]
        ],
        "links": record["links"],
    }
