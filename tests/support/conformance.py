"""Holds finished spans, metrics and log records against the package's own tables of the conventions.

    assert violations(spans=spans, metrics=metrics, logs=logs) == []

Only what the package's own scope emitted is looked at.
Each violation is a line of text: where, then what.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import ExponentialHistogram, Histogram, Sum
from opentelemetry.trace import SpanKind, StatusCode

from otel_llm import semconv
from otel_llm.semconv import names, own

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_llm.semconv import Attribute, Event, Instrument, SpanForm

SCOPE = "otel_llm"

_KINDS = {"client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_OPENAI_PROVIDERS = ("openai", "azure.ai.openai")


@dataclass(frozen=True)
class Tables:
    """What a setting (`1.41`, `latest`, `both`) may emit: the union of its conventions and of our own names."""

    schema_url: str | None
    spans: tuple[SpanForm, ...]
    instruments: Mapping[str, Instrument]
    events: Mapping[str, Event]
    points: Mapping[str, Attribute]
    """Every attribute a metric point can have."""
    usage: tuple[tuple[str, str], ...]
    modalities: Mapping[str, tuple[str, ...]]

    def form(self, operation: str) -> SpanForm:
        """The form of spans of `operation`."""
        return next((form for form in self.spans if operation in form.operations), self.spans[-1])


def tables(setting: str) -> Tables:
    """Merge the conventions of a setting; where two define an attribute, the first one's definition holds."""
    conventions = semconv.chosen(setting)
    first = conventions[0]
    groups = dict.fromkeys(form.operations for item in reversed(conventions) for form in item.spans)
    forms = tuple(_united(operations, conventions) for operations in groups)
    points = {item.name: item for form in forms for item in form.attributes}
    points |= {
        item.name: item for item in (*own.POINTS, *(item for each in conventions for item in each.points))
    }
    events: dict[str, Event] = {}
    for event in (*(event for each in conventions for event in each.events), *own.EVENTS):
        known = events.get(event.name)
        events[event.name] = (
            known._replace(attributes=_union(known.attributes, event.attributes)) if known else event
        )
    instruments = [item for each in reversed(conventions) for item in each.instruments]
    modalities: dict[str, tuple[str, ...]] = {}
    for each in conventions:
        for key, attribute in each.modalities.items():
            modalities[key] = (*modalities.get(key, ()), attribute)
    return Tables(
        schema_url=first.schema_url,
        spans=tuple(sorted(forms, key=lambda form: not form.operations)),
        instruments={item.name: item for item in (*instruments, *own.INSTRUMENTS)},
        events=events,
        points=points,
        usage=tuple(dict.fromkeys(pair for each in conventions for pair in each.usage)),
        modalities=modalities,
    )


def _united(operations: tuple[str, ...], conventions: tuple[semconv.Convention, ...]) -> SpanForm:
    forms = [each.form(operations[0] if operations else "") for each in conventions]
    attributes: tuple[Attribute, ...] = ()
    for form in forms:
        attributes = _union(attributes, form.attributes)
    return forms[-1]._replace(operations=operations, attributes=attributes)


