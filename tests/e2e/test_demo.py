"""`otel-llm demo`, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.programs import ours

if TYPE_CHECKING:
    from support.otlp_sink import OtlpSink

_COMMAND = [str(Path(sys.executable).with_name("otel-llm")), "demo"]
_README = Path(__file__).parents[2] / "README.md"
_TREE = """\
$ opentelemetry-instrument python agent.py

span                                      duration  first chunk      tokens  cost, USD  outcome
invoke_agent travel-assistant                 TIME
├─ chat gpt-4o                                TIME                 142 → 46       COST  completed
│      asks for get_weather, find_hotels
├─ execute_tool get_weather                   TIME
├─ execute_tool find_hotels                   TIME
│  └─ embeddings text-embedding-3-small       TIME                        9       COST  completed
├─ chat gpt-4o                                TIME         TIME    346 → 61       COST  completed
│      2 attempts: 429, then waited 120 ms
│      128 input tokens from the cache
│      9 chunks
├─ chat claude-sonnet-5-5                     TIME                 95 → 100       COST  completed
│      40 output tokens of reasoning
├─ chat gpt-4o-2023                           TIME                                      failed
│      404 model_not_found (openai.NotFoundError 404 model_not_found)
└─ chat claude-haiku-5-5                      TIME         TIME      88 → 1       COST  closed
       3 chunks
"""


def _environment(**more: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_", "PYTEST_"))
    }
    # Whatever leaves loopback fails.
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return {**inherited, **proxies, "NO_PROXY": "127.0.0.1,localhost", "COLUMNS": "100", **more}


def _demo(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, *arguments],
        env=_environment(**more),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def _timeless(text: str) -> str:
    """The output without what differs from run to run: times, and the prices of the day."""
    text = re.sub(r" *\d[\d.]* m?s(?=  |\n)", lambda found: "TIME".rjust(len(found[0])), text)
    text = re.sub(r"waited +TIME", "waited 120 ms", text)
    return re.sub(r"\b0\.\d{7}\b", "COST".rjust(9), text)


def test_it_prints_the_traces_and_ends_well() -> None:
    done = _demo()

    assert (done.returncode, done.stderr) == (0, "")
    assert _timeless(done.stdout).startswith(_TREE)
    assert _TREE in _timeless(_README.read_text())
    metrics = dict(re.findall(r"^(gen_ai\.\S+) +(\d+)", done.stdout, re.MULTILINE))
    assert metrics["gen_ai.client.operation.duration"] == "6"
    assert metrics["gen_ai.client.operation.time_to_first_chunk"] == "2"
    assert "gen_ai.client.operation.exception  openai.NotFoundError" in done.stdout


def test_the_users_own_settings_are_no_obstacle_and_a_backend_gets_it_too(sink: OtlpSink) -> None:
    done = _demo(
        "--otlp",
        f"{sink.http_url}/",
        OTEL_SDK_DISABLED="true",
        OTEL_TRACES_EXPORTER="zipkin",
        OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20secret",
        OPENAI_BASE_URL="http://127.0.0.1:9",
        ANTHROPIC_API_KEY="sk-ant-real",
        ANTHROPIC_OPEN_TELEMETRY="0",
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().endswith(f"sent to {sink.http_url}")
    assert Counter(span.name for span in ours(sink)) == {
        "chat gpt-4o": 2,
        "chat gpt-4o-2023": 1,
        "chat claude-sonnet-5-5": 1,
        "chat claude-haiku-5-5": 1,
        "embeddings text-embedding-3-small": 1,
    }
    assert len({span.trace_id for span in sink.spans}) == 1
    assert {span.resource["service.name"] for span in sink.spans} == {"travel-assistant"}
    assert {span.attributes["gen_ai.provider.name"] for span in ours(sink)} == {"openai", "anthropic"}
    assert {export.signal for export in sink.exports} == {"traces", "metrics", "logs"}
    assert {export.headers["x-key"] for export in sink.exports} == {"a secret"}
    assert "secret" not in done.stdout
    assert "a secret" not in repr((sink.spans, sink.points, sink.logs))


def test_a_backend_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = _demo("--otlp", f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert done.returncode == 1
    assert _timeless(done.stdout).startswith(_TREE)
    assert (
        len(re.findall(r"^not sent to http://127\.0\.0\.1:\d+/v1/\w+: .*refused", done.stdout, re.MULTILINE))
        == 3
    )


def test_a_backend_that_speaks_grpc(sink: OtlpSink) -> None:
    done = _demo("--otlp", sink.grpc_url)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("not sent to") == 3
    assert sink.exports == []


def test_the_live_view_of_the_demo_stays_until_it_is_interrupted(sink: OtlpSink) -> None:
    command = [*_COMMAND, "--live", "--port", "0", "--otlp", sink.http_url]
    with subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            found = re.fullmatch(r"Live view:  (http://127\.0\.0\.1:\d+)/\n", demo.stdout.readline())
            assert found is not None
            calls = _wait_for_calls(found[1])
        finally:
            demo.send_signal(signal.SIGINT)
            _, said = demo.communicate(timeout=30)
    assert (demo.returncode, said) == (0, "")
    assert {call["provider"] for call in calls} <= {"openai", "anthropic"}
    assert any(call["has_content"] for call in calls)
    sink.wait_for_spans(1)


def _wait_for_calls(url: str) -> list[dict[str, Any]]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{url}/api/calls", timeout=10) as response:
            calls: list[dict[str, Any]] = json.load(response)["calls"]
        if len({call["provider"] for call in calls}) == 2 and any(call["has_content"] for call in calls):
            return calls
        time.sleep(0.2)
    raise TimeoutError("the demo's calls do not arrive")


def test_the_command_itself() -> None:
    def said(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "otel_llm.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    code, out, _ = said("--help")
    assert code == 0
    assert all(f"  {command}  " in out for command in ("demo", "live", "doctor"))
    code, _, said_without = said()
    assert (code, said_without) == (2, out)
    assert said("nothing")[0] == 2
    assert said("demo", "--otlp", "localhost:4318")[0] == 2
    code, out, _ = said("demo", "--help")
    assert (code, "--otlp URL" in out) == (0, True)
