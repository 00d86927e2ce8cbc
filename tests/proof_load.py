"""Much at once, and much in a row: no call lost, none left open, no memory kept."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from doors import CHAT, MESSAGE, client
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from otel_llm import _recording
from otel_llm._operation import Operation
from otel_llm.instrumentor import LLMInstrumentor
from otel_llm.testing import FakeProvider, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_llm.testing import RecordedRequest

MEMORY = 16 * 1024 * 1024
"""Growth of resident memory in the second half of a run that counts as flat."""
OUTCOMES = {"completed", "failed", "cancelled", "closed", "abandoned"}
"""All of them must occur: a run in which nothing fails proves little."""

FAULTS = (
    Reply(),
    Reply(chunks=20, chunk_delay=0.001),
    Reply.error(400),
    Reply(chunks=6, die_after=3),
    Reply(chunks=6, error_after=2),
    Reply(gzip=True),
    Reply(chunks=6, malformed_after=2),
    Reply(drop=True),
)


@dataclass
class _Count(SpanProcessor):
    """Counts spans that started, and those that ended by their outcomes."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    started: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        with self.lock:
            self.started += 1

    def on_end(self, span: ReadableSpan) -> None:
        with self.lock:
            self.outcomes[str((span.attributes or {}).get("otel_llm.outcome"))] += 1


class _Load:
    """A fake provider with faults, instrumentation, and what was counted."""

    def __init__(self) -> None:
        self.spans = _Count()
        self.made = 0
        self.memory: list[int] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.server = FakeProvider(keep=1).start()
        numbers = count()
        self.server.reply(lambda request: self._reply(request, next(numbers)))
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(self.spans)
        self.reader = InMemoryMetricReader()
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        LLMInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
        return self

    def __exit__(self, *_: object) -> None:
        LLMInstrumentor().uninstrument()
        self.server.stop()

    @staticmethod
    def _reply(request: RecordedRequest, number: int) -> Reply:
        return FAULTS[number % len(FAULTS)]

    def begin(self) -> int:
        """A call begins."""
        with self._lock:
            self.made += 1
            return self.made

    def half(self) -> None:
        """Note what memory and gauge say in the middle of the run."""
        self.memory.append(_resident())
        self.busy = self.active()

    def told(self) -> tuple[bool, str]:
        """Whether nothing was lost or kept, and the figures."""
        gc.collect()
        _recording.drain()
        self.memory.append(_resident())
        growth = self.memory[-1] - self.memory[0]
        kept = sum(isinstance(thing, _recording.Recording | Operation) for thing in gc.get_objects())
        active, outcomes = self.active(), self.spans.outcomes
        well = self.made == self.spans.started == outcomes.total() and set(outcomes) == OUTCOMES
        well = well and active == kept == 0 and growth < MEMORY
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        return well, (
            f"{self.made} calls, {outcomes.total()} spans ({told}), {active} in flight at the end, "
            f"{kept} recordings kept, resident memory {growth / 2**20:+.1f} MiB in the second half"
        )

    def active(self) -> int:
        """The sum of the gauge of calls that run."""
        data = self.reader.get_metrics_data()
        return sum(
            int(point.value)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "otel_llm.request.active"
            for point in metric.data.data_points
        )


def _resident() -> int:
    """Resident memory in bytes (Linux), 0 elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def soak(seconds: float = 20.0, streams: int = 200, threads: int = 50) -> tuple[bool, str]:
    """Concurrent async streams and threads, with faults, for a time."""
    with _Load() as load:
        asks = [
            client(sdk, load.server, asynchronous=False, max_retries=0) for sdk in ("openai", "anthropic")
        ]
        stop = time.monotonic() + seconds
        half = threading.Timer(seconds / 2, load.half)
        workers = [threading.Thread(target=_calls, args=(load, asks, stop)) for _ in range(threads)]
        for thread in (half, *workers):
            thread.start()
        asyncio.run(_streams(load, stop, streams))
        for thread in (half, *workers):
            thread.join()
        for one in asks:
            one.close()
        well, told = load.told()
        return well and load.busy > threads, f"{told}, {load.busy} in flight at half time"


def _calls(load: _Load, asks: list[Any], stop: float) -> None:
    while time.monotonic() < stop:
        with suppress(Exception):
            _call(asks, load.begin())


def _call(asks: list[Any], number: int) -> None:
    """One sync call, let go of in one of five ways."""
    openai, anthropic = asks
    if number % 5 == 0:
        openai.chat.completions.create(**CHAT)
    elif number % 5 == 1:
        anthropic.messages.create(**MESSAGE)
    elif number % 5 == 2:
        list(openai.chat.completions.create(**CHAT, stream=True))
    elif number % 5 == 3:
        next(iter(anthropic.messages.create(**MESSAGE, stream=True)))  # and drop it
    else:
        with openai.chat.completions.create(**CHAT, stream=True) as stream:
            next(iter(stream))


async def _streams(load: _Load, stop: float, many: int) -> None:
    asks = [client(sdk, load.server, asynchronous=True, max_retries=0) for sdk in ("openai", "anthropic")]

    async def work() -> None:
        while time.monotonic() < stop:
            with suppress(Exception, asyncio.TimeoutError):
                await _async_call(asks, load.begin())

    await asyncio.gather(*(work() for _ in range(many)))
    for one in asks:
        await one.close()
    gc.collect()
    await asyncio.sleep(0.1)  # the event loop closes dropped generators in tasks


async def _async_call(asks: list[Any], number: int) -> None:
    """One async stream, let go of in one of four ways."""
    openai, anthropic = asks
    if number % 2:
        opened = openai.chat.completions.create(**CHAT, stream=True)
    else:
        opened = anthropic.messages.create(**MESSAGE, stream=True)
    if number % 7 == 0:
        await asyncio.wait_for(asyncio.ensure_future(opened), 0.005)  # cancelled, or dropped
        return
    stream = await opened
    if number % 7 == 1:
        await anext(aiter(stream))
        await stream.close()
        return
    async for _ in stream:
        if number % 7 == 2:
            return


def leaks(calls: int = 10_000) -> tuple[bool, str]:
    """Calls in a row, with those that fail, are dropped, closed or cancelled."""
    with _Load() as load:
        asks = [
            client(sdk, load.server, asynchronous=False, max_retries=0) for sdk in ("openai", "anthropic")
        ]
        for number in _timed(calls, load):
            if number % 20 == 0:
                asyncio.run(_some(load))
            with suppress(Exception):
                _call(asks, load.begin())
        for one in asks:
            one.close()
        return load.told()


def _timed(calls: int, load: _Load) -> Iterator[int]:
    """Numbers until so many, noting the memory at half of them; every twentieth stands for five async calls more."""
    rounds = calls * 20 // 25
    for number in range(rounds):
        if number == rounds // 2:
            gc.collect()
            load.half()
        yield number


async def _some(load: _Load) -> None:
    asks = [client(sdk, load.server, asynchronous=True, max_retries=0) for sdk in ("openai", "anthropic")]
    for _ in range(5):
        with suppress(Exception, asyncio.TimeoutError):
            await _async_call(asks, load.begin())
    gc.collect(1)
    await asyncio.sleep(0.005)  # the event loop closes what was dropped
    for one in asks:
        await one.close()
