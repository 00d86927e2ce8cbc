"""The live view of this process: fed by the package's listeners, mounted, forked, watched from a terminal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from websockets.sync.client import connect

from otel_llm._listeners import listeners
from otel_llm._operation import Outcome, StreamStats, Usage
from otel_llm.live import Limits, LiveOptions, LiveServer, client, serve, serve_setting
from otel_llm.live._cli import run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(tools: Any) -> Iterator[LiveServer]:
    server = LiveServer(LiveOptions(port=0))
    server.start()
    yield server
    server.stop()


def tell(phase: str, op: Any) -> None:
    for listener in getattr(listeners, phase):
        listener(op)


def call(tools: Any, outcome: Outcome = Outcome.COMPLETED, *, begin: bool = True, **values: Any) -> Any:
    """A whole call of this process."""
    op = tools.make_operation()
    if begin:
        tell("start", op)
    tools.end_operation(op, outcome, usage=Usage(input=10, output=20), cost=Decimal("0.000063"), **values)
    tell("end", op)
    return op


def test_calls_of_this_process_are_shown(server: LiveServer, tools: Any) -> None:
    http = tools.Http(server.url)
    assert http.get("/api/status")["mode"] == "in-process"
    op = call(tools, trace_id=0xABC, span_id=0xDEF)
    call(tools, Outcome.CANCELLED, begin=False)
    answer = http.get("/api/calls")
    assert [(one["outcome"], one["total_tokens"], one["cost"]) for one in answer["calls"]] == [
        ("cancelled", 30, "0.000063"), ("completed", 30, "0.000063"),
    ]  # fmt: skip
    assert answer["calls"][0]["id"] != op.id
    (trace,) = http.get("/api/traces")["traces"]
    assert (trace["name"], trace["llm_calls"], trace["cost"]) == ("chat gpt-4o", 1, "0.000063")
    (span,) = http.get(f"/api/traces/{0xABC:032x}")["spans"]
    assert span["call_id"] == answer["calls"][1]["id"]
    assert http.request("POST", "/v1/traces", b"", content_type="application/x-protobuf").status == 404


def test_a_call_is_counted_soon_though_nobody_asks(server: LiveServer, tools: Any) -> None:
    call(tools)
    assert server._parts is not None
    tools.until(lambda: server._parts.store.cursor == 1, timeout=5)


def test_a_running_stream_is_shown_with_its_progress(server: LiveServer, tools: Any) -> None:
    http = tools.Http(server.url)
    op = tools.make_operation()
    tell("start", op)
    op.stream, op.stream_stats = True, StreamStats()  # as the recorder does, after the start
    with connect(server.url.replace("http", "ws") + "/metrics/stream") as socket:
        data = tools.receive(socket)["data"]
        assert data["queue"] == {"active_streams": 1, "queue_depth": 1}
        assert (data["overview"]["active_streams"], data["overview"]["active_requests"]) == (1, 1)
        op.stream_stats.first_chunk = 0.001
        for chunks in (1, 2, 3):
            op.stream_stats.chunks, op.stream_stats.bytes = chunks, chunks * 10
            (running,) = http.get("/api/active")["active"]
            assert (running["chunks"], running["bytes"], running["ttft_ms"], running["stream"]) == (
                chunks,
                chunks * 10,
                1.0,
                True,
            )
            assert running["chunks_per_second"] > 0
        assert list(running) == [
            "id", "service", "start", "elapsed_ms", "provider", "operation", "endpoint", "model", "stream", "attempts", "chunks", "bytes",
            "chunks_per_second", "ttft_ms",
        ]  # fmt: skip
        tools.ask(socket, {"type": "subscribe", "filters": {"interval": 0.1}})
        assert tools.receive(socket, "metrics_update")["data"]["queue"] == {
            "active_streams": 1,
            "queue_depth": 0,
        }
        tools.end_operation(op, usage=Usage(output=20))
        tell("end", op)
        update = tools.receive(socket, "metrics_update")
        assert update["deltas"]["streaming"] == {"active_streams_delta": -1}
        assert update["data"]["streaming"]["completed_streams"] == 1
        assert update["data"]["streaming"]["ttft"]["avg"] == pytest.approx(1.0, rel=0.01)
        assert update["recent"][-1]["active_streams"] == 0
    assert http.get("/api/active") == {"active": []}


def test_what_runs_returns_to_zero_whatever_happens(server: LiveServer, tools: Any) -> None:
    ops = [tools.make_operation(stream=number % 2 == 0) for number in range(5)]
    for op in ops:
        tell("start", op)
    http = tools.Http(server.url)
    assert http.get("/api/status")["calls"]["running"] == 5
    for op, outcome in zip(ops, Outcome, strict=True):
        tell("end", tools.end_operation(op, outcome))
    with connect(server.url.replace("http", "ws") + "/metrics/stream") as socket:
        data = tools.receive(socket)["data"]
    assert data["queue"] == {"active_streams": 0, "queue_depth": 0}
    assert data["overview"]["active_requests"] == 0
    assert data["overview"]["calls"] == 5
    assert http.get("/api/status")["calls"]["running"] == 0


def test_calls_from_many_threads_are_all_counted(server: LiveServer, tools: Any) -> None:
    threads = [threading.Thread(target=lambda: [call(tools) for _ in range(250)]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = tools.Http(server.url).get("/api/usage")["rows"]
    assert (row["calls"], row["output_tokens"], row["cost"]) == (4000, 80_000, "0.252")


def test_starting_and_stopping_twice_is_safe_and_leaves_nothing(tools: Any) -> None:
    before = {*threading.enumerate()}
    server = LiveServer(LiveOptions(port=0, otlp_port=0, keep=None, limits=Limits(calls=10)))
    server.stop()
    for _ in range(2):
        server.start()
        server.start()
        url = server.url
        assert tools.Http(url).get("/healthz") == {"status": "ok"}
        server.stop()
        server.stop()
        tools.until(lambda: {*threading.enumerate()} <= before, timeout=5)  # the last worker is just ending
        assert (listeners.start, listeners.end) == ((), ())
        with pytest.raises(OSError, match="refused"):
            tools.Http(url).get("/healthz")
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
    assert (server.active_connections, server.clients(), server.otlp) == (0, (), {"http": None, "grpc": None})


def test_an_address_in_use_is_said_so(server: LiveServer, caplog: Any) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(
        OSError, match=f"cannot listen on 127.0.0.1:{port} for the page: Address already in use"
    ):
        serve(port=port)
    for setting, reason in (
        (f"127.0.0.1:{port}", "in use"),
        ("0.0.0.0:0", "needs a token"),
        ("nonsense", "invalid literal"),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "otel_llm.live"):
            assert serve_setting(setting) is None
        assert reason in caplog.text
    assert len(listeners.start) == 1
    other = serve_setting("localhost:0")
    assert other is not None
    other.stop()


@pytest.mark.parametrize("name", ["otlp_port", "grpc_port"])
def test_a_port_for_otlp_in_use_is_said_so(tools: Any, name: str) -> None:
    before = {*threading.enumerate()}
    with sockets.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = LiveServer(LiveOptions(**{"port": 0, "otlp_port": 0, "local": False, name: port}))
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.start()
        assert server.active_connections == 0
        tools.until(lambda: {*threading.enumerate()} <= before or name == "grpc_port", timeout=5)
    server.start()
    server.stop()


def test_a_setting_may_leave_the_host_out() -> None:
    server = serve_setting(":0")
    assert server is not None
    assert server.url.startswith("http://127.0.0.1:")
    server.stop()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_no_server(server: LiveServer, tools: Any) -> None:
    port = int(server.url.rpartition(":")[2])
    child = os.fork()
    if child == 0:
        try:
            idle = (listeners.start, listeners.end, server.active_connections) == ((), (), 0)
            refused = serve_setting(f"127.0.0.1:{port}") is None  # the parent serves
            own = serve(port=0)
            own.stop()
            os._exit(0 if idle and refused else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    call(tools)
    assert tools.Http(server.url).get("/api/calls")["matched"] == 1


def test_it_can_be_mounted_in_an_application(tools: Any) -> None:
    live = LiveServer(LiveOptions())
    app = Starlette(routes=[Mount("/live", live.app), WebSocketRoute("/own", live.handle)])
    listening = sockets.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="websockets-sansio")
    http = uvicorn.Server(config)
    thread = threading.Thread(target=http.run, args=([listening],))
    thread.start()
    try:
        at = f"127.0.0.1:{listening.getsockname()[1]}"
        mounted = tools.Http(f"http://{at}")
        call(tools)
        assert mounted.get("/live/api/calls")["matched"] == 1
        assert mounted.request("GET", "/live").headers["location"].endswith("/live/")
        for path in ("/live/metrics/stream", "/own"):
            with connect(f"ws://{at}{path}") as socket:
                assert tools.receive(socket)["cursor"] == 1
                assert live.active_connections == 1
            tools.until(lambda: live.active_connections == 0)
    finally:
        http.should_exit = True
        thread.join()
        live.stop()
    assert listeners.start == ()


def test_connected_clients_are_a_metric_of_this_process(tools: Any, monkeypatch: Any) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)

    def clients() -> Any:
        found = reader.get_metrics_data()
        assert found is not None
        (metric,) = found.resource_metrics[0].scope_metrics[0].metrics
        (point,) = metric.data.data_points
        return (metric.name, metric.unit, point.value)  # type: ignore[union-attr]

    with tools.running() as live:
        first = live.connect()
        tools.receive(live.connect())
        tools.receive(first)
        assert clients() == ("otel_llm.live.clients", "{client}", 2)
        first.close()
        tools.until(lambda: live.server.active_connections == 1)
        assert clients()[2] == 1
    assert clients()[2] == 0
    provider.shutdown()


def test_importing_needs_no_library_of_the_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('starlette', 'uvicorn', 'websockets', 'grpc', 'google'): sys.modules[name] = None\n"
        "import otel_llm.live as live, otel_llm.live.client as client\n"
        "try: live.serve()\n"
        "except ImportError as error: print(error)\n"
        "print(live.serve_setting('localhost:0'))\n"
        "raise SystemExit(client.main([]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == 'The live view needs starlette: pip install "otel-llm[live]"\nNone\n'
    assert 'needs websockets: pip install "otel-llm[live]"' in done.stderr
    assert done.returncode == 1


# The terminal.


def free_port() -> int:
    with sockets.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def test_the_client_reconnects_and_ends_well(tools: Any) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "otel_llm.live.client",
        f"http://127.0.0.1:{port}/",
        "--interval",
        "0.1",
        "--model",
        "gpt-4o",
    ]
    with tools.running(port=port) as live:
        live.http.send(tools.make_span())
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = [process.stdout.readline() for _ in range(3)]
            assert "req/s" in lines[0]
            assert "p50 100 ms" in lines[0]
            live.server.stop()
            assert "trying again" in process.stderr.readline()
            live.server.start()
            began = time.monotonic()
            assert "req/s" in process.stdout.readline()
            while "p50 - ms" not in process.stdout.readline():  # the new server has seen nothing
                assert time.monotonic() - began < 10
            print(f"back {time.monotonic() - began:.2f} s after the server (to be 5 at most)")
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0


def test_the_client_prints_frames_as_json_and_stops_when_refused(tools: Any, capsys: Any) -> None:
    with tools.running(token="t0ken") as live:
        url = live.http.url.replace("http", "ws")
        assert client.main([url, "--token", "wrong"]) == 1
        assert "is the token right?" in capsys.readouterr().err
        assert client.main([live.http.url + "/nothing/here"]) == 1
        command = [
            sys.executable,
            "-m",
            "otel_llm.live.client",
            url,
            "--json",
            "--type",
            "latency",
            "--type",
            "queue",
        ]
        environment = {**os.environ, "OTEL_LLM_LIVE_TOKEN": "t0ken"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith('{"type": "historical_data"')
            assert '"metric_types": ["latency"]' in process.stdout.readline()
            assert '"metric_types": ["latency", "queue"]' in process.stdout.readline()
            process.stdout.close()  # as `head` does
            assert process.wait(10) == 0


def test_frames_as_lines() -> None:
    assert client.line({"type": "pong", "timestamp": 1.0}) is None
    assert str(client.line({"type": "error", "timestamp": 1.0, "message": "Invalid"})).endswith(
        "error: Invalid"
    )
    assert str(client.line({"type": "metrics_update", "timestamp": 1.0, "data": {"queue": {}}})).endswith(
        '{"queue": {}}'
    )


def test_watching_from_a_program(server: LiveServer, tools: Any) -> None:
    async def first() -> Any:
        async for frame in client.watch(
            server.url.replace("http", "ws") + "/metrics/stream", filters=[{"interval": 0.1}]
        ):
            if frame["type"] == "metrics_update":
                return frame
        raise AssertionError("it ends only when it is told to")

    assert asyncio.run(first())["cursor"] == 0


# The command.


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "0.0.0.0"], "otel-llm live: an address other than loopback needs a token\n"),
        (
            ["--forward", "nonsense", "--port", "0", "--otlp-port", "0"],
            "otel-llm live: the URL to forward to must be http",
        ),
        (
            ["--keep", "/nowhere/at/all.db", "--port", "0", "--otlp-port", "0"],
            "otel-llm live: Cannot keep calls in /nowhere/at/all.db",
        ),
        (["--tls-cert", "x"], "otel-llm live: --tls-cert and --tls-key belong together\n"),
    ],
)
def test_the_command_says_what_cannot_be(arguments: list[str], text: str, capsys: Any) -> None:
    assert run(arguments) == 1
    assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "x"],
        ["--port", "70000"],
        ["--keep-days", "-1"],
        ["--keep-mib", "x"],
        ["--forward-header", "x"],
    ],
)
def test_the_command_refuses_bad_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == 2


def test_the_command_serves_until_it_is_told_to_stop(tools: Any) -> None:
    command = [
        sys.executable,
        "-m",
        "otel_llm.live._cli",
        "--port",
        "0",
        "--otlp-port",
        "0",
        "--grpc-port",
        "0",
        "--token",
        "t0ken",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(5)]
        page = lines[0].split()[-1]
        assert page.endswith("/#token=t0ken")
        assert lines[1].startswith("OTLP/HTTP:  http://127.0.0.1:")
        assert lines[2].startswith("OTLP/gRPC:  127.0.0.1:")
        assert lines[3] == f"Send here:  export OTEL_EXPORTER_OTLP_ENDPOINT={lines[1].split()[-1]}"
        assert lines[4] == "export OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20t0ken"
        http = tools.Http(page.partition("/#")[0])
        assert http.request("GET", "/healthz").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
