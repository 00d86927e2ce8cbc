"""The JSON and CSV of docs/live-api.md."""

from __future__ import annotations

import csv
import io
import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.live import Limits

ROW = [
    "calls", "errors", "error_rate", "streams", "retried", "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "cache_hit_rate", "cost", "unpriced", "latency_ms", "ttft_ms", "tokens_per_second",
    "first", "last",
]  # fmt: skip
CALL = [
    "seq", "id", "trace_id", "span_id", "service", "source", "start", "duration_ms", "ttft_ms", "provider", "operation", "endpoint",
    "model", "request_model", "response_model", "stream", "outcome", "error", "finish_reasons", "input_tokens", "output_tokens",
    "total_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "usage_source", "tokens_per_second", "cost",
    "attempts", "chunks", "conversation_id", "has_content", "preview",
]  # fmt: skip
DETAIL = [
    "usage", "parameters", "server", "rate_limit", "retries", "error_detail", "tool_calls", "stream_stats", "timeline", "content",
    "attributes", "resource", "has_trace",
]  # fmt: skip


def fill(live: Any, tools: Any) -> None:
    """Six calls of three models, one of them failed, one retried, one with content."""
    user = '[{"role":"user","parts":[{"type":"text","content":"Weather in Zürich?"}]}]'
    live.http.send(tools.make_span(ms=100), tools.make_span(ms=200), tools.make_span(ms=300, ago=3600))
    live.http.send(
        tools.make_span(ms=50, otel_llm__outcome="failed", error__type="rate_limit_exceeded", gen_ai__usage__output_tokens=None,
                        gen_ai__usage__input_tokens=None, gen_ai__usage__cache_read__input_tokens=None, otel_llm__cost=None),
        service="other",
    )  # fmt: skip
    live.http.send(
        tools.make_span(ms=400, gen_ai__provider__name="anthropic", gen_ai__request__model="claude", gen_ai__input__messages=user,
                        gen_ai__request__stream=True, gen_ai__response__time_to_first_chunk=0.1, gen_ai__conversation__id="conv-1",
                        gen_ai__usage__cache_read__input_tokens=0, gen_ai__response__model="claude-1"),
        tools.make_span(ms=10, gen_ai__operation__name="embeddings", gen_ai__request__model="=embed", otel_llm__cost=None,
                        gen_ai__usage__output_tokens=None, otel_llm__request__attempts=3, gen_ai__usage__cache_read__input_tokens=None),
    )  # fmt: skip


def table(answer: Any) -> list[dict[str, str]]:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def test_the_summary_adds_up(live: Any, tools: Any) -> None:
    fill(live, tools)
    summary = live.http.get("/api/summary", group_by="provider,model")
    assert (summary["window_s"], summary["group_by"]) == (None, ["provider", "model"])
    total, rows = summary["total"], summary["rows"]
    assert list(total) == ROW
    assert [(row["provider"], row["model"], row["calls"]) for row in rows] == [
        ("openai", "gpt-4o", 4), ("anthropic", "claude", 1), ("openai", "=embed", 1),
    ]  # fmt: skip
    expected = {
        "calls": 6, "errors": 1, "error_rate": 0.166667, "streams": 1, "retried": 1, "input_tokens": 50, "output_tokens": 80,
        "total_tokens": 130, "cache_read_tokens": 12, "cache_write_tokens": None, "reasoning_tokens": None, "cache_hit_rate": 0.75,
        "cost": "0.000252", "unpriced": 1,
    }  # fmt: skip
    assert {name: total[name] for name in expected} == expected
    for name in ("calls", "errors", "streams", "retried", "input_tokens", "unpriced"):
        assert sum(row[name] or 0 for row in rows) == total[name]
    assert total["latency_ms"] == {
        "avg": pytest.approx(176.667), "min": 10, "max": 400, "p50": 150, "p90": 350, "p99": 395,
    }  # fmt: skip
    assert total["ttft_ms"]["p50"] == 100
    assert total["tokens_per_second"]["max"] == pytest.approx(200)
    assert total["last"] - total["first"] == pytest.approx(3600, abs=5)


