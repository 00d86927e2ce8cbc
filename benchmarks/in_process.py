"""`python -m benchmarks.in_process`: what hooks, progress, the request log and helpers cost, against their targets.

CPU microseconds: the median and the spread of seven rounds.
Nothing here gates: times depend on the machine, and the tests hold the counts.
"""

from __future__ import annotations

import statistics
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import otel_llm
from otel_llm import _progress, hooks
from otel_llm._listeners import listeners, tell
from otel_llm._operation import Operation, Outcome, StreamStats, Usage
from otel_llm.request_log import RequestLog

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
HELD = (1_000, 100_000, 1_000_000)


def operation(*, stream: bool = False) -> Operation:
    """A call that has ended but for its end."""
    return Operation(
        provider="openai",
        name="chat",
        endpoint="/v1/chat/completions",
        sdk="openai",
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        response_id="chatcmpl-1",
        usage=Usage(10, 20, 4),
        cost=Decimal("0.000063"),
        finish_reasons=("stop",),
        stream=stream,
        stream_stats=StreamStats() if stream else None,
        start_time=time.time_ns(),
        started=time.perf_counter(),
        duration=0.5,
        trace_id=1 << 100,
        span_id=1 << 60,
    )


def ended() -> Operation:
    """A call that has ended."""
    op = operation()
    op.outcome = Outcome.COMPLETED
    op.freeze()
    return op


def show(name: str, target: str, action: Callable[[], object], repeat: int = 5_000) -> None:
    """Time `action` and print a row."""
    action()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(repeat):
            action()
        rounds.append((time.process_time() - began) / repeat * 1e6)
    row(name, f"{statistics.median(rounds):8.2f}", f"{min(rounds):.2f} to {max(rounds):.2f}", target)


def row(name: str, median: str, spread: str, target: str) -> None:
    """One line of the table."""
    print(f"{name:58} {median:>9}  {spread:18} {target}")


def hooking() -> None:
    """What an end of a call costs, by who listens."""
    op = ended()

    def end() -> None:
        if listeners.end:
            tell(listeners.end, op)

    show("end of a call, nobody attached", "<= 0.3", end)
    hooks.attach("bench", "llm.embeddings.stop", lambda *_: None)
    show("end of a call, a handler of another event", "", end)
    hooks.detach("bench")
    hooks.attach("bench", "llm.chat.stop", lambda *_: None)
    show("end of a call, one handler", "<= 5", end)
    hooks.detach("bench")
    seen = threading.Event()
    hooks.attach("bench", "llm.chat.stop", lambda *_: seen.set(), background=True)
    show("end of a call, one handler in the background, thread and all", "", end, 500)
    hooks.flush(10)
    hooks.detach("bench")
    hooks.attach("bench", hooks.EVENTS, lambda *_: None)
    show("end of a call, a handler of every event", "", end)
    hooks.detach("bench")


def streaming() -> None:
    """What a chunk costs, by who listens."""
    op = operation(stream=True)

    def chunk() -> None:
        op.stream_stats.chunks += 1  # type: ignore[union-attr]
        op.stream_stats.bytes += 6  # type: ignore[union-attr]
        if listeners.chunk:
            tell(listeners.chunk, op, None, 0.0)

    show("chunk, nobody attached (counting it included)", "<= 0.3", chunk)
    hooks.attach("bench", "llm.stream.chunk", lambda *_: None)
    show("chunk, one handler", "<= 5", chunk)
    hooks.detach("bench")
    with otel_llm.options(on_progress=lambda _: None, progress_interval=0.1):
        tell(listeners.start, op)
        show("chunk, on_progress ten times a second", "<= 5", chunk)
        op.outcome = Outcome.COMPLETED
        op.freeze()
        tell(listeners.end, op)
    _progress.flush(10)


def recording() -> None:
    """What a record costs, by how many the log holds."""
    op = ended()
    for held in HELD:
        log = RequestLog(max_size=held, ttl=3600.0)
        for _ in range(held):
            log.record(op)
        show(f"RequestLog.record, {held:,} held", "<= 20", lambda log=log: log.record(op))
        if held == HELD[0]:
            show(f"RequestLog.summary, {held:,} held", "", log.summary, 5)


def helping() -> None:
    """What a block costs without the OpenTelemetry SDK, and with metrics and spans going nowhere."""

    def off() -> None:
        with otel_llm.options(enabled=False):
            pass

    def session() -> None:
        with otel_llm.session("c1", user_id="ada"):
            pass

    def track() -> None:
        with otel_llm.track("acme", "m1") as call:
            call.usage(10, 20)

    def suppressed() -> None:
        with otel_llm.track("acme", "m1"):
            pass

    show("with options(enabled=False)", "<= 2", off)
    show("with session(...)", "", session)
    show("with track(...), OpenTelemetry API only", "", track, 1_000)
    with otel_llm.options(enabled=False):
        show("with track(...), suppressed", "", suppressed, 1_000)


def blocking() -> None:
    """Wall time of a stream of 20 chunks, 5 ms apart, without and beside a callback that never returns in time."""
    chunks, gap = 20, 0.005

    def read() -> float:
        op = operation(stream=True)
        began = time.perf_counter()
        tell(listeners.start, op)
        for _ in range(chunks):
            time.sleep(gap)
            op.stream_stats.chunks += 1  # type: ignore[union-attr]
            tell(listeners.chunk, op, None, 0.0)
        op.outcome = Outcome.COMPLETED
        op.freeze()
        tell(listeners.end, op)
        return (time.perf_counter() - began) * 1000

    alone = statistics.median(read() for _ in range(ROUNDS))
    go_on = threading.Event()
    with otel_llm.options(on_progress=lambda _: go_on.wait(5), progress_interval=0.01):
        beside = statistics.median(read() for _ in range(ROUNDS))
    hooks.attach("bench", "llm.stream.stop", lambda *_: go_on.wait(5), background=True)
    hooked = statistics.median(read() for _ in range(ROUNDS))
    go_on.set()
    hooks.flush(10)
    _progress.flush(10)
    hooks.detach("bench")
    row("a stream of 20 chunks, ms of wall time, alone", f"{alone:8.2f}", "", "")
    row("beside an on_progress that blocks, added ms", f"{beside - alone:8.2f}", "", "< 50")
    row("beside a background handler that blocks, added ms", f"{hooked - alone:8.2f}", "", "< 50")


def main() -> None:
    """Print the table."""
    row("CPU microseconds", "median", "least to most", "target")
    hooking()
    streaming()
    recording()
    helping()
    blocking()


if __name__ == "__main__":
    main()
