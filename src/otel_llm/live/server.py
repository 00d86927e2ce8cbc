"""`LiveServer`, and `serve` for a program that shows its own calls."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import logging
import os
import socket
import threading
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from ._options import LiveOptions
from ._security import Policy

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.websockets import WebSocket

    from ._frames import ClientConnection
    from ._parts import Parts

__all__ = ["LiveServer", "serve", "serve_setting"]

_log = logging.getLogger("otel_llm.live")

_DRAIN_AFTER: Final = 0.05
"""Seconds after the end of a call of this process until it is counted and stored, if nobody asks before."""
_STOP_TIME: Final = 10.0
_CUT_AFTER_MS: Final = 10_000
_SEND_BUFFER: Final = 64 * 1024

_servers: weakref.WeakSet[LiveServer] = weakref.WeakSet()


class LiveServer:
    """The live view of one process, or of all that send OTLP to it.

    `start` listens, in a thread of its own; `app` is the same as an ASGI application, for mounting in another
    one (a `Mount` of Starlette or FastAPI), and `handle` only its WebSocket.
    Starting twice, stopping twice and starting again after a stop are all safe; a stop frees everything.
    Raises `ImportError` naming the extra where a library is missing, `ValueError` for options that cannot be,
    and `OSError` where an address is in use.
    """

    def __init__(self, options: LiveOptions | None = None) -> None:
        self.options = options = options or LiveOptions()
        _require(options)
        self._policy = Policy.of(
            options.host, options.token, hosts=options.allow_hosts, origins=options.allow_origins
        )
        self._lock = threading.Lock()
        self._parts: Parts | None = None
        self._app: Starlette | None = None
        self._thread: threading.Thread | None = None
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._scheduled = False

    @property
    def app(self) -> Starlette:
        """The ASGI application; from the first use on, calls are counted, until `stop`."""
        with self._lock:
            return self._open()

    def _open(self) -> Starlette:
        if self._app is None:
            from ._app import make_app  # noqa: PLC0415 - needs the extra
            from ._parts import Parts  # noqa: PLC0415

            self._parts = Parts(self.options, self._policy, wake=self._wake)
            self._app = make_app(self._parts)
            _servers.add(self)
            if self._parts.feed is not None:
                self._parts.feed.attach()
        return self._app

    async def handle(self, websocket: WebSocket) -> None:
        """Serve a WebSocket of another application: the protocol of `/metrics/stream`."""
        with self._lock:
            self._open()
            parts = self._parts
        assert parts is not None
        await parts.hub.handle(websocket)

    @property
    def active_connections(self) -> int:
        """How many clients are connected."""
        return self._parts.hub.active if self._parts is not None else 0

    def clients(self) -> tuple[ClientConnection, ...]:
        """The connected clients."""
        return self._parts.hub.clients() if self._parts is not None else ()

    @property
    def url(self) -> str:
        """Where the page is; only while the server runs."""
        if not self._sockets:
            raise RuntimeError("the server is not running")
        return _url(self._sockets[0], tls=self.options.tls is not None)

    @property
    def otlp(self) -> dict[str, str | None]:
        """Where OTLP is received: `http` a URL, `grpc` host:port, each None when off."""
        return dict(self._parts.otlp_at) if self._parts is not None else {"http": None, "grpc": None}

    def start(self) -> None:
        """Listen and serve; returns when clients can connect."""
        with self._lock:
            if self._thread is not None:
                return
            try:
                self._sockets = _bind(self.options)
                self._open()
                ready: Future[None] = Future()
                self._thread = threading.Thread(
                    target=self._run, args=(ready,), name="otel-llm-live", daemon=True
                )
                self._thread.start()
                ready.result()
            except BaseException:
                self._free()
                raise
            atexit.register(self.stop)

    def stop(self) -> None:
        """Close every connection, write and pass on what waits, and free everything."""
        with self._lock:
            atexit.unregister(self.stop)
            loop, stopping = self._loop, self._stopping
            if loop is not None and stopping is not None:
                loop.call_soon_threadsafe(stopping.set)
            self._free()

    def _free(self) -> None:
        if self._thread is not None:
            self._thread.join(_STOP_TIME)
        self._thread = self._loop = self._stopping = None
        for one in self._sockets:
            one.close()
        self._sockets = []
        if self._parts is not None:
            self._parts.close()
        self._parts = self._app = None
        _servers.discard(self)

    def _run(self, ready: Future[None]) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve(ready))
        except BaseException as error:  # noqa: BLE001 - whoever waits for `ready` is told
            if ready.done():
                _log.exception("The live view has stopped")
            else:
                ready.set_exception(error)

    async def _serve(self, ready: Future[None]) -> None:
        parts, app = self._parts, self._app
        assert parts is not None
        assert app is not None
        http = _http_server(app, self.options)
        http.lifespan = http.config.lifespan_class(http.config)
        grpc = await self._start_grpc(parts)
        await http.startup(sockets=self._sockets)
        if self.options.otlp_port is not None:
            parts.otlp_at["http"] = _url(self._sockets[1], tls=self.options.tls is not None)
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        ready.set_result(None)
        await self._stopping.wait()
        self._loop = None
        parts.hub.stop()
        for _ in range(100):  # a second, for the clients to be told
            if not parts.hub.active:
                break
            await asyncio.sleep(0.01)
        if grpc is not None:
            await grpc.stop()
        await http.shutdown(sockets=self._sockets)
        for connection in list(http.server_state.connections):  # of clients that do not read
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _start_grpc(self, parts: Parts) -> Any:
        if self.options.grpc_port is None:
            return None
        from ._grpc import GrpcServer  # noqa: PLC0415 - grpc is heavy, and not always wanted
        from ._otlp import Otlp  # noqa: PLC0415

        server = GrpcServer(Otlp(parts.receiver, parts.forwarder), parts.policy, tls=self.options.tls)
        host = self.options.host
        port = await server.start(host, self.options.grpc_port)
        parts.otlp_at["grpc"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return server

    def _wake(self) -> None:
        """A call of this process has ended: count it soon. Called from any thread."""
        loop = self._loop
        if loop is not None and not self._scheduled:
            self._scheduled = True
            loop.call_soon_threadsafe(loop.call_later, _DRAIN_AFTER, self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        if self._parts is not None:
            self._parts.refresh()

    def abandon(self) -> None:
        """In a forked child: the thread is the parent's, and so are the sockets."""
        parts, self._parts, self._app = self._parts, None, None
        if parts is not None and parts.feed is not None:
            parts.feed.disconnect()
        self._thread = self._loop = self._stopping = None
        for one in self._sockets:
            one.close()
        self._sockets = []
        self._lock = threading.Lock()


