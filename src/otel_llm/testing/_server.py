"""The fake provider: a real HTTP server on the loopback interface, in a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Self

from ._http import HttpError, read_request, write_head
from ._reply import Reply
from ._respond import Dropped, Response
from ._routes import is_probe
from ._wire import RecordedRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["FakeProvider"]

_BACKLOG = 1024
_LIMIT = 1024 * 1024


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
        self._stopped = False

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
            self._stopped = True
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection, also those that hang, and wait for the server's thread.

        Raises what went wrong in the server, such as the exception of a function given to `reply`.
        May be called twice.
        """
        if self._thread is None or self._stopped:
            return
        self._stopped = True
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        try:
            # Not the platform's default loop: on Windows that one cannot watch a listening socket.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve(ready))
        except BaseException as error:  # noqa: BLE001 - start() and stop() raise it where it can be acted on
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        # Accepting by hand: asyncio's own server loses connections that come while it closes.
        with socket.create_server(("127.0.0.1", self._port), backlog=_BACKLOG) as listening:
            listening.settimeout(0)
            self._port = listening.getsockname()[1]
            self._loop.add_reader(listening, self._accept, listening)
            ready.set()
            await self._stopping.wait()
            self._loop.remove_reader(listening)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # a transport that was aborted lets go of its socket in the next turn

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
        with self._arrived:
            if not self._arrived.wait_for(lambda: not self._connections, timeout):
                raise TimeoutError(f"{self.open_connections} connections are open after {timeout} s")

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

    def _accept(self, listening: socket.socket) -> None:
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return  # the client went while it waited
        self._accepted += 1
        task = asyncio.get_running_loop().create_task(self._connection(accepted, self._accepted))
        self._connections.add(task)
        task.add_done_callback(functools.partial(self._gone, accepted))

    def _gone(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        accepted.close()  # for a task that never began; else its transport did
        with self._arrived:
            self._connections.discard(task)
            self._arrived.notify_all()

    async def _connection(self, accepted: socket.socket, number: int) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=_LIMIT)
        try:
            await self._exchanges(reader, writer, number)
            writer.close()
            await writer.wait_closed()
        except OSError:
            pass  # what is left to send to a client that is gone is not missed
        finally:
            writer.transport.abort()  # `stop` waits for no client

    async def _exchanges(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        """Requests and their responses until the connection is to end."""
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (HttpError, asyncio.LimitOverrunError):
            write_head(writer, 400, {"content-length": "0", "connection": "close"})
        except (Dropped, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone, or the script says so
        except Exception as error:  # noqa: BLE001 - `stop` raises it
            self._failure = self._failure or error

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
        await Response(reader, writer, request, reply).send()
        return head.headers.get("connection", "").lower() != "close"

    def _record(self, request: RecordedRequest) -> Reply:
        with self._arrived:
            self._received += 1
            self._requests.append(request)
            reply = self._script.popleft() if self._script else self._default
            self._arrived.notify_all()
        return reply if isinstance(reply, Reply) else reply(request)
