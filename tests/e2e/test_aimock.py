"""A fake provider that nobody here wrote: `@copilotkit/aimock`, from npm (MIT)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.programs import ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.otlp_sink import OtlpSink
    from support.programs import Runner

_PACKAGE, _VERSION = "@copilotkit/aimock", "1.43.0"
_USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "input_tokens": 11,
    "output_tokens": 7,
}
_FIXTURES = {
    "fixtures": [
        {
            "match": {"userMessage": "hello"},
            "response": {"content": "Hello! How can I help?", "usage": _USAGE},
        }
    ]
}


@pytest.fixture(scope="module")
def installed() -> Path:
    """The program, installed once into the user's cache; skips where it cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm and node are not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    prefix = cache / "otel-llm-tests" / f"aimock-{_VERSION}"
    program = prefix / "node_modules" / ".bin" / "llmock"
    if not program.exists():
        prefix.mkdir(parents=True, exist_ok=True)
        install = [
            npm,
            "install",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(prefix),
            f"{_PACKAGE}@{_VERSION}",
        ]
        done = subprocess.run(install, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install {_PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return program


@pytest.fixture
def aimock(installed: Path, tmp_path: Path) -> Iterator[str]:
    """Its URL."""
    (tmp_path / "hello.json").write_text(json.dumps(_FIXTURES))
    with subprocess.Popen(
        [str(installed), "-p", "0", "-f", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"listening on (http://\S+)", line):
                    yield found[1]
                    break
            else:
                pytest.fail(f"aimock did not start: {said}")
        finally:
            process.terminate()


def test_every_api_of_a_provider_that_nobody_here_wrote(run: Runner, sink: OtlpSink, aimock: str) -> None:
    env = {**run.http, "OPENAI_BASE_URL": f"{aimock}/v1", "ANTHROPIC_BASE_URL": aimock}
    done = run("several.py", env=env)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "chat True",
        "stream True",
        "response True",
        "events response.completed",
        "embedding 1",
        "message assistant",
        "text True",
    ]

    def seen(span: Any) -> tuple[Any, ...]:
        names = ("gen_ai.request.stream", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
        found = [span.attributes.get(name) for name in names]
        return (
            span.name,
            span.attributes["otel_llm.outcome"],
            span.attributes.get("gen_ai.response.finish_reasons"),
            *found,
        )

    spans = ours(sink)
    assert [seen(span) for span in spans] == [
        ("chat gpt-4o", "completed", ["stop"], None, 11, 7),
        ("chat gpt-4o", "completed", ["stop"], True, 11, 7),
        ("chat gpt-4o", "completed", ["stop"], None, 11, 7),
        ("chat gpt-4o", "completed", ["stop"], True, 11, 7),
        ("embeddings text-embedding-3-small", "completed", None, None, 0, None),
        ("chat claude-haiku-5-5", "completed", ["stop"], None, 11, 7),
        ("chat claude-haiku-5-5", "completed", ["stop"], True, 11, 7),
    ]
    for span in spans:
        assert span.status == "UNSET"
        streams = span.attributes.get("gen_ai.request.stream", False)
        assert (span.attributes.get("gen_ai.response.time_to_first_chunk", 0) > 0) is streams
        assert (span.attributes.get("otel_llm.stream.chunks", 0) > 0) is streams
    port = int(aimock.rpartition(":")[2])
    assert {span.attributes["server.port"] for span in spans} == {port}