def test_the_summary_by_anything_of_any_window(live: Any, tools: Any) -> None:
    fill(live, tools)
    get = live.http.get
    assert [(row["error"], row["calls"]) for row in get("/api/summary", group_by="error")["rows"]] == [
        (None, 5),
        ("rate_limit_exceeded", 1),
    ]
    assert [row["service"] for row in get("/api/summary", group_by="service")["rows"]] == ["app", "other"]
    assert {row["outcome"]: row["calls"] for row in get("/api/summary", group_by="outcome")["rows"]} == {
        "completed": 5,
        "failed": 1,
    }
    assert len(get("/api/summary", group_by="endpoint,operation")["rows"]) == 3
    recent = get("/api/summary", window=60)
    assert (recent["total"]["calls"], recent["window_s"]) == (5, 60)
    assert get("/api/summary", provider=["anthropic", "none"])["total"]["calls"] == 1
    assert get("/api/summary", model="claude-1")["total"]["calls"] == 1
    nothing = get("/api/summary", provider="none", group_by="model")
    assert nothing["rows"] == []
    assert nothing["total"] == {
        **dict.fromkeys(ROW), "calls": 0, "errors": 0, "error_rate": 0.0, "streams": 0, "retried": 0, "unpriced": 0,
    }  # fmt: skip


def test_the_summary_as_a_table(live: Any, tools: Any) -> None:
    fill(live, tools)
    rows = table(live.http.request("GET", "/api/summary?group_by=model&format=csv"))
    assert [row["model"] for row in rows] == ["gpt-4o", "'=embed", "claude"]
    assert list(rows[0])[:4] == ["model", "calls", "errors", "error_rate"]
    assert list(rows[0])[15:21] == [
        f"latency_ms_{name}" for name in ("avg", "min", "max", "p50", "p90", "p99")
    ]
    assert sum(int(row["calls"]) for row in rows) == 6
    (row,) = table(live.http.request("GET", "/api/summary?format=csv"))
    assert (row["calls"], row["cost"], row["cache_write_tokens"]) == ("6", "0.000252", "")
    assert (
        table(live.http.request("GET", "/api/summary?format=csv&group_by=model&model=none"))[0]["calls"]
        == "0"
    )


def test_the_debug_summary_is_flat(live: Any, tools: Any) -> None:
    for ms in range(100, 119):
        failed = {"otel_llm__outcome": "failed", "error__type": "timeout"} if ms == 118 else {}
        live.http.send(tools.make_span(ms=ms, **failed))
    assert live.http.get("/debug/summary") == {
        "count": 19, "error_count": 1, "error_rate": 0.052632, "avg_ms": 109.0, "p50_ms": 109.0, "p90_ms": 116.2, "p95_ms": 117.1,
        "p99_ms": 117.82, "input_tokens": 190, "output_tokens": 380, "total_tokens": 570, "cost": "0.001197",
        "by_provider": {"openai": 19}, "by_model": {"gpt-4o": 19}, "by_error": {"timeout": 1},
    }  # fmt: skip
    by_model = live.http.get("/debug/summary", group_by="model")
    assert [(row["model"], row["count"]) for row in by_model["rows"]] == [("gpt-4o", 19)]
    (row,) = table(live.http.request("GET", "/debug/summary?group_by=model&format=csv"))
    assert (row["model"], row["count"], row["p95_ms"]) == ("gpt-4o", "19", "117.1")
    assert "by_model" not in row


