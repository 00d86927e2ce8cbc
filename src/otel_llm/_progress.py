"""Reports of running streams, for `on_progress` and for the event `llm.stream.progress`.

One thread serves all streams.
A report is computed when it is due, off the operation's own counters, so that a slow callback delays reports
and nothing else: none pile up, and what a stream costs does not depend on how often it is reported.
"""

from __future__ import annotations

import heapq
import logging
import math
import os
from time import perf_counter
from typing import TYPE_CHECKING, Any

from . import _active, _dispatch, _guard, _recording
from ._background import Worker
from ._config import Config
from ._events import brief
from ._listeners import listeners
from ._locks import Lock
from ._options import Options, capture_mode
from ._options import current as chosen_options
from ._payloads import LastError, StreamReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._operation import Operation

__all__ = ["configure", "flush", "want"]

_log = logging.getLogger("otel_llm")

_WAITING = 10_000
"""Last reports that wait for a callback that blocks; more are dropped and counted."""
_EVENT = "llm.stream.progress"

_lock = Lock()
_config = Config()
_reasons = {"instrument": 0, "hooks": 0, "options": 0}
"""Who wants reports, and how many of each."""
_streams: dict[int, _Stream] = {}
"""The streams that run, by the number of their operation."""
_due: list[tuple[float, int]] = []
"""A heap of when the next report of which stream is due; may hold streams that have ended."""
_dropped = 0


class _Stream:
    """What is known of a running stream beyond its operation."""

    __slots__ = (
        "callback",
        "interval",
        "largest",
        "op",
        "raw",
        "room",
        "seen",
        "smallest",
        "squares",
        "truncated",
    )

    def __init__(self, op: Operation, callback: Callable[[Any], object] | None) -> None:
        found = chosen_options() or Options()
        interval = found.progress_interval
        self.op = op
        self.callback = callback
        self.interval = _config.progress_interval if interval is None else interval
        self.seen = 0
        self.squares = 0
        self.smallest: int | None = None
        self.largest: int | None = None
        self.raw: list[bytes] | None = None
        self.truncated = False
        wanted = found.capture_raw_chunks
        if callback is None or not (_config.capture_raw_chunks if wanted is None else wanted):
            return
        if _may_keep(op):
            self.room = _config.max_raw_bytes if found.max_raw_bytes is None else found.max_raw_bytes
            self.raw = []

    def add(self, chunk: object, total: int) -> None:
        """Take in a chunk that brought the stream to `total` bytes."""
        size = total - self.seen
        self.seen = total
        self.squares += size * size
        if self.smallest is None or size < self.smallest:
            self.smallest = size
        if self.largest is None or size > self.largest:
            self.largest = size
        if self.raw is not None and not self.truncated:
            data = _raw(chunk)
            self.room -= len(data)
            if self.room < 0:
                self.truncated = True
            else:
                self.raw.append(data)

    def report(self, now: float, *, last: bool) -> StreamReport:
        """How the stream stands."""
        op, stats, usage = self.op, self.op.stream_stats, self.op.usage
        chunks, size = (0, 0) if stats is None else (stats.chunks, stats.bytes)
        duration = now - op.started if op.duration is None else op.duration
        average = size / chunks if chunks else 0.0
        variance = self.squares / chunks - average * average if chunks else 0.0
        return StreamReport(
            stream_id=op.id,
            provider=op.provider,
            operation=op.name,
            model=op.request_model,
            status=op.outcome.value if last and op.outcome is not None else "streaming",
            start_time=op.start_time,
            duration=duration,
            first_chunk=None if stats is None else stats.first_chunk,
            chunks=chunks,
            bytes=size,
            chunks_per_second=chunks / duration if duration > 0 else 0.0,
            bytes_per_second=size / duration if duration > 0 else 0.0,
            average_chunk_size=average,
            smallest_chunk=self.smallest,
            largest_chunk=self.largest,
            deviation=math.sqrt(max(variance, 0.0)) if chunks else None,
            error_count=len(op.attempts) + (op.error is not None),
            last_error=_last_error(op),
            attempts=op.attempt_count,
            trace_id=f"{op.trace_id:032x}",
            response_id=op.response_id,
            input_tokens=None if usage is None else usage.input,
            output_tokens=None if usage is None else usage.output,
            raw_chunks=None if self.raw is None else tuple(self.raw),
            raw_truncated=self.truncated,
        )

    def tell(self, now: float, *, last: bool = False) -> None:
        """Report to whoever wants it; hooks have events of their own for the end."""
        report = self.report(now, last=last)
        if not last and _dispatch.wanted(_EVENT):
            _dispatch.emit(_EVENT, report._replace(raw_chunks=None), brief(self.op))
        if self.callback is not None:
            try:
                self.callback(report)
            except BaseException as error:  # noqa: BLE001 - the user's function, in a thread of ours
                _guard.caught(error, what="on_progress")

    def tell_last(self) -> None:
        """Give the one report that says how the stream ended."""
        self.tell(perf_counter(), last=True)


