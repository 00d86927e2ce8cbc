"""Reports of the streams of the real SDKs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE
from scene import instrumented, run

import otel_llm
from otel_llm import _progress, _recording
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.hooks import StreamReport
    from otel_llm.testing import FakeProvider


class Reports:
    """What `on_progress` was given."""

    def __init__(self) -> None:
        self.all: list[StreamReport] = []

    def __call__(self, report: StreamReport) -> None:
        self.all.append(report)

    @property
    def last(self) -> list[StreamReport]:
        """The last report of each stream."""
        gc.collect()
        _recording.drain()
        assert _progress.flush(10)
        return [report for report in self.all if report.status != "streaming"]

    def of(self, identity: str) -> list[StreamReport]:
        return [report for report in self.all if report.stream_id == identity]


@pytest.fixture
def reports() -> Reports:
    return Reports()


def stream(client: Any, sdk: str) -> Any:
    create = client.chat.completions.create if sdk == "openai" else client.messages.create
    return create(**(CHAT if sdk == "openai" else MESSAGE), stream=True)


@pytest.mark.parametrize(("sdk", "chunks"), [("openai", 7), ("anthropic", 10)])
def test_reports_while_it_runs_and_one_at_its_end(
    server: FakeProvider, make: Callable[..., Any], reports: Reports, sdk: str, chunks: int
) -> None:
    server.script(Reply(chunks=["hello "] * 5, chunk_delay=0.1))
    with instrumented(on_progress=reports, progress_interval=0.05):
        assert len(list(stream(make(sdk), sdk))) == chunks
        (last,) = reports.last
    assert (last.status, last.chunks, last.bytes) == ("completed", chunks, 30)
    assert len(reports.all) > 2
    assert reports.all[-1] is last
    for one, two in itertools.pairwise(reports.all):
        assert (one.chunks, one.bytes, one.duration) <= (two.chunks, two.bytes, two.duration)
    assert last.chunks_per_second == pytest.approx(chunks / last.duration)


def test_every_ending_says_how(
    server: FakeProvider, make: Callable[..., Any], reports: Reports, asynchronous: bool
) -> None:
    """One stream per outcome: read, dead, cancelled, closed, dropped."""
    client = make("openai", asynchronous=asynchronous)

    def use() -> None:
        list(stream(client, "openai"))
        with contextlib.suppress(Exception):
            list(stream(client, "openai"))
        with contextlib.suppress(KeyboardInterrupt), stream(client, "openai") as events:
            next(iter(events))
            raise KeyboardInterrupt
        with stream(client, "openai") as events:
            next(iter(events))
        next(iter(stream(client, "openai")))

    async def read(reading: asyncio.Event | None = None) -> None:
        async for _ in await stream(client, "openai"):
            if reading is not None:
                reading.set()

    async def use_async() -> None:
        await read()
        with contextlib.suppress(Exception):
            await read()
        reading = asyncio.Event()
        task = asyncio.create_task(read(reading))
        await reading.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with await stream(client, "openai") as events:
            await anext(aiter(events))
        await anext(aiter(await stream(client, "openai")))
        await client.close()

    server.script(
        Reply(),
        Reply(die_after=1),
        Reply(chunks=50, chunk_delay=0.1),
        *[Reply(chunks=5, chunk_delay=0.05)] * 2,
    )
    with instrumented(on_progress=reports):
        run(use_async()) if asynchronous else use()
        statuses = [report.status for report in reports.last]
    assert sorted(statuses) == sorted(["completed", "failed", "cancelled", "closed", "abandoned"])
    assert len({report.stream_id for report in reports.last}) == 5
    (failed,) = [report for report in reports.last if report.status == "failed"]
    assert (failed.error_count, failed.last_error is not None) == (1, True)


def test_a_first_attempt_that_fails_is_an_error_that_was_overcome(
    server: FakeProvider, make: Callable[..., Any], reports: Reports
) -> None:
    server.script(Reply(drop=True), Reply())
    with instrumented(on_progress=reports):
        list(stream(make("openai", max_retries=1), "openai"))
        (last,) = reports.last
    assert (last.status, last.error_count, last.attempts) == ("completed", 1, 2)
    assert last.last_error is not None


def test_one_task_has_no_telemetry_and_the_other_has(
    server: FakeProvider, make: Callable[..., Any], reports: Reports
) -> None:
    client = make("openai", asynchronous=True)

    async def read(*, enabled: bool) -> int:
        with otel_llm.options(enabled=enabled):
            return len([event async for event in await stream(client, "openai")])

    async def main() -> list[int]:
        found = await asyncio.gather(read(enabled=False), read(enabled=True))
        await client.close()
        return found

    with instrumented(on_progress=reports) as telemetry:
        assert run(main()) == [5, 5]
        assert [report.status for report in reports.last] == ["completed"]
        assert len(telemetry.spans()) == 1


def test_a_callback_of_one_block(server: FakeProvider, make: Callable[..., Any], reports: Reports) -> None:
    own = Reports()
    client = make("openai")
    with instrumented(on_progress=reports):
        with otel_llm.options(on_progress=own):
            list(stream(client, "openai"))
        list(stream(client, "openai"))
        assert (len(own.last), len(reports.last)) == (1, 1)


def test_raw_chunks_in_order_and_up_to_the_cap(
    server: FakeProvider, make: Callable[..., Any], reports: Reports
) -> None:
    server.script(*[Reply(chunks=["hello "] * 5)] * 3)
    client = make("openai")
    with instrumented(
        on_progress=reports, capture_raw_chunks=True, capture_content="event_only"
    ) as telemetry:
        list(stream(client, "openai"))
        with otel_llm.options(max_raw_bytes=300):
            list(stream(client, "openai"))
        with otel_llm.options(capture_content=False):
            list(stream(client, "openai"))
        whole, capped, none = reports.last
        exported = repr(telemetry.span_snapshot()) + repr(telemetry.metric_snapshot())
    assert whole.raw_chunks is not None
    assert capped.raw_chunks is not None
    assert len(whole.raw_chunks) == 7
    assert b"hello " in b"".join(whole.raw_chunks)
    assert whole.raw_truncated is False
    assert sum(map(len, capped.raw_chunks)) <= 300
    assert (capped.raw_truncated, none.raw_chunks) == (True, None)
    assert "hello" not in exported


@pytest.mark.parametrize(
    "settings", [{"redact": lambda part: part}, {"content_off": True}], ids=["redactor", "hard off"]
)
@pytest.mark.parametrize("own", [False, True], ids=["all clients", "one client"])
def test_raw_chunks_go_past_neither_a_redactor_nor_the_hard_off(
    make: Callable[..., Any], reports: Reports, settings: dict[str, Any], own: bool
) -> None:
    client = make("openai")
    with instrumented(
        on_progress=reports, capture_raw_chunks=True, capture_content=True, **({} if own else settings)
    ):
        if own:
            otel_llm.instrument_client(client, capture_content=True, **settings)
        list(stream(client, "openai"))
        if own:
            otel_llm.uninstrument_client(client)
        (report,) = reports.last
    assert (report.chunks > 0, report.raw_chunks) == (True, None)


def test_a_callback_that_blocks_does_not_hold_the_stream_up(
    server: FakeProvider, make: Callable[..., Any], reports: Reports
) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(report: StreamReport) -> None:
        entered.set()
        assert go_on.wait(10)
        reports(report)

    server.script(Reply(chunks=5, chunk_delay=0.05))
    with instrumented(on_progress=slow, progress_interval=0.01):
        events = list(stream(make("openai"), "openai"))
        assert len(events) == 7
        assert entered.is_set()
        assert reports.all == []
        go_on.set()
        assert [report.status for report in reports.last] == ["completed"]


def test_a_plain_call_has_no_reports(
    server: FakeProvider, make: Callable[..., Any], reports: Reports
) -> None:
    with instrumented(on_progress=reports):
        make("openai").chat.completions.create(**CHAT)
        assert reports.last == []


def test_after_uninstrument_there_are_none(
    server: FakeProvider, make: Callable[..., Any], reports: Reports
) -> None:
    client = make("openai")
    with instrumented(on_progress=reports):
        pass
    list(stream(client, "openai"))
    assert reports.last == []
    assert _progress._reasons["instrument"] == 0