def test_calls_are_found_by_everything(live: Any, tools: Any) -> None:
    fill(live, tools)

    def found(**query: Any) -> list[int]:
        answer = live.http.get("/api/calls", **query)
        assert answer["cursor"] == 6
        assert all(list(call) == CALL for call in answer["calls"])
        return [call["seq"] for call in answer["calls"]]

    assert found() == [6, 5, 4, 3, 2, 1]
    assert found(limit=2) == [6, 5]
    assert found(before=3) == [2, 1]
    assert found(since=4) == [6, 5]
    assert found(model="gpt-4o", provider="openai", endpoint="/v1/chat/completions") == [4, 3, 2, 1]
    assert found(errors="true") == [4]
    assert found(error="rate_limit_exceeded") == [4]
    assert found(service="other") == [4]
    assert found(stream="true") == [5]
    assert found(stream="false", outcome="completed") == [6, 3, 2, 1]
    assert found(operation="embeddings") == [6]
    assert found(min_ms=300) == [5, 3]
    assert found(conversation="conv-1") == [5]
    assert found(window=60) == [6, 5, 4, 2, 1]
    assert found(q="CLAUDE") == [5]
    assert found(q="zürich weather") == [5]
    assert found(q="user") == []  # a role is no text
    assert found(q="rate_limit openai") == [4]
    trace = live.http.get("/api/calls")["calls"][2]["trace_id"]
    assert found(trace=trace) == [4]
    assert found(q=trace) == [4]
    page = live.http.get("/api/calls", limit=4)
    assert (page["next"], page["matched"]) == (3, 6)
    assert live.http.get("/api/calls", limit=4, before=page["next"])["next"] is None
    assert live.http.get("/api/calls", limit=6)["next"] is None
    rows = table(live.http.request("GET", "/api/calls?format=csv&limit=1"))
    assert list(rows[0]) == CALL
    assert (rows[0]["model"], rows[0]["tokens_per_second"], rows[0]["cost"]) == ("'=embed", "", "")


def test_one_call_has_its_details(live: Any, tools: Any) -> None:
    live.http.send(
        tools.make_span(ms=2000, gen_ai__request__stream=True, gen_ai__response__time_to_first_chunk=1.0,
                        otel_llm__request__attempts=2, otel_llm__attempt__statuses=[429], otel_llm__attempt__durations=[0.1],
                        otel_llm__attempt__delays=[0.25], otel_llm__attempt__errors=["rate_limit_exceeded"])
    )  # fmt: skip
    (call,) = live.http.get("/api/calls")["calls"]
    detail = live.http.get(f"/api/calls/{call['id']}")
    assert {name: detail[name] for name in CALL} == call
    assert sorted(detail) == sorted(CALL + DETAIL)
    assert detail["usage"] == {
        "input": 10, "output": 20, "cache_read": 4, "cache_write": None, "reasoning": None, "modalities": {}, "source": "provider",
    }  # fmt: skip
    assert detail["timeline"] == [
        {"name": "start", "at_ms": 0.0},
        {"name": "attempt 1 failed", "at_ms": 100.0},
        {"name": "attempt 2", "at_ms": 350.0},
        {"name": "first chunk", "at_ms": 1000.0},
        {"name": "end", "at_ms": 2000.0},
    ]
    assert detail["has_trace"] is True
    answer = live.http.request("GET", "/api/calls/none")
    assert (answer.status, answer.json()) == (404, {"error": "there is no such call"})


def test_a_trace_is_a_waterfall(live: Any, tools: Any) -> None:
    plain = dict.fromkeys(tools.CHAT)
    names = {key.replace(".", "__"): None for key in plain}
    live.http.send(
        tools.make_span("chat", trace=7, number=4, parent=2, ms=100),
        tools.make_span("root", trace=7, number=1, ms=1000, **names),
        tools.make_span("step", trace=7, number=2, parent=1, ms=500, **names),
        tools.make_span("lost", trace=7, number=9, parent=8, ms=300, **names),
        tools.make_span("first step", trace=7, number=3, parent=1, ms=900, **names),
        tools.make_span("circle", trace=7, number=20, parent=21, ms=10, **names),
        tools.make_span("circle", trace=7, number=21, parent=20, ms=10, **names),
    )
    live.http.send(tools.make_span(trace=8), service="second")
    _, line = live.http.get("/api/traces")["traces"]
    assert {name: value for name, value in line.items() if name != "start"} == {
        "seq": 1, "trace_id": f"{7:032x}", "name": "root", "services": ["app"], "duration_ms": pytest.approx(1000, abs=50),
        "spans": 7, "llm_calls": 1, "errors": 0, "total_tokens": 30, "cost": "0.000063",
    }  # fmt: skip
    trace = live.http.get(f"/api/traces/{7:032x}")
    assert (trace["name"], trace["truncated"], trace["total_tokens"]) == ("root", False, 30)
    assert [(span["name"], span["depth"], span["missing_parent"]) for span in trace["spans"]] == [
        ("root", 0, False), ("first step", 1, False), ("step", 1, False), ("chat", 2, False), ("lost", 0, True),
        ("circle", 0, False), ("circle", 0, False),
    ]  # fmt: skip
    assert trace["spans"][0]["offset_ms"] == 0.0
    assert trace["spans"][3]["call_id"] == f"{7:032x}-{4:016x}"
    assert list(trace["spans"][0]) == [
        "span_id", "parent_id", "name", "kind", "service", "scope", "offset_ms", "duration_ms", "status", "status_message",
        "attributes", "events", "links", "depth", "missing_parent", "call_id",
    ]  # fmt: skip
    get = live.http.get
    assert [one["seq"] for one in get("/api/traces", q="SECOND")["traces"]] == [2]
    assert [one["seq"] for one in get("/api/traces", service="second")["traces"]] == [2]
    assert get("/api/traces", errors="true")["traces"] == []
    assert get("/api/traces", limit=1)["next"] == 2
    assert [one["seq"] for one in get("/api/traces", limit=1, before=2)["traces"]] == [1]
    assert live.http.request("GET", "/api/traces/none").status == 404


