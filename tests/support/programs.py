"""Whole programs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.environment import instrument_script

if TYPE_CHECKING:
    from otel_llm.testing import FakeProvider
    from support.otlp_sink import OtlpSink, SinkSpan

__all__ = ["PROGRAMS", "Runner", "ours", "telling"]

PROGRAMS = Path(__file__).parents[1] / "e2e" / "programs"
_TIMEOUT = 90


class Runner:
    """Runs programs with the SDKs pointed at the fake provider and telemetry at the sink."""

    def __init__(self, provider: FakeProvider, sink: OtlpSink) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_", "PYTEST_"))
            and "PROXY" not in name.upper()
        }
        self.base = {
            **inherited,
            "OPENAI_BASE_URL": provider.openai_url,
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_BASE_URL": provider.anthropic_url,
            "ANTHROPIC_API_KEY": "none",
            "OTEL_SERVICE_NAME": "e2e",
        }
        self.http = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_url,
        }
        self.grpc = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.grpc_url}

    def __call__(
        self,
        program: str | Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        python: Path | None = None,
        instrument: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a file of `programs` (or another one) to its end, over OTLP/HTTP unless `env` says otherwise.

        It must end well; what it prints to standard error is in the result, for tests to look at.
        """
        python = python or Path(sys.executable)
        command = [str(python), str(PROGRAMS / program), *arguments]
        if instrument:
            command = [instrument_script(python), *command]
        done = subprocess.run(
            command,
            env={**self.base, **(self.http if env is None else env)},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done


def ours(sink: OtlpSink) -> list[SinkSpan]:
    """The spans of this package, in the order of their start."""
    return sorted((span for span in sink.spans if span.scope == "otel_llm"), key=lambda span: span.start)


def telling(span: SinkSpan, *names: str) -> dict[str, Any]:
    """Some attributes of a span."""
    return {name: span.attributes.get(name) for name in names}
