"""The objects of the live view's answers and frames as JSON Schema; docs/live-api.md says what they mean.

Every object has exactly the members that are listed, unless a function says otherwise. `_openapi` publishes
them, and the tests hold the answers to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

from otel_llm._operation import Outcome, UsageSource

from ._frames import MetricType
from ._query import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COMPONENTS", "Schema", "ref", "strings"]

Schema: TypeAlias = "dict[str, Any]"


def closed(*optional: str, **members: Schema) -> Schema:
    """An object with these members and no others; all but the `optional` ones are always there."""
    return {
        "type": "object",
        "properties": members,
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    """An object whose members' names are data: endpoints, attributes."""
    return {"type": "object", "additionalProperties": values}


def ref(name: str) -> Schema:
    """One of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """The same or null."""
    if isinstance(kind := schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def strings(values: Iterable[str]) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": sorted(map(str, values))}


ANY: Final[Schema] = {}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
NUMBER: Final[Schema] = {"type": "number"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
AMOUNT: Final[Schema] = {"type": "number", "minimum": 0}
MAYBE_TEXT: Final = nullable(TEXT)
MAYBE_COUNT: Final = nullable(COUNT)
MAYBE_AMOUNT: Final = nullable(AMOUNT)
MONEY: Final[Schema] = {"type": ["string", "null"], "pattern": r"^\d+(\.\d+)?$"}
SHARE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
TEXTS: Final = array(TEXT)
OBJECT: Final = by_name(ANY)
STATS: Final = ref("Stats")
MAYBE_STATS: Final = nullable(STATS)
RATES: Final = by_name(AMOUNT)

USAGE_SOURCE: Final = strings(get_args(UsageSource))
_SOURCES: Final = ("otel_llm", "opentelemetry", "openinference", "openllmetry", "other")
_NAMES: Final = ("avg", "min", "max", "p50", "p90", "p99")
_TOKENS: Final = {"input_tokens": MAYBE_COUNT, "output_tokens": MAYBE_COUNT, "total_tokens": MAYBE_COUNT}

_ROW: Final = {
    "calls": COUNT, "errors": COUNT, "error_rate": SHARE, "streams": COUNT, "retried": COUNT, **_TOKENS,
    "cache_read_tokens": MAYBE_COUNT, "cache_write_tokens": MAYBE_COUNT, "reasoning_tokens": MAYBE_COUNT,
    "cache_hit_rate": nullable(SHARE), "cost": MONEY, "unpriced": COUNT, "latency_ms": MAYBE_STATS,
    "ttft_ms": MAYBE_STATS, "tokens_per_second": MAYBE_STATS, "first": MAYBE_AMOUNT, "last": MAYBE_AMOUNT,
}  # fmt: skip
_FLAT: Final = {
    "count": COUNT, "error_count": COUNT, "error_rate": SHARE,
    **{f"{name}_ms": MAYBE_AMOUNT for name in ("avg", "p50", "p90", "p95", "p99")},
    **_TOKENS, "cost": MONEY,
    **{f"by_{name}": by_name(COUNT) for name in ("provider", "model", "error")},
}  # fmt: skip


def grouped(row: Schema) -> Schema:
    """The answer of a summary; a row has the group's values before its own members."""
    return closed(
        window_s=MAYBE_AMOUNT,
        group_by=array(strings(GROUPS)),
        total=closed(**row),
        rows=array(closed(*GROUPS, **dict.fromkeys(GROUPS, MAYBE_TEXT), **row)),
    )


