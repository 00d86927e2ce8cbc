"""The OpenAPI document: it says all that the server answers, and the server answers what it says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection
from starlette.routing import Route

from otel_llm._listeners import listeners, tell
from otel_llm.live import ForwardOptions, LiveOptions, LiveServer
from otel_llm.live._openapi import document

DOCUMENT = document(token_needed=False)
PROSE = (Path(__file__).parents[2] / "docs" / "live-api.md").read_text()


def schema_of(path: str) -> Any:
    return DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]


def test_every_path_is_described_and_every_description_has_a_path() -> None:
    server = LiveServer(LiveOptions(port=0))
    paths = {route.path for route in server.app.routes if isinstance(route, Route)}
    server.stop()
    assert set(DOCUMENT["paths"]) == paths - {"/"}


def test_the_schemas_are_schemas() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_prose_names_every_path_and_parameter() -> None:
    sections = dict(re.findall(r"^## `GET (\S+?)`\n(.*?)(?=^## |\Z)", PROSE, re.DOTALL | re.MULTILINE))
    for path, item in DOCUMENT["paths"].items():
        text = sections[path.replace("/traces/{id}", "/traces/{trace_id}")]
        if "/api/summary`" in text:
            text += sections["/api/summary"]
        for parameter in item["get"]["parameters"]:
            assert re.search(rf"`{parameter['name']}\b", text) or parameter["in"] == "path", (path, parameter)


USER = '[{"role":"user","parts":[{"type":"text","content":"Hello?"},{"type":"odd","x":1}]}]'


@pytest.fixture(scope="module")
def filled(tmp_path_factory: Any, tools: Any) -> Any:
    """A server that keeps and passes on, with calls of every kind."""
    make = tools.make_span
    spans = [
        make(ms=100, trace=10**6, number=10**6),
        make("agent", trace=10**6, number=10**6 + 1, gen_ai__operation__name="invoke_agent"),
        make(
            otel_llm__outcome="failed", error__type="timeout", otel_llm__error__retryable=True,
            otel_llm__attempt__statuses=[429], otel_llm__attempt__durations=[0.01], otel_llm__request__attempts=2,
            otel_llm__ratelimit__limit__requests=500,
        ),
        make(
            gen_ai__request__stream=True, gen_ai__response__time_to_first_chunk=0.02, otel_llm__stream__chunks=4,
            gen_ai__input__messages=USER, gen_ai__output__messages=USER, gen_ai__request__temperature=0.2,
            gen_ai__conversation__id="c", gen_ai__provider__name="anthropic", gen_ai__request__model="claude",
        ),
        make(
            gen_ai__operation__name="embeddings", gen_ai__usage__output_tokens=None, gen_ai__usage__input_tokens=None,
            gen_ai__usage__cache_read__input_tokens=None, otel_llm__cost=None, gen_ai__request__model=None,
            gen_ai__response__model=None, gen_ai__usage__text__input_tokens=3,
        ),
    ]  # fmt: skip
    spans[0].events.add(name="exception", time_unix_nano=time.time_ns())
    spans[0].links.add(trace_id=b"1" * 16, span_id=b"2" * 8)
    keep = tmp_path_factory.mktemp("kept") / "calls.db"
    with (
        tools.running() as collector,
        tools.running(keep=keep, forward=ForwardOptions(url=collector.http.url)) as live,
    ):
        live.http.send(*spans)
        yield live


QUERIES: dict[str, list[dict[str, Any]]] = {
    "/api/summary": [{}, {"group_by": "model,provider,error"}, {"window": 60, "errors": "true"}, {"model": "no"}],
    "/debug/summary": [{}, {"group_by": "endpoint"}, {"q": "nothing"}],
    "/api/calls": [{}, {"limit": 2}, {"q": "hello"}],
    "/api/traces": [{}, {"limit": 1}, {"llm": "true"}],
    "/api/usage": [{}, {"limit": 1}],
    "/api/compare": [{}, {"by": "endpoint", "window": 60}, {"by": "provider"}],
    "/api/history": [{}, {"model": "gpt-4o"}],
}  # fmt: skip


@pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if path != "/metrics/events"])
def test_answers_are_what_the_document_says(filled: Any, path: str) -> None:
    ids = [""]
    if "{id}" in path:
        ids = [
            call["id" if "calls" in path else "trace_id"] for call in filled.http.get("/api/calls")["calls"]
        ]
        assert len(ids) == 4
    for query in QUERIES.get(path, [{}]):
        for one in ids:
            answer = filled.http.get(path.replace("{id}", one), **query)
            jsonschema.Draft202012Validator({**DOCUMENT, **schema_of(path)}).validate(answer)


def test_frames_are_what_the_document_says(filled: Any, tools: Any) -> None:
    socket = filled.connect()
    tools.validate("HistoricalData", tools.receive(socket))
    tools.validate("Subscribed", tools.ask(socket, {"type": "subscribe", "filters": {"interval": 0.1}}))
    tools.validate("MetricsUpdate", tools.receive(socket, "metrics_update"))


def test_calls_of_this_process_are_what_the_document_says(tools: Any) -> None:
    server = LiveServer(LiveOptions(port=0))
    server.start()
    try:
        http = tools.Http(server.url)
        for running in (False, True):
            op = tools.make_operation(
                stream=True, stream_stats=tools.STREAM(chunks=3, bytes=9, first_chunk=0.1)
            )
            tell(listeners.start, op)
            if not running:
                tell(listeners.end, tools.end_operation(op, usage=tools.USAGE(input=1, output=2)))
        (call,) = http.get("/api/calls")["calls"]
        tools.validate("Active", active := http.get("/api/active"))
        assert len(active["active"]) == 1
        tools.validate("CallDetail", http.get(f"/api/calls/{call['id']}"))
        tools.validate("Status", http.get("/api/status"))
    finally:
        tell(listeners.end, tools.end_operation(op))
        server.stop()


def test_a_token_is_in_the_document(tools: Any) -> None:
    with tools.running(token="secret") as live:
        assert live.http.request("GET", "/api/openapi.json").status == 401
        served = live.http.request("GET", "/api/openapi.json", authorization="Bearer secret").json()
    assert served["security"] == [{"token": []}]
    assert "secret" not in str(served)


OPERATIONS = [
    result.ok()
    for result in schemathesis.openapi.from_dict(DOCUMENT)
    .exclude(path="/metrics/events")
    .get_all_operations()
]


# A thread of the servers may use the random module while something is drawn, which is not drawn from there.
@pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.path)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_asked_the_answer_is_what_the_document_says(
    filled: Any, operation: Any, data: Any
) -> None:
    """Requests that follow the document, and requests that break it, made of it by schemathesis."""
    mode = data.draw(st.sampled_from(list(GenerationMode)))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    # What is not known is ignored, and of a parameter that is given twice the last counts: no reason to refuse.
    case.call_and_validate(base_url=filled.http.url, excluded_checks=[negative_data_rejection])
