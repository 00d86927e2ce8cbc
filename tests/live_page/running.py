"""Calls of this process that have not ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_llm._listeners import listeners, tell
from otel_llm._operation import Operation, Outcome, StreamStats

if TYPE_CHECKING:
    from live_page.traffic import Model


class Running:
    """Streams of this process that have not ended; `go_on` brings them forward."""

    def __init__(self) -> None:
        self._streams: list[tuple[Operation, float, float]] = []

    def begin(self, model: Model, *, seconds: float = 20.0, chunks_per_second: float = 40.0) -> None:
        """Start a stream."""
        op = Operation(
            model.provider,
            "chat",
            model.endpoint,
            request_model=model.name,
            stream=True,
            start_time=time.time_ns(),
            started=time.perf_counter(),
        )
        op.stream_stats = StreamStats()
        tell(listeners.start, op)
        self._streams.append((op, op.started + seconds, chunks_per_second))

    def go_on(self) -> None:
        """Let chunks arrive, and end what has had its time."""
        now = time.perf_counter()
        for op, until, speed in self._streams:
            stats = op.stream_stats
            assert stats is not None
            elapsed = now - op.started
            if elapsed > 0.4:
                stats.first_chunk = stats.first_chunk or elapsed
                stats.chunks = int((elapsed - 0.4) * speed) + 1
                stats.bytes, stats.last_chunk = stats.chunks * 137, elapsed
            if now >= until:
                op.duration, op.outcome = elapsed, Outcome.COMPLETED
                op.freeze()
                tell(listeners.end, op)
        self._streams = [one for one in self._streams if now < one[1]]

    def __len__(self) -> int:
        return len(self._streams)
