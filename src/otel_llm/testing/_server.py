"""The fake provider: a real HTTP server on the loopback interface, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from ._http import Body, HttpError, compressed, read_request, write_head
from ._reply import Reply
from ._routes import answer, is_probe, response_headers
from ._wire import Event, RecordedRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ._wire import Answer

__all__ = ["FakeProvider"]

_MALFORMED = '{"id": "broken", "choices": [{"index": 0, "delta": {"content": "cut of'
_BACKLOG = 1024
_LIMIT = 1024 * 1024


class _Dropped(Exception):  # noqa: N818 - not an error: the script says so
    """The script says that the connection ends here."""


class FakeProvider:
    """A server that speaks the wire formats of OpenAI and Anthropic and answers what it is told.

    Paths match by their end, so that it stands for Azure, Bedrock, Vertex and OpenAI-compatible hosts too.
    It listens on 127.0.0.1, on a free port if `port` is 0, from `start` (or entering the context) to `stop`.
    It may be used from any thread; a started server can not be started again.

        with FakeProvider() as server:
            client = OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
            server.script(Reply.error(429), Reply(text="Hello!", chunks=2))
    """

    def __init__(self, *, port: int = 0, keep: int = 10_000) -> None:
        """`keep` is how many of the last requests are remembered."""
        self._port = port
        self._default: Reply | Callable[[RecordedRequest], Reply] = Reply()
        self._script: deque[Reply] = deque()
        self._requests: deque[RecordedRequest] = deque(maxlen=keep)
        self._received = 0
        self._accepted = 0
        self._arrived = threading.Condition()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    # -- life -------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen. Raises `OSError` when the port is taken."""
        if self._thread is not None:
            raise RuntimeError("this server was started before")
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="otel-llm-fake-provider", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection, also those that hang, and wait for the server's thread. May be called twice."""
        if self._thread is None:
            return
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:  # noqa: BLE001 - raised by start(), in the thread that can act on it
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._port, backlog=_BACKLOG, limit=_LIMIT
        )
        self._port = server.sockets[0].getsockname()[1]
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()

    # -- what a test asks and says ------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """The `base_url` of an OpenAI client."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The `base_url` of an Anthropic client."""
        return self.url

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far (the last `keep` of them), oldest first."""
        with self._arrived:
            return list(self._requests)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def wait_for(self, count: int, timeout: float = 5.0) -> list[RecordedRequest]:
        """Wait until `count` requests came in all; raises `TimeoutError` after `timeout` seconds."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._received >= count, timeout):
                raise TimeoutError(f"{self._received} of {count} requests came within {timeout} s")
            return list(self._requests)

    def wait_closed(self, timeout: float = 5.0) -> None:
        """Wait until no connection is open; raises `TimeoutError` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.open_connections:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.open_connections} connections are open after {timeout} s")
            time.sleep(0.005)

    def reply(self, reply: Reply | Callable[[RecordedRequest], Reply]) -> None:
        """Answer with this whenever the script is empty; a function is called for each request."""
        self._default = reply

    def script(self, *replies: Reply) -> None:
        """Answer the next requests with these, in this order."""
        self._script.extend(replies)

    @property
    def unused(self) -> list[Reply]:
        """What of the script was not asked for yet."""
        return list(self._script)

    def clear(self) -> None:
        """Forget the requests and the script; numbers go on."""
        with self._arrived:
            self._requests.clear()
            self._script.clear()

    # -- connections, in the server's thread ----------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted += 1
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer, self._accepted))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        try:
            while await self._exchange(reader, writer, number):
                pass
        except HttpError:
            write_head(writer, 400, {"content-length": "0", "connection": "close"})
        except (_Dropped, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client is gone, or the script says so
        finally:
            # `close` sends what is still buffered; what cannot be sent to a client that is gone is not missed.
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        """One request and its response; whether the connection stays open."""
        head, body = await read_request(reader)
        request = RecordedRequest(self._received + 1, number, head.method, head.target, head.headers, body)
        if is_probe(request):
            write_head(writer, 200, {"content-length": "0"})
            return True
        reply = self._record(request)
        await asyncio.sleep(reply.delay)
        if reply.drop:
            raise _Dropped
        await _Response(reader, writer, request, reply).send()
        return head.headers.get("connection", "").lower() != "close"

    def _record(self, request: RecordedRequest) -> Reply:
        with self._arrived:
            self._received += 1
            self._requests.append(request)
            reply = self._script.popleft() if self._script else self._default
            self._arrived.notify_all()
        return reply if isinstance(reply, Reply) else reply(request)


class _Response:
    """One response on its way, and the faults its reply asks for."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: RecordedRequest,
        reply: Reply,
    ) -> None:
        self._reader, self._writer, self._request, self._reply = reader, writer, request, reply

    async def send(self) -> None:
        reply = self._reply
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

    async def _plain(self, status: int, headers: dict[str, str], body: bytes) -> None:
        reply = self._reply
        if reply.malformed_after is not None:
            body = body[: len(body) // 2]
        if reply.gzip:
            body = compressed(body)
            headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
        write_head(self._writer, status, headers)
        if reply.first_delay:
            await self._writer.drain()
            await asyncio.sleep(reply.first_delay)
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
        await self._writer.drain()
        await asyncio.sleep(self._reply.first_delay)
        return Body(self._writer, compress=self._reply.gzip)

    async def _pieces(self, headers: dict[str, str], pieces: Sequence[bytes]) -> None:
        body = await self._start(headers)
        for i, piece in enumerate(pieces):
            if i:
                await asyncio.sleep(self._reply.chunk_delay)
            await self._break_after(i)
            await body.send(piece)
        await self._break_after(len(pieces))
        await body.end()

    async def _stream(self, headers: dict[str, str], built: Answer) -> None:
        body = await self._start(headers)
        reply, sent = self._reply, 0
        for event in built.events or ():
            if event.chunk:
                if sent:
                    await asyncio.sleep(reply.chunk_delay)
                elif await self._fault(body, built, event, 0):
                    return
            await body.send(built.framing.frame(event))
            await asyncio.sleep(0)  # so that one long stream holds up no other
            if event.chunk:
                sent += 1
                if await self._fault(body, built, event, sent):
                    return
        await body.end()

    async def _fault(self, body: Body, built: Answer, event: Event, sent: int) -> bool:
        """Whether the stream ended here, after `sent` chunks, by a fault that is an event."""
        await self._break_after(sent)
        if self._reply.malformed_after == sent:
            await body.send(built.framing.frame(Event(_MALFORMED, event.name)))
        elif self._reply.error_after == sent:
            await body.send(built.framing.error(built.error))
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
        raise _Dropped
