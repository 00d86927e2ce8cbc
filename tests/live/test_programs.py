"""Real programs: the SDKs instrumented in this process, and a program under `opentelemetry-instrument`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI, RateLimitError

from otel_llm.live import LiveOptions, LiveServer
from otel_llm.testing import FakeProvider, Reply, capture


def test_calls_of_a_real_sdk_in_this_process(tools: Any) -> None:
    server = LiveServer(LiveOptions(port=0))
    with FakeProvider() as provider, capture() as telemetry:
        telemetry.instrument(capture_content="span_only")
        server.start()
        try:
            http = tools.Http(server.url)
            openai = OpenAI(base_url=provider.openai_url, api_key="none", max_retries=1)
            provider.script(
                Reply.error(429, retry_after_ms=1),
                Reply(text="Hello!"),
                Reply(text="x " * 20, chunks=10, chunk_delay=0.1),
            )
            messages: list[Any] = [{"role": "user", "content": "Say hello"}]
            openai.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.2)
            seen: list[int] = []

            def watch() -> None:
                while not (done.is_set()):
                    seen.extend(one["chunks"] for one in http.get("/api/active")["active"])
                    time.sleep(0.05)

            done = threading.Event()
            watcher = threading.Thread(target=watch)
            watcher.start()
            for _ in openai.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
                pass
            done.set()
            watcher.join()
            assert len(set(seen)) > 3  # the progress of the stream was there to be seen
            assert seen == sorted(seen)
            openai.close()
            streamed, plain = http.get("/api/calls")["calls"]
            assert (plain["outcome"], plain["attempts"], plain["preview"], plain["stream"]) == (
                "completed",
                2,
                "Say hello",
                False,
            )
            assert (streamed["outcome"], streamed["stream"]) == ("completed", True)
            assert streamed["chunks"] > 5
            assert 0 < streamed["ttft_ms"] < streamed["duration_ms"]
            detail = http.get(f"/api/calls/{plain['id']}")
            assert detail["content"]["output"][0]["parts"] == [{"type": "text", "content": "Hello!"}]
            assert [retry["status"] for retry in detail["retries"]] == [429]
            assert detail["parameters"]["temperature"] == 0.2
            provider.script(*(Reply.error(429, retry_after_ms=1) for _ in range(2)))
            with (
                pytest.raises(RateLimitError),
                OpenAI(base_url=provider.openai_url, api_key="none", max_retries=1) as again,
            ):
                again.chat.completions.create(model="gpt-4o", messages=messages)
            (failed,) = http.get("/api/calls", errors="true")["calls"]
            assert (failed["outcome"], failed["attempts"]) == ("failed", 2)
            assert http.get("/api/status")["calls"] == {"kept": 3, "seen": 3, "running": 0, "dropped": 0}
        finally:
            server.stop()


SETTING = """
import json, sys, threading, urllib.request
from openai import OpenAI
import otel_llm
otel_llm.LLMInstrumentor().instrument()
with OpenAI(base_url=sys.argv[1], api_key="sk-SECRET") as client:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "MY-PROMPT"}])
    calls = []
    if len(sys.argv) > 2:
        request = urllib.request.Request(sys.argv[2] + "/api/calls", headers={"authorization": "Bearer let-me-in"})
        calls = json.load(urllib.request.urlopen(request))["calls"]
    print(json.dumps([[call["model"] for call in calls], [one.name for one in threading.enumerate()]]))
otel_llm.LLMInstrumentor().uninstrument()
print(json.dumps([one.name for one in threading.enumerate()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("served", [True, False])
def test_the_setting_serves_the_live_view_of_a_program_and_nothing_listens_without(
    tools: Any, served: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        address = f"127.0.0.1:{one.getsockname()[1]}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    if served:
        environment["OTEL_INSTRUMENTATION_LLM_LIVE"] = address
        environment["OTEL_INSTRUMENTATION_LLM_LIVE_TOKEN"] = "let-me-in"
    with FakeProvider() as provider:
        command = [
            sys.executable,
            "-c",
            SETTING,
            provider.openai_url,
            *([f"http://{address}"] if served else []),
        ]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    (models, threads), after = map(json.loads, done.stdout.splitlines())
    assert (models, "otel-llm-live" in threads) == ((["gpt-4o"], True) if served else ([], False))
    assert [name for name in after if name.startswith("otel-llm")] == []
    assert "SECRET" not in done.stdout + done.stderr


PROGRAM = """
from openai import OpenAI
from opentelemetry import trace
import sys
with trace.get_tracer("app").start_as_current_span("answer"):
    with OpenAI(base_url=sys.argv[1], api_key="sk-SECRET") as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "MY-PROMPT"}])
"""


def test_a_program_that_only_has_the_endpoint_set(tools: Any, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    with FakeProvider() as provider, tools.running(keep=tmp_path / "calls.db") as live:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            "OTEL_EXPORTER_OTLP_ENDPOINT": live.server.otlp["http"],
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_SERVICE_NAME": "program",
        }
        command = [
            str(Path(sys.executable).with_name("opentelemetry-instrument")),
            sys.executable,
            str(program),
            provider.openai_url,
        ]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        (call,) = live.http.get("/api/calls")["calls"]
        assert (call["service"], call["source"], call["model"], call["outcome"]) == (
            "program",
            "otel_llm",
            "gpt-4o",
            "completed",
        )
        assert call["total_tokens"] > 0
        trace = live.http.get(f"/api/traces/{call['trace_id']}")
        assert trace["name"] == "answer"
        assert [span["call_id"] for span in trace["spans"] if span["call_id"]] == [call["id"]]
        received = live.http.get("/api/status")["received"]
        assert received["metrics"] > 0
        assert received["rejected"] == 0
        # Content was not captured, and a key is nowhere.
        everything = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path != program)
        everything += live.http.request("GET", f"/api/calls/{call['id']}").body
        everything += live.http.request("GET", f"/api/traces/{call['trace_id']}").body
        assert b"SECRET" not in everything
        assert b"MY-PROMPT" not in everything
