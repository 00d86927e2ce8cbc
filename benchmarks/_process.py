"""A worker process and the line protocol with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ._contenders import CONTENDERS

ROOT = Path(__file__).resolve().parent.parent

_QUIET = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "",
    "ANTHROPIC_OPEN_TELEMETRY": "false",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "TRACELOOP_TELEMETRY": "false",
    "PYTHONWARNINGS": "ignore",
    # Otherwise the allocator of glibc learns when to give memory back, differently in each process.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}


def environment(name: str, *, capture: bool = False) -> dict[str, str]:
    """This process's environment without what would change a measurement, and the contender's settings."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(
            ("OTEL_", "OPENAI_", "ANTHROPIC_", "TRACELOOP_", "OPENINFERENCE_", "LOGFIRE_", "PYTHON", "COV_")
        )
    }
    contender = CONTENDERS[name]
    chosen = contender.capture_on if capture else contender.capture_off
    if name == "anthropic_native":
        chosen = {"ANTHROPIC_OPEN_TELEMETRY": "true"}
    return kept | _QUIET | dict(chosen) | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}


class WorkerError(RuntimeError):
    """The contender's process ended instead of answering."""


class Process:
    """One contender, switched on; each method of `_worker.Worker` is a command."""

    def __init__(
        self, name: str, *, python: str = sys.executable, capture: bool = False, sampled: bool = True
    ) -> None:
        self.name = name
        options = json.dumps({"contender": name, "capture": capture, "sampled": sampled})
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody reads would fill up
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks._worker", options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=environment(name, capture=capture),
        )
        self._read()

    def ask(self, do: str, **keywords: Any) -> Any:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # reading will tell why
            self._process.stdin.write(json.dumps({"do": do, **keywords}) + "\n")
            self._process.stdin.flush()
        return self._read()["result"]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            errors = self._errors.read().strip().splitlines()
            raise WorkerError(f"{self.name}: {errors[-1] if errors else 'no message'}")
        return json.loads(line)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.communicate(timeout=60)
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
