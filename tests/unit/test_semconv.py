"""The tables against the published conventions and golden files; the rules for names; what a setting chooses."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from otel_llm import semconv
from otel_llm.semconv import Attribute, SpanForm, latest, names, own, v1_41
from otel_llm.semconv._document import document
from support.conformance import tables
from support.published import CORE, FOLDER, Published, level

ROOT = Path(__file__).parents[2]
SETTINGS = ("1.41", "latest", "both")

published = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no published conventions at {FOLDER} (OTEL_LLM_SEMCONV_DIR)"
)

# Beside ours: what a span form has although the conventions list it elsewhere.
EXTRA = {
    names.USER_ID: "set by `session`",
    names.CONVERSATION_ID: "set by `session` on every span in it",
    names.RESPONSE_STATUS: "a Response says it in its first answer too",
    names.REQUEST_STREAM: "fetching can stream",
    names.TIME_TO_FIRST_CHUNK: "fetching can stream",
    names.OPENAI_SYSTEM_FINGERPRINT: "in the fetched response where the first answer had it",
    names.INPUT_MESSAGES: "the input of embeddings has no name of its own",
}
# What no request and no response tells.
UNKNOWABLE = {
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gen_ai.prompt.variable",
    "gen_ai.conversation.compacted",
    "gen_ai.agent.name",
}
EXTRA_ON_POINTS = {names.OUTCOME, names.USAGE_SOURCE, names.OPENAI_RESPONSE_SERVICE_TIER}
NOT_ON_POINTS = {
    names.SERVER_ADDRESS,  # on durations alone, as each attribute costs every record
    names.SERVER_PORT,
    names.OPENAI_RESPONSE_SERVICE_TIER,
    names.OPENAI_SYSTEM_FINGERPRINT,  # changes without bound
    names.RESPONSE_MODEL,  # not known yet between two chunks
}
"""What the conventions recommend for metrics and not every one of them has."""
D = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
T = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

V1_41 = ("v1.41.1/gen-ai/registry.yaml", "v1.41.1/openai/registry.yaml", "v1.41.1/gen-ai/spans.yaml",
         "v1.41.1/gen-ai/metrics.yaml", "v1.41.1/gen-ai/events.yaml")  # fmt: skip
MAIN = tuple(
    f"main-2026-10/{name}.yaml"
    for name in ("registry.reconstructed", "openai-registry", "spans", "metrics", "token-metrics", "events")
)
FORMS = {
    "1.41": {
        "chat": ("gen_ai.inference.client", "openai.inference.client"),
        "embeddings": ("gen_ai.embeddings.client",),
        "execute_tool": ("gen_ai.execute_tool.internal",),
    },
    "latest": {
        "chat": ("gen_ai.client.inference", "openai.gen_ai.client.inference"),
        "embeddings": ("gen_ai.embeddings.client",),
        "fetch_response": ("gen_ai.fetch_response.client", "openai.fetch_response.client"),
        "execute_tool": ("gen_ai.execute_tool.internal",),
    },
}
CONVENTIONS = {"1.41": v1_41.CONVENTION, "latest": latest.CONVENTION}
FORM_CASES = [(version, operation) for version, forms in FORMS.items() for operation in forms]


@pytest.fixture(scope="module")
def model() -> dict[str, Published]:
    return {"1.41": Published(*V1_41), "latest": Published(*MAIN)}


def ours_or_core(name: str) -> bool:
    return name.startswith("otel_llm.") or name in CORE


@published
@pytest.mark.parametrize(("version", "operation"), FORM_CASES)
def test_span_forms_are_the_published_ones(model: dict[str, Published], version: str, operation: str) -> None:
    base, *refinements = (model[version].spans[name] for name in FORMS[version][operation])
    form = CONVENTIONS[version].form(operation)
    theirs = model[version].refs(base)
    added = {name: item for each in refinements for name, item in model[version].refs(each).items()}
    all_of_theirs = {**added, **theirs}
    mine = {item.name: item for item in form.attributes}

    assert form.id == FORMS[version][operation][0]
    assert form.kind == base["kind"]
    assert len(mine) == len(form.attributes)
    assert set(all_of_theirs) - set(mine) <= UNKNOWABLE
    assert {name for name in set(mine) - set(all_of_theirs) if not name.startswith("otel_llm.")} <= set(EXTRA)
    for name in set(mine) & set(all_of_theirs):
        assert mine[name].requirement == level(all_of_theirs[name]), name
    at_start = {name for name, item in theirs.items() if item.get("sampling_relevant")} - UNKNOWABLE
    assert at_start <= {item.name for item in form.attributes if item.at_start}


@published
@pytest.mark.parametrize(("version", "operation"), FORM_CASES)
def test_span_names_are_the_published_ones(model: dict[str, Published], version: str, operation: str) -> None:
    base = model[version].spans[FORMS[version][operation][0]]
    text = " ".join((str(base.get("name", {}).get("note", "")), base.get("note", ""), base["brief"]))
    shape = re.search(r"\*\*Span name\*\* SHOULD be `([^`]*)`", text)
    assert shape is not None
    form = CONVENTIONS[version].form(operation)
    values = {names.OPERATION_NAME: operation, names.REQUEST_MODEL: "m-1", names.TOOL_NAME: "search"}
    expected = re.sub(r"\{([^}]*)\}", lambda match: values[match[1]], shape[1])
    assert form.name(values) == expected
    assert form.name({names.OPERATION_NAME: operation}) == operation


@published
@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_types_and_values_are_the_published_ones(model: dict[str, Published], version: str) -> None:
    convention = CONVENTIONS[version]
    items = [item for form in convention.spans for item in form.attributes]
    items += [item for event in convention.events for item in event.attributes]
    items += convention.points
    for item in items:
        if item.name.startswith("otel_llm."):
            continue
        assert item.type == model[version].type(item.name), item.name
        values = model[version].values(item.name)
        if item.values is None or item.name in CORE:
            continue
        assert values is not None
        assert set(item.values) == values if not item.open else set(item.values) <= values, item.name


@published
@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_no_name_is_invented(model: dict[str, Published], version: str) -> None:
    convention = CONVENTIONS[version]
    used = {
        *convention.parameters.values(),
        *(attribute for _, attribute in convention.usage),
        *convention.modalities.values(),
        *(name for item in convention.instruments for name in item.attributes),
        *(item.name for form in convention.spans for item in form.attributes),
        *(item.name for event in convention.events for item in event.attributes),
    }
    assert {name for name in used if not ours_or_core(name)} <= set(model[version].types)
    listed = {item.name for form in convention.spans for item in form.attributes}
    settable = {*convention.parameters.values(), *(name for _, name in convention.usage)}
    assert settable | set(convention.modalities.values()) <= listed


@published
@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_metrics_are_the_published_ones(model: dict[str, Published], version: str) -> None:
    theirs = {
        name: item for name, item in model[version].metrics.items() if name.startswith("gen_ai.client.")
    }
    mine = {item.name: item for item in CONVENTIONS[version].instruments}
    assert set(mine) == set(theirs)
    for name, item in theirs.items():
        instrument = mine[name]
        assert (instrument.kind, instrument.unit) == (item["instrument"], item["unit"]), name
        assert instrument.type == item["annotations"]["code_generation"]["metric_value_type"], name
        refs = model[version].refs(item)
        # The duration of latest asks for the provider only where there is one; a call always has one.
        required = {ref for ref, each in refs.items() if level(each) == "required"} | {names.PROVIDER_NAME}
        assert set(instrument.required) - {names.OUTCOME} == required, name
        assert set(refs) - NOT_ON_POINTS <= set(instrument.attributes), name
        assert set(instrument.attributes) - set(refs) <= EXTRA_ON_POINTS, name


@published
@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_events_are_the_published_ones(model: dict[str, Published], version: str) -> None:
    for event in CONVENTIONS[version].events:
        item = model[version].events[event.name]
        severity = re.search(r"severity number (\d+)", item["note"])
        if severity is not None:
            assert event.severity == int(severity[1])
        mine = {each.name for each in event.attributes}
        assert set(model[version].refs(item)) - UNKNOWABLE <= mine
        span = {each.name for form in CONVENTIONS[version].spans for each in form.attributes}
        assert mine <= set(model[version].refs(item)) | span


@published
@pytest.mark.parametrize(
    "name",
    [
        "gen-ai-input-messages",
        "gen-ai-output-messages",
        "gen-ai-system-instructions",
        "gen-ai-tool-definitions",
    ],
)
def test_message_schemas_are_the_published_ones(name: str) -> None:
    copy = json.loads((ROOT / "tests" / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    assert copy == json.loads((FOLDER / "v1.41.1" / "gen-ai" / f"{name}.json").read_text(encoding="utf-8"))


# Golden files. To write them anew after a wanted change: OTEL_LLM_UPDATE_GOLDEN=1 python -m pytest tests/unit/test_semconv.py


def _attribute(item: Attribute) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": item.type, "requirement": item.requirement}
    if item.unit:
        shape["unit"] = item.unit
    if item.values is not None:
        shape["values"] = list(item.values)
        shape["open"] = item.open
    if item.at_start:
        shape["at_start"] = True
    return shape


def _form(form: SpanForm) -> dict[str, Any]:
    attributes = {item.name: _attribute(item) for item in sorted(form.attributes, key=lambda item: item.name)}
    return {"id": form.id, "kind": form.kind, "subject": form.subject, "attributes": attributes}


def golden(setting: str) -> dict[str, Any]:
    known = tables(setting)
    return {
        "schema_url": known.schema_url,
        "spans": {",".join(form.operations) or "*": _form(form) for form in known.spans},
        "metrics": {
            name: {
                "kind": item.kind,
                "unit": item.unit,
                "type": item.type,
                "buckets": list(item.buckets) if item.buckets else None,
                "required": sorted(item.required),
                "optional": sorted(item.optional),
                "group": item.group,
            }
            for name, item in sorted(known.instruments.items())
        },
        "points": {item.name: _attribute(item) for item in own.POINTS}
        | {item.name: _attribute(item) for each in semconv.chosen(setting) for item in each.points},
        "events": {
            name: {
                "severity": event.severity,
                "attributes": {
                    item.name: _attribute(item) for item in sorted(event.attributes, key=lambda i: i.name)
                },
            }
            for name, event in sorted(known.events.items())
        },
    }


@pytest.mark.parametrize("setting", SETTINGS)
def test_golden_files(setting: str) -> None:
    path = ROOT / "tests" / "golden" / f"semconv-{setting}.json"
    text = json.dumps(golden(setting), indent=1) + "\n"
    if os.environ.get("OTEL_LLM_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text)


def test_the_document_is_fresh() -> None:
    written = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    assert written == document(), "stale: python -m otel_llm.semconv > docs/telemetry.md"


def test_the_document_names_everything() -> None:
    page = document()
    for setting in SETTINGS:
        known = tables(setting)
        for name in (*known.points, *known.instruments, *known.events):
            assert f"`{name}`" in page, name


# Rules for names.


def every_attribute() -> dict[str, Attribute]:
    return {name: item for setting in SETTINGS for name, item in tables(setting).points.items()}


def test_our_names_follow_the_rules() -> None:
    attributes = [name for name in every_attribute() if name.startswith("otel_llm.")]
    metrics = [item.name for item in own.INSTRUMENTS]
    events = [event.name for event in own.EVENTS]
    for kind in (attributes, metrics, events):
        assert all(re.fullmatch(r"otel_llm(\.[a-z][a-z0-9_]*)+", name) for name in kind)
        # No name may also be the namespace of another.
        assert not [(a, b) for a in kind for b in kind if b.startswith(a + ".")]
    assert not [name for name in metrics if name.endswith(("_total", ".total", "_seconds", "_ms", "_bytes"))]


def test_every_constant_is_in_a_table() -> None:
    constants = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    events = [event for setting in SETTINGS for event in tables(setting).events.values()]
    known = set(every_attribute()) | {
        name for each in events for name in (each.name, *(i.name for i in each.attributes))
    }
    elsewhere = {
        names.AGENT_ID,
        names.AGENT_NAME,
        names.AGENT_DESCRIPTION,
        names.AGENT_VERSION,
        names.WORKFLOW_NAME,
    }
    assert constants - known == elsewhere
    assert len(constants) == len([name for name in vars(names) if name.isupper()])


def test_metric_attributes_have_few_values() -> None:
    few = {
        names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL, names.RESPONSE_MODEL, names.SERVER_ADDRESS,
        names.SERVER_PORT, names.ERROR_TYPE, names.OPENAI_RESPONSE_SERVICE_TIER, names.OPENAI_SYSTEM_FINGERPRINT,
        names.OUTCOME, names.USAGE_SOURCE, names.ERROR_CATEGORY, names.ERROR_RETRYABLE,
        *(item.name for item in own.POINTS), names.TOKEN_TYPE, names.TOKEN_MODALITY,
    }  # fmt: skip
    used = {
        name
        for setting in SETTINGS
        for item in tables(setting).instruments.values()
        for name in item.attributes
    }
    assert used <= few
    assert used <= set(every_attribute())


def test_buckets_are_the_conventions() -> None:
    for convention in CONVENTIONS.values():
        for item in convention.instruments:
            expected = None if item.kind == "counter" else T if item.unit == "{token}" else D
            assert item.buckets == expected, item.name
    for item in own.INSTRUMENTS:
        assert (item.buckets is not None) == (item.kind == "histogram")
        assert list(item.buckets or ()) == sorted(set(item.buckets or ()))


# What a setting chooses.


def test_only_released_names_claim_a_released_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental,gen_ai")
    assert [[item.schema_url for item in semconv.chosen(setting)] for setting in SETTINGS] == [
        ["https://opentelemetry.io/schemas/1.41.0"],
        [None],
        [None, None],
    ]
    assert [[item.version for item in semconv.chosen(setting)] for setting in SETTINGS] == [
        ["1.41"],
        ["latest"],
        ["1.41", "latest"],
    ]


def test_both_sets_nothing_twice() -> None:
    first, second = semconv.chosen("both")
    assert not set(first.parameters.values()) & set(second.parameters.values())
    assert not {name for _, name in first.usage} & {name for _, name in second.usage}
    assert not set(first.modalities.values()) & set(second.modalities.values())
    assert not {item.name for item in first.instruments} & {item.name for item in second.instruments}


def test_presets() -> None:
    assert semconv.groups("off") == frozenset()
    assert semconv.groups("basic") == {"duration"}
    assert semconv.groups("cost") == {"cost", "tokens"}
    assert semconv.groups("all") == semconv.GROUPS - {"sizes"}
    assert semconv.groups("all", chunk_metrics="all") == semconv.GROUPS
    assert semconv.groups("all", chunk_metrics="off") == semconv.GROUPS - {"chunks", "sizes"}
    assert all(item.group for item in (*v1_41.INSTRUMENTS, *latest.INSTRUMENTS, *own.INSTRUMENTS))
