"""Every example runs as it is, without a key and without a network, and prints something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_EXAMPLES = Path(__file__).parents[2] / "examples"
_NO_NETWORK = {
    # A proxy that nobody is: whatever leaves loopback fails at once.
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
}


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_", "PYTEST_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        env={**inherited, **_NO_NETWORK},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("example", sorted(_EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example(example: Path) -> None:
    assert _run(sys.executable, example).stdout.strip()


def test_there_are_examples() -> None:
    assert len(list(_EXAMPLES.glob("*.py"))) > 5


def test_the_one_that_is_run_without_code() -> None:
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    exporters = ("--traces_exporter", "console", "--metrics_exporter", "none", "--logs_exporter", "none")
    done = _run(instrument, *exporters, sys.executable, _EXAMPLES / "zero_code.py")
    assert "A span is one timed operation of a program." in done.stdout
    assert '"name": "chat gpt-4o-mini"' in done.stdout
