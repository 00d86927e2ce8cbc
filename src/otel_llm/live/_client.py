"""One client of the streams: its filter, its timer and its queue.

Making a frame never waits: it is put into the client's queue, which the client's own task empties.
A client whose queue is full, or that takes longer than `STALL` seconds to take one frame, is dropped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from ._frames import ClientConnection, SubscriptionFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._snapshot import Numbers

__all__ = ["Client"]

MAX_PENDING: Final = 64 * 1024
"""Bytes that wait for a client."""
STALL: Final = 5.0
"""Seconds that a client may take to take a frame."""
BINARY, TOO_BIG, POLICY, TRY_LATER, GOING_AWAY, GONE = 1003, 1009, 1008, 1013, 1001, 0
"""Why a connection is closed: codes of the WebSocket protocol; 0, it has ended already."""
_SLOTS: Final = 20
"""Parts of an interval at whose ends updates are made: clients that want the same then share frames."""


class Client:
    """One connected client; used in its event loop only."""

    __slots__ = (
        "_begun", "_connected_at", "_cut", "_deadline", "_due", "_frames", "_loop", "_pending", "_queue", "_sending",
        "_timer", "_wake", "_writer", "before", "closed", "filter", "kind", "number", "selection",
    )  # fmt: skip

    def __init__(
        self, number: int, kind: str, wanted: SubscriptionFilter, *, due: Callable[[Client], None], at: float
    ) -> None:
        self.number = number
        self.kind = kind
        self.want(wanted)
        self.before: Numbers | None = None
        """What it was sent last."""
        self.closed: int | None = None
        """The code with which the connection is to be closed."""
        self._connected_at = at
        self._due = due
        self._deadline = 0.0
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._queue: deque[str] = deque()
        self._pending = 0
        self._frames = 0
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[object] | None = None
        self._sending: float | None = None
        """Since when a frame is being sent, on the loop's clock."""
        self._cut = False

    def want(self, wanted: SubscriptionFilter) -> None:
        """Another filter from now on."""
        self.filter = wanted
        self.selection = wanted.selection()

    def info(self) -> ClientConnection:
        """What is told about it."""
        return ClientConnection(
            self.number, self.kind, self._connected_at, self.filter, self._frames, self._pending
        )

    def offer(self, frame: str) -> None:
        """Queue a frame; drop the client when there is no room.

        The first frame, the history, does not count: a client that subscribes before it has all of it reads.
        """
        size = len(frame) if self._begun else 0
        if self._pending and self._pending + size > MAX_PENDING:
            self.drop(TRY_LATER)
        elif self.closed is None:
            self._begun = True
            self._queue.append(frame)
            self._pending += size
            self._wake.set()

    def drop(self, code: int) -> None:
        """Have the connection closed with `code`; what waits is not sent."""
        if self.closed is None:
            self.closed = code
            self._queue.clear()
            self._pending = 0
            self.unschedule()
            self._wake.set()
        if code == TRY_LATER and self._sending is not None and self._writer is not None:
            self._cut = True
            self._writer.cancel()  # it waits for the client to read

    def check(self) -> None:
        """Drop the client if it takes too long to take a frame."""
        if self._sending is not None and not self._cut and self._loop.time() - self._sending > STALL:
            self.drop(TRY_LATER)

    def schedule(self) -> None:
        """Send updates from now on, the first in one interval."""
        self.unschedule()
        slot = self.filter.interval / _SLOTS
        self._deadline = (math.ceil(self._loop.time() / slot) + _SLOTS) * slot
        self._timer = self._loop.call_at(self._deadline, self._tick)

    def unschedule(self) -> None:
        """Send no more updates."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._due(self)
        if self.closed is not None:
            return
        now = self._loop.time()
        self._deadline += self.filter.interval
        if self._deadline <= now:  # the loop was busy for longer than an interval: no burst to catch up
            self.schedule()
        else:
            self._timer = self._loop.call_at(self._deadline, self._tick)

    async def write(self, send: Callable[[str], Awaitable[None]]) -> int:
        """Send what is queued until the client is dropped; the code with which it is."""
        writer = self._writer = asyncio.current_task()
        while self.closed is None:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            size = len(self._queue[0]) if self._frames else 0
            self._sending = self._loop.time()
            try:
                await send(self._queue.popleft())
            except asyncio.CancelledError:
                if not self._cut or writer is None:
                    raise  # not by `drop`, but at the end of the server
                writer.uncancel()
                break
            self._sending = None
            self._pending = max(0, self._pending - size)
            self._frames += 1
        return TRY_LATER if self.closed is None else self.closed
