"""The built wheel in an environment that holds only it, its extra `otlp` and the openai SDK."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_llm import __version__
from support.programs import ours

if TYPE_CHECKING:
    from support.otlp_sink import OtlpSink
    from support.programs import Runner

pytestmark = pytest.mark.timeout(600)

_REPOSITORY = Path(__file__).parents[2]


def _call(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    if uv := _uv():
        _call(uv, "build", "--quiet", "--wheel", "--out-dir", target, _REPOSITORY)
    else:
        _call(
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", target, _REPOSITORY
        )
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel."""
    prefix = tmp_path_factory.mktemp("venv") / "env"
    made = prefix / "bin" / "python"
    wanted = (f"{wheel}[otlp]", "openai")
    if uv := _uv():
        _call(uv, "venv", "--quiet", "--python", sys.executable, prefix)
        _call(uv, "pip", "install", "--quiet", "--python", made, *wanted)
    else:
        _call(sys.executable, "-m", "venv", prefix)
        _call(made, "-m", "pip", "install", "--quiet", *wanted)
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"otel_llm", f"otel_llm-{__version__}.dist-info"}
    assert {"otel_llm/py.typed", "otel_llm/_demo/agent.py", "otel_llm/live/static/index.html"} <= set(names)
    assert f"otel_llm-{__version__}.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if name.endswith(".pyc")]


def test_a_program_without_changes_is_traced(run: Runner, sink: OtlpSink, python: Path) -> None:
    done = run("ask.py", python=python)

    assert (done.stdout, done.stderr) == ("openai: word1 word2 word3\n", "")
    (span,) = ours(sink)
    assert (span.name, span.attributes["gen_ai.usage.input_tokens"]) == ("chat gpt-4o", 12)
    (duration,) = sink.metric("gen_ai.client.operation.duration")
    assert duration.count == 1


def test_the_command_is_there(run: Runner, python: Path) -> None:
    command = python.with_name("otel-llm")
    assert _call(command, "--version") == f"otel-llm {__version__}\n"
    done = subprocess.run(
        [command, "doctor", "--json"],
        env={**run.base, **run.http},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    report = json.loads(done.stdout)
    assert [sdk["name"] for sdk in report["sdks"]] == ["openai"]
    assert [export["answers"] for export in report["export"]] == [True, True, True]
