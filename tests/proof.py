"""What is too long for CI: `python -m tests.proof [--only NAME ...] [--fuzz N]`.

    suites     the SDKs' own tests, without and with instrumentation
    fuzz       the differential fuzzer (`--fuzz 100000` for the long run)
    soak       200 async streams and 50 threads with faults, for 20 seconds
    leaks      10,000 calls in a row, with those that fail, are dropped, closed or cancelled
    processes  gunicorn, fork, spawn, exit in the middle of a stream, an exporter that is down, gevent

Ends with one line per part; the exit code is 1 when one failed.
All traffic is on the loopback interface; only what the proof installs comes from PyPI, into .proof/.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "scenarios")]

from otel_llm.testing import FakeProvider  # noqa: E402
from support.environment import instrument_script  # noqa: E402
from support.otlp_sink import OtlpSink  # noqa: E402
from support.programs import PROGRAMS, Runner, ours  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMEOUT = 6 * 3600


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and return the exit code."""
    import proof_load
    import proof_suites

    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="only this part; may be repeated")
    parser.add_argument("--fuzz", type=int, default=5000, metavar="N", help="examples of the fuzzer")
    asked = parser.parse_args(arguments)
    parts: dict[str, Callable[[], tuple[bool, str]]] = {
        "suites": proof_suites.suites,
        "fuzz": lambda: _fuzz(asked.fuzz),
        "soak": proof_load.soak,
        "leaks": proof_load.leaks,
        "processes": _processes,
    }
    if unknown := set(asked.only or ()) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    lines = [_line(name, run) for name, run in parts.items() if not asked.only or name in asked.only]
    print("\n".join(text for _, text in lines))
    return 0 if all(well for well, _ in lines) else 1


def _line(name: str, run: Callable[[], tuple[bool, str]]) -> tuple[bool, str]:
    began = time.monotonic()
    try:
        well, figures = run()
    except Exception as error:
        traceback.print_exc()
        well, figures = False, f"{type(error).__name__}: {error}"
    return well, f"{name}: {'ok' if well else 'FAILED'}, {figures} ({time.monotonic() - began:.0f} s)"


def _fuzz(examples: int) -> tuple[bool, str]:
    seed = os.environ.get("OTEL_LLM_FUZZ_SEED") or str(random.SystemRandom().randrange(2**32))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "4", "tests/scenarios/test_fuzz.py"],
        cwd=ROOT,
        env={**os.environ, "OTEL_LLM_FUZZ": str(examples), "OTEL_LLM_FUZZ_SEED": seed},
        timeout=TIMEOUT,
        check=False,
        stdout=sys.stderr,
    )
    return done.returncode == 0, f"{examples} examples, seed {seed}"


# Processes.


def _processes() -> tuple[bool, str]:
    """Each way of running a program; a line for each that fails."""
    import proof_suites

    proof_suites.prepare()
    told = []
    for name, run in PROGRAMS_RUN.items():
        with FakeProvider() as provider, OtlpSink() as sink:
            try:
                told.append((True, name, run(Runner(provider, sink), sink)))
            except Exception as error:
                traceback.print_exc()
                told.append((False, name, f"FAILED ({type(error).__name__})"))
    return all(well for well, _, _ in told), ", ".join(f"{name} {text}" for _, name, text in told)


def _forks(method: str) -> Callable[[Runner, OtlpSink], str]:
    def run(runner: Runner, sink: OtlpSink) -> str:
        runner("fork.py", method)
        names = Counter(span.name for span in ours(sink))
        assert names == {"chat gpt-parent": 2, "chat gpt-child-0": 1, "chat gpt-child-1": 1}, names
        return "4 spans"

    return run


def _left(runner: Runner, sink: OtlpSink) -> str:
    done = runner("leave.py")
    outcomes = [span.attributes["otel_llm.outcome"] for span in ours(sink)]
    assert outcomes == ["abandoned"], outcomes
    assert "Traceback" not in done.stderr, done.stderr
    return "1 span, abandoned"


def _down(runner: Runner, sink: OtlpSink) -> str:
    """Nobody listens at the exporter's endpoint."""
    nobody = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    plain = runner("ask.py", instrument=False)
    watched = runner("ask.py", env=nobody)
    assert watched.stdout == plain.stdout
    assert ours(sink) == []
    return "same output"


def _gevent(runner: Runner, sink: OtlpSink) -> str:
    import proof_suites

    runner("greenlets.py", python=proof_suites.PYTHON, instrument=False)
    parents = {span.span_id: span.name for span in sink.spans if span.scope == "app"}
    calls = ours(sink)
    assert len(calls) == 40, len(calls)
    for span in calls:
        number = span.name.removeprefix("chat gpt-")
        assert parents[span.parent_id] == f"greenlet-{number}", span.name
    return "40 spans, parents right"


def _gunicorn(*options: str) -> Callable[[Runner, OtlpSink], str]:
    """Two workers, forked from a parent that has loaded everything (`--preload`) or nothing of the application."""

    def run(runner: Runner, sink: OtlpSink) -> str:
        import proof_suites

        port = _port()
        script = instrument_script(proof_suites.PYTHON)
        gunicorn = str(proof_suites.PYTHON.with_name("gunicorn"))
        where = ["--workers", "2", "--bind", f"127.0.0.1:{port}", "--chdir", str(PROGRAMS)]
        server = subprocess.Popen(
            [script, gunicorn, *options, *where, "wsgi:application"],
            env={**runner.base, **runner.http},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _listening(port)
            for number in range(8):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=60) as response:
                    assert response.read()
        finally:
            server.terminate()
            told = server.communicate(timeout=60)[1]
        assert "Traceback" not in told, told
        names = Counter(span.name for span in ours(sink))
        assert names == {f"chat gpt-{number}": 1 for number in range(8)}, (names, told)
        return "8 spans"

    return run


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _listening(port: int) -> None:
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nobody listens at {port}")


PROGRAMS_RUN: dict[str, Callable[[Runner, OtlpSink], str]] = {
    "gunicorn": _gunicorn(),
    "gunicorn --preload": _gunicorn("--preload"),
    "fork": _forks("fork"),
    "spawn": _forks("spawn"),
    "exit in a stream": _left,
    "exporter down": _down,
    "gevent": _gevent,
}

if __name__ == "__main__":
    sys.exit(main())