def test_usage_is_by_day_provider_and_model(tools: Any) -> None:
    with tools.running(limits=Limits(calls=1)) as live:
        fill(live, tools)
        rows = live.http.get("/api/usage")["rows"]
        assert {
            (row["provider"], row["model"]): row["calls"] for row in rows if row["date"] == rows[0]["date"]
        }[("anthropic", "claude")] == 1
        assert sum(row["calls"] for row in rows) == 6  # five are no longer in memory
        first = next(row for row in rows if row["model"] == "claude")
        assert first == {
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "provider": "anthropic", "model": "claude", "calls": 1, "errors": 0,
            "input_tokens": 10, "output_tokens": 20, "total_tokens": 30, "cache_read_tokens": 0, "cost": "0.000063", "unpriced": 0,
            "avg_latency_ms": pytest.approx(400),
        }  # fmt: skip
        assert [row["model"] for row in live.http.get("/api/usage", days=1, model="claude")["rows"]] == [
            "claude"
        ]
        assert live.http.get("/api/usage", limit=1)["truncated"] is True
        assert table(live.http.request("GET", "/api/usage?format=csv&model=claude"))[0]["cost"] == "0.000063"


def test_models_are_compared(live: Any, tools: Any) -> None:
    fill(live, tools)
    answer = live.http.get("/api/compare")
    assert (answer["by"], answer["window_s"], answer["bounds_ms"][:3]) == ("model", None, [10, 20, 40])
    row = answer["rows"][0]
    assert (row["model"], row["provider"], row["cost_per_call"], row["cost_per_1k_tokens"]) == (
        "gpt-4o",
        "openai",
        "0.000063",
        "0.0021",
    )
    assert sum(row["latency_counts"]) == row["calls"] == 4
    assert len(row["latency_counts"]) == len(answer["bounds_ms"]) + 1
    assert [(row["model"], row["cost_per_call"]) for row in answer["rows"][1:]] == [
        ("=embed", None),
        ("claude", "0.000063"),
    ]
    assert [row["provider"] for row in live.http.get("/api/compare", by="provider", window=60)["rows"]] == [
        "openai",
        "anthropic",
    ]


def test_history_is_of_a_selection(live: Any, tools: Any) -> None:
    fill(live, tools)
    assert sum(point["responses"] for point in live.http.get("/api/history")["points"]) == 5
    assert (
        sum(point["responses"] for point in live.http.get("/api/history", model=["claude", "none"])["points"])
        == 1
    )
    assert (
        sum(
            point["responses"]
            for point in live.http.get("/api/history", provider="openai", endpoint="/v1/embeddings")["points"]
        )
        == 1
    )


