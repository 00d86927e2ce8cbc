"""`otel-llm doctor` as a program, by itself and under `opentelemetry-instrument`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.otlp_sink import OtlpSink
    from support.programs import Runner

_BIN = Path(sys.executable).parent


def _doctor(run: Runner, *before: str, **more: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [*before, str(_BIN / "otel-llm"), "doctor", "--json"],
        env={**run.base, **run.http, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_by_itself(run: Runner, sink: OtlpSink) -> None:
    code, report, said = _doctor(run)

    assert (code, report["ok"], report["instrumented"], said) == (0, True, False, "")
    found = {sdk["name"]: all(sdk["seams"].values()) for sdk in report["sdks"]}
    assert (found["openai"], found["anthropic"]) == (True, True)
    assert {(export.signal, export.size) for export in sink.exports} == {
        ("traces", 0),
        ("metrics", 0),
        ("logs", 0),
    }


def test_under_opentelemetry_instrument_it_sees_what_a_program_gets(run: Runner) -> None:
    code, report, said = _doctor(
        run, str(_BIN / "opentelemetry-instrument"), OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="anthropic"
    )

    assert (code, report["instrumented"], said) == (0, True, "")
    found = {sdk["name"]: sdk["disabled"] for sdk in report["sdks"]}
    assert (found["openai"], found["anthropic"]) == (False, True)


def test_a_wrong_port_is_found_before_anything_is_sent(run: Runner) -> None:
    code, report, _ = _doctor(run, OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4317")

    assert (code, report["ok"]) == (1, False)
    problems = [finding for finding in report["findings"] if finding["level"] == "problem"]
    assert [finding["section"] for finding in problems] == ["export"] * 3
    assert all("a port that is OTLP's for gRPC" in finding["text"] for finding in problems)
