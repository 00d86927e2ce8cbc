"""What is kept in memory, what is kept in the file, and what is passed on."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import http.server
import json
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm.live import ForwardOptions, Limits, Retention
from otel_llm.live._aggregate import Aggregator
from otel_llm.live._calls import from_span
from otel_llm.live._forward import Forwarder
from otel_llm.live._keep import Batch, Keep, KeepError
from otel_llm.live._receiver import Busy, Receiver
from otel_llm.live._spans import spans_of
from otel_llm.live._store import MAX_SPANS, MAX_USAGE_ROWS, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def calls_of(tools: Any, *spans: Any) -> list[Any]:
    found = []
    for span in spans_of(tools.make_request(*spans), now=time.time_ns()):
        assert span is not None
        read = from_span(span)
        assert read is not None
        found.append(read)
    return found


def put(store: Store, tools: Any, *spans: Any) -> None:
    for call, detail in calls_of(tools, *spans):
        store.add(call, detail)


def test_calls_are_bounded_by_count_bytes_and_age(tools: Any) -> None:
    now = 1000.0
    store = Store(Limits(calls=100), clock=lambda: now)
    put(store, tools, *(tools.make_span() for _ in range(250)))
    assert [kept.seq for kept in store.calls()] == list(range(250, 150, -1))
    assert (store.calls_dropped, store.cursor, len(store._inner)) == (150, 250, 0)
    store = Store(Limits(bytes=100_000), clock=lambda: now)
    put(store, tools, *(tools.make_span(gen_ai__input__messages="x" * 10_000) for _ in range(30)))
    assert store.sizes()["bytes"] <= 50_000
    assert 2 <= store.sizes()["calls"] < 5
    store = Store(Limits(age=60), clock=lambda: now)
    put(store, tools, tools.make_span(parent=5), tools.make_span(ago=10**6))
    assert len(store.calls()) == 2  # age counts from when they came
    now += 61
    assert store.calls() == []
    assert store.sizes() == {"calls": 0, "traces": 0, "spans": 0, "bytes": 0}
    assert store._inner == {}


def test_one_call_larger_than_memory_is_not_kept(tools: Any) -> None:
    store = Store(Limits(bytes=10_000))
    put(store, tools, tools.make_span(gen_ai__input__messages="x" * 20_000))
    assert store.calls() == []
    assert store.sizes()["bytes"] == 0


def add_spans(store: Store, tools: Any, *spans: Any) -> None:
    read = [span for span in spans_of(tools.make_request(*spans), now=0) if span is not None]
    store.add_spans((span.trace_id, span.record(), json.dumps(span.record())) for span in read)


def test_traces_are_bounded_too(tools: Any) -> None:
    now = 1000.0
    store = Store(Limits(traces=10, age=60), clock=lambda: now)
    for trace in range(1, 31):
        add_spans(store, tools, *(tools.make_span(trace=trace) for _ in range(3)))
    assert [trace.seq for trace in store.traces()] == list(range(30, 20, -1))
    assert (store.traces_seen, store.traces_dropped, store.spans_seen, store.sizes()["spans"]) == (
        30,
        20,
        90,
        30,
    )
    now += 61
    assert store.traces() == []
    store = Store(Limits(bytes=100_000))
    for trace in range(1, 100):
        add_spans(store, tools, tools.make_span(trace=trace, big="x" * 2000))
    assert store.sizes()["bytes"] <= 50_000


def test_a_trace_that_goes_on_keeps_no_older_one_alive(tools: Any) -> None:
    now = 1000.0
    store = Store(Limits(age=60), clock=lambda: now)
    add_spans(store, tools, tools.make_span(trace=1))
    add_spans(store, tools, tools.make_span(trace=2))
    now += 50
    add_spans(store, tools, tools.make_span(trace=1))
    now += 20
    assert [trace.seq for trace in store.traces()] == [1]
    add_spans(store, tools, tools.make_span(trace=3))
    assert [trace.seq for trace in store.traces()] == [3, 1]


def test_a_trace_has_at_most_so_many_spans(tools: Any) -> None:
    store = Store()
    span = tools.make_span(trace=1)
    (read,) = spans_of(tools.make_request(span), now=0)
    assert read is not None
    store.add_spans(
        (read.trace_id, {**read.record(), "span_id": str(number)}, "{}") for number in range(MAX_SPANS + 5)
    )
    (trace,) = store.traces()
    assert (len(trace.spans), trace.truncated) == (MAX_SPANS, True)


@pytest.mark.parametrize("order", ["inner first", "outer first"])
def test_two_layers_of_one_call_are_one_call(tools: Any, order: str) -> None:
    inner = tools.make_span(trace=7, number=71, parent=70)
    outer = tools.make_span(
        "ChatOpenAI",
        trace=7,
        number=70,
        gen_ai__input__messages='[{"role":"user","parts":[{"type":"text","content":"q"}]}]',
    )
    store = Store()
    put(store, tools, *((inner, outer) if order == "inner first" else (outer, inner)))
    (kept,) = store.calls()
    assert kept.call.preview == "q"
    assert json.loads(kept.detail)["content"]["input"][0]["role"] == "user"
    put(
        store, tools, tools.make_span(trace=7, parent=71, gen_ai__operation__name="embeddings")
    )  # another operation is another call
    put(
        store, tools, tools.make_span(trace=7, parent=5), tools.make_span(trace=7, parent=5)
    )  # siblings are two
    assert len(store.calls()) == 4


def test_usage_by_day_is_exact_and_bounded(tools: Any) -> None:
    store = Store(Limits(calls=1))
    ((call, detail),) = calls_of(tools, tools.make_span())
    end = 1_763_600_000.0
    for number in range(1000):
        store.add(replace(call, id=str(number), trace_id="", end=end, cost=Decimal("0.000063")), detail)
    store.add(
        replace(call, id="x", trace_id="", end=end + 86400, cost=None, outcome="failed", input_tokens=None),
        detail,
    )
    (day2, row2), (day1, row1) = store.usage_rows()
    assert (day1, day2) == (("2025-11-20", "openai", "gpt-4o"), ("2025-11-21", "openai", "gpt-4o"))
    assert (row1.calls, row1.cost, row1.input, row1.total, row1.cache_read) == (
        1000,
        Decimal("0.063"),
        10_000,
        30_000,
        4000,
    )
    assert (row2.calls, row2.errors, row2.cost, row2.unpriced, row2.input) == (1, 1, None, 1, None)
    for number in range(MAX_USAGE_ROWS):
        store._count(replace(call, end=end + 2 * 86400, request_model=f"m{number}"))
    assert len(store.usage) == MAX_USAGE_ROWS
    assert ("2025-11-20", "openai", "gpt-4o") not in store.usage


# The file.


def batch_of(store: Store, tools: Any, *spans: Any) -> Batch:
    kept, records = [], []
    for span in spans_of(tools.make_request(*spans), now=time.time_ns()):
        assert span is not None
        records.append((span.trace_id, span.span_id, json.dumps(span.record())))
        found = from_span(span)
        assert found is not None
        one = store.add(*found)
        assert one is not None
        kept.append(one)
    return Batch(kept, records, store.usage_of(one.call for one in kept))


def test_the_file_gives_back_what_it_was_given(tools: Any, tmp_path: Path) -> None:
    store, keep = Store(), Keep(tmp_path / "calls.db")
    spans = [
        tools.make_span(trace=9, parent=1, gen_ai__input__messages='[{"role":"user","parts":[]}]')
        for _ in range(3)
    ]
    keep.write(batch_of(store, tools, *spans)).result(10)
    keep.close()
    keep.close()
    keep = Keep(tmp_path / "calls.db")
    again = Store()
    keep.restore(again)
    assert again.calls() == store.calls()
    assert again.usage_rows() == store.usage_rows()
    assert again.cursor == store.cursor == 3
    (trace,) = again.traces()
    assert (len(trace.spans), trace.llm_calls, trace.tokens, trace.cost) == (3, 3, 90, Decimal("0.000189"))
    assert keep.call(store.calls()[0].call.id) == store.calls()[0]
    assert keep.call("none") is None
    assert list(keep.before(3, size=1)) == store.calls()[1:]
    assert len(keep.spans(trace.trace_id, limit=10)) == 3
    assert keep.size() > 0
    keep.close()


def test_only_the_owner_can_read_the_file(tools: Any, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    path.touch(mode=0o666)
    path.chmod(0o666)
    keep = Keep(path)
    keep.write(batch_of(Store(), tools, tools.make_span())).result(10)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["calls.db", "calls.db-shm", "calls.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    keep.close()


def test_a_file_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "calls.db")
    with pytest.raises(KeepError, match="is in use by another server"):
        Keep(tmp_path / "calls.db")
    keep.close()
    Keep(tmp_path / "calls.db").close()
    (tmp_path / "text").write_text("this is no database, " * 100)
    with pytest.raises(KeepError, match="not a database"):
        Keep(tmp_path / "text")
    with pytest.raises(KeepError, match="No such file"):
        Keep(tmp_path / "none" / "calls.db")
    connection = sqlite3.connect(tmp_path / "newer")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(KeepError, match="another version"):
        Keep(tmp_path / "newer")


def test_the_file_keeps_for_a_time_and_a_size(tools: Any, tmp_path: Path) -> None:
    now = time.time()
    store = Store(clock=lambda: now)
    keep = Keep(tmp_path / "calls.db", retention=Retention(age=60, bytes=400_000), clock=lambda: now)
    keep.write(batch_of(store, tools, tools.make_span(), tools.make_span())).result(10)
    now += 61
    keep._tidied = float("-inf")
    keep.write(batch_of(store, tools, tools.make_span())).result(10)
    assert [kept.seq for kept in keep.before(99)] == [3]
    for _ in range(4):
        keep._tidied = float("-inf")
        keep.write(batch_of(store, tools, *(tools.make_span(big="x" * 2000) for _ in range(100)))).result(10)
    assert keep.size() <= 440_000
    numbers = [kept.seq for kept in keep.before(999)]
    assert numbers == list(range(403, 403 - len(numbers), -1))
    assert 20 < len(numbers) < 200
    again = Store()
    keep.restore(again)
    assert sum(row.calls for _, row in again.usage_rows()) == 403  # usage by day stays
    keep.close()


def test_what_could_not_be_written_is_written_with_the_next(
    tools: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    keep = Keep(tmp_path / "calls.db")
    receiver = Receiver(Store(), Aggregator(), keep=keep)
    broken = True
    insert = keep._insert

    def failing(*arguments: Any) -> None:
        if broken:
            raise sqlite3.OperationalError("disk full")
        insert(*arguments)

    monkeypatch.setattr(keep, "_insert", failing)
    request = tools.make_request(tools.make_span(), tools.make_span())

    async def send() -> None:
        await receiver.traces(request)

    with pytest.raises(Busy):
        asyncio.run(send())
    with pytest.raises(Busy):  # the sender tries again: it is known, but still not in the file
        asyncio.run(send())
    assert len(receiver._unsaved.calls) == 2
    broken = False
    asyncio.run(send())
    assert [kept.seq for kept in keep.before(99)] == [2, 1]
    assert receiver._unsaved.calls == []
    broken = True
    monkeypatch.setattr("otel_llm.live._receiver._MAX_UNSAVED", 3)
    for _ in range(2):
        with pytest.raises(Busy):
            asyncio.run(receiver.traces(tools.make_request(tools.make_span())))
    before = receiver.store.cursor
    with pytest.raises(Busy):  # nothing more is taken
        asyncio.run(receiver.traces(tools.make_request(tools.make_span())))
    assert receiver.store.cursor == before
    broken = False
    keep.close()


def command(*arguments: str) -> subprocess.Popen[str]:
    ports = ["--port", "0", "--otlp-port", "0", "--no-grpc"]
    return subprocess.Popen(
        [sys.executable, "-m", "otel_llm.live._cli", *ports, *arguments], stdout=subprocess.PIPE, text=True
    )


def urls(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    return lines[0].split()[-1].partition("/#")[0].rstrip("/"), lines[1].split()[-1]


def test_a_killed_server_loses_nothing_that_it_acknowledged(tools: Any, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    acknowledged: list[int] = []
    with command("--keep", str(path)) as process:
        client = tools.Http(urls(process)[0])

        def send(first: int) -> None:
            for number in range(first, first + 10_000):
                try:
                    answer = client.send(tools.make_span(number=number, trace=number % 50 + 1))
                except (OSError, http.client.HTTPException):
                    return
                if answer.status == 200:
                    acknowledged.append(number)

        senders = [threading.Thread(target=send, args=(10**6 * (1 + number),)) for number in range(3)]
        for sender in senders:
            sender.start()
        tools.until(lambda: len(acknowledged) > 60, timeout=30)
        process.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    with command("--keep", str(path)) as process:
        client = tools.Http(urls(process)[0])
        calls = client.get("/api/calls", limit=1000)["calls"]
        found = {int(call["span_id"], 16) for call in calls}
        spans = {int(span["span_id"], 16) for number in range(50) if (answer := client.request("GET", f"/api/traces/{number + 1:032x}")).status == 200
                 for span in answer.json()["spans"]}  # fmt: skip
        usage = client.get("/api/usage")["rows"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert set(acknowledged) <= found
    assert set(acknowledged) <= spans
    assert sum(row["calls"] for row in usage) == len(found)


def test_pages_go_on_in_the_file(tools: Any, tmp_path: Path) -> None:
    with tools.running(keep=tmp_path / "calls.db", limits=Limits(calls=5, traces=5)) as live:
        for _ in range(12):
            live.http.send(tools.make_span(trace=3))
        live.http.send(*(tools.make_span() for _ in range(5)))
        seen, following = [], None
        while True:
            page = live.http.get("/api/calls", limit=4, **({"before": following} if following else {}))
            seen += [call["seq"] for call in page["calls"]]
            following = page["next"]
            if following is None:
                break
        assert seen == list(range(17, 0, -1))
        first = live.http.get("/api/calls", limit=1000)["calls"][-1]
        assert live.http.get(f"/api/calls/{first['id']}")["seq"] == 1
        trace = live.http.get(f"/api/traces/{3:032x}")
        assert (len(trace["spans"]), trace["total_tokens"], trace["cost"]) == (12, 360, "0.000756")
        assert all(span["call_id"] for span in trace["spans"])
        assert live.http.get("/api/status")["keep"]["path"].endswith("calls.db")
        assert live.http.get("/api/calls", model="none") == {
            "calls": [],
            "next": None,
            "cursor": 17,
            "matched": 0,
        }


def test_a_trace_that_memory_has_in_part_is_whole_from_the_file(tools: Any, tmp_path: Path) -> None:
    with tools.running(keep=tmp_path / "calls.db", limits=Limits(traces=1)) as live:
        live.http.send(
            tools.make_span(trace=1), tools.make_span("tool", trace=1, gen_ai__operation__name=None)
        )
        live.http.send(tools.make_span(trace=2))  # and the first one is in the file only
        live.http.send(tools.make_span(trace=1))
        trace = live.http.get(f"/api/traces/{1:032x}")
        assert len(trace["spans"]) == 3
        assert (sum(span["call_id"] is not None for span in trace["spans"]), trace["total_tokens"]) == (2, 60)


def test_the_calls_of_a_large_trace_are_found_at_once(tools: Any, tmp_path: Path, monkeypatch: Any) -> None:
    asked: list[str] = []
    with tools.running(keep=tmp_path / "calls.db") as live:
        live.http.send(
            tools.make_span(trace=1),
            *(tools.make_span("s", trace=1, gen_ai__operation__name=None) for _ in range(500)),
        )
        connect = Keep._connect
        monkeypatch.setattr(Keep, "_connect", lambda keep: asked.append("") or connect(keep))
        trace = live.http.get(f"/api/traces/{1:032x}")
        assert len(trace["spans"]) == 501
        assert len(asked) <= 2


# Passing on.


class Collector(http.server.ThreadingHTTPServer):
    """A second receiver, which can be taken down and answer anything."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = collector.answers.pop(0) if collector.answers else (200, {})
                if status == 200:
                    named = {name.lower(): value for name, value in self.headers.items()}
                    collector.bodies.append((self.path, gzip.decompress(body), named))
                self.send_response(status)
                for name, value in {**headers, "content-length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    collector = Collector(port)
    thread = threading.Thread(target=collector.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield collector
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()


def span_numbers(collector: Collector) -> list[int]:
    return [
        int.from_bytes(span.span_id, "big")
        for _, body, _ in collector.bodies
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


@pytest.mark.parametrize("down", [1.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_nothing_is_lost_while_the_collector_is_down(tools: Any, down: float) -> None:
    with collecting() as collector:
        port = collector.server_port
    options = ForwardOptions(
        url=f"http://127.0.0.1:{port}", headers={"x-key": "k"}, first_wait=0.1, longest_wait=1.0
    )
    sent = []
    with tools.running(forward=options) as live:
        end = time.monotonic() + down
        while time.monotonic() < end:
            sent.append(len(sent) + 1)
            assert live.http.send(tools.make_span(number=sent[-1])).status == 200
            time.sleep(0.05)
        assert live.http.get("/api/status")["forward"]["sent"] == 0
        with collecting(port) as collector:
            status = tools.until(
                lambda: (now := live.http.get("/api/status")["forward"])["queued"] == 0 and now, timeout=20
            )
            assert live.http.request("POST", "/v1/logs", b"{}", content_type="application/json").status == 200
            tools.until(lambda: len(collector.bodies) == len(sent) + 1)
    assert span_numbers(collector)[: len(sent)] == sent
    assert (status["sent"], status["dropped"]) == (len(sent), 0)
    assert status["retries"] > 0
    assert {body[2]["x-key"] for body in collector.bodies} == {"k"}
    assert collector.bodies[-1][:2] == ("/v1/logs", b"")


def test_statuses_are_retried_or_not_as_otlp_says() -> None:
    with collecting() as collector:
        collector.answers = [
            (503, {}),
            (429, {"retry-after": "0"}),
            (502, {}),
            (504, {}),
            (200, {}),
            (400, {}),
            (413, {}),
        ]
        forwarder = Forwarder(
            ForwardOptions(url=collector.url + "/prefix", first_wait=0.01, longest_wait=0.02)
        )
        for body in (b"one", b"two", b"three", b"four"):
            assert forwarder.put("/v1/traces", body)
        forwarder.close()
        assert [body[:2] for body in collector.bodies] == [
            ("/prefix/v1/traces", b"one"),
            ("/prefix/v1/traces", b"four"),
        ]
        assert (forwarder.sent, forwarder.dropped, forwarder.retries) == (2, 2, 4)
        assert not forwarder.put("/v1/traces", b"late")


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    with collecting() as collector:
        url = collector.url
    forwarder = Forwarder(
        ForwardOptions(url=url.replace("//", "//user:secret@"), max_bytes=100, first_wait=60)
    )
    assert [forwarder.put("/v1/traces", bytes(40)) for _ in range(4)] == [True, True, False, False]
    assert forwarder.status() == {"url": url, "sent": 0, "queued": 2, "dropped": 2, "retries": 0}
    forwarder.close(timeout=0.05)
    assert (forwarder.sent, forwarder.dropped) == (0, 4)


@pytest.mark.parametrize("url", ["", "collector:4318", "ftp://x", "http://", "http://x:99999"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Forwarder(ForwardOptions(url=url))
