"""The calls of this process, from the package's listeners: sampled or not, from any thread.

Inside a call only a beginning is counted and an ended record is put aside; everything else is done by whoever
asks for numbers, by the server's event loop, or, when hundreds wait, by the thread that ends the next call.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_llm._listeners import listeners

from ._calls import from_operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm._operation import Operation

    from ._aggregate import Aggregator, Series
    from ._receiver import Receiver
    from ._store import Kept

__all__ = ["Feed"]

_MANY: Final = 500


@dataclass(slots=True)
class _Running:
    op: Operation
    series: Series
    stream: bool
    answered: bool = False


class Feed:
    """Listens from `attach` to `detach`."""

    def __init__(self, aggregator: Aggregator, receiver: Receiver, *, wake: Callable[[], None]) -> None:
        self._aggregator = aggregator
        self._receiver = receiver
        self._wake = wake
        self._running: dict[int, _Running] = {}
        self._ended: deque[tuple[Operation, _Running | None]] = deque()
        self._draining = threading.Lock()
        self._service = os.environ.get("OTEL_SERVICE_NAME") or None

    def attach(self) -> None:
        """Hear of every call from now on."""
        self._aggregator.local = True
        listeners.add("start", self._start)
        listeners.add("end", self._end)

    def detach(self) -> None:
        """Hear of no further call; what has ended is counted."""
        self.disconnect()
        self.drain()

    def disconnect(self) -> None:
        """Hear of no further call."""
        listeners.remove("start", self._start)
        listeners.remove("end", self._end)

    def _start(self, op: Operation) -> None:
        series = self._aggregator.series(op.endpoint, op.request_model or "", op.provider)
        self._aggregator.began(series, stream=op.stream)
        self._running[op.number] = _Running(op, series, op.stream)

    def _end(self, op: Operation) -> None:
        self._ended.append((op, self._running.pop(op.number, None)))
        if len(self._ended) >= _MANY:
            self.drain()
        else:
            self._wake()

    def drain(self) -> None:
        """Count and store what has ended, and note which running streams have begun to answer."""
        if not self._draining.acquire(blocking=False):
            return  # somebody is at it
        try:
            for running in list(self._running.values()):
                self._look(running)
            kept: list[Kept] = []
            while self._ended:
                if (one := self._take(*self._ended.popleft())) is not None:
                    kept.append(one)
            if kept:
                self._receiver.save_local(kept)
        finally:
            self._draining.release()

    def _look(self, running: _Running) -> None:
        op = running.op
        if op.stream and not running.stream:
            running.stream = True
            self._aggregator.streams(running.series)
        if not running.answered and op.stream_stats is not None and op.stream_stats.chunks:
            running.answered = True
            self._aggregator.answered(running.series)

    def _take(self, op: Operation, running: _Running | None) -> Kept | None:
        call, detail = from_operation(op, service=self._service)
        if running is None:
            series = self._aggregator.series(call.endpoint, call.model, call.provider)
        else:
            series = running.series
            self._aggregator.left(series, stream=running.stream, answered=running.answered)
        self._aggregator.ended(series, call, counted=running is not None)
        return self._receiver.local(call, detail)

    def active(self) -> list[dict[str, Any]]:
        """The objects of `/api/active`, the oldest call first."""
        now = time.perf_counter()
        return [self._active(running.op, now) for running in list(self._running.values())]

    def _active(self, op: Operation, now: float) -> dict[str, Any]:
        stats = op.stream_stats
        elapsed = max(now - op.started, 0.0)
        chunks = stats.chunks if stats is not None else 0
        first = stats.first_chunk if stats is not None else None
        flowing = elapsed - first if first is not None else 0.0
        return {
            "id": op.id, "service": self._service, "start": op.start_time / 1e9,
            "elapsed_ms": round(elapsed * 1000, 1),
            "provider": op.provider, "operation": op.name, "endpoint": op.endpoint, "model": op.request_model,
            "stream": op.stream, "attempts": op.attempt_count, "chunks": chunks,
            "bytes": stats.bytes if stats is not None else 0,
            "chunks_per_second": round(chunks / flowing, 1) if flowing > 0 else 0.0,
            "ttft_ms": round(first * 1000, 1) if first is not None else None,
        }  # fmt: skip

    @property
    def running(self) -> int:
        """How many calls run."""
        return len(self._running)
