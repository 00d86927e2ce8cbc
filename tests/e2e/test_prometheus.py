"""A real Prometheus scrapes a running program and evaluates our rules."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_llm.testing import FakeProvider, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus (Debian: prometheus)"),
]

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
CALLS = 3
PROGRAM = f"""
import sys
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
messages = [{{"role": "user", "content": "Hi"}}]
for _ in range({CALLS}):
    client.chat.completions.create(model="gpt-4o", messages=messages)
for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
    pass
print("ready", flush=True)
for line in sys.stdin:  # a call for every line
    client.chat.completions.create(model="gpt-4o", messages=messages)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program that was instrumented without a change, and the port where it can be scraped."""
    port = free_port()
    environ = {
        **os.environ,
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_INSTRUMENTATION_LLM_SEMCONV": request.param,
        "OTEL_INSTRUMENTATION_LLM_CHUNK_METRICS": "all",
        "OTEL_INSTRUMENTATION_LLM_COST": "true",
        "OTEL_INSTRUMENTATION_LLM_PROVIDERS": "127.0.0.1=openai",
    }
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", PROGRAM]
    with FakeProvider() as server:
        server.reply(Reply(text="Hello there", chunks=4))
        running = subprocess.Popen(
            [*command, server.openai_url],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line == "ready\n", running.communicate()[1]
            yield running, port
        finally:
            running.kill()
            running.communicate()


class Prometheus:
    """A Prometheus that scrapes one port."""

    def __init__(self, folder: Path, port: int) -> None:
        for rules in RULES.glob("*.rules.yaml"):
            shutil.copy(rules, folder)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["*.rules.yaml"],
            "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self._at = f"127.0.0.1:{free_port()}"
        self._running = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self._at}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, query: str) -> dict[str, float]:
        """The value of a query for each label set, without the labels that say where it was scraped."""
        url = f"http://{self._at}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                answer: Any = json.load(response)
        except OSError:
            return {}
        return {
            ",".join(f"{key}={value}" for key, value in sorted(item["metric"].items())): float(
                item["value"][1]
            )
            for item in answer["data"]["result"]
        }

    def wait(self, query: str, seconds: float = 60) -> dict[str, float]:
        """The answer to a query as soon as there is one."""
        until = time.monotonic() + seconds
        while not (answer := self.ask(query)) and time.monotonic() < until:
            time.sleep(0.2)
        return answer

    def close(self) -> None:
        self._running.terminate()
        self._running.wait(20)


@pytest.mark.parametrize(
    ("program", "duration"),
    [
        ("1.41", "gen_ai_client_operation_duration_seconds"),
        ("latest", "gen_ai_client_inference_duration_seconds"),
        ("both", "gen_ai_client_inference_duration_seconds"),
    ],
    indirect=["program"],
)
def test_prometheus_scrapes_a_running_program(
    program: tuple[subprocess.Popen[str], int], duration: str, tmp_path: Path
) -> None:
    running, port = program
    prometheus = Prometheus(tmp_path, port)
    try:
        by = "sum by (job, gen_ai_provider_name, gen_ai_request_model, gen_ai_operation_name, otel_llm_outcome)"
        counted = prometheus.wait(f"{by} ({duration}_count)")
        labels = (
            "gen_ai_operation_name=chat,gen_ai_provider_name=openai,gen_ai_request_model=gpt-4o,"
            "job=shop,otel_llm_outcome=completed"
        )
        assert counted == {labels: CALLS + 1}
        first = duration.replace("duration", "time_to_first_chunk")
        assert list(prometheus.ask(f"sum({first}_count)").values()) == [1]
        assert prometheus.ask(f'{duration}_bucket{{le="81.92"}}')

        assert running.stdin is not None
        running.stdin.write("again\n")
        running.stdin.flush()
        rates = prometheus.wait("llm:calls:rate5m > 0")
        assert len(rates) == 1, "with both versions nothing counts twice"
        assert "gen_ai_request_model=gpt-4o" in next(iter(rates))
        assert prometheus.wait("llm:duration_seconds:p95_5m > 0")
        assert prometheus.wait("llm:tokens:rate5m > 0")
        assert prometheus.ask("llm:errors:ratio_rate5m") == {}
        left = prometheus.wait("min(otel_llm_ratelimit_remaining_tokens / otel_llm_ratelimit_limit_tokens)")
        assert list(left.values()) == [pytest.approx(0.9999)]
        assert prometheus.wait("llm:quota:remaining_ratio")
        assert next(iter(prometheus.wait("sum(otel_llm_cost_total)").values())) > 0
        assert list(prometheus.ask("sum(otel_llm_request_active)").values()) in ([], [0])
        assert next(iter(prometheus.ask("sum(otel_llm_stream_chunk_size_bytes_count)").values())) > 0
    finally:
        prometheus.close()
