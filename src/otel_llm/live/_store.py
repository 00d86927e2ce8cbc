"""The calls and traces of the recent past, in bounded memory: by count, by bytes and by age."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import _messages
from ._json import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._calls import Call, Detail
    from ._messages import Content

__all__ = ["Kept", "Limits", "Store", "Trace", "UsageRow", "span_of_call"]

_PER_CALL: Final = 1500
"""Bytes of a call beside its details, about."""
_PER_SPAN: Final = 300
MAX_SPANS: Final = 10_000
"""Spans that are kept of one trace."""
MAX_USAGE_ROWS: Final = 10_000
MAX_DAYS: Final = 3660
"""Of usage that one answer can go back."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """What is kept in memory at most."""

    calls: int = 10_000
    traces: int = 5_000
    bytes: int = 128 * 1024 * 1024
    """Of calls and of traces, half each."""
    age: float = 24 * 3600.0
    """Seconds since a call, or the last span of a trace, was received."""


class Kept(NamedTuple):
    """A call as it is kept."""

    seq: int
    call: Call
    detail: str
    """The `Detail` as JSON."""
    received: float
    """Seconds since the epoch: age is counted from here, as what is received may have happened long ago."""


@dataclass(slots=True)
class Trace:
    """The spans of one trace that have come so far."""

    seq: int
    trace_id: str
    spans: dict[str, str] = field(default_factory=dict[str, str])
    """Their records as JSON, by span id."""
    bytes: int = 0
    updated: float = 0.0
    start: int = 0
    end: int = 0
    name: str = ""
    rooted: bool = False
    services: dict[str, None] = field(default_factory=dict[str, None])
    errors: int = 0
    llm_calls: int = 0
    tokens: int | None = None
    cost: Decimal | None = None
    truncated: bool = False

    def add(self, record: dict[str, Any], text: str) -> None:
        """Take in a span's record; one that is there already is not taken again."""
        span_id = record["span_id"]
        if span_id in self.spans:
            return
        if len(self.spans) >= MAX_SPANS:
            self.truncated = True
            return
        first = not self.spans
        self.spans[span_id] = text
        self.bytes += len(text) + _PER_SPAN
        root = record["parent_id"] is None
        if first or (root and not self.rooted) or (not self.rooted and record["start"] < self.start):
            self.name = record["name"]
        self.rooted = self.rooted or root
        self.start = record["start"] if first else min(self.start, record["start"])
        self.end = max(self.end, record["end"])
        if record["service"] and len(self.services) < 20:  # noqa: PLR2004 - as many as a list can show
            self.services[record["service"]] = None
        self.errors += record["status"] == "error"

    def count(self, call: Call) -> None:
        """Add a call's tokens and cost."""
        self.llm_calls += 1
        if call.total_tokens is not None:
            self.tokens = (self.tokens or 0) + call.total_tokens
        if call.cost is not None:
            self.cost = (self.cost or Decimal()) + call.cost


@dataclass(slots=True)
class UsageRow:
    """The sums of a day (UTC), a provider and a model."""

    calls: int = 0
    errors: int = 0
    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cost: Decimal | None = None
    unpriced: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int | None:
        """Input and output, None when neither is known."""
        return None if self.input is None and self.output is None else (self.input or 0) + (self.output or 0)

    def add(self, call: Call) -> None:
        """Add one call."""
        self.calls += 1
        self.errors += call.failed
        self.input = _sum(self.input, call.input_tokens)
        self.output = _sum(self.output, call.output_tokens)
        self.cache_read = _sum(self.cache_read, call.cache_read_tokens)
        if call.cost is not None:
            self.cost = (self.cost or Decimal()) + call.cost
        self.unpriced += call.unpriced
        self.seconds += call.duration_ms / 1000