_CALL: Final = {
    "seq": COUNT, "id": TEXT, "trace_id": MAYBE_TEXT, "span_id": MAYBE_TEXT, "service": MAYBE_TEXT,
    "source": strings(_SOURCES), "start": AMOUNT, "duration_ms": AMOUNT, "ttft_ms": MAYBE_AMOUNT,
    "provider": TEXT, "operation": TEXT, "endpoint": TEXT, "model": MAYBE_TEXT, "request_model": MAYBE_TEXT,
    "response_model": MAYBE_TEXT, "stream": FLAG, "outcome": strings(Outcome), "error": MAYBE_TEXT,
    "finish_reasons": TEXTS, **_TOKENS, "cache_read_tokens": MAYBE_COUNT, "cache_write_tokens": MAYBE_COUNT,
    "reasoning_tokens": MAYBE_COUNT, "usage_source": USAGE_SOURCE,
    "tokens_per_second": MAYBE_AMOUNT, "cost": MONEY, "attempts": COUNT, "chunks": MAYBE_COUNT,
    "conversation_id": MAYBE_TEXT, "has_content": FLAG, "preview": nullable({**TEXT, "maxLength": 200}),
}  # fmt: skip
_DETAIL: Final = {
    "parameters": OBJECT,
    "usage": closed(
        input=MAYBE_COUNT, output=MAYBE_COUNT, cache_read=MAYBE_COUNT, cache_write=MAYBE_COUNT,
        reasoning=MAYBE_COUNT, modalities=by_name(COUNT), source=USAGE_SOURCE,
    ),
    "server": closed(
        address=MAYBE_TEXT, port=MAYBE_COUNT, request_id=MAYBE_TEXT, organization=MAYBE_TEXT,
        processing_ms=MAYBE_AMOUNT, service_tier=MAYBE_TEXT, system_fingerprint=MAYBE_TEXT,
        status=MAYBE_COUNT, response_id=MAYBE_TEXT,
    ),
    "rate_limit": nullable(closed(
        limit_requests=MAYBE_AMOUNT, remaining_requests=MAYBE_AMOUNT, reset_requests_s=MAYBE_AMOUNT,
        limit_tokens=MAYBE_AMOUNT, remaining_tokens=MAYBE_AMOUNT, reset_tokens_s=MAYBE_AMOUNT,
    )),
    "retries": array(closed(
        number=COUNT, status=MAYBE_COUNT, duration_ms=MAYBE_AMOUNT, wait_ms=MAYBE_AMOUNT, error=MAYBE_TEXT,
    )),
    "error_detail": nullable(closed(
        type=TEXT, exception=MAYBE_TEXT, code=MAYBE_TEXT, status=MAYBE_COUNT, category=TEXT,
        retryable=nullable(FLAG), message=MAYBE_TEXT,
    )),
    "tool_calls": TEXTS,
    "stream_stats": nullable(closed(
        chunks=MAYBE_COUNT, bytes=MAYBE_COUNT, first_chunk_ms=MAYBE_AMOUNT, last_chunk_ms=MAYBE_AMOUNT,
        gap_p50_ms=MAYBE_AMOUNT, gap_p99_ms=MAYBE_AMOUNT, gap_max_ms=MAYBE_AMOUNT,
    )),
    "timeline": array(closed(name=TEXT, at_ms=AMOUNT)),
    "content": nullable(closed(
        system=nullable(array(ref("Part"))), input=nullable(array(ref("Message"))),
        output=nullable(array(ref("Message"))), tools=nullable(array(OBJECT)),
    )),
    "attributes": OBJECT,
    "resource": OBJECT,
    "has_trace": FLAG,
}  # fmt: skip
_TRACE: Final = {
    "trace_id": TEXT, "name": TEXT, "services": TEXTS, "start": AMOUNT, "duration_ms": AMOUNT,
    "total_tokens": MAYBE_COUNT, "cost": MONEY,
}  # fmt: skip
_SPAN: Final = closed(
    span_id=TEXT, parent_id=MAYBE_TEXT, depth=COUNT, name=TEXT,
    kind=strings(("unspecified", "internal", "server", "client", "producer", "consumer")),
    service=MAYBE_TEXT, scope=TEXT, offset_ms=AMOUNT, duration_ms=AMOUNT,
    status=strings(("unset", "ok", "error")), status_message=MAYBE_TEXT, missing_parent=FLAG,
    attributes=OBJECT, events=array(closed(name=TEXT, offset_ms=AMOUNT, attributes=OBJECT)),
    links=array(closed(trace_id=TEXT, span_id=TEXT)), call_id=MAYBE_TEXT,
)  # fmt: skip
_USAGE: Final = closed(
    date={"type": "string", "format": "date"}, provider=TEXT, model=MAYBE_TEXT, calls=COUNT, errors=COUNT,
    **_TOKENS, cache_read_tokens=MAYBE_COUNT, cost=MONEY, unpriced=COUNT, avg_latency_ms=AMOUNT,
)  # fmt: skip
_ACTIVE: Final = closed(
    id=TEXT, service=MAYBE_TEXT, start=AMOUNT, elapsed_ms=AMOUNT, provider=TEXT, operation=TEXT,
    endpoint=TEXT, model=MAYBE_TEXT, stream=FLAG, attempts=COUNT, chunks=COUNT, bytes=COUNT,
    chunks_per_second=AMOUNT, ttft_ms=MAYBE_AMOUNT,
)  # fmt: skip
_STATUS: Final = closed(
    version=TEXT, mode=strings(("receiver", "in-process")), now=AMOUNT, uptime_s=AMOUNT, token_required=FLAG,
    otlp=closed(http=MAYBE_TEXT, grpc=MAYBE_TEXT), clients=COUNT,
    calls=closed(kept=COUNT, seen=COUNT, running=COUNT, dropped=COUNT),
    traces=closed(kept=COUNT, seen=COUNT, dropped=COUNT, spans=COUNT), bytes=COUNT,
    received=closed(spans=COUNT, metrics=COUNT, logs=COUNT, rejected=COUNT),
    forward=nullable(closed(url=TEXT, sent=COUNT, queued=COUNT, dropped=COUNT, retries=COUNT)),
    keep=nullable(closed(path=TEXT, bytes=COUNT)),
    models=TEXTS, endpoints=TEXTS, providers=TEXTS, services=TEXTS, cursor=COUNT,
)  # fmt: skip
_POINT: Final = closed(
    t=COUNT, requests=COUNT, responses=COUNT, errors=COUNT, input_tokens=COUNT, output_tokens=COUNT,
    cost=AMOUNT, latency_p50=MAYBE_AMOUNT, latency_p90=MAYBE_AMOUNT, latency_p99=MAYBE_AMOUNT,
    ttft_p50=MAYBE_AMOUNT, ttft_p90=MAYBE_AMOUNT, tokens_per_second=MAYBE_AMOUNT,
    cache_lookups=COUNT, cache_hits=COUNT, active_streams=MAYBE_COUNT,
)  # fmt: skip