def _forked() -> None:
    for server in list(_servers):
        server.abandon()
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _require(options: LiveOptions) -> None:
    """Raise `ImportError` naming the extra if a library that will be needed is missing."""
    needed = ["starlette", "uvicorn", "websockets"]
    if options.receives:
        needed.append("opentelemetry.proto.trace.v1.trace_pb2")
    if options.grpc_port is not None:
        needed.append("grpc")
    try:
        for name in needed:
            importlib.import_module(name)
    except ImportError as error:
        library = (error.name or "a library").partition(".")[0]
        raise ImportError(f'The live view needs {library}: pip install "otel-llm[live]"') from error


def _bind(options: LiveOptions) -> list[socket.socket]:
    """The listening sockets: the page's, then OTLP/HTTP's."""
    sockets: list[socket.socket] = []
    for port, what in ((options.port, "the page"), (options.otlp_port, "OTLP/HTTP")):
        if port is None:
            continue
        family, _, _, _, address = socket.getaddrinfo(options.host, port, type=socket.SOCK_STREAM)[0]
        one = socket.socket(family, socket.SOCK_STREAM)
        sockets.append(one)
        try:
            if os.name == "posix":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Both are inherited by accepted connections: what a client has not read waits in a small buffer,
            # and one that takes nothing for ten seconds is cut off by the system.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _CUT_AFTER_MS)
            one.bind(address)
        except OSError as error:
            for opened in sockets:
                opened.close()
            raise OSError(
                error.errno, f"cannot listen on {options.host}:{port} for {what}: {error.strerror}"
            ) from None
    return sockets


def _url(listening: socket.socket, *, tls: bool) -> str:
    host, port = listening.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _http_server(app: Starlette, options: LiveOptions) -> Any:
    import uvicorn  # noqa: PLC0415 - the extra

    from ._stream import MAX_MESSAGE  # noqa: PLC0415

    cert, key = options.tls or (None, None)
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # it would cost 300 KiB per client
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,  # longer than an exporter pauses: closing at the same moment loses a batch
        timeout_graceful_shutdown=2,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    config.access_log = False  # as an argument it would silence the access log of the whole process
    config.load()
    return uvicorn.Server(config)


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    max_clients: int = 64,
) -> LiveServer:
    """Show this process's calls at `http://host:port`; the server runs in a thread until it is stopped.

    Needs no OpenTelemetry set-up: it hears of every call, sampled or not.
    Raises as `LiveServer` does.
    """
    server = LiveServer(LiveOptions(host=host, port=port, token=token, max_clients=max_clients))
    server.start()
    return server


def serve_setting(setting: str, *, token: str | None = None) -> LiveServer | None:
    """`serve` for `OTEL_INSTRUMENTATION_LLM_LIVE` (`host:port`); warns and returns None where it cannot.

    Of several processes with the same setting, forked workers for instance, the first one serves.
    """
    host, _, port = setting.rpartition(":")
    try:
        return serve(host=host.strip("[]") or "127.0.0.1", port=int(port), token=token)
    except (OSError, ValueError, ImportError) as error:
        _log.warning("No live view of this process at %s: %s", setting, error)
        return None
