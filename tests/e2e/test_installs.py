"""Installations that lack something: what works without it, and which extra is named where it is needed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from otel_llm import __version__
from support.environment import SDK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.programs import Runner


def test_only_the_api_of_opentelemetry(run: Runner, python_without: Callable[..., Path]) -> None:
    done = run("in_code.py", python=python_without(*SDK), instrument=False)

    assert (done.stdout, done.stderr) == (f"{__version__} word1 word2 word3\nFalse\n", "")


def test_opentelemetry_instrument_without_the_sdk_does_no_harm(
    run: Runner, python_without: Callable[..., Path]
) -> None:
    done = run("ask.py", python=python_without(*SDK))

    assert (done.stdout, done.stderr) == ("openai: word1 word2 word3\nanthropic: word1 word2 word3\n", "")


def _fails(python: Path, *command: str) -> str:
    done = subprocess.run(
        [str(python), *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_missing_extra_is_named(python_without: Callable[..., Path]) -> None:
    python = python_without(*SDK, "rich", "starlette", "uvicorn")

    said = {
        "demo": _fails(python, "-m", "otel_llm.cli", "demo"),
        "live": _fails(python, "-m", "otel_llm.cli", "live"),
        "serve": _fails(python, "-c", "import otel_llm.live; otel_llm.live.serve()"),
        "capture": _fails(python, "-c", "import otel_llm.testing; otel_llm.testing.capture()"),
    }
    assert said["demo"].startswith(
        "otel-llm demo: the demo needs rich, opentelemetry.sdk, opentelemetry.distro"
    )
    assert said["demo"].endswith('pip install "otel-llm[demo]"')
    assert "otel-llm[live]" in said["live"]
    assert "otel-llm[live]" in said["serve"]
    assert "otel-llm[otlp]" in said["capture"]


def test_doctor_without_the_sdk_says_what_to_install(python_without: Callable[..., Path]) -> None:
    done = subprocess.run(
        [str(python_without(*SDK)), "-m", "otel_llm.cli", "doctor"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "The OpenTelemetry SDK is not installed" in done.stdout
    assert 'pip install "otel-llm[otlp]"' in done.stdout
    assert done.stderr == ""