def _union(first: tuple[Attribute, ...], second: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    known = {item.name for item in first}
    return (*first, *(item for item in second if item.name not in known))


def violations(
    *,
    spans: Iterable[ReadableSpan] = (),
    metrics: MetricsData | None = None,
    logs: Iterable[ReadableLogRecord] = (),
    setting: str = "1.41",
    extra: Collection[str] = (),
) -> list[str]:
    """Everything that breaks a rule, empty when all is well.

    `extra`: names of attributes that the test's application set itself (by `session(...)`, say).
    """
    known = tables(setting)
    found: list[str] = []
    for span in spans:
        if _ours(span.instrumentation_scope):
            found += (f"span {span.name!r}: {text}" for text in _span(span, known, extra))
    for resource in metrics.resource_metrics if metrics else ():
        for scope in resource.scope_metrics:
            if _ours(scope.scope):
                found += (f"metrics: {text}" for text in _schema(scope.scope, known))
                for metric in scope.metrics:
                    found += (f"metric {metric.name}: {text}" for text in _metric(metric, known))
    for record in logs:
        if _ours(record.instrumentation_scope) and record.log_record.event_name:
            found += (
                f"event {record.log_record.event_name}: {text}" for text in _event(record, known, extra)
            )
    return found


def _ours(scope: InstrumentationScope | None) -> bool:
    return scope is not None and (scope.name == SCOPE or scope.name.startswith(SCOPE + "."))


def _schema(scope: InstrumentationScope | None, known: Tables) -> Iterator[str]:
    url = (scope.schema_url if scope else None) or None
    if url != known.schema_url:
        yield f"schema URL {url!r} instead of {known.schema_url!r}"


# Spans.


def _span(span: ReadableSpan, known: Tables, extra: Collection[str]) -> Iterator[str]:
    attributes = dict(span.attributes or {})
    yield from _schema(span.instrumentation_scope, known)
    if names.OPERATION_NAME not in attributes:
        yield f"missing {names.OPERATION_NAME} (required)"
        return
    form = known.form(str(attributes[names.OPERATION_NAME]))
    if span.name != form.name(attributes):
        yield f"name is not {form.name(attributes)!r}"
    if span.kind is not _KINDS[form.kind]:
        yield f"kind {span.kind.name} instead of {form.kind.upper()}"
    yield from _attributes(attributes, form.attributes, extra, structured=False)
    yield from _needed(attributes)
    yield from _status(span, attributes)
    yield from _usage(attributes, known)
    yield from _span_times(span, attributes)
    if any(event.name == "exception" for event in span.events):
        yield "an exception is a log event, not a span event"


def _attributes(
    attributes: Mapping[str, Any], table: Iterable[Attribute], extra: Collection[str], *, structured: bool
) -> Iterator[str]:
    by_name = {item.name: item for item in table}
    for name, value in attributes.items():
        item = by_name.get(name)
        if item is not None:
            yield from _value(item, value, structured=structured)
        elif name not in extra:
            yield f"unknown attribute {name}"
    for item in by_name.values():
        if item.requirement == "required" and item.name not in attributes:
            yield f"missing {item.name} (required)"


def _value(item: Attribute, value: Any, *, structured: bool) -> Iterator[str]:
    any_json = item.name in (names.TOOL_CALL_ARGUMENTS, names.TOOL_CALL_RESULT)
    if (
        not _TYPES[item.type](value)
        if item.type != "any"
        else not _content(value, structured=structured, any_json=any_json)
    ):
        yield f"{item.name} is no {item.type}: {value!r}"
    elif value in ("", ()):
        yield f"{item.name} is empty"
    elif item.values is not None and not item.open and value not in item.values:
        yield f"{item.name} has none of its values: {value!r}"


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is str for item in value)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: type(value) is str,
    "int": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "double": lambda value: type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "string[]": _texts,
    "int[]": lambda value: isinstance(value, tuple) and all(type(item) is int for item in value),
    "double[]": lambda value: isinstance(value, tuple) and all(type(item) is float for item in value),
}


def _content(value: Any, *, structured: bool, any_json: bool) -> bool:
    """Whether content has the form it must have: structured on events, JSON on spans.

    That is an object or an array, or `any_json` for what a tool takes and gives, which may be a text.
    """
    if structured:
        return not isinstance(value, str)
    if not isinstance(value, str):
        return True
    try:
        return any_json | isinstance(json.loads(value), list | dict)
    except ValueError:
        return False


