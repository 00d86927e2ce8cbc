"""One response on its way to the client, with the delays and the faults that its reply asks for."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from ._http import Body, HttpError, compressed, write_head
from ._routes import answer, response_headers
from ._wire import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._reply import Reply
    from ._wire import Answer, Framing, RecordedRequest

__all__ = ["Dropped", "Response"]

_MALFORMED = '{"id": "broken", "choices": [{"index": 0, "delta": {"content": "cut of'


class Dropped(Exception):  # noqa: N818 - not an error: the script says so
    """The connection ends here, because the script says so or the client went."""


class Response:
    """Sends one reply; `send` raises `Dropped` or `ConnectionError` when the connection is to end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: RecordedRequest,
        reply: Reply,
    ) -> None:
        self._reader, self._writer, self._request, self._reply = reader, writer, request, reply

    async def send(self) -> None:
        """Send the whole response, or as much of it as the reply allows."""
        reply = self._reply
        await self._pause(reply.delay)
        if reply.drop:
            raise Dropped
        if reply.body is not None:
            headers = response_headers(self._request, reply, {"content-type": "application/json"})
            if isinstance(reply.body, bytes):
                await self._plain(reply.status, headers, reply.body)
            else:
                await self._pieces(headers, reply.body)
            return
        status, built = answer(self._request, reply)
        kind = "application/json" if built.events is None else built.framing.content_type
        headers = response_headers(self._request, reply, {"content-type": kind, **(built.headers or {})})
        if built.events is None:
            await self._plain(status, headers, json.dumps(built.body).encode())
        else:
            await self._stream(headers, built)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the client does."""
        if seconds <= 0:
            return
        try:
            early = await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return
        if early:
            raise HttpError("a request before the response to the last one")
        raise Dropped

    async def _plain(self, status: int, headers: dict[str, str], body: bytes) -> None:
        reply = self._reply
        if reply.malformed_after is not None:
            body = body[: len(body) // 2]
        if reply.gzip:
            body = compressed(body)
            headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
        write_head(self._writer, status, headers)
        await self._pause(reply.first_delay)
        broken = reply.die_after is not None or reply.hang_after is not None
        self._writer.write(body[: len(body) // 2] if broken else body)
        await self._writer.drain()
        if broken:
            await self._break()

    async def _start(self, headers: dict[str, str]) -> Body:
        headers["transfer-encoding"] = "chunked"
        if self._reply.gzip:
            headers["content-encoding"] = "gzip"
        write_head(self._writer, self._reply.status, headers)
        await self._pause(self._reply.first_delay)
        return Body(self._writer, compress=self._reply.gzip)

    async def _pieces(self, headers: dict[str, str], pieces: Sequence[bytes]) -> None:
        """A raw body: each piece counts as a chunk."""
        body = await self._start(headers)
        await self._break_after(0)
        for i, piece in enumerate(pieces):
            if i:
                await self._pause(self._reply.chunk_delay)
            await body.send(piece)
            await self._break_after(i + 1)
        await body.end()

    async def _stream(self, headers: dict[str, str], built: Answer) -> None:
        body = await self._start(headers)
        sent = 0
        for event in built.events or ():
            if event.chunk:
                if sent:
                    await self._pause(self._reply.chunk_delay)
                elif await self._fault(body, built, event.name, 0):
                    return
            await body.send(built.framing.frame(event))
            await asyncio.sleep(0)  # so that one long stream holds up no other
            if event.chunk:
                sent += 1
                if await self._fault(body, built, event.name, sent):
                    return
        await body.end()

    async def _fault(self, body: Body, built: Answer, name: str | None, sent: int) -> bool:
        """Whether the stream ended here, after `sent` chunks, by a fault that is an event."""
        await self._break_after(sent)
        framing: Framing = built.framing
        if self._reply.malformed_after == sent:
            await body.send(framing.frame(Event(_MALFORMED, name)))
        elif self._reply.error_after == sent and built.error is not None:
            await body.send(framing.error(built.error()))
        else:
            return False
        await body.end()
        return True

    async def _break_after(self, sent: int) -> None:
        if sent in (self._reply.die_after, self._reply.hang_after):
            await self._break()

    async def _break(self) -> None:
        """Hang until the client goes (or the server stops) if the script says so; then end the connection."""
        if self._reply.hang_after is not None:
            await self._reader.read()
        raise Dropped