def test_the_status_says_what_there_is(live: Any, tools: Any) -> None:
    fill(live, tools)
    tools.receive(live.connect())
    status = live.http.get("/api/status")
    assert {key: value for key, value in status.items() if key not in ("now", "uptime_s", "version", "bytes")} == {
        "mode": "receiver", "token_required": False, "otlp": live.server.otlp, "clients": 1,
        "calls": {"kept": 6, "seen": 6, "running": 0, "dropped": 0}, "traces": {"kept": 6, "seen": 6, "dropped": 0, "spans": 6},
        "received": {"spans": 6, "metrics": 0, "logs": 0, "rejected": 0}, "forward": None, "keep": None,
        "models": ["=embed", "claude", "gpt-4o"], "endpoints": ["/v1/chat/completions", "/v1/embeddings", "/v1/messages"],
        "providers": ["anthropic", "openai"], "services": ["app", "other"], "cursor": 6,
    }  # fmt: skip
    assert live.http.get("/api/active") == {"active": []}
    assert live.http.get("/healthz") == {"status": "ok"}


BAD = {
    "/api/summary?group_by=secret": "group_by must be one or several of model, provider, endpoint, service, operation, outcome, error",
    "/api/summary?group_by=model,model": "group_by must be one or several of model, provider, endpoint, service, operation, outcome, error",
    "/api/summary?window=-1": "window must be a number from 0.001 to 3.16224e+07",
    "/api/summary?window=nan": "window must be a number from 0.001 to 3.16224e+07",
    "/api/summary?format=xml": "format must be json or csv",
    "/api/calls?limit=0": "limit must be a whole number from 1 to 1000",
    "/api/calls?limit=1001": "limit must be a whole number from 1 to 1000",
    "/api/calls?limit=%D9%A1": "limit must be a whole number from 1 to 1000",
    f"/api/calls?before={'9' * 5000}": "before must be a whole number from 0 to 4611686018427387904",
    "/api/calls?stream=maybe": "stream must be true or false",
    "/api/calls?min_ms=x": "min_ms must be a number from 0 to 1e+12",
    f"/api/calls?q={'x' * 201}": "q must have at most 200 characters",
    f"/api/calls?q={'x' * 9000}": "the query is too long",
    "/api/compare?by=service": "by must be one of model, provider, endpoint",
    "/api/traces?llm=maybe": "llm must be true or false",
    "/api/traces?errors=maybe": "errors must be true or false",
    f"/api/traces?q={'x' * 201}": "q must have at most 200 characters",
    "/api/usage?days=0": "days must be a whole number from 1 to 3660",
    "/api/traces?before=-1": "before must be a whole number from 0 to 4611686018427387904",
}  # fmt: skip


@pytest.mark.parametrize("path", BAD, ids=lambda path: path[:40])
def test_bad_parameters_get_a_fixed_text(shared: Any, path: str) -> None:
    answer = shared.http.request("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json() == {"error": BAD[path]}


def test_what_is_not_there_is_not_found(shared: Any) -> None:
    answer = shared.http.request("GET", "/api/none")
    assert (answer.status, answer.json()) == (404, {"error": "there is nothing at this path"})
    assert shared.http.request("POST", "/api/calls").status == 405
    assert shared.http.request("DELETE", "/healthz").json() == {"error": "this method is not allowed here"}


PATHS = st.sampled_from([
    "/api/status", "/api/summary", "/api/calls", "/api/active", "/api/traces", "/api/usage", "/api/compare", "/api/history",
    "/debug/summary", "/api/calls/x", "/api/traces/x", "/healthz",
])  # fmt: skip
PARAMETERS = st.sampled_from([
    "group_by", "window", "format", "provider", "model", "endpoint", "service", "operation", "outcome", "error", "q", "stream",
    "errors", "min_ms", "conversation", "trace", "limit", "before", "since", "llm", "days", "by", "x",
])  # fmt: skip
TEXTS = (
    st.text(max_size=12)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(["true", "model", "json", "csv", "1", ""])
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATHS, query=st.lists(st.tuples(PARAMETERS, TEXTS), max_size=5), raw=st.binary(max_size=8))
def test_no_query_breaks_the_interface(
    shared: Any, path: str, query: list[tuple[str, str]], raw: bytes
) -> None:
    text = (
        urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in query])
        + "&"
        + quote(raw)
    )
    answer = shared.http.request("GET", f"{path}?{text}")
    assert answer.status in (200, 400, 404), answer
    if answer.headers["content-type"] == "application/json":
        answer.json()
    else:
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
