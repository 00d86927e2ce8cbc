"""Programs that know nothing of this package, under `opentelemetry-instrument`, with only OTEL_* set."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from otel_llm import __version__
from otel_llm.testing import Reply
from support.programs import PROGRAMS, ours, telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_llm.testing import FakeProvider
    from support.otlp_sink import OtlpSink
    from support.programs import Runner

_SAID = "openai: word1 word2 word3\nanthropic: word1 word2 word3\n"
_METRICS = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}


def _metrics(sink: OtlpSink) -> set[str]:
    return {point.metric for point in sink.points if point.scope == "otel_llm"}


@pytest.mark.parametrize(
    ("transport", "more"),
    [
        pytest.param("http", {}, id="http"),
        pytest.param("http", {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, id="http-gzip"),
        pytest.param("grpc", {}, id="grpc"),
    ],
)
def test_spans_and_metrics_arrive_although_the_program_ends_at_once(
    run: Runner, sink: OtlpSink, provider: FakeProvider, transport: str, more: dict[str, str]
) -> None:
    done = run("ask.py", env={**getattr(run, transport), **more})

    assert (done.stdout, done.stderr) == (_SAID, "")
    assert {export.transport for export in sink.exports} == {transport}
    port = int(provider.url.rpartition(":")[2])
    chat, message = ours(sink)
    assert (chat.name, chat.kind, chat.status, chat.parent_id) == ("chat gpt-4o", "CLIENT", "UNSET", None)
    assert chat.resource["service.name"] == "e2e"
    assert chat.scope_version == __version__
    assert telling(
        chat,
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "server.address",
        "server.port",
        "otel_llm.outcome",
    ) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 8,
        "server.address": "127.0.0.1",
        "server.port": port,
        "otel_llm.outcome": "completed",
    }
    assert (message.name, message.attributes["gen_ai.provider.name"]) == (
        "chat claude-haiku-5-5",
        "anthropic",
    )
    assert _metrics(sink) >= _METRICS
    durations = sink.metric("gen_ai.client.operation.duration")
    assert sorted((p.attributes["gen_ai.request.model"], p.count) for p in durations) == [
        ("claude-haiku-5-5", 1),
        ("gpt-4o", 1),
    ]
    # One span per call, although the anthropic SDK makes spans of its own.
    assert {span.scope for span in sink.spans} <= {"otel_llm", "opentelemetry.instrumentation.httpx"}


def test_a_failed_call_has_an_exception_event(run: Runner, sink: OtlpSink, provider: FakeProvider) -> None:
    provider.script(Reply.error(429, code="rate_limit_exceeded", message="the canary of this test"))
    assert run("fail.py").stdout == "failed: rate_limit_exceeded\n"

    (span,) = ours(sink)
    assert (span.status, span.events) == ("ERROR", [])
    assert span.attributes["error.type"] == "rate_limit_exceeded"
    (log,) = [log for log in sink.logs if log.event]
    assert (log.event, log.trace_id, log.span_id) == (
        "gen_ai.client.operation.exception",
        span.trace_id,
        span.span_id,
    )
    assert "canary" not in repr((sink.spans, sink.points, sink.logs))


@pytest.mark.parametrize(
    ("left_out", "asked"),
    [(("anthropic",), ["openai"]), (("openai",), ["anthropic"]), (("anthropic", "openai"), [])],
    ids=["only-openai", "only-anthropic", "neither"],
)
def test_sdks_that_are_not_installed(
    run: Runner,
    sink: OtlpSink,
    python_without: Callable[..., Path],
    left_out: tuple[str, ...],
    asked: list[str],
) -> None:
    done = run("ask.py", python=python_without(*left_out))

    assert done.stdout == "".join(f"{name}: word1 word2 word3\n" for name in asked)
    assert done.stderr == ""
    assert [span.attributes["gen_ai.provider.name"] for span in ours(sink)] == asked


def test_an_instrumentation_switched_off_by_name(run: Runner, sink: OtlpSink) -> None:
    done = run("ask.py", env={**run.http, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, anthropic"})

    assert (done.stdout, done.stderr) == (_SAID, "")
    assert [span.name for span in ours(sink)] == ["chat gpt-4o"]
    # Then the anthropic SDK's own span is what there is of its call.
    assert [span.scope for span in sink.spans if "httpx" not in span.scope and span.scope != "otel_llm"] == [
        "com.anthropic.sdk.python"
    ]


def test_all_instrumentations_switched_off(run: Runner, sink: OtlpSink) -> None:
    done = run("ask.py", env={**run.http, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"})

    assert (done.stdout, done.stderr) == (_SAID, "")
    assert ours(sink) == []


@pytest.mark.parametrize(
    "env",
    [
        pytest.param(
            {
                "OTEL_SDK_DISABLED": "true",
                "OTEL_TRACES_EXPORTER": "console",
                "OTEL_METRICS_EXPORTER": "console",
                "OTEL_LOGS_EXPORTER": "none",
            },
            id="disabled",
        ),
        pytest.param(
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
            id="none",
        ),
    ],
)
def test_telemetry_that_is_off_is_silent(run: Runner, sink: OtlpSink, env: dict[str, str]) -> None:
    done = run("ask.py", env={**run.http, **env})

    assert (done.stdout, done.stderr) == (_SAID, "")
    assert sink.exports == []


def test_the_console_exporters(run: Runner, sink: OtlpSink) -> None:
    env = {
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "console",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx,httpx2",
    }
    done = run("ask.py", env=env)

    printed = _documents(done.stdout.replace(_SAID, ""))
    spans = [document for document in printed if "context" in document]
    assert [span["name"] for span in spans] == ["chat gpt-4o", "chat claude-haiku-5-5"]
    assert spans[0]["attributes"]["gen_ai.usage.output_tokens"] == 8
    (metrics,) = [document for document in printed if "resource_metrics" in document]
    scopes = metrics["resource_metrics"][0]["scope_metrics"]
    (measured,) = [scope["metrics"] for scope in scopes if scope["scope"]["name"] == "otel_llm"]
    assert {metric["name"] for metric in measured} >= _METRICS
    assert sink.exports == []


def _documents(text: str) -> list[dict[str, Any]]:
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def test_the_prometheus_exporter(run: Runner) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = str(listening.getsockname()[1])
    env = {
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_PROMETHEUS_PORT": port,
        "OTEL_EXPORTER_PROMETHEUS_HOST": "localhost",
    }
    page = run("scrape.py", env=env).stdout
    (count,) = [
        line
        for line in page.splitlines()
        if line.startswith("gen_ai_client_operation_duration_seconds_count")
    ]
    assert 'gen_ai_request_model="gpt-4o"' in count
    assert count.endswith(" 1.0")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_streams_of_every_door_open_at_the_end_of_the_program(
    kind: str, run: Runner, sink: OtlpSink, provider: FakeProvider
) -> None:
    provider.reply(Reply(chunks=5, hang_after=2))
    urls = (provider.openai_url, provider.anthropic_url)
    tests = PROGRAMS.parents[1]
    env = {**run.http, "PYTHONPATH": f"{tests}{os.pathsep}{tests / 'scenarios'}"}
    plain = run("leave_all.py", *urls, kind, env=env, instrument=False)
    done = run("leave_all.py", *urls, kind, env=env)

    assert done.stdout == plain.stdout
    if kind == "sync":
        assert done.stderr == ""
    else:  # the HTTP library complains of generators that the ending event loop closes, with this package or without
        assert "otel" not in done.stderr.lower()
    outcomes = [span.attributes["otel_llm.outcome"] for span in ours(sink)]
    assert outcomes == ["abandoned"] * int(plain.stdout)


def test_an_open_stream_at_the_end_of_the_program(run: Runner, sink: OtlpSink) -> None:
    done = run("leave.py")

    assert (done.stdout, done.stderr) == ("assistant\n", "")
    (span,) = ours(sink)
    assert telling(span, "otel_llm.outcome", "gen_ai.request.stream", "otel_llm.stream.chunks") == {
        "otel_llm.outcome": "abandoned",
        "gen_ai.request.stream": True,
        "otel_llm.stream.chunks": 1,
    }
    (duration,) = sink.metric("gen_ai.client.operation.duration")
    assert duration.attributes["otel_llm.outcome"] == "abandoned"