def _sum(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more


def _usage_key(call: Call) -> tuple[str, str, str]:
    return (time.strftime("%Y-%m-%d", time.gmtime(call.end)), call.provider, call.model)


def span_of_call(call: Call) -> dict[str, Any]:
    """The record of a span that says no more than the call does, for calls that came as no span."""
    return {
        "span_id": call.span_id, "parent_id": None, "name": f"{call.operation} {call.model}".strip(),
        "kind": "client",
        "service": call.service, "scope": "otel_llm", "start": int(call.start * 1e9),
        "end": int(call.end * 1e9),
        "status": "error" if call.failed else "unset", "status_message": call.error, "attributes": {},
        "events": [],
        "links": [],
    }  # fmt: skip


class Store:
    """Calls and traces; every method may be called from any thread."""

    def __init__(self, limits: Limits | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.limits = limits or Limits()
        self.usage: dict[tuple[str, str, str], UsageRow] = {}
        self.cursor = 0
        """The newest call's `seq`."""
        self.calls_dropped = 0
        self.traces_seen = 0
        self.traces_dropped = 0
        self.spans_seen = 0
        self._clock = clock
        self._lock = threading.RLock()
        self._calls: OrderedDict[str, Kept] = OrderedDict()
        self._inner: dict[str, str] = {}
        """By the id that a call's parent would have: the call's own id."""
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        """By the time of their last span."""
        self._call_bytes = 0
        self._trace_bytes = 0

    def add(self, call: Call, detail: Detail) -> Kept | None:
        """Keep a call and return it; None when it is known already, by its id or as another layer's span.

        When a framework and the SDK under it are both instrumented, one call makes a span and a child span,
        both of which look like a call: the one that comes first counts, and takes over the content of the
        other.
        """
        with self._lock:
            if call.id in self._calls:
                return None
            other = self._other_layer(call)
            if other is not None:
                if call.has_content and not other.call.has_content:
                    self._enrich(other, detail.get("content"))
                return None
            self.cursor += 1
            kept = Kept(self.cursor, call, dumps(detail), self._clock())
            self._put(kept)
            self._count(call)
            if (trace := self._traces.get(call.trace_id)) is not None:
                trace.count(call)
            self._shrink()
            return kept

    def restore(self, kept: Kept) -> None:
        """Keep again what a file has kept; oldest first, and before anything is added."""
        with self._lock:
            self.cursor = max(self.cursor, kept.seq)
            self._put(kept)
            if (trace := self._traces.get(kept.call.trace_id)) is not None:
                trace.count(kept.call)
            self._shrink()

    def _put(self, kept: Kept) -> None:
        call = kept.call
        before = self._calls.get(call.id)
        self._call_bytes += len(kept.detail) + _PER_CALL
        self._calls[call.id] = kept
        if before is not None:
            self._call_bytes -= len(before.detail) + _PER_CALL
        elif call.parent_id is not None:
            self._inner[f"{call.trace_id}-{call.parent_id}"] = call.id

    def _other_layer(self, call: Call) -> Kept | None:
        if not call.trace_id:
            return None
        parent = f"{call.trace_id}-{call.parent_id}"
        other = self._calls.get(parent) or self._calls.get(self._inner.get(call.id, ""))
        return other if other is not None and other.call.operation == call.operation else None

    def enrich(self, call_id: str, content: Content) -> Kept | None:
        """Give a call content that came apart from it; None when there is no such call without content."""
        with self._lock:
            kept = self._calls.get(call_id)
            if kept is None or kept.call.has_content:
                return None
            return self._enrich(kept, content)

    def _enrich(self, kept: Kept, content: Content | None) -> Kept:
        call = replace(kept.call, has_content=True, preview=_messages.preview(content))
        new = kept._replace(call=call, detail=dumps({**loads(kept.detail), "content": content}))
        self._put(new)
        self._shrink()
        return new

    def _count(self, call: Call) -> None:
        key = _usage_key(call)
        row = self.usage.get(key)
        if row is None:
            if len(self.usage) >= MAX_USAGE_ROWS:
                del self.usage[min(self.usage)]
            row = self.usage[key] = UsageRow()
        row.add(call)

    def add_spans(self, spans: Iterable[tuple[str, dict[str, Any], str]]) -> None:
        """Keep spans (trace id, record, the record as JSON)."""
        now = self._clock()
        with self._lock:
            for trace_id, record, text in spans:
                self.spans_seen += 1
                trace = self._traces.get(trace_id)
                if trace is None:
                    self.traces_seen += 1
                    trace = self._traces[trace_id] = Trace(self.traces_seen, trace_id)
                before = trace.bytes
                trace.add(record, text)
                trace.updated = now
                self._traces.move_to_end(trace_id)  # the one that is silent longest goes first
                self._trace_bytes += trace.bytes - before
            self._shrink()

    def _shrink(self) -> None:
        limits = self.limits
        oldest = self._clock() - limits.age
        half = limits.bytes // 2
        calls = self._calls
        while calls:
            kept = next(iter(calls.values()))
            if len(calls) <= limits.calls and self._call_bytes <= half and kept.received >= oldest:
                break
            del calls[kept.call.id]
            self._inner.pop(f"{kept.call.trace_id}-{kept.call.parent_id}", None)
            self._call_bytes -= len(kept.detail) + _PER_CALL
            self.calls_dropped += 1
        traces = self._traces
        while traces:
            trace = next(iter(traces.values()))
            if len(traces) <= limits.traces and self._trace_bytes <= half and trace.updated >= oldest:
                break
            del traces[trace.trace_id]
            self._trace_bytes -= trace.bytes
            self.traces_dropped += 1

    def calls(self) -> list[Kept]:
        """All calls kept, newest first."""
        with self._lock:
            self._shrink()
            return list(reversed(self._calls.values()))

    def call(self, call_id: str) -> Kept | None:
        """One call."""
        with self._lock:
            return self._calls.get(call_id)

    def calls_of(self, trace_id: str) -> set[str]:
        """The ids of a trace's calls."""
        with self._lock:
            trace = self._traces.get(trace_id)
            ids = (f"{trace_id}-{span_id}" for span_id in trace.spans) if trace is not None else ()
            return {call_id for call_id in ids if call_id in self._calls}

    def traces(self) -> list[Trace]:
        """All traces kept, newest first; to be read only."""
        with self._lock:
            self._shrink()
            return sorted(self._traces.values(), key=lambda trace: trace.seq, reverse=True)

    def has_trace(self, trace_id: str) -> bool:
        """Whether a span of the trace is kept."""
        with self._lock:
            return trace_id in self._traces

    def trace(self, trace_id: str) -> tuple[Trace, list[dict[str, Any]]] | None:
        """One trace and its spans' records."""
        with self._lock:
            trace = self._traces.get(trace_id)
            texts = list(trace.spans.values()) if trace is not None else []
        return None if trace is None else (trace, [loads(text) for text in texts])

    def usage_rows(self) -> list[tuple[tuple[str, str, str], UsageRow]]:
        """The sums by day, provider and model, to be read only; newest day first, then by calls."""
        with self._lock:
            rows = list(self.usage.items())
        rows.sort(key=lambda item: (item[1].calls, item[0]), reverse=True)
        rows.sort(key=lambda item: item[0][0], reverse=True)
        return rows

    def usage_of(self, calls: Iterable[Call]) -> list[tuple[tuple[str, str, str], UsageRow]]:
        """The rows, as they are now, in which these calls are counted."""
        with self._lock:
            keys = {_usage_key(call) for call in calls}
            return [(key, replace(self.usage[key])) for key in keys if key in self.usage]

    def sizes(self) -> dict[str, int]:
        """How much is kept: `calls`, `traces`, `spans` and `bytes`."""
        with self._lock:
            return {
                "calls": len(self._calls),
                "traces": len(self._traces),
                "spans": sum(len(trace.spans) for trace in self._traces.values()),
                "bytes": self._call_bytes + self._trace_bytes,
            }
