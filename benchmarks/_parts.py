"""What the parts beside the instrumentation cost by themselves, in tight loops."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, REPEAT = 7, 2_000
LOG_SIZES = (1_000, 100_000)
NO_HANDLER, ONE_HANDLER, OPTIONS = "hook, no handler", "hook, one handler", "`with options(enabled=False)`"


def measure(python: str = sys.executable) -> dict[str, list[float]]:
    """Microseconds of each part: median, least and most of the rounds. In a process of its own."""
    from ._process import ROOT, environment

    done = subprocess.run(
        [python, "-m", "benchmarks._parts"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment("otel_llm"),
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _loop(action: Callable[[], object], repeat: int = REPEAT) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(repeat):
            action()
        found.append((time.process_time() - started) / repeat * 1e6)
    return found


def log_name(size: int) -> str:
    return f"`RequestLog.record`, {size:,} calls held"


def _operation() -> Any:
    from otel_llm._operation import Operation, StreamStats, Usage

    return Operation(
        provider="openai",
        name="chat",
        endpoint="/v1/chat/completions",
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        usage=Usage(input=10, output=20),
        stream_stats=StreamStats(chunks=20, first_chunk=0.2),
    )


def main() -> None:
    from otel_llm import hooks
    from otel_llm._options import options
    from otel_llm.request_log import RequestLog

    operation = _operation()
    found = {NO_HANDLER: _loop(lambda: hooks.execute("bench.step", None, operation))}
    hooks.attach("bench", "bench.step", lambda *_: None)
    found[ONE_HANDLER] = _loop(lambda: hooks.execute("bench.step", None, operation))
    hooks.detach("bench")

    def block() -> None:
        with options(enabled=False):
            pass

    found[OPTIONS] = _loop(block)
    for size in LOG_SIZES:
        log = RequestLog(max_size=size)
        for _ in range(size):
            log.record(operation)
        found[log_name(size)] = _loop(lambda log=log: log.record(operation))
    spread = {name: [statistics.median(values), min(values), max(values)] for name, values in found.items()}
    json.dump(spread, sys.stdout)


if __name__ == "__main__":
    main()