def _may_keep(op: Operation) -> bool:
    """Whether the settings that the call is recorded with let its chunks be kept.

    They are content, and no redactor can read them: it is given parts.
    """
    recorded = (item.recorder.config for item in _recording.open_recordings() if item.op is op)
    config = next(recorded, _config)  # those of a client may be its own
    return config.redact is None and capture_mode(config) != "no_content"


def _last_error(op: Operation) -> LastError | None:
    if op.error is not None:
        return LastError(op.error.type, op.error.message)
    if op.attempts:
        last = op.attempts[-1]
        return LastError(last.error or str(last.status), None)
    return None


def _raw(chunk: Any) -> bytes:
    """A chunk as JSON, or as it is if the SDK gave text or bytes."""
    if isinstance(chunk, bytes | bytearray):
        return bytes(chunk)
    if hasattr(chunk, "model_dump_json"):
        chunk = chunk.model_dump_json(exclude_unset=True)
    return str(chunk).encode(errors="replace")


def configure(config: Config | None) -> None:
    """Take settings from `config`, of `instrument()`; None when it is undone. `_active` calls it."""
    global _config  # noqa: PLW0603 - the settings of this process
    _config = Config() if config is None else config
    with _lock:
        _reasons["instrument"] = int(_config.on_progress is not None)
        _sync()


def want(who: str, change: int) -> None:
    """Listen to streams while `who` wants reports; `change` is 1 for one wish more, -1 for one less."""
    with _lock:
        _reasons[who] += change
        _sync()


def _sync() -> None:
    """Listen while somebody wants reports; streams under way are followed to their end."""
    wanted = any(_reasons.values())
    (listeners.add if wanted else listeners.remove)("start", _begin)
    follow = listeners.add if wanted or _streams else listeners.remove
    follow("chunk", _chunk)
    follow("end", _end)


def _begin(op: Operation) -> None:
    """The phase `start`."""
    if not op.stream:
        return
    found = chosen_options()
    callback = _config.on_progress if found is None or found.on_progress is None else found.on_progress
    if callback is None and not _dispatch.wanted(_EVENT):
        return
    stream = _Stream(op, callback)
    due = (perf_counter() + stream.interval, op.number)
    with _lock:
        _streams[op.number] = stream
        heapq.heappush(_due, due)
        first = _due[0] is due
    if first:
        _worker.put(_wake)


def _chunk(op: Operation, chunk: object, _: float) -> None:
    """The phase `chunk`."""
    stats = op.stream_stats
    if stats is None:
        return
    if op.number not in _streams and stats.chunks == 1 and any(_reasons.values()):
        _begin(op)  # only the response showed that it streams
    stream = _streams.get(op.number)
    if stream is not None:
        stream.add(chunk, stats.bytes)


def _end(op: Operation) -> None:
    """The phase `end`: the last report."""
    global _dropped  # noqa: PLW0603 - counted for the whole process
    if op.number not in _streams:
        return
    with _lock:
        stream = _streams.pop(op.number)
        if not _streams:
            _sync()
    if not _worker.put(stream.tell_last):
        _dropped += 1
        if _dropped == 1:
            _log.warning(
                "on_progress blocks: the last report of a stream was dropped; further drops are not logged"
            )


def _wake() -> None:
    """Make the worker look again at what is due."""


def _tick() -> float | None:
    """Send the reports that are due now; return in how many seconds the next one is."""
    now = perf_counter()
    while True:
        with _lock:
            while _due and _due[0][1] not in _streams:
                heapq.heappop(_due)
            if not _due:
                return None
            due, number = _due[0]
            if due > now:
                return max(due - perf_counter(), 0.0)
            stream = _streams[number]
            # A report that a slow callback made late is not made up for.
            late = (now - due) // stream.interval
            heapq.heapreplace(_due, (due + (late + 1) * stream.interval, number))
        stream.tell(now)


def _forked() -> None:
    """The child has none of its parent's streams."""
    _streams.clear()
    _due.clear()


os.register_at_fork(after_in_child=_forked)
_worker = Worker("otel_llm-progress", limit=_WAITING, tick=_tick)
_active.follow(configure)


def flush(timeout: float = 1.0) -> bool:
    """Wait until the last reports of streams that have ended were given; false after `timeout` seconds."""
    return _worker.join(timeout)
