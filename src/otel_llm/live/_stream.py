"""The clients of `/metrics/stream` and `/metrics/events`: each its own filter, interval, deltas and queue.

A client's frames are made by a timer of its own, so none waits for another, and with no client there is no
timer. Making a frame never waits: it is put into the client's queue, which a task of the client's empties.
A client whose queue is full, or that takes longer than `STALL` seconds to take one frame, is dropped.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocketDisconnect

from ._frames import (
    BadMessage,
    ClientConnection,
    Sent,
    SubscriptionFilter,
    historical_data,
    metrics_update,
    parse,
    simple,
    subscribed,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

    from ._security import Policy, Receive, Send
    from ._snapshot import Snapshots

__all__ = ["Client", "Hub", "TooManyClients"]

_log = logging.getLogger("otel_llm.live")

MAX_PENDING: Final = 64 * 1024
"""Bytes that wait for a client."""
STALL: Final = 5.0
"""Seconds that a client may take to take a frame."""
MAX_MESSAGE: Final = 4096
"""Bytes of a client's message."""
MAX_RATE: Final = 20
"""Messages of a client in a second."""
AUTH_TIME: Final = 5.0
"""Seconds in which a client must send its token."""

CLOSE_TIME: Final = 1.0
"""Seconds in which a closing frame must be taken."""

BINARY, TOO_BIG, POLICY, TRY_LATER, GOING_AWAY, GONE = 1003, 1009, 1008, 1013, 1001, 0


class TooManyClients(Exception):  # noqa: N818 - a state, not a fault
    """There are as many clients as there may be."""


