"""docs/telemetry.md, made from the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import GROUPS, groups, latest, names, own, v1_41
from ._common import OPTIONAL, REQUIRED
from ._types import DURATION_BUCKETS, TOKEN_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._types import Attribute, Event, Instrument, SpanForm

__all__ = ["document"]

_INTRO = """\
# Telemetry

Every span, attribute, metric and event that this package emits.
Generated from the code: `python -m otel_llm.semconv > docs/telemetry.md`.

The names are those of the OpenTelemetry GenAI conventions; what they have no name for is under `otel_llm.`.
`OTEL_INSTRUMENTATION_LLM_SEMCONV` (`instrument(semconv=...)`) chooses the version:

| Setting | What is emitted | Schema URL |
|---|---|---|
| `1.41` (default) | the last released conventions | `{schema}` |
| `latest` | what was merged after v1.41 and is in no release | none |
| `both` | v1.41, and what `latest` has beside it; what both have is emitted once, as in v1.41 | none |

`OTEL_SEMCONV_STABILITY_OPT_IN` does not select unreleased names.

**Source** says who defines a name: `core` (OpenTelemetry's general conventions), `v1.41`, `latest`, both, or
`otel_llm`.
A name with the source `v1.41` alone is not emitted under `latest`, and the other way round.
A name of ours marked `v1.41` is a stand-in for one that only `latest` has.
"""

_SPANS = """\
## Spans

A span is one logical call, its retries and its stream included: from the request until the answer is received
whole, fails or is let go. Its status is unset, or error when the call failed.
"""

_ATTRIBUTES = """\
### Attributes of spans

An attribute is set when it is known; **When** gives further conditions.
Absent is absent: no count is 0 because nobody gave it. An asterisk marks what is set before sampling.
On spans, messages are JSON strings; they are recorded only when content capture is on.
"""

_METRICS = """\
## Metrics

In **Attributes**, *call* stands for {required} and, where known, {optional}.
Attributes in brackets are on a point when they are known.
None takes an unbounded number of values: the first 200 models of a process are told, the rest is `_OTHER`.
So it is with providers, operations, servers, errors, tiers, caches and circuit breakers.

`OTEL_INSTRUMENTATION_LLM_METRICS` chooses groups of metrics: {presets}.
Two groups are recorded at every chunk: `OTEL_INSTRUMENTATION_LLM_CHUNK_METRICS` is `off`, `gaps` (`chunks`, the
default) or `all` (`chunks` and `sizes`).

Token counts that were estimated (opt-in) are recorded by histograms alone, with `{source}` = `estimate`.
`latest` has no metric for the tokens of embeddings: the conventions have none.

Buckets of durations, in seconds: {durations}.
Buckets of tokens: {tokens}.
"""

_POINTS = """\
### Attributes of metrics alone
"""

_EVENTS = """\
## Events

Log records with an event name, in the context of the span. Here messages are structured, not JSON strings.
"""

_CORE = ("error.", "server.", "exception.", "user.")
_SHORT = {
    "chat": "inference",
    "embeddings": "embeddings",
    "fetch_response": "fetch",
    "execute_tool": "tool",
}
_BUCKETS = {None: "", DURATION_BUCKETS: "durations", TOKEN_BUCKETS: "tokens"}
_METRIC_HEAD = (
    "Metric", "Kind", "Unit", "Type", "When", "Meaning", "Attributes", "Buckets", "Group", "Source"
)  # fmt: skip
_VERSIONS = (("v1.41", v1_41.CONVENTION), ("latest", latest.CONVENTION))


def document() -> str:
    """The whole page, as Markdown."""
    presets = ", ".join(f"`{name}` ({_chosen(name)})" for name in ("all", "basic", "cost", "off"))
    parts = (
        _INTRO.format(schema=v1_41.CONVENTION.schema_url),
        _SPANS,
        _table(("Operation", "Name", "Kind", "What", "Source"), _span_rows()),
        _ATTRIBUTES,
        _table(("Attribute", "Type", "Unit", "When", "Meaning", "Spans", "Source"), _attribute_rows()),
        _METRICS.format(
            required=_code(REQUIRED),
            optional=_code(OPTIONAL),
            presets=presets,
            source=names.USAGE_SOURCE,
            durations=_numbers(DURATION_BUCKETS),
            tokens=_numbers(TOKEN_BUCKETS),
        ),
        _table(_METRIC_HEAD, _metric_rows()),
        _POINTS,
        _table(("Attribute", "Values", "Meaning", "Source"), _point_rows()),
        _EVENTS,
        _table(("Event", "Severity", "When", "Meaning", "Attributes", "Source"), _event_rows()),
    )
    return "\n".join(parts)


def _chosen(preset: str) -> str:
    chosen = groups(preset)
    return "every group" if chosen == GROUPS else ", ".join(sorted(chosen)) or "none"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _code(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _source(name: str, versions: Sequence[str]) -> str:
    everywhere = len(versions) == len(_VERSIONS)
    if name.startswith("otel_llm."):
        return "otel_llm" if everywhere else f"otel_llm, {versions[0]}"
    if name.startswith(_CORE):
        return "core"
    return ", ".join(versions)


def _forms() -> dict[tuple[str, ...], dict[str, SpanForm]]:
    """The forms of each group of operations, by version."""
    found: dict[tuple[str, ...], dict[str, SpanForm]] = {}
    for version, convention in _VERSIONS:
        for form in convention.spans:
            found.setdefault(form.operations, {})[version] = form
    return dict(sorted(found.items(), key=lambda item: not item[0]))


def _span_rows() -> Iterable[Sequence[str]]:
    for operations, by_version in _forms().items():
        form = next(iter(by_version.values()))
        name = "{operation}" if form.subject is None else f"{{operation}} {{{form.subject}}}"
        yield (
            _code(operations) or "every other",
            f"`{name}`",
            form.kind.upper(),
            form.brief,
            "otel_llm" if not operations else ", ".join(by_version),
        )


def _attribute_rows() -> Iterable[Sequence[str]]:
    items: dict[str, dict[str, Attribute]] = {}
    spans: dict[str, dict[str, None]] = {}
    for operations, forms in _forms().items():
        for version, form in forms.items():
            for item in form.attributes:
                items.setdefault(item.name, {}).setdefault(version, item)
                if operations:
                    spans.setdefault(item.name, {})[_SHORT[operations[0]]] = None
    for name in sorted(items, key=lambda name: (name.startswith("otel_llm."), name)):
        versions = items[name]
        first = next(iter(versions.values()))
        types = {item.type: f"{item.type} ({version})" for version, item in versions.items()}
        meaning = f"{first.brief} Values: {_code(first.values)}." if first.values else first.brief
        yield (
            f"`{name}`" + ("*" if first.at_start else ""),
            first.type if len(types) == 1 else ", ".join(types.values()),
            first.unit,
            _when(first),
            meaning,
            ", ".join(spans.get(name, {"other": None})),
            _source(name, list(versions)),
        )


def _when(item: Attribute) -> str:
    if item.requirement == "required":
        return "always"
    return "content capture is on" if item.requirement == "opt_in" else item.when


def _instruments() -> Iterable[tuple[Instrument, list[str]]]:
    found: dict[str, tuple[Instrument, list[str]]] = {}
    for version, convention in _VERSIONS:
        for item in (*convention.instruments, *own.INSTRUMENTS):
            found.setdefault(item.name, (item, []))[1].append(version)
    return sorted(found.values(), key=lambda entry: entry[0].name.startswith("otel_llm."))


def _metric_rows() -> Iterable[Sequence[str]]:
    for item, versions in _instruments():
        yield (
            f"`{item.name}`",
            f"observable {item.kind}" if item.observable else item.kind,
            f"`{item.unit}`",
            item.type,
            item.when,
            item.brief,
            _metric_attributes(item),
            _BUCKETS.get(item.buckets, _numbers(item.buckets or ())),
            item.group,
            _source(item.name, versions),
        )


def _metric_attributes(item: Instrument) -> str:
    required, optional = item.required, item.optional
    call = required[:2] == REQUIRED and optional[: len(OPTIONAL)] == OPTIONAL
    if call:
        required, optional = required[2:], optional[len(OPTIONAL) :]
    parts = (["*call*"] if call else []) + ([_code(required)] if required else [])
    return ", ".join([*parts, f"[{_code(optional)}]"] if optional else parts)


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.10g}" for value in values)


def _point_rows() -> Iterable[Sequence[str]]:
    theirs = [(item, version) for version, convention in _VERSIONS for item in convention.points]
    for item, source in (*theirs, *((item, "otel_llm") for item in own.POINTS)):
        yield f"`{item.name}`", _code(item.values or ()), item.brief, source


def _event_rows() -> Iterable[Sequence[str]]:
    found: dict[str, tuple[Event, list[str]]] = {}
    for version, convention in _VERSIONS:
        for event in (*convention.events, *own.EVENTS):
            found.setdefault(event.name, (event, []))[1].append(version)
    for event, versions in found.values():
        attributes = (
            "those of the span, with content"
            if event.name == names.DETAILS_EVENT
            else _code(item.name for item in event.attributes)
        )
        source = _source(event.name, versions)
        yield f"`{event.name}`", str(event.severity), event.when, event.brief, attributes, source
