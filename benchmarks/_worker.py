"""One contender in one process: reads commands as JSON lines, answers each with a JSON line.

The first line of the answer to nothing is `{"ready": true}`, sent when the contender is switched on.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

from ._contenders import CONTENDERS, Setting
from ._count import Owners, count, count_functions
from ._scenarios import Runner, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Worker:
    """The contender, its providers, and one warm runner per scenario.

    Public methods are the commands: a line's "do" names one and the rest of the line are its keywords.
    """

    def __init__(self, name: str, *, capture: bool, sampled: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self._runners: dict[tuple[Any, ...], Runner] = {}
        self._suppress = False
        self.on(name=name, capture=capture, sampled=sampled)

    def on(self, *, name: str, capture: bool = False, sampled: bool = True) -> None:
        """Switch a contender on, with providers of its own."""
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

        self.contender = CONTENDERS[name]
        self.spans = _drop()
        provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False)
        provider.add_span_processor(self.spans)
        self.reader = InMemoryMetricReader()
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self._off = self.contender.on(Setting(provider, meters, capture))
        # What is loaded stays: the collection before each sample need not look at it.
        gc.collect()
        gc.freeze()

    def runner(self, spec: list[Any]) -> Runner:
        key = tuple(spec)
        if key not in self._runners:
            self._runners[key] = Runner(parse(spec), self.loop)
        return self._runners[key]

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        if not self._suppress:
            yield
            return
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        with suppress_instrumentation():
            yield

    def off(self) -> None:
        """Switch the contender off, in the middle of the process's life."""
        self._off()

    def suppress(self, *, on: bool) -> None:
        """Make all calls from now on within `suppress_instrumentation()`, or no longer."""
        self._suppress = on

    def count(self, *, scenario: list[Any], repeat: int = 1) -> Any:
        runner = self.runner(scenario)
        with self._context():
            return count(runner.once, Owners(self.contender.packages), repeat=repeat)

    def functions(self, *, scenario: list[Any]) -> Any:
        runner = self.runner(scenario)
        with self._context():
            return count_functions(runner.once, Owners(self.contender.packages))

    def emits(self, *, scenario: list[Any]) -> dict[str, Any]:
        """What one call leaves: span names with their number of attributes and bytes, and metrics by name."""
        runner = self.runner(scenario)
        with self._context():
            runner.once()
            self.reader.get_metrics_data()
            before = _points(self.reader)
            self.spans.kept = kept = []
            runner.once()
            self.spans.kept = None
        after = _points(self.reader)
        return {
            "spans": [
                [
                    span.name,
                    len(span.attributes or {}),
                    len(span.events),
                    len(str(dict(span.attributes or {}))),
                ]
                for span in kept
            ],
            "metrics": {
                name: now - before.get(name, 0) for name, now in after.items() if now != before.get(name, 0)
            },
        }

    def time(
        self, *, scenario: list[Any], calls: int, together: bool = False, wait: float = 0.0
    ) -> dict[str, float]:
        """CPU seconds per call, and until the first chunk where there is one."""
        runner = self.runner(scenario)
        runner.server.wait = wait
        gc.collect()
        taken, first = [], []
        with self._context():
            for _ in range(1 if together else calls):
                started = time.process_time()
                if together:
                    runner.together(calls)
                else:
                    runner.once()
                taken.append((time.process_time() - started) / (calls if together else 1))
                first.append(runner.first_chunk)
        runner.server.wait = 0.0
        return {"cpu": _middle(taken), "first": _middle(first)}

    def memory_open(self, *, scenario: list[Any], streams: int) -> float:
        """Bytes kept per open stream of which three chunks were read."""
        runner = self.runner(scenario)
        held = [runner.open() for _ in range(20)]
        held.clear()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        held = [runner.open() for _ in range(streams)]
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        for stream, _ in held:
            stream.close()
        return kept / streams

    def memory_chunk(self, *, scenario: list[Any], first: int, last: int) -> float:
        """Bytes one open stream grows by per chunk, between chunks `first` and `last`."""
        stream, chunks = self.runner(scenario).open()
        marks = {}
        tracemalloc.start()
        for number, _ in enumerate(chunks, start=4):
            if number in (first, last):
                gc.collect()
                marks[number] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        stream.close()
        return (marks[last] - marks[first]) / (last - first)

    def memory_finished(self, *, scenario: list[Any], calls: int) -> float:
        """Bytes kept per call that has ended."""
        runner = self.runner(scenario)
        for _ in range(50):
            runner.once()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(calls):
            runner.once()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return kept / calls

    def stop(self) -> None:
        for runner in self._runners.values():
            runner.close()
        self.loop.close()


def _middle(values: list[float]) -> float:
    """The mean without the lowest and the highest quarter: a call that was interrupted says nothing."""
    cut = len(values) // 4
    kept = sorted(values)[cut : len(values) - cut]
    return sum(kept) / len(kept)


def _drop() -> Any:
    """A span processor that lets go of each span, so that what is measured is no exporter's work."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Drop(SpanProcessor):
        kept: list[Any] | None = None

        def on_end(self, span: Any) -> None:
            if self.kept is not None:
                self.kept.append(span)

    return Drop()


def _points(reader: Any) -> dict[str, int]:
    """How many measurements each histogram has seen, or a counter's points."""
    seen: dict[str, int] = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = sum(getattr(point, "count", 1) for point in metric.data.data_points)
                seen[metric.name] = seen.get(metric.name, 0) + points
    return seen


def main() -> None:
    options = json.loads(sys.argv[1])
    # What a contender prints must not get between the answers.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import anthropic  # noqa: F401 - both SDKs are there, as in a program that uses them
    import openai  # noqa: F401

    worker = Worker(options["contender"], capture=options["capture"], sampled=options["sampled"])
    print(json.dumps({"ready": True}), file=out)
    for line in sys.stdin:
        command = json.loads(line)
        method: Callable[..., Any] = getattr(worker, command.pop("do"))
        print(json.dumps({"result": method(**command)}), file=out)
    worker.stop()


if __name__ == "__main__":
    main()
