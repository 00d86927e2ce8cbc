"""The JSON interface as an OpenAPI document, served at `/api/openapi.json`; docs/live-api.md is the prose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_llm._version import __version__

from ._frames import GREATEST_INTERVAL, LEAST_INTERVAL, MAX_LENGTH, MAX_VALUES, MetricType
from ._query import COMPARED, GROUPS, MAX_DURATION_MS, MAX_LIMIT, MAX_SEQ, MAX_TEXT, WINDOW
from ._schemas import COMPONENTS, ref, strings
from ._store import MAX_DAYS, MAX_USAGE_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._schemas import Schema

__all__ = ["document"]

_JSON: Final = "application/json"
_ERRORS: Final = {
    "400": "A parameter cannot be used.",
    "401": "A token is needed.",
    "403": "The `Origin` or `Host` is foreign.",
}


def _parameter(name: str, schema: Schema, description: str = "", **more: Any) -> Schema:
    described = {"description": description} if description else {}
    return {"name": name, "in": "query", **described, "schema": schema, **more}


def _whole(name: str, least: int, most: int, default: int | None, description: str) -> Schema:
    given = {} if default is None else {"default": default}
    return _parameter(name, {"type": "integer", "minimum": least, "maximum": most, **given}, description)


def _number(name: str, least: float, most: float, description: str) -> Schema:
    return _parameter(name, {"type": "number", "minimum": least, "maximum": most}, description)


def _flag(name: str, description: str) -> Schema:
    return _parameter(name, {"type": "boolean"}, description)


def _text(name: str, description: str) -> Schema:
    return _parameter(name, {"type": "string", "maxLength": MAX_TEXT}, description)


def _repeated(names: Iterable[str], items: Schema, most: int | None = None) -> list[Schema]:
    limit = {} if most is None else {"maxItems": most}
    schema = {"type": "array", "items": items, **limit}
    return [_parameter(name, schema, f"Only this {name}; may be repeated.") for name in names]


_ANY_TEXT: Final[Schema] = {"type": "string"}
_LIMITED: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}
_FORMAT: Final = _parameter("format", {**strings(("json", "csv")), "default": "json"})
_WINDOW: Final = _number("window", *WINDOW, "Seconds back from now, by the end of the call.")
_GROUP_BY: Final = _parameter(
    "group_by",
    {"type": "array", "items": strings(GROUPS), "uniqueItems": True},
    "One or several, comma separated.",
    style="form",
    explode=False,
)
_FILTERS: Final = [
    *_repeated(GROUPS, _ANY_TEXT),
    _WINDOW,
    _text("q", "Words that must all be found."),
    _flag("stream", "Only streams, or only others."),
    _flag("errors", "Only failed calls."),
    _number("min_ms", 0, MAX_DURATION_MS, "At least this duration."),
    _text("conversation", "Only this conversation id."),
    _text("trace", "Only this trace id."),
]
_LIMIT: Final = _whole("limit", 1, MAX_LIMIT, 100, "How many at most.")
_BEFORE: Final = _whole("before", 0, MAX_SEQ, None, "The next page: the `next` of the answer before.")
_SINCE: Final = _whole("since", 0, MAX_SEQ, None, "What is new: the `cursor` of the answer before.")
_LABELS: Final = ("model", "endpoint", "provider")


def _id(description: str) -> Schema:
    return {"name": "id", "in": "path", "required": True, "description": description, "schema": _ANY_TEXT}


def _get(
    summary: str, *parameters: Schema, answer: Schema, csv: bool = False, kind: str = _JSON, **more: str
) -> Schema:
    """The path item of a `GET`; `more` are further statuses, `_404`, with their meaning."""
    content: Schema = {kind: {"schema": answer}}
    if csv:
        content["text/csv"] = {"schema": _ANY_TEXT}
    failed = {**_ERRORS, **{status.removeprefix("_"): text for status, text in more.items()}}
    error = {"content": {_JSON: {"schema": ref("Error")}}}
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "responses": {
                "200": {"description": summary, "content": content},
                **{status: {"description": text, **error} for status, text in failed.items()},
            },
        }
    }


_HEALTH: Final[Schema] = {
    "type": "object",
    "properties": {"status": {"const": "ok"}},
    "required": ["status"],
    "additionalProperties": False,
}
_FLAT: Final[Schema] = {"anyOf": [ref("FlatSummary"), ref("FlatGroups")]}

_PATHS: Final[dict[str, Schema]] = {
    "/healthz": _get("Whether the server answers", answer=_HEALTH),
    "/api/openapi.json": _get("This document", answer={"type": "object"}),
    "/api/status": _get("What the server is and holds", answer=ref("Status")),
    "/api/summary": _get(
        "Sums of the calls kept", _GROUP_BY, _FORMAT, *_FILTERS, answer=ref("Summary"), csv=True
    ),
    "/debug/summary": _get("The same, flat", _GROUP_BY, _FORMAT, *_FILTERS, answer=_FLAT, csv=True),
    "/api/calls": _get(
        "Calls, newest first",
        *_FILTERS, _LIMIT, _BEFORE, _SINCE, _FORMAT,
        answer=ref("Calls"), csv=True,
    ),
    "/api/calls/{id}": _get(
        "One call with its details", _id("The call's `id`."), answer=ref("CallDetail"),
        _404="There is no such call.",
    ),
    "/api/active": _get("Calls that run now, in process", answer=ref("Active")),
    "/api/traces": _get(
        "Traces, newest first",
        _LIMIT, _BEFORE, _text("q", "In the trace id, its name and its services."),
        _parameter("service", _ANY_TEXT, "Only with spans of this service."),
        _flag("llm", "Only with LLM calls."), _flag("errors", "Only with failed spans."),
        answer=ref("Traces"),
    ),
    "/api/traces/{id}": _get(
        "One trace with its spans", _id("The trace id."), answer=ref("Trace"),
        _404="There is no such trace.",
    ),
    "/api/usage": _get(
        "Sums by day, provider and model",
        _whole("days", 1, MAX_DAYS, MAX_DAYS, "Up to today, UTC."),
        _whole("limit", 1, MAX_USAGE_ROWS, MAX_USAGE_ROWS, "Rows at most."),
        *_repeated(("provider", "model"), _ANY_TEXT), _FORMAT,
        answer=ref("Usage"), csv=True,
    ),
    "/api/compare": _get(
        "Models, providers or endpoints side by side",
        _parameter("by", {**strings(COMPARED), "default": "model"}), *_FILTERS,
        answer=ref("Comparison"),
    ),
    "/api/history": _get(
        "A point a second, the last 300 seconds", *_repeated(_LABELS, _ANY_TEXT), answer=ref("History")
    ),
    "/metrics/events": _get(
        "The frames of the WebSocket as server-sent events: `HistoricalData`, then `MetricsUpdate`",
        *_repeated(("endpoint", "model"), _LIMITED, MAX_VALUES),
        *_repeated(("metric_type",), strings(MetricType)),
        _number("interval", LEAST_INTERVAL, GREATEST_INTERVAL, "Seconds between updates."),
        answer=_ANY_TEXT, kind="text/event-stream", _503="There are too many clients.",
    ),
}  # fmt: skip


def document(*, token_needed: bool) -> dict[str, Any]:
    """The document; its `servers` are relative, so that it holds wherever the application is mounted."""
    schemes = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if token_needed else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "otel-llm live", "version": __version__},
        "servers": [{"url": "../"}],
        "paths": _PATHS,
        "components": {"schemas": COMPONENTS, **schemes},
        **({"security": [{"token": []}]} if token_needed else {}),
    }