_CACHE: Final = {
    "hit_rate": AMOUNT, "token_reuse_rate": AMOUNT, "avg_prefix_length": AMOUNT, "total_lookups": COUNT,
    "cache_hits": COUNT,
}  # fmt: skip
_SECTIONS: Final = {
    "throughput": closed(
        requests_per_sec=RATES, responses_per_sec=RATES, tokens_per_sec=RATES, total_requests_per_sec=AMOUNT,
        total_responses_per_sec=AMOUNT, total_tokens_per_sec=AMOUNT, window_s=AMOUNT,
    ),
    "latency": by_name(STATS),
    "cache": closed(**_CACHE, by_endpoint=by_name(closed(**_CACHE))),
    "queue": closed(active_streams=COUNT, queue_depth=COUNT),
    "streaming": closed(
        "ttft", "tokens_per_second",
        active_streams=COUNT, completed_streams=COUNT, failed_streams=COUNT, ttft=STATS,
        tokens_per_second=STATS,
    ),
    "error": closed(errors_per_sec=RATES, total_errors_per_sec=AMOUNT),
    "overview": closed(
        calls=COUNT, errors=COUNT, error_rate=SHARE, latency_ms=MAYBE_STATS, ttft_ms=MAYBE_STATS,
        tokens_per_second=MAYBE_STATS, input_tokens=COUNT, output_tokens=COUNT, cost=AMOUNT, unpriced=COUNT,
        cache_hit_rate=nullable(SHARE), active_streams=MAYBE_COUNT, active_requests=MAYBE_COUNT,
        requests_per_sec=AMOUNT, tokens_per_sec=AMOUNT,
    ),
}  # fmt: skip
_DELTAS: Final = closed(
    "throughput", "streaming",
    throughput=closed(total_requests_per_sec=NUMBER, total_tokens_per_sec=NUMBER),
    streaming=closed(active_streams_delta={"type": "integer"}),
)  # fmt: skip
_FRAME: Final = {"timestamp": AMOUNT, "data": ref("Data"), "cursor": COUNT, "spans": COUNT}


COMPONENTS: Final[dict[str, Schema]] = {
    "Error": closed(error=TEXT),
    "Stats": closed(**dict.fromkeys(_NAMES, AMOUNT)),
    "Status": _STATUS,
    "Summary": grouped(_ROW),
    "FlatSummary": closed(**_FLAT),
    "FlatGroups": grouped(_FLAT),
    "Call": closed(**_CALL),
    "Calls": closed(calls=array(ref("Call")), next=MAYBE_COUNT, cursor=COUNT, matched=COUNT),
    "CallDetail": closed(**_CALL, **_DETAIL),
    "Message": closed(
        role=TEXT, parts=array(ref("Part")), name=MAYBE_TEXT, finish_reason=MAYBE_TEXT
    ),
    "Part": {"type": "object", "properties": {"type": TEXT}, "required": ["type"]},
    "Active": closed(active=array(_ACTIVE)),
    "Traces": closed(
        traces=array(closed(seq=COUNT, **_TRACE, spans=COUNT, llm_calls=COUNT, errors=COUNT)),
        next=MAYBE_COUNT,
    ),
    "Trace": closed(**_TRACE, truncated=FLAG, spans=array(_SPAN)),
    "Usage": closed(rows=array(_USAGE), truncated=FLAG),
    "Comparison": closed(
        window_s=MAYBE_AMOUNT,
        by=TEXT,
        bounds_ms=array(COUNT),
        rows=array(
            closed(
                "model", "provider", "endpoint",
                model=MAYBE_TEXT, provider=MAYBE_TEXT, endpoint=MAYBE_TEXT,
                **_ROW, cost_per_call=MONEY, cost_per_1k_tokens=MONEY, latency_counts=array(COUNT),
            )
        ),
    ),
    "Point": _POINT,
    "History": closed(points=array(ref("Point"))),
    "Data": closed(*_SECTIONS, **_SECTIONS),
    "HistoricalData": closed(type={"const": "historical_data"}, **_FRAME, history=array(ref("Point"))),
    "MetricsUpdate": closed(
        type={"const": "metrics_update"}, **_FRAME, deltas=_DELTAS, recent=array(ref("Point"))
    ),
    "Subscribed": closed(
        type={"const": "subscribed"},
        filters=closed(
            endpoints=TEXTS, models=TEXTS, metric_types=array(strings(MetricType)), interval=NUMBER
        ),
    ),
}  # fmt: skip
"""`components/schemas` of the OpenAPI document."""