def _needed(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The conditional requirements whose condition can be seen from outside, and what must never be set."""
    if names.SERVER_ADDRESS in attributes and names.SERVER_PORT not in attributes:
        yield f"missing {names.SERVER_PORT} beside {names.SERVER_ADDRESS}"
    if names.SERVER_PORT in attributes and names.SERVER_ADDRESS not in attributes:
        yield f"{names.SERVER_PORT} without {names.SERVER_ADDRESS}"
    streamed = names.TIME_TO_FIRST_CHUNK in attributes or names.STREAM_CHUNKS in attributes
    if streamed and names.REQUEST_STREAM not in attributes:
        yield f"missing {names.REQUEST_STREAM} on a stream"
    if attributes.get(names.REQUEST_STREAM) is False:
        yield f"{names.REQUEST_STREAM} is false instead of absent"
    if attributes.get(names.REQUEST_CHOICE_COUNT) == 1:
        yield f"{names.REQUEST_CHOICE_COUNT} is 1 instead of absent"
    if attributes.get(names.OPENAI_REQUEST_SERVICE_TIER) == "auto":
        yield f"{names.OPENAI_REQUEST_SERVICE_TIER} is auto instead of absent"
    provider = attributes.get(names.PROVIDER_NAME)
    if provider not in _OPENAI_PROVIDERS:
        for name in attributes:
            if name.startswith("openai."):
                yield f"{name} on a call to {provider}"


def _status(span: ReadableSpan, attributes: Mapping[str, Any]) -> Iterator[str]:
    failed = span.status.status_code is StatusCode.ERROR
    if failed and names.ERROR_TYPE not in attributes:
        yield f"missing {names.ERROR_TYPE} on an error"
    if not failed and names.ERROR_TYPE in attributes:
        yield f"{names.ERROR_TYPE} without the error status"
    if span.status.status_code is StatusCode.OK:
        yield "status OK is the application's to set"
    outcome = attributes.get(names.OUTCOME)
    if outcome is not None and (outcome == "failed") != failed:
        yield f"outcome {outcome} with status {span.status.status_code.name}"


def _usage(attributes: Mapping[str, Any], known: Tables) -> Iterator[str]:
    counts: dict[str, int] = {}
    for field, name in known.usage:
        value = attributes.get(name)
        if isinstance(value, int) and counts.setdefault(field, value) != value:
            yield f"{name} differs from the same count under its other name"
    for field, value in counts.items():
        if value < 0:
            yield f"the count of {field} tokens is negative"
    for total, parts in _PARTS:
        known_parts = sum(counts.get(part, 0) for part in parts)
        if known_parts and known_parts > counts.get(total, 0):
            yield f"{' + '.join(parts)} tokens are more than {total} tokens"
    yield from _modalities(attributes, counts, known)
    if attributes.get(names.USAGE_SOURCE) == "absent" and counts:
        yield "token counts whose source is absent"


def _modalities(attributes: Mapping[str, Any], counts: Mapping[str, int], known: Tables) -> Iterator[str]:
    for total in ("input", "output", "cache_read"):
        split = sum(
            attributes.get(known.modalities[f"{kind}.{total}"][0], 0) for kind in ("text", "image", "audio")
        )
        if split and split > counts.get(total, 0):
            yield f"{total} tokens by modality are more than {total} tokens"


_PARTS = (
    ("input", ("cache_read", "cache_write")),
    ("output", ("reasoning",)),
    ("cache_write", ("cache_write_5m", "cache_write_1h")),
)


def _span_times(span: ReadableSpan, attributes: Mapping[str, Any]) -> Iterator[str]:
    if span.start_time is None or span.end_time is None or span.end_time < span.start_time:
        yield "does not end after its start"
        return
    first = attributes.get(names.TIME_TO_FIRST_CHUNK)
    if isinstance(first, float) and not 0 <= first <= (span.end_time - span.start_time) / 1e9:
        yield f"{names.TIME_TO_FIRST_CHUNK} is outside the span"


# Metrics.


def _metric(metric: Metric, known: Tables) -> Iterator[str]:
    table = known.instruments.get(metric.name)
    if table is None:
        yield "unknown metric"
        return
    if metric.unit != table.unit:
        yield f"unit {metric.unit!r} instead of {table.unit!r}"
    if metric.description != table.brief:
        yield f"description {metric.description!r} instead of {table.brief!r}"
    kind = _kind(metric)
    if kind != table.kind:
        yield f"{kind} instead of {table.kind}"
        return
    for point in metric.data.data_points:
        yield from _point(point, table, known)


def _kind(metric: Metric) -> str:
    if isinstance(metric.data, Sum):
        return "counter" if metric.data.is_monotonic else "updowncounter"
    if isinstance(metric.data, Histogram | ExponentialHistogram):
        return "histogram"
    return "gauge"


def _point(point: Any, table: Instrument, known: Tables) -> Iterator[str]:
    attributes = dict(point.attributes)
    yield from (f"missing {name}" for name in table.required if name not in attributes)
    for name, value in attributes.items():
        if name not in table.attributes:
            yield f"unknown attribute {name}"
        else:
            yield from _value(known.points[name], value, structured=False)
    if names.SERVER_ADDRESS in attributes and names.SERVER_PORT not in attributes:
        yield f"missing {names.SERVER_PORT} beside {names.SERVER_ADDRESS}"
    outcome = attributes.get(names.OUTCOME)
    if (
        outcome
        and names.ERROR_TYPE in table.optional
        and (outcome == "failed") != (names.ERROR_TYPE in attributes)
    ):
        yield f"{names.ERROR_TYPE} does not agree with the outcome {outcome}"
    bounds = getattr(point, "explicit_bounds", None)
    if bounds is not None and tuple(bounds) != tuple(float(edge) for edge in table.buckets or ()):
        yield f"buckets {tuple(bounds)}"
    value = point.sum if table.kind == "histogram" else point.value
    if type(value) is not {"int": int, "double": float}[table.type]:
        yield f"{value!r} is no {table.type}"
    if table.kind != "updowncounter" and value < 0:
        yield f"{value!r} is negative"


# Events.


def _event(record: ReadableLogRecord, known: Tables, extra: Collection[str]) -> Iterator[str]:
    log = record.log_record
    attributes = dict(log.attributes or {})
    yield from _schema(record.instrumentation_scope, known)
    table = known.events.get(str(log.event_name))
    if table is None:
        yield "unknown event"
        return
    severity = log.severity_number.value if log.severity_number is not None else 0
    if severity != table.severity:
        yield f"severity {severity} instead of {table.severity}"
    if not log.trace_id or not log.span_id:
        yield "belongs to no span"
    yield from _attributes(attributes, table.attributes, extra, structured=True)
    if table.name == names.DETAILS_EVENT:
        yield from _needed(attributes)
        yield from _usage(attributes, known)
