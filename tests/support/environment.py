"""Python environments that lack something: the tests' own, as links, without some distributions.

Nothing is downloaded: a new virtual environment is made, and everything but the files that the left-out distributions
list as theirs is linked into it.
What is left out is absent for `import`, for `importlib.metadata` and for entry points, as if never installed.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SDK", "environment_without", "instrument_script"]

SDK = (
    "opentelemetry-sdk",
    "opentelemetry-distro",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-prometheus",
)
"""What there is of OpenTelemetry beyond its API."""

_INSTRUMENT = """\
import sys
from opentelemetry.instrumentation.auto_instrumentation import run
sys.exit(run())
"""


def _packages(prefix: Path) -> Path:
    return prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _files(names: Iterable[str]) -> set[Path]:
    found: set[Path] = set()
    for name in names:
        listed = distribution(name).files
        assert listed, f"{name} does not list its files"
        found.update(Path(os.path.normpath(file.locate())) for file in listed)
    return found


def environment_without(prefix: Path, *left_out: str) -> Path:
    """Make an environment at `prefix` and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True, timeout=60)
    source, target = Path(site.getsitepackages()[0]), _packages(prefix)
    gone = _files(left_out)
    touched = {parent for file in gone for parent in file.parents}
    _link(source, target, gone, touched)
    script = prefix / "bin" / "opentelemetry-instrument"
    script.write_text(f"#!{prefix / 'bin' / 'python'}\n{_INSTRUMENT}")
    script.chmod(0o755)
    return prefix / "bin" / "python"


def _link(source: Path, target: Path, gone: set[Path], touched: set[Path]) -> None:
    """Link the children of `source` into `target`; a directory of which files are left out is made anew."""
    for child in sorted(source.iterdir()):
        if child in gone or child.name == "__pycache__":
            continue
        if child in touched:
            _link(child, target / child.name, gone, touched)  # made only if something is left for it
        else:
            target.mkdir(parents=True, exist_ok=True)
            (target / child.name).symlink_to(child)


def instrument_script(python: Path) -> str:
    """The `opentelemetry-instrument` of a Python's environment."""
    return str(python.with_name("opentelemetry-instrument"))
