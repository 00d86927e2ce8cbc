"""The clients of `/metrics/stream` and `/metrics/events`: each its own filter, interval, deltas and queue.

A client's frames are made by a timer of its own, so that none waits for another, and with no client there is
no timer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocketDisconnect

from ._client import BINARY, GOING_AWAY, GONE, POLICY, TOO_BIG, TRY_LATER, Client
from ._frames import (
    BadMessage,
    ClientConnection,
    SubscriptionFilter,
    historical_data,
    metrics_update,
    parse,
    simple,
    subscribed,
)
from ._json import dumps
from ._snapshot import FRESH

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from ._security import Policy, Receive, Send
    from ._snapshot import MetricSnapshot, Numbers, Snapshots

__all__ = ["Hub", "TooManyClients"]

_log = logging.getLogger("otel_llm.live")

MAX_MESSAGE: Final = 4096
"""Bytes of a client's message."""
MAX_RATE: Final = 20
"""Messages of a client in a second."""
AUTH_TIME: Final = 5.0
"""Seconds in which a client must send its token."""

CLOSE_TIME: Final = 1.0
"""Seconds in which a closing frame must be taken."""

_CHECK: Final = 1.0
"""Seconds between looks for clients that do not read."""


SHARED: Final = 0.1
"""Seconds for which clients that want an update a second, or fewer, share a snapshot."""


class TooManyClients(Exception):  # noqa: N818 - a state, not a fault
    """There are as many clients as there may be."""


class Hub:
    """All clients of a server."""

    def __init__(
        self,
        snapshots: Snapshots,
        policy: Policy,
        *,
        counts: Callable[[], str],
        refresh: Callable[[], object],
        count: Callable[[int], object],
        max_clients: int = 64,
    ) -> None:
        self.snapshots = snapshots
        self.policy = policy
        self.max_clients = max_clients
        self.updates = 0
        """Frames with data made so far: does not grow without clients."""
        self._counts = counts
        self._refresh = refresh
        self._count = count
        self._clients: dict[int, Client] = {}
        self._last: dict[SubscriptionFilter, tuple[MetricSnapshot, Numbers, str, str]] = {}
        """The newest update of each selection, with what it was made of: often the next client's too."""
        self._checks: asyncio.TimerHandle | None = None
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
        client = Client(
            next(self._numbers),
            kind,
            wanted or SubscriptionFilter(),
            due=self.update,
            at=self.snapshots.aggregator.clock(),
        )
        self._clients[client.number] = client
        self._count(1)
        self._refresh()
        snapshot = self.snapshots.get(client.selection)
        client.before = snapshot.numbers
        chosen = client.filter
        history = (
            dumps(self.snapshots.history(chosen.endpoints, chosen.models))
            if chosen.endpoints or chosen.models
            else self.snapshots.everything()
        )
        client.offer(historical_data(snapshot, history, self._counts()))
        client.schedule()
        if self._checks is None:
            self._checks = asyncio.get_running_loop().call_later(_CHECK, self._check)
        return client

    def _check(self) -> None:
        """Drop clients that do not read; once a second while there are any."""
        self._checks = None
        for client in list(self._clients.values()):
            client.check()
        if self._clients:
            self._checks = asyncio.get_running_loop().call_later(_CHECK, self._check)

    def leave(self, client: Client) -> None:
        """The connection has ended."""
        client.unschedule()
        if self._clients.pop(client.number, None) is not None:
            self._count(-1)
        if not self._clients:
            self._last.clear()
            if self._checks is not None:
                self._checks.cancel()
                self._checks = None

    def stop(self) -> None:
        """Have every connection closed; in the clients' event loop."""
        for client in list(self._clients.values()):
            client.drop(GOING_AWAY)

    def update(self, client: Client) -> None:
        """Queue the update that is due."""
        self.updates += 1
        self._refresh()
        snapshot = self.snapshots.get(client.selection, age=SHARED if client.filter.interval >= 1 else FRESH)
        before, client.before = client.before or snapshot.numbers, snapshot.numbers
        counts = self._counts()
        last = self._last.get(client.selection)
        if last is None or last[0] is not snapshot or last[1] != before or last[2] != counts:
            if len(self._last) >= self.max_clients:
                self._last.clear()
            frame = metrics_update(snapshot, before, client.selection, counts)
            last = self._last[client.selection] = (snapshot, before, counts, frame)
        client.offer(last[3])

    def answer(self, client: Client, text: str) -> None:
        """Do what a client's message asks, and queue the answer."""
        now = self.snapshots.aggregator.clock()
        try:
            message = parse(text)
            match message["type"]:
                case "subscribe":
                    client.want(client.filter.add(message["filters"]))
                    client.offer(subscribed(client.filter))
                    self._resume(client)
                case "unsubscribe":
                    client.want(SubscriptionFilter())
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
        client.before = self.snapshots.get(client.selection).numbers
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