class Client:
    """One connected client; used in its event loop only."""

    __slots__ = ("_frames_sent", "_hub", "_loop", "_pending", "_queue", "_timer", "_wake", "before",
    "closed", "deadline",
                 "filter", "info_at", "kind", "number")  # fmt: skip

    def __init__(self, hub: Hub, number: int, kind: str, wanted: SubscriptionFilter) -> None:
        self.number = number
        self.kind = kind
        self.filter = wanted
        self.before: Sent | None = None
        self.closed: int | None = None
        """The code with which the connection is to be closed."""
        self.deadline = 0.0
        self.info_at = hub.snapshots.aggregator.clock()
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._queue: deque[str] = deque()
        self._pending = 0
        self._frames_sent = 0
        self._timer: asyncio.TimerHandle | None = None

    def info(self) -> ClientConnection:
        """What is told about it."""
        return ClientConnection(
            self.number, self.kind, self.info_at, self.filter, self._frames_sent, self._pending
        )

    def offer(self, frame: str) -> None:
        """Queue a frame; drop the client when there is no room. The first frame may be larger than that."""
        if self._pending and self._pending + len(frame) > MAX_PENDING:
            self.drop(TRY_LATER)
        elif self.closed is None:
            self._queue.append(frame)
            self._pending += len(frame)
            self._wake.set()

    def drop(self, code: int) -> None:
        """Have the connection closed with `code`; what waits is not sent."""
        if self.closed is None:
            self.closed = code
            self._queue.clear()
            self._pending = 0
            self.unschedule()
            self._wake.set()

    def schedule(self) -> None:
        """Send updates from now on, the first in one interval."""
        self.unschedule()
        self.deadline = self._loop.time() + self.filter.interval
        self._timer = self._loop.call_at(self.deadline, self._tick)

    def unschedule(self) -> None:
        """Send no more updates."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._hub.update(self)
        if self.closed is not None:
            return
        now = self._loop.time()
        self.deadline += self.filter.interval
        if self.deadline <= now:  # the loop was busy for longer than an interval: do not catch up in a burst
            self.deadline = now + self.filter.interval
        self._timer = self._loop.call_at(self.deadline, self._tick)

    async def write(self, send: Callable[[str], Awaitable[None]]) -> int:
        """Send what is queued until the client is dropped; the code with which it is."""
        while self.closed is None:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            frame = self._queue.popleft()
            try:
                async with asyncio.timeout(STALL):
                    await send(frame)
            except TimeoutError:
                self.drop(TRY_LATER)
                break
            self._pending = max(0, self._pending - len(frame))
            self._frames_sent += 1
        return self.closed or TRY_LATER


class Hub:
    """All clients of a server."""

    def __init__(
        self,
        snapshots: Snapshots,
        policy: Policy,
        *,
        counts: Callable[[], str],
        refresh: Callable[[], object],
        max_clients: int = 64,
    ) -> None:
        self.snapshots = snapshots
        self.policy = policy
        self.max_clients = max_clients
        self.updates = 0
        """Frames with data made so far: does not grow without clients."""
        self._counts = counts
        self._refresh = refresh
        self._clients: dict[int, Client] = {}
        self._numbers = itertools.count(1)

    @property
    def active(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def clients(self) -> tuple[ClientConnection, ...]:
        """The connected clients, the oldest first."""
        return tuple(client.info() for client in list(self._clients.values()))

    def join(self, kind: str, wanted: SubscriptionFilter | None = None) -> Client:
        """A new client, with its first frame queued and its updates scheduled. Raises `TooManyClients`."""
        if len(self._clients) >= self.max_clients:
            raise TooManyClients
        client = Client(self, next(self._numbers), kind, wanted or SubscriptionFilter())
        self._clients[client.number] = client
        self._refresh()
        snapshot = self.snapshots.get(client.filter)
        client.before = Sent.of(snapshot)
        history = self.snapshots.history(client.filter.endpoints, client.filter.models)
        client.offer(historical_data(snapshot, history, self._counts()))
        client.schedule()
        return client

    def leave(self, client: Client) -> None:
        """The connection has ended."""
        client.unschedule()
        self._clients.pop(client.number, None)

    def stop(self) -> None:
        """Have every connection closed; in the clients' event loop."""
        for client in list(self._clients.values()):
            client.drop(GOING_AWAY)

    def update(self, client: Client) -> None:
        """Queue the update that is due."""
        self.updates += 1
        self._refresh()
        snapshot = self.snapshots.get(client.filter)
        before = client.before or Sent.of(snapshot)
        client.before = Sent.of(snapshot)
        client.offer(metrics_update(snapshot, before, client.filter, self._counts()))

    def answer(self, client: Client, text: str) -> None:
        """Do what a client's message asks, and queue the answer."""
        now = self.snapshots.aggregator.clock()
        try:
            message = parse(text)
            match message["type"]:
                case "subscribe":
                    client.filter = client.filter.add(message["filters"])
                    client.offer(subscribed(client.filter))
                    self._resume(client)
                case "unsubscribe":
                    client.filter = SubscriptionFilter()
                    client.offer(simple("unsubscribed"))
                    self._resume(client)
                case "ping":
                    client.offer(simple("pong", now))
                case _:
                    pass  # `auth` of a client that is authorised already
        except BadMessage as error:
            client.offer(simple("error", now, message=str(error)))

    def _resume(self, client: Client) -> None:
        """Start anew with another filter: its deltas are against what it would have been sent now."""
        client.before = Sent.of(self.snapshots.get(client.filter))
        client.schedule()

    async def handle(self, websocket: WebSocket) -> None:
        """Serve one WebSocket until it ends."""
        headers = websocket.scope["headers"]
        if self.policy.refuses(headers):
            await websocket.close(POLICY)  # before it is accepted, this is a 403
            return
        await websocket.accept()
        if not await self._authorised(websocket, headers):
            await websocket.close(POLICY)
            return
        try:
            client = self.join("websocket")
        except TooManyClients:
            await websocket.close(TRY_LATER)
            return
        try:
            await self._serve(websocket, client)
        finally:
            self.leave(client)

    async def _authorised(self, websocket: WebSocket, headers: list[tuple[bytes, bytes]]) -> bool:
        if self.policy.authorised(headers):
            return True
        if any(name == b"authorization" for name, _ in headers):
            return False
        try:
            async with asyncio.timeout(AUTH_TIME):
                first = await websocket.receive()
        except TimeoutError:
            return False
        text = first.get("text")
        if not isinstance(text, str) or len(text) > MAX_MESSAGE:
            return False
        try:
            message = parse(text)
        except BadMessage:
            return False
        token = message.get("token")
        return message["type"] == "auth" and isinstance(token, str) and self.policy.knows(token)

    async def _serve(self, websocket: WebSocket, client: Client) -> None:
        reader = asyncio.create_task(self._read(websocket, client))
        try:
            code = await client.write(websocket.send_text)
            if code != GONE:
                async with asyncio.timeout(CLOSE_TIME):
                    await websocket.close(code)
        except (TimeoutError, OSError, WebSocketDisconnect):
            pass  # it does not read, or is gone: the server cuts it off
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, websocket: WebSocket, client: Client) -> None:
        """Take the client's messages until it ends, or has to be ended."""
        recent: deque[float] = deque(maxlen=MAX_RATE)
        loop = asyncio.get_running_loop()
        while client.closed is None:
            message = await websocket.receive()
            if message["type"] != "websocket.receive":
                client.drop(GONE)
                return
            now = loop.time()
            text = message.get("text")
            if len(recent) == MAX_RATE and now - recent[0] < 1.0:
                client.drop(POLICY)
            elif text is None:
                client.drop(BINARY)
            elif len(text.encode("utf-8", "surrogatepass")) > MAX_MESSAGE:
                client.drop(TOO_BIG)
            else:
                recent.append(now)
                self.answer(client, text)

    async def events(self, wanted: SubscriptionFilter, receive: Receive, send: Send) -> None:
        """Serve one client of server-sent events until it ends. Raises `TooManyClients`."""
        client = self.join("events", wanted)

        async def send_frame(frame: str) -> None:
            kind = frame[9 : frame.index('"', 9)]  # every frame begins with {"type":"
            body = f"event: {kind}\ndata: {frame}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            client.drop(GONE)

        watcher = asyncio.create_task(watch())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _EVENT_HEADERS})
            if await client.write(send_frame) != GONE:
                async with asyncio.timeout(CLOSE_TIME):
                    await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            pass  # as in _serve
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            self.leave(client)


_EVENT_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
]
