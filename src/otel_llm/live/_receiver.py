"""What arrives in OTLP, taken in: spans as traces and calls, content in logs, gauges of what is active.

`Receiver` is the same for OTLP/HTTP (`_otlp_http`), OTLP/gRPC (`_grpc`) and calls of this process (`_feed`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_llm import _guard

from . import _messages
from ._calls import from_span
from ._dialects import endpoint_of
from ._json import dumps, is_dict
from ._keep import Batch, KeepError
from ._spans import any_value, attributes_of, spans_of
from ._store import span_of_call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from ._aggregate import Aggregator
    from ._calls import Call, Detail
    from ._keep import Keep
    from ._messages import Content
    from ._spans import Span
    from ._store import Kept, Store

__all__ = ["Busy", "Receiver", "Rejected"]

_SLICE: Final = 50
"""Spans after which other work of the event loop has its turn."""
_MAX_UNSAVED: Final = 50_000
_MAX_EARLY: Final = 1000
_MAX_EVENTS: Final = 200
_SANE: Final = 10**9
_ACTIVE: Final = {"otel_llm.request.active": "requests", "otel_llm.stream.active": "streams"}


class Busy(Exception):  # noqa: N818 - a state, not a fault
    """Nothing can be taken now; the sender is to try again."""


@dataclass(slots=True, frozen=True)
class Rejected:
    """How many spans, points or records of a request were not taken, and why; a fixed text."""

    count: int = 0
    reason: str = ""


def _call(span: Span) -> tuple[Call, Detail] | None:
    """The call that a span is; a span that we cannot read costs a call, not the whole request."""
    try:
        return from_span(span)
    except Exception as error:  # noqa: BLE001 - what others write into attributes is without limits
        _guard.caught(error, what="a received span")
        return None


class Receiver:
    """Takes in what arrives; its coroutines run in one event loop."""

    def __init__(self, store: Store, aggregator: Aggregator, *, keep: Keep | None = None) -> None:
        self.store = store
        self.aggregator = aggregator
        self.keep = keep
        self.received = {"spans": 0, "metrics": 0, "logs": 0, "rejected": 0}
        self._unsaved = Batch([], [], [])
        """What could not be written to the file; it is written with what comes next."""
        self._early: OrderedDict[str, list[tuple[str, Any]]] = OrderedDict()
        """Events with content that came before their span, by the id of the call."""

    async def traces(self, request: ExportTraceServiceRequest) -> Rejected:
        """Take in spans. Raises `Busy` when they cannot be kept in the file."""
        self._check()
        rejected = 0
        spans: list[tuple[str, dict[str, Any], str]] = []
        calls: list[tuple[Call, Detail]] = []
        for number, span in enumerate(spans_of(request, now=time.time_ns()), 1):
            if span is None:
                rejected += 1
            else:
                record = span.record()
                spans.append((span.trace_id, record, dumps(record)))
                if (found := _call(span)) is not None:
                    calls.append(found)
            if not number % _SLICE:
                await asyncio.sleep(0)
        self.received["spans"] += len(spans)
        self.received["rejected"] += rejected
        kept = self.take(spans, calls)
        await self._save(kept, spans)
        return Rejected(rejected, "spans with an invalid id were not taken" if rejected else "")

    def take(
        self, spans: list[tuple[str, dict[str, Any], str]], calls: Iterable[tuple[Call, Detail]]
    ) -> list[Kept]:
        """Store spans and calls, count the calls, and return those that are new or have changed."""
        self.store.add_spans(spans)
        added: list[Kept] = []
        for call, detail in calls:
            kept = self.store.add(call, detail)
            if kept is None:
                continue
            self.aggregator.ended(self.aggregator.series(call.endpoint, call.model, call.provider), call)
            if (events := self._early.pop(call.id, None)) is not None and (
                content := _messages.from_events(events)
            ):
                kept = self.store.enrich(call.id, content) or kept
            added.append(kept)
        return added

    def local(self, call: Call, detail: Detail) -> Kept | None:
        """Store a call of this process, which has been counted already."""
        if call.trace_id:
            record = span_of_call(call)
            self.store.add_spans([(call.trace_id, record, dumps(record))])
        return self.store.add(call, detail)

    def _check(self) -> None:
        if len(self._unsaved.spans) + len(self._unsaved.calls) > _MAX_UNSAVED:
            raise Busy

    async def _save(self, kept: list[Kept], spans: list[tuple[str, dict[str, Any], str]]) -> None:
        """Be done when everything taken so far is in the file, also when these spans came before."""
        if self.keep is None:
            return
        unsaved = self._unsaved
        self._unsaved = Batch([], [], [])
        batch = Batch(
            [*unsaved.calls, *kept],
            [*unsaved.spans, *((trace_id, record["span_id"], text) for trace_id, record, text in spans)],
            [*unsaved.usage, *self.store.usage_of(one.call for one in kept)],
        )
        try:
            await asyncio.wrap_future(self.keep.write(batch))
        except KeepError:
            later = self._unsaved
            self._unsaved = Batch(
                batch.calls + later.calls, batch.spans + later.spans, batch.usage + later.usage
            )
            raise Busy from None

    def save_local(self, kept: list[Kept]) -> None:
        """Write calls of this process to the file; nobody waits for it, a failure is logged by the file."""
        if self.keep is not None:
            spans = [
                (one.call.trace_id, one.call.span_id, dumps(span_of_call(one.call)))
                for one in kept
                if one.call.trace_id
            ]
            self.keep.write(Batch(kept, spans, self.store.usage_of(one.call for one in kept)))

    async def logs(self, request: ExportLogsServiceRequest) -> Rejected:
        """Take the captured content that comes in log records."""
        self._check()
        found: dict[str, list[tuple[str, Any]]] = {}
        for of_resource in request.resource_logs:
            for of_scope in of_resource.scope_logs:
                for record in of_scope.log_records:
                    self.received["logs"] += 1
                    attributes = attributes_of(record.attributes)
                    name = record.event_name or attributes.get("event.name")
                    if (
                        isinstance(name, str)
                        and name.startswith("gen_ai.")
                        and record.trace_id
                        and record.span_id
                    ):
                        body = any_value(record.body)
                        call_id = f"{record.trace_id.hex()}-{record.span_id.hex()}"
                        found.setdefault(call_id, []).append((name, body if is_dict(body) else attributes))
        changed = [
            kept for call_id, events in found.items() if (kept := self._content(call_id, events)) is not None
        ]
        await self._save(changed, [])
        return Rejected()

    def _content(self, call_id: str, events: list[tuple[str, Any]]) -> Kept | None:
        if self.store.call(call_id) is None:
            waiting = self._early.setdefault(call_id, [])
            waiting += events[: _MAX_EVENTS - len(waiting)]
            while len(self._early) > _MAX_EARLY:
                self._early.popitem(last=False)
            return None
        content: Content | None = _messages.from_events(events)
        return self.store.enrich(call_id, content) if content is not None else None

    async def metrics(self, request: ExportMetricsServiceRequest) -> Rejected:
        """Take the gauges of active requests and streams; other metrics are for the collector only."""
        for of_resource in request.resource_metrics:
            resource = of_resource.resource.SerializeToString(deterministic=True)
            sender = hashlib.blake2b(resource, digest_size=8).hexdigest()
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    self.received["metrics"] += 1
                    if metric.name in _ACTIVE:
                        self._active(metric, sender)
        return Rejected()

    def _active(self, metric: Metric, sender: str) -> None:
        points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
        sums: dict[tuple[str, str, str], int] = {}
        for point in points:
            attributes = attributes_of(point.attributes)
            operation, provider, model = (
                str(attributes.get(f"gen_ai.{name}", ""))
                for name in ("operation.name", "provider.name", "request.model")
            )
            key = (endpoint_of(operation or "chat", provider, attributes), model, provider)
            value = point.as_int if point.HasField("as_int") else point.as_double
            sums[key] = sums.get(key, 0) + (int(value) if 0 <= value < _SANE else 0)
        for key, count in sums.items():
            self.aggregator.report(self.aggregator.series(*key), sender, **{_ACTIVE[metric.name]: count})
