"""A virtual environment per contender that needs one, with the versions of this checkout's environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from ._contenders import CONTENDERS
from ._process import ROOT

BENCH = ROOT / ".bench"

SHARED = (
    "openai",
    "anthropic",
    "httpx2",
    "pydantic",
    "pydantic-core",
    "wrapt",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
    "opentelemetry-semantic-conventions",
)
"""Distributions whose version decides the figures: the same in every environment, and named in the report."""


class InstallError(RuntimeError):
    """A contender cannot be installed on these versions, or there is no uv to install it with."""


def versions() -> dict[str, str]:
    """What is installed here, by normalised name."""
    return {
        str(found.metadata["Name"]).lower().replace("_", "-"): found.version
        for found in distributions()
        if found.metadata["Name"]
    }


def python_for(name: str) -> str:
    """The interpreter to run a contender with; builds its environment if need be."""
    contender = CONTENDERS[name]
    if not contender.requires:
        return sys.executable
    folder = BENCH / name
    python = folder / "bin" / "python"
    here = versions()
    wanted = [f"{distribution}=={here[distribution]}" for distribution in SHARED]
    wanted += contender.requires
    stamp = folder / "wanted.txt"
    if python.exists() and stamp.exists() and stamp.read_text() == "\n".join(wanted):
        return str(python)
    _build(folder, python, wanted)
    stamp.write_text("\n".join(wanted))
    return str(python)


def _build(folder: Path, python: Path, wanted: list[str]) -> None:
    beside = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", "")])) or os.environ.get(
        "UV"
    )
    if uv is None:
        raise InstallError("no uv: install it, or name it in the variable UV")
    folder.parent.mkdir(exist_ok=True)
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InstallError(done.stderr.strip())
