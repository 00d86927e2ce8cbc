"""The JSON and CSV of docs/live-api.md.

Every function runs in a thread of the server, not in its event loop.
"""

from __future__ import annotations

import csv
import io
import re
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from otel_llm._version import __version__

from . import _query, _traces
from ._calls import money
from ._json import dumps, loads
from ._openapi import document
from ._query import MAX_LIMIT, MAX_SEQ, BadQuery, Filter, bounded, flag, whole
from ._store import MAX_DAYS, MAX_SPANS, MAX_USAGE_ROWS, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.requests import Request

    from ._calls import Call
    from ._parts import Parts
    from ._store import Kept

__all__ = ["Api"]

_MAX_QUERY: Final = 8192
_MAX_SCAN: Final = 50_000
"""Calls of the file that one request looks at."""
_FORMULA: Final = re.compile(r"^[=+\-@\t\r]")


def _json(value: Any, status: int = 200) -> Response:
    return Response(dumps(value), status, media_type="application/json")


def _csv(rows: Sequence[Mapping[str, Any]]) -> Response:
    """A table; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(
            [f"'{item}" if isinstance(item, str) and _FORMULA.match(item) else item for item in row.values()]
        )
    return Response(out.getvalue(), media_type="text/csv")


class Api:
    """The answers, from the parts of a server."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    def routes(self) -> list[Route]:
        """The routes of everything but OTLP, the streams and the page."""
        table: dict[str, Callable[[Request], Response]] = {
            "/healthz": self.healthz,
            "/api/openapi.json": self.openapi,
            "/api/status": self.status,
            "/api/summary": self.summary,
            "/api/calls": self.calls,
            "/api/calls/{id}": self.call,
            "/api/active": self.active,
            "/api/traces": self.traces,
            "/api/traces/{id}": self.trace,
            "/api/usage": self.usage,
            "/api/compare": self.compare,
            "/api/history": self.history,
            "/debug/summary": self.debug_summary,
        }
        return [Route(path, self._answer(function), methods=["GET"]) for path, function in table.items()]

    def _answer(self, function: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if len(request.url.query) > _MAX_QUERY:
                return _json({"error": "the query is too long"}, 400)
            try:
                self._parts.refresh()
                return function(request)
            except BadQuery as error:
                return _json({"error": str(error)}, 400)

        return answer

    def healthz(self, request: Request) -> Response:
        """Whether the server answers."""
        del request
        return _json({"status": "ok"})

    def openapi(self, request: Request) -> Response:
        """This interface as an OpenAPI document."""
        del request
        return _json(document(token_needed=self._parts.policy.token is not None))

    def status(self, request: Request) -> Response:
        """What the server is and holds."""
        del request
        parts, store = self._parts, self._store
        sizes = store.sizes()
        labels = parts.aggregator.labels()
        services = {kept.call.service for kept in store.calls() if kept.call.service}
        return _json(
            {
                "version": __version__,
                "mode": "in-process" if parts.feed is not None else "receiver",
                "now": round(time.time(), 3),
                "uptime_s": round(time.time() - parts.started_at, 3),
                "token_required": parts.policy.token is not None,
                "otlp": dict(parts.otlp_at),
                "clients": parts.hub.active,
                "calls": {
                    "kept": sizes["calls"], "seen": store.cursor,
                    "running": parts.feed.running if parts.feed else 0,
                    "dropped": store.calls_dropped,
                },
                "traces": {
                    "kept": sizes["traces"], "seen": store.traces_seen, "dropped": store.traces_dropped,
                    "spans": sizes["spans"],
                },
                "bytes": sizes["bytes"],
                "received": dict(parts.receiver.received),
                "forward": parts.forwarder.status() if parts.forwarder is not None else None,
                "keep": {"path": str(parts.keep.path),
                "bytes": parts.keep.size()} if parts.keep is not None else None,
                **labels,
                "services": sorted(services)[:200],
                "cursor": store.cursor,
            }
        )  # fmt: skip

    def _selected(self, request: Request) -> list[Call]:
        wanted = Filter.parse(request.query_params.multi_items(), now=time.time())
        return [kept.call for kept in self._store.calls() if wanted.matches(kept)]

    def _grouped(self, request: Request, row: Callable[[Sequence[Call]], dict[str, Any]]) -> Response:
        by = [name for name in request.query_params.get("group_by", "").split(",") if name]
        if any(name not in _query.GROUPS for name in by) or len(set(by)) != len(by):
            raise BadQuery(f"group_by must be one or several of {', '.join(_query.GROUPS)}")
        calls = self._selected(request)
        rows = [{**key, **row(members)} for key, members in _query.groups(calls, by)] if by else []
        if _wants_csv(request):
            return _csv([_query.flat(one) for one in rows or [row(calls)]])
        return _json({"window_s": _window(request), "group_by": by, "total": row(calls), "rows": rows})

    def summary(self, request: Request) -> Response:
        """Sums of the calls kept, by group."""
        return self._grouped(request, _query.summary_row)

    def debug_summary(self, request: Request) -> Response:
        """The same, flat."""
        if request.query_params.get("group_by") or _wants_csv(request):
            return self._grouped(request, _query.flat_summary)
        return _json(_query.flat_summary(self._selected(request)))

    def compare(self, request: Request) -> Response:
        """Models (or providers, or endpoints) side by side."""
        by = request.query_params.get("by", "model")
        if by not in _query.COMPARED:
            raise BadQuery(f"by must be one of {', '.join(_query.COMPARED)}")
        return _json({"window_s": _window(request), **_query.compare(self._selected(request), by)})

    def calls(self, request: Request) -> Response:
        """The list of calls."""
        query = request.query_params
        wanted = Filter.parse(query.multi_items(), now=time.time())
        limit = whole(query, "limit", 1, MAX_LIMIT, 100)
        before = whole(query, "before", 0, MAX_SEQ, MAX_SEQ)
        since = whole(query, "since", 0, MAX_SEQ, 0)
        cursor = self._store.cursor
        kept = self._store.calls()
        matching = [one for one in kept if wanted.matches(one)]
        page = [one for one in matching if since < one.seq < before]
        more = len(page) > limit
        page = page[:limit]
        if not more and self._parts.keep is not None and not since:
            oldest = min(kept[-1].seq if kept else MAX_SEQ, before)
            older = (one for one in islice(self._parts.keep.before(oldest), _MAX_SCAN) if wanted.matches(one))
            page += islice(older, limit - len(page) + 1)
            more = len(page) > limit
            page = page[:limit]
        rows = [one.call.to_json(one.seq) for one in page]
        if _wants_csv(request):
            return _csv([_query.flat(row) for row in rows])
        following = page[-1].seq if more else None
        return _json({"calls": rows, "next": following, "cursor": cursor, "matched": len(matching)})

    def _kept(self, call_id: str) -> Kept | None:
        kept = self._store.call(call_id)
        return self._parts.keep.call(call_id) if kept is None and self._parts.keep is not None else kept

    def call(self, request: Request) -> Response:
        """One call with its details."""
        kept = self._kept(request.path_params["id"])
        if kept is None:
            return _json({"error": "there is no such call"}, 404)
        detail: dict[str, Any] = loads(kept.detail)
        call = kept.call
        usage = {
            "input": call.input_tokens, "output": call.output_tokens, "cache_read": call.cache_read_tokens,
            "cache_write": call.cache_write_tokens, "reasoning": call.reasoning_tokens,
            "modalities": detail.pop("modalities"), "source": call.usage_source,
        }  # fmt: skip
        return _json(
            {
                **call.to_json(kept.seq),
                "usage": usage,
                **detail,
                "timeline": _timeline(call, detail),
                "has_trace": self._has_trace(call.trace_id),
            }
        )

    def _has_trace(self, trace_id: str) -> bool:
        keep = self._parts.keep
        return self._store.has_trace(trace_id) or (keep is not None and bool(keep.spans(trace_id, limit=1)))

    def active(self, request: Request) -> Response:
        """The calls of this process that run."""
        del request
        return _json({"active": self._parts.feed.active() if self._parts.feed is not None else []})

    def traces(self, request: Request) -> Response:
        """The list of traces."""
        query = request.query_params
        limit = whole(query, "limit", 1, MAX_LIMIT, 100)
        before = whole(query, "before", 0, MAX_SEQ, MAX_SEQ)
        word = bounded(query, "q").lower()
        service = query.get("service")
        llm, errors = flag(query, "llm"), flag(query, "errors")
        found = [
            trace
            for trace in self._store.traces()
            if trace.seq < before
            and (not service or service in trace.services)
            and (not llm or trace.llm_calls)
            and (not errors or trace.errors)
            and (
                not word
                or word in trace.trace_id
                or word in trace.name.lower()
                or word in " ".join(trace.services).lower()
            )
        ]
        lines = [
            {
                "seq": one.seq, **_traces.line(one), "spans": len(one.spans), "llm_calls": one.llm_calls,
                "errors": one.errors,
            }
            for one in found[:limit]
        ]  # fmt: skip
        return _json({"traces": lines, "next": found[limit - 1].seq if len(found) > limit else None})

    def _records(self, trace_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """What is known of a trace, in memory or in the file."""
        known, keep = self._store.trace(trace_id), self._parts.keep
        records = keep.spans(trace_id, limit=MAX_SPANS) if keep is not None else []
        if known is not None and len(known[1]) >= len(records):
            return {**_traces.line(known[0]), "truncated": known[0].truncated}, known[1]
        if keep is None or not records:
            return None
        rebuilt = Trace(0, trace_id)
        for record in records:
            rebuilt.add(record, "")
        for call in keep.calls_of(trace_id).values():
            rebuilt.count(call)
        return {**_traces.line(rebuilt), "truncated": len(records) == MAX_SPANS}, records

    def trace(self, request: Request) -> Response:
        """One trace with its spans."""
        trace_id = request.path_params["id"]
        found = self._records(trace_id)
        if found is None:
            return _json({"error": "there is no such trace"}, 404)
        calls = set(self._parts.keep.calls_of(trace_id)) if self._parts.keep is not None else set[str]()
        calls |= self._store.calls_of(trace_id)
        return _json({**found[0], "spans": _traces.waterfall(trace_id, found[1], calls)})

    def usage(self, request: Request) -> Response:
        """Sums by day, provider and model."""
        query = request.query_params
        limit = whole(query, "limit", 1, MAX_USAGE_ROWS, MAX_USAGE_ROWS)
        days = whole(query, "days", 1, MAX_DAYS, MAX_DAYS)
        first = time.strftime("%Y-%m-%d", time.gmtime(time.time() - (days - 1) * 86400))
        wanted = {name: set(query.getlist(name)) for name in ("provider", "model")}
        rows = [
            {
                "date": date, "provider": provider, "model": model or None, "calls": row.calls,
                "errors": row.errors,
                "input_tokens": row.input, "output_tokens": row.output,
                "total_tokens": row.total,
                "cache_read_tokens": row.cache_read, "cost": money(row.cost), "unpriced": row.unpriced,
                "avg_latency_ms": round(row.seconds / row.calls * 1000, 3),
            }
            for (date, provider, model), row in self._store.usage_rows()
            if date >= first
            and (not wanted["provider"] or provider in wanted["provider"])
            and (not wanted["model"] or model in wanted["model"])
        ]  # fmt: skip
        if _wants_csv(request):
            return _csv(rows[:limit])
        return _json({"rows": rows[:limit], "truncated": len(rows) > limit})

    def history(self, request: Request) -> Response:
        """The points of the charts."""
        chosen = [frozenset(request.query_params.getlist(name)) for name in ("endpoint", "model", "provider")]
        return _json({"points": self._parts.snapshots.history(*chosen)})


def _wants_csv(request: Request) -> bool:
    wanted = request.query_params.get("format", "json")
    if wanted not in ("json", "csv"):
        raise BadQuery("format must be json or csv")
    return wanted == "csv"


def _window(request: Request) -> float | None:
    return _query.number(request.query_params, "window", *_query.WINDOW)


def _timeline(call: Call, detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened when, in milliseconds from the start."""
    stats: Mapping[str, Any] = detail["stream_stats"] or {}
    at = 0.0
    points: list[tuple[str, float | None]] = [("start", 0.0)]
    retries: Iterable[Mapping[str, Any]] = detail["retries"]
    for retry in retries:
        at += retry["duration_ms"] or 0.0
        points.append((f"attempt {retry['number']} failed", at))
        at += retry["wait_ms"] or 0.0
        points.append((f"attempt {retry['number'] + 1}", at))
    points += [
        ("first chunk", call.ttft_ms),
        ("last chunk", stats.get("last_chunk_ms")),
        ("end", call.duration_ms),
    ]
    return [{"name": name, "at_ms": round(when, 3)} for name, when in points if when is not None]
