"""The WebSocket protocol of docs/live-api.md over real sockets (and its server-sent events)."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket as sockets
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from otel_llm.live import SubscriptionFilter
from otel_llm.live._client import Client

SECTIONS = {"throughput", "latency", "cache", "queue", "streaming", "error", "overview"}


def subscribe(**filters: Any) -> dict[str, Any]:
    return {"type": "subscribe", "filters": filters}


def close_code(socket: Any) -> int:
    """The code with which the server closes."""
    for _ in range(1000):
        try:
            socket.recv(timeout=10)
        except ConnectionClosed as closing:
            return closing.rcvd.code if closing.rcvd is not None else 1006
    raise AssertionError("it is still open")


def test_the_first_frame_is_history_at_once_and_frames_have_their_schema(live: Any, tools: Any) -> None:
    live.http.send(tools.make_span(gen_ai__request__stream=True, gen_ai__response__time_to_first_chunk=0.02))
    live.http.send(
        tools.make_span(error__type="x", otel_llm__outcome="failed", gen_ai__request__model="other")
    )
    begin = time.monotonic()
    socket = live.connect()
    first = tools.receive(socket)
    took = time.monotonic() - begin
    tools.validate("HistoricalData", first)
    assert set(first["data"]) == SECTIONS
    assert len(first["history"]) == 300
    assert first["cursor"] == 2
    assert sum(point["responses"] for point in first["history"]) == 2
    tools.ask(socket, subscribe(interval=0.1))
    update = tools.receive(socket, "metrics_update")
    tools.validate("MetricsUpdate", update)
    assert set(update["data"]) == SECTIONS
    assert set(update["deltas"]) == {"throughput", "streaming"}
    assert [point["t"] for point in update["recent"]] == list(
        range(int(update["timestamp"]) - 9, int(update["timestamp"]) + 1)
    )
    print(f"first frame after {took * 1000:.0f} ms (to be 100 at most, connecting included)")


def test_command_line_of_websockets_prints_history_first(shared: Any) -> None:
    url = shared.http.url.replace("http", "ws") + "/metrics/stream"
    command = [sys.executable, "-m", "websockets", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = ""
        while "historical_data" not in text:
            text += process.stdout.read(1)
        process.kill()
    assert "metrics_update" not in text


class Loop:
    """An event loop that calls everything as late as it is told, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> Any:
        self.due.append((when, callback))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def run(self, late: float) -> None:
        when, callback = self.due.pop(0)
        self.now = max(self.now, when) + late
        callback()


@settings(max_examples=50, deadline=None)
@given(
    interval=st.sampled_from([0.1, 0.75, 1.0, 2.0, 60.0]),
    late=st.lists(st.floats(0, 0.09), min_size=20, max_size=60),
)
def test_updates_keep_the_clients_interval_however_late_the_loop_is(
    interval: float, late: list[float]
) -> None:
    loop, times = Loop(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio.get_running_loop", lambda: loop)
        wanted = SubscriptionFilter(interval=interval)
        client = Client(1, "websocket", wanted, due=lambda _: times.append(loop.now), at=0.0)
        client.schedule()
        for seconds in late:
            loop.run(seconds)
    punctual = [at - seconds for at, seconds in zip(times, late, strict=True)]
    gaps = [after - before for before, after in pairwise(punctual)]
    assert statistics.fmean(gaps) == pytest.approx(interval, rel=1e-6)
    assert interval <= times[0] - late[0] - 1000.0 <= interval * 1.06


def test_updates_come_at_the_clients_interval(live: Any, tools: Any) -> None:
    socket = live.connect()
    tools.receive(socket)
    tools.ask(socket, subscribe(interval=0.1))
    begin = time.monotonic()
    for _ in range(10):
        tools.receive(socket, "metrics_update")
    print(f"interval 0.1: mean gap {(time.monotonic() - begin) / 10:.4f} s")


def test_a_loop_that_was_busy_for_long_does_not_catch_up_in_a_burst() -> None:
    loop, times = Loop(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio.get_running_loop", lambda: loop)
        client = Client(1, "websocket", SubscriptionFilter(), due=lambda _: times.append(loop.now), at=0.0)
        client.schedule()
        for late in (0.0, 30.0, 0.0, 0.0):
            loop.run(late)
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([31.0, 1.0, 1.0], abs=0.06)


def test_filters_select_and_totals_are_of_the_selection(live: Any, tools: Any) -> None:
    for _ in range(3):
        live.http.send(tools.make_span(ms=100))
    live.http.send(
        tools.make_span(ms=900, gen_ai__provider__name="anthropic", gen_ai__request__model="claude", otel_llm__outcome="failed",
                        error__type="overloaded", gen_ai__usage__output_tokens=2000)
    )  # fmt: skip
    socket = live.connect()
    tools.receive(socket)
    tools.ask(socket, subscribe(endpoint="/v1/messages", interval=0.1))
    data = tools.receive(socket, "metrics_update")["data"]
    assert list(data["latency"]) == ["/v1/messages"]
    assert data["latency"]["/v1/messages"] == {
        name: pytest.approx(900, rel=0.011) for name in ("avg", "min", "max", "p50", "p90", "p99")
    }
    assert list(data["throughput"]["requests_per_sec"]) == ["/v1/messages"]
    window = data["throughput"]["window_s"]
    assert data["throughput"]["total_requests_per_sec"] == pytest.approx(1 / window, rel=0.1)
    assert data["throughput"]["total_tokens_per_sec"] == pytest.approx(2000 / window, rel=0.1)
    assert data["overview"]["calls"] == 1
    assert list(data["error"]["errors_per_sec"]) == ["/v1/messages"]
    tools.ask(socket, {"type": "unsubscribe"})
    tools.ask(socket, subscribe(model="gpt-4o", interval=0.1))
    data = tools.receive(socket, "metrics_update")["data"]
    assert data["overview"]["calls"] == 3
    assert data["error"]["errors_per_sec"] == {}
    assert data["cache"]["hit_rate"] == 100.0
    tools.ask(socket, subscribe(model="claude"))  # filters of the same kind add up
    assert tools.receive(socket, "metrics_update")["data"]["overview"]["calls"] == 4
    tools.ask(socket, subscribe(endpoint="/v1/embeddings"))  # filters of different kinds both apply
    assert tools.receive(socket, "metrics_update")["data"]["overview"]["calls"] == 0


@pytest.mark.parametrize("kind", ["throughput", "latency", "cache", "queue", "streaming", "error"])
def test_a_metric_type_narrows(shared: Any, tools: Any, kind: str) -> None:
    socket = shared.connect()
    tools.receive(socket)
    tools.ask(socket, subscribe(metric_type=kind, interval=0.1))
    update = tools.receive(socket, "metrics_update")
    assert list(update["data"]) == [kind]
    assert list(update["deltas"]) == ([kind] if kind in ("throughput", "streaming") else [])


def test_subscriptions_add_up_and_unsubscribe_resets(shared: Any, tools: Any) -> None:
    socket = shared.connect()
    tools.receive(socket)

    def ack(
        *endpoints: str,
        types: tuple[str, ...] = ("all",),
        models: tuple[str, ...] = (),
        interval: float = 1.0,
    ) -> dict[str, Any]:
        filters = {
            "endpoints": [*endpoints],
            "models": [*models],
            "metric_types": [*types],
            "interval": interval,
        }
        return {"type": "subscribed", "filters": filters}

    assert tools.ask(socket, subscribe(endpoint="/v1/b")) == ack("/v1/b")
    assert tools.ask(socket, subscribe(endpoint="/v1/a", metric_type="queue")) == ack(
        "/v1/a", "/v1/b", types=("queue",)
    )
    assert tools.ask(socket, subscribe(metric_type="latency", model="m")) == ack(
        "/v1/a", "/v1/b", types=("latency", "queue"), models=("m",)
    )
    assert tools.ask(socket, subscribe(metric_type="all", interval=0.5)) == ack(
        "/v1/a", "/v1/b", models=("m",), interval=0.5
    )
    assert tools.ask(socket, {"type": "subscribe"}) == ack("/v1/a", "/v1/b", models=("m",), interval=0.5)
    assert tools.ask(socket, {"type": "unsubscribe"}) == {"type": "unsubscribed"}
    assert tools.ask(socket, subscribe()) == ack()
    tools.validate("MetricsUpdate", tools.receive(socket, "metrics_update"))


INVALID = {
    "{{{": "Invalid JSON: cannot be read",
    "": "Invalid JSON: cannot be read",
    "NaN": "Invalid JSON: cannot be read",
    "[" * 2000: "Invalid JSON: cannot be read",
    '{"a":' * 500 + "1" + "}" * 500: "Invalid message: type is unknown",
    "[1]": "Invalid JSON: not an object",
    "5": "Invalid JSON: not an object",
    '""': "Invalid JSON: not an object",
    "null": "Invalid JSON: not an object",
    "{}": "Invalid message: type is unknown",
    '{"type": "launch"}': "Invalid message: type is unknown",
    '{"type": ["subscribe"]}': "Invalid message: type is unknown",
    '{"type": "subscribe", "filters": []}': "Invalid message: filters is not an object",
    '{"type": "subscribe", "filters": {"endpoint": ["/v1/a"]}}': "Invalid filter: endpoint must be a string of 1 to 200 characters",
    '{"type": "subscribe", "filters": {"model": ""}}': "Invalid filter: model must be a string of 1 to 200 characters",
    json.dumps(subscribe(model="m" * 201)): "Invalid filter: model must be a string of 1 to 200 characters",
    '{"type": "subscribe", "filters": {"metric_type": "secret"}}': "Invalid filter: metric_type is unknown",
    **{
        f'{{"type": "subscribe", "filters": {{"interval": {value}}}}}': "Invalid filter: interval must be a number from 0.1 to 60"
        for value in ("0", "-1", '"2"', "true", "1e999", "-1e999", "60.01", "1" * 400, "[1]")
    },
    **{
        f'{{"type": "subscribe", "filters": {{"interval": {value}}}}}': "Invalid JSON: cannot be read"
        for value in ("NaN", "Infinity")
    },
}  # fmt: skip


@pytest.mark.parametrize("text", INVALID, ids=lambda text: text[:60] or "empty")
def test_what_cannot_be_used_gets_a_fixed_text_and_changes_nothing(
    shared: Any, tools: Any, text: str
) -> None:
    socket = shared.connect()
    tools.receive(socket)
    before = tools.ask(socket, subscribe(model="kept", interval=2.0))
    answer = tools.ask(socket, text)
    assert set(answer) == {"type", "timestamp", "message"}
    assert (answer["type"], answer["message"]) == ("error", INVALID[text])
    assert tools.ask(socket, subscribe()) == before


def test_a_lone_surrogate_is_a_name_like_any_other(shared: Any, tools: Any) -> None:
    socket = shared.connect()
    tools.receive(socket)
    assert tools.ask(socket, '{"type": "subscribe", "filters": {"model": "\\ud800"}}')["filters"][
        "models"
    ] == ["\ud800"]
    tools.ask(socket, subscribe(interval=0.1))
    assert tools.receive(socket, "metrics_update")["data"]["latency"] == {}


def test_a_client_has_at_most_64_values_of_a_filter(shared: Any, tools: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("otel_llm.live._stream.MAX_RATE", 1000)
    socket = shared.connect()
    tools.receive(socket)
    for number in range(64):
        assert tools.ask(socket, subscribe(model=f"m{number}"))["type"] == "subscribed"
    assert (
        tools.ask(socket, subscribe(model="one more"))["message"]
        == "Invalid filter: more than 64 values of model"
    )


def test_ping_gets_pong(shared: Any, tools: Any) -> None:
    socket = shared.connect()
    tools.receive(socket)
    begin = time.monotonic()
    pong = tools.ask(socket, {"type": "ping"})
    print(f"pong after {(time.monotonic() - begin) * 1000:.1f} ms (to be 50 at most)")
    assert set(pong) == {"type", "timestamp"}
    assert pong["timestamp"] == pytest.approx(time.time(), abs=5)
    socket.ping().wait(5)


def test_deltas_are_against_this_clients_own_frame_before(live: Any, tools: Any) -> None:
    fast, slow = live.connect(), live.connect()
    known = {}
    for socket, interval in ((fast, 0.1), (slow, 0.7)):
        tools.receive(socket)
        tools.ask(socket, subscribe(interval=interval))
        known[socket] = tools.receive(socket, "metrics_update")
    for _ in range(8):
        live.http.send(tools.make_span())
        for socket in (fast, slow) if _ % 4 == 3 else (fast,):
            update = tools.receive(socket, "metrics_update")
            for name in ("total_requests_per_sec", "total_tokens_per_sec"):
                change = update["data"]["throughput"][name] - known[socket]["data"]["throughput"][name]
                assert update["deltas"]["throughput"][name] == pytest.approx(change, abs=0.0002)
            known[socket] = update


def test_clients_have_their_own_filters(live: Any, tools: Any) -> None:
    for number in range(50):
        live.http.send(
            *(tools.make_span(gen_ai__request__model=f"model-{number}") for _ in range(1 + number % 3))
        )
    clients = [live.connect() for _ in range(50)]
    for number, socket in enumerate(clients):
        tools.receive(socket)
        tools.ask(socket, subscribe(model=f"model-{number}", interval=0.5))
    for number, socket in enumerate(clients):
        assert tools.receive(socket, "metrics_update")["data"]["overview"]["calls"] == 1 + number % 3


def test_a_binary_message_is_refused(shared: Any, tools: Any) -> None:
    socket = shared.connect()
    socket.send(b'{"type":"ping"}')
    assert close_code(socket) == 1003


def test_a_message_over_4_kib_is_refused(shared: Any, tools: Any) -> None:
    socket = shared.connect()
    assert tools.ask(socket, '{"type":"ping"' + " " * (4096 - 15) + "}")["type"] in (
        "historical_data",
        "pong",
    )
    socket.send('{"type":"ping"' + " " * 4096 + "}")
    assert close_code(socket) == 1009


def test_fragments_count_together(shared: Any) -> None:
    socket = shared.connect()
    socket.send(iter(["{" + " " * 2000, " " * 2000, " " * 2000 + "}"]))
    assert close_code(socket) == 1009


def test_more_than_20_messages_a_second_are_too_many(shared: Any) -> None:
    socket = shared.connect()
    for _ in range(21):
        socket.send('{"type":"ping"}')
    assert close_code(socket) == 1008


def test_the_65th_client_is_told_to_try_later(live: Any, tools: Any) -> None:
    for _ in range(64):
        tools.receive(live.connect())
    assert live.server.active_connections == 64
    assert close_code(live.connect()) == 1013
    assert live.http.request("GET", "/metrics/events").status == 503


def test_clients_that_leave_are_forgotten(live: Any, tools: Any) -> None:
    code = (
        "import sys,time\nfrom websockets.sync.client import connect\n"
        "c=[connect(sys.argv[1]) for _ in range(20)]\nprint('ready',flush=True)\ntime.sleep(60)"
    )
    url = live.http.url.replace("http", "ws") + "/metrics/stream"
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert live.server.active_connections == 20
        process.kill()
    tools.until(lambda: live.server.active_connections == 0, timeout=5)


def test_a_client_is_described_by_a_frozen_record(live: Any, tools: Any) -> None:
    socket = live.connect()
    tools.receive(socket)
    tools.ask(socket, subscribe(model="m", interval=5))
    (client,) = live.server.clients()
    assert (client.kind, client.number, client.filter.models, client.filter.interval) == (
        "websocket",
        1,
        {"m"},
        5.0,
    )
    with pytest.raises(AttributeError):
        client.frames = 0


def raw_websocket(live: Any) -> sockets.socket:
    """A WebSocket that reads nothing after the handshake, with a small buffer."""
    host, _, port = live.http.netloc.partition(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        f"GET /metrics/stream HTTP/1.1\r\nHost: {live.http.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return raw


def masked(text: str) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    body = text.encode()
    return bytes((0x81, 0x80 | len(body), 0, 0, 0, 0)) + body


def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(
    live: Any, tools: Any, monkeypatch: Any
) -> None:
    from otel_llm.live import _client

    monkeypatch.setattr(_client, "STALL", 0.5)
    for number in range(150):  # frames of some size
        live.http.send(tools.make_span(gen_ai__operation__name=f"operation-{number}"))
    raw = raw_websocket(live)
    raw.sendall(masked(json.dumps(subscribe(interval=0.1))))
    healthy = live.connect()
    tools.receive(healthy)
    tools.ask(healthy, subscribe(interval=0.1))
    gaps, last = [], time.monotonic()
    end = last + 15
    while live.server.active_connections == 2:
        tools.receive(healthy, "metrics_update")
        now = time.monotonic()
        gaps.append(now - last)
        last = now
        assert now < end, "the client that does not read is still there"
    print(
        f"dropped after {len(gaps) / 10:.1f} s; gaps of the other: median {statistics.median(gaps):.3f} max {max(gaps):.3f}"
    )
    assert len(gaps) > 3  # it was served all the while; the benchmark tells how punctually
    assert tools.receive(healthy, "metrics_update")
    raw.close()


def test_a_first_frame_on_a_slow_way_is_no_reason_to_drop_a_client_that_subscribes() -> None:
    """The history alone is larger than what may wait, and clients subscribe as soon as they are connected."""

    async def serve() -> tuple[list[int], list[int | None], int]:
        client = Client(1, "websocket", SubscriptionFilter(), due=lambda _: None, at=0.0)
        arrived = asyncio.Event()
        sent: list[int] = []

        async def send(frame: str) -> None:
            await arrived.wait()
            sent.append(len(frame))

        client.offer("h" * 80_000)
        writer = asyncio.create_task(client.write(send))
        await asyncio.sleep(0)
        client.offer("s" * 200)
        states = [client.closed, client.info().pending]
        arrived.set()
        for _ in range(10):
            await asyncio.sleep(0)
        states.append(client.info().pending)
        client.drop(1001)
        return sent, states, await writer

    assert asyncio.run(serve()) == ([80_000, 200], [None, 200, 0], 1001)


def test_answers_that_nobody_reads_do_not_pile_up(live: Any, tools: Any, monkeypatch: Any) -> None:
    from otel_llm.live import _client, _stream

    monkeypatch.setattr(_stream, "MAX_RATE", 10**9)
    monkeypatch.setattr(_client, "STALL", 60.0)
    raw = raw_websocket(live)
    raw.settimeout(0.5)
    frame = masked('{"type":"ping"}') * 1000
    end = time.monotonic() + 20
    tools.until(lambda: live.server.active_connections == 1)
    while live.server.active_connections and time.monotonic() < end:
        try:
            raw.sendall(frame)
        except OSError:
            break
        assert all(client.pending <= _client.MAX_PENDING for client in live.server.clients())
    tools.until(lambda: live.server.active_connections == 0)
    raw.close()


def test_without_clients_nothing_wakes_up(live: Any, tools: Any) -> None:
    hub = live.server._parts.hub
    socket = live.connect()
    tools.receive(socket)
    tools.ask(socket, subscribe(interval=0.1))
    tools.receive(socket, "metrics_update")
    socket.close()
    tools.until(lambda: live.server.active_connections == 0)
    loop = live.server._loop
    made, wakeups = hub.updates, []
    select = loop._selector.select
    loop._selector.select = lambda timeout=None: (wakeups.append(timeout), select(timeout))[1]
    time.sleep(1.5)
    del loop._selector.select
    assert hub.updates == made
    assert len(wakeups) <= 2, wakeups  # closing what is left of the last connection
    assert not any(client for client in live.server.clients())


def read_events(live: Any, path: str, count: int) -> list[tuple[str, Any]]:
    connection = http.client.HTTPConnection(live.http.netloc, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    assert (response.status, response.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
    found = []
    for _ in range(count):
        event, data, empty = response.readline(), response.readline(), response.readline()
        assert empty == b"\n"
        found.append(
            (event.decode().removeprefix("event: ").strip(), json.loads(data.removeprefix(b"data: ")))
        )
    connection.close()
    return found


def test_events_are_the_same_frames(live: Any, tools: Any) -> None:
    live.http.send(tools.make_span())
    (first, frame), (second, update) = read_events(live, "/metrics/events?interval=0.1", 2)
    assert (first, second) == ("historical_data", "metrics_update")
    tools.validate("HistoricalData", frame)
    tools.validate("MetricsUpdate", update)
    (_, frame), _ = read_events(
        live, "/metrics/events?metric_type=latency&metric_type=queue&model=none&interval=0.1", 2
    )
    assert frame["data"] == {"latency": {}, "queue": {"active_streams": 0, "queue_depth": 0}}
    tools.until(lambda: live.server.active_connections == 0)


@pytest.mark.parametrize("query", ["interval=x", "interval=nan", "interval=0", "metric_type=", "model="])
def test_events_with_a_bad_filter_are_refused(shared: Any, query: str) -> None:
    answer = shared.http.request("GET", "/metrics/events?" + query)
    assert answer.status == 400
    assert re.fullmatch(r"Invalid filter: .*", answer.json()["error"])


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
def test_events_are_for_get_only(shared: Any, tools: Any, method: str) -> None:
    answer = shared.http.request(method, "/metrics/events")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert shared.server.active_connections == 0


def test_clients_are_told_that_the_server_stops(live: Any, tools: Any) -> None:
    socket = live.connect()
    tools.receive(socket)
    live.server.stop()
    assert close_code(socket) == 1001


def test_a_foreign_origin_is_refused(shared: Any) -> None:
    with pytest.raises(InvalidStatus) as caught:
        shared.connect(origin="http://evil.example")
    assert caught.value.response.status_code == 403
    shared.connect(origin=shared.http.url)
