"""Reports of streams, fed by operations."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import statistics
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import otel_llm
from otel_llm import _guard, _progress, hooks
from otel_llm._config import Config
from otel_llm._operation import Attempt, ErrorInfo, Outcome, StreamStats
from support import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_llm.hooks import StreamReport
    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")

SOON = 0.01


@pytest.fixture
def got() -> Iterator[list[StreamReport]]:
    """Reports to a callback that is set for everybody, hundred a second."""
    reports: list[StreamReport] = []
    _progress.configure(Config(on_progress=reports.append, progress_interval=SOON))
    yield reports
    _progress.configure(None)


def stream(sizes: list[int], outcome: Outcome = Outcome.COMPLETED, **values: Any) -> Any:
    """A whole stream of chunks of these sizes."""
    op = operations.start(stream=True)
    for size in sizes:
        operations.chunk(op, size)
    operations.end(op, outcome, **values)
    assert _progress.flush(10)
    return op


def last(reports: list[StreamReport]) -> StreamReport:
    """The one last report."""
    finals = [report for report in reports if report.status != "streaming"]
    assert finals == [reports[-1]]
    return finals[0]


def test_the_last_report_has_all_figures(got: list[StreamReport]) -> None:
    op = stream([6, 6, 6, 6, 6], duration=2.0, response_id="c1")
    assert last(got) == hooks.StreamReport(
        stream_id=op.id,
        provider="openai",
        operation="chat",
        model="gpt-4o",
        status="completed",
        start_time=op.start_time,
        duration=2.0,
        first_chunk=op.stream_stats.first_chunk,
        chunks=5,
        bytes=30,
        chunks_per_second=2.5,
        bytes_per_second=15.0,
        average_chunk_size=6.0,
        smallest_chunk=6,
        largest_chunk=6,
        deviation=0.0,
        error_count=0,
        last_error=None,
        attempts=1,
        trace_id="00000000000000000000000000000abc",
        response_id="c1",
        input_tokens=None,
        output_tokens=None,
        raw_chunks=None,
        raw_truncated=False,
    )


@pytest.mark.parametrize("outcome", list(Outcome), ids=str)
def test_every_ending_gives_exactly_one_last_report(got: list[StreamReport], outcome: Outcome) -> None:
    stream([1], outcome)
    assert last(got).status == outcome.value


def test_reports_come_while_a_stream_runs(got: list[StreamReport]) -> None:
    op = operations.start(stream=True)
    waiting = threading.Event()
    for count in range(1, 4):
        operations.chunk(op, 10)
        seen = len(got)
        for _ in range(1000):
            if len(got) > seen + 1:
                break
            waiting.wait(SOON)
        assert got[-1].chunks == count
    operations.end(op)
    assert _progress.flush(10)
    assert {report.status for report in got[:-1]} == {"streaming"}
    assert last(got).chunks == 3
    for one, two in itertools.pairwise(got):
        assert (one.chunks, one.bytes, one.duration) <= (two.chunks, two.bytes, two.duration)


def test_averages_are_exact_over_the_whole_stream(got: list[StreamReport]) -> None:
    stream([1] * 150 + [1000] * 150)
    assert last(got).average_chunk_size == 500.5


def test_the_spread_of_chunk_sizes(got: list[StreamReport]) -> None:
    sizes = list(range(1, 11))
    stream(sizes)
    report = last(got)
    assert (report.smallest_chunk, report.largest_chunk) == (1, 10)
    assert report.deviation == pytest.approx(statistics.pstdev(sizes))
    assert math.isclose(report.deviation or 0, 2.87, abs_tol=0.005)


def test_a_stream_of_no_time_and_no_chunks_divides_by_nothing(got: list[StreamReport]) -> None:
    stream([], duration=0.0)
    report = last(got)
    assert (report.chunks_per_second, report.bytes_per_second, report.average_chunk_size) == (0.0, 0.0, 0.0)
    assert (report.smallest_chunk, report.deviation) == (None, None)


def test_errors_that_were_overcome_are_counted(got: list[StreamReport]) -> None:
    op = operations.start(stream=True)
    op.attempts = (Attempt(1, None, 0.1, 0.5, "ConnectError"),)
    operations.end(op)
    assert _progress.flush(10)
    report = last(got)
    assert (report.status, report.error_count, report.attempts) == ("completed", 1, 2)
    assert report.last_error == hooks.LastError("ConnectError", None)


def test_the_error_that_ended_a_stream(got: list[StreamReport]) -> None:
    stream([1], Outcome.FAILED, error=ErrorInfo("ReadError", "httpx.ReadError"))
    report = last(got)
    assert (report.error_count, report.last_error) == (1, hooks.LastError("ReadError", None))


def test_a_call_that_does_not_stream_has_no_reports(got: list[StreamReport]) -> None:
    operations.ended()
    assert _progress.flush(10)
    assert got == []


def test_a_call_that_turns_out_to_stream_has_reports(got: list[StreamReport]) -> None:
    op = operations.start()
    op.stream = True
    op.stream_stats = StreamStats()
    operations.chunk(op, 4)
    operations.end(op)
    assert _progress.flush(10)
    assert [
        report.chunks for report in got if report.stream_id == op.id and report.status == "completed"
    ] == [1]


def test_a_thousand_streams_at_once_have_one_thread_and_an_id_each(got: list[StreamReport]) -> None:
    running = [operations.start(stream=True) for _ in range(1000)]
    assert [thread.name for thread in threading.enumerate()].count("otel_llm-progress") == 1
    for op in running:
        operations.end(op)
    assert _progress.flush(10)
    finals = [report.stream_id for report in got if report.status != "streaming"]
    assert sorted(finals) == sorted(op.id for op in running)
    assert len(set(finals)) == 1000
    assert _progress._streams == {}


def test_a_callback_that_blocks_holds_no_stream_up() -> None:
    entered, go_on = threading.Event(), threading.Event()
    reports: list[StreamReport] = []

    def slow(report: StreamReport) -> None:
        reports.append(report)
        entered.set()
        assert go_on.wait(10)

    with otel_llm.options(on_progress=slow, progress_interval=SOON):
        first = operations.start(stream=True)
        assert entered.wait(10)
        second = operations.start(stream=True)
        for op in (first, second):
            operations.chunk(op, 1)
            operations.end(op)
    assert len(reports) == 1
    go_on.set()
    assert _progress.flush(10)
    assert [(report.stream_id, report.status) for report in reports[-2:]] == [
        (first.id, "completed"),
        (second.id, "completed"),
    ]


def test_last_reports_that_nobody_takes_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_progress._worker, "_limit", 2)
    monkeypatch.setattr(_progress, "_dropped", 0)
    entered, go_on = threading.Event(), threading.Event()
    finals: list[str] = []

    def slow(report: StreamReport) -> None:
        entered.set()
        assert go_on.wait(10)
        finals.append(report.status)

    with otel_llm.options(on_progress=slow, progress_interval=60.0):
        operations.end(operations.start(stream=True))
        assert entered.wait(10)
        running = [operations.start(stream=True) for _ in range(4)]
        # Starting one wakes the worker up, which is blocked: what waits in the queue is the limit.
        for op in running:
            operations.end(op)
    go_on.set()
    assert _progress.flush(10)
    assert len(finals) + _progress._dropped == 5
    assert _progress._dropped > 0
    assert len([line for line in caplog.messages if "on_progress blocks" in line]) == 1


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_a_callback_that_raises_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    _guard.forget()

    def broken(_report: StreamReport) -> None:
        raise error("sk-SECRET")

    with (
        caplog.at_level(logging.WARNING, logger="otel_llm"),
        otel_llm.options(on_progress=broken),
    ):
        for _ in range(3):
            operations.end(operations.start(stream=True))
        assert _progress.flush(10)
    (line,) = caplog.messages
    assert "on_progress" in line
    assert "sk-SECRET" not in line


def test_a_call_can_have_a_callback_of_its_own(got: list[StreamReport]) -> None:
    own: list[StreamReport] = []
    with otel_llm.options(on_progress=own.append):
        inside = operations.start(stream=True)
    outside = operations.start(stream=True)
    for op in (inside, outside):
        operations.end(op)
    assert _progress.flush(10)
    assert [report.stream_id for report in own if report.status == "completed"] == [inside.id]
    assert last(got).stream_id == outside.id


def test_a_stream_is_followed_to_its_end_after_its_block() -> None:
    own: list[StreamReport] = []
    with otel_llm.options(on_progress=own.append):
        op = operations.start(stream=True)
    operations.chunk(op, 3)
    operations.end(op)
    assert _progress.flush(10)
    assert [(report.status, report.chunks) for report in own][-1] == ("completed", 1)


def test_options_of_one_task_are_not_those_of_another() -> None:
    own: dict[str, list[StreamReport]] = {"a": [], "b": []}

    async def one(name: str) -> str:
        with otel_llm.options(on_progress=own[name].append):
            op = operations.start(stream=True)
            await asyncio.sleep(0)
            operations.end(op)
        return op.id

    async def main() -> list[str]:
        return await asyncio.gather(one("a"), one("b"))

    ids = asyncio.run(main())
    assert _progress.flush(10)
    assert [{report.stream_id for report in own[name]} for name in "ab"] == [{ids[0]}, {ids[1]}]


def test_hooks_hear_of_progress_without_raw_chunks(seen: Seen) -> None:
    hooks.attach("mine", "llm.stream.progress", seen)
    with otel_llm.options(
        on_progress=lambda _: None, progress_interval=SOON, capture_raw_chunks=True, capture_content=True
    ):
        op = operations.start(stream=True)
        operations.chunk(op, 5, "hello")
    for _ in range(1000):
        if seen.told:
            break
        threading.Event().wait(SOON)
    operations.end(op)
    assert _progress.flush(10)
    event, report, metadata, _ = seen.told[0]
    assert (event, report.status, report.raw_chunks) == ("llm.stream.progress", "streaming", None)
    assert metadata == hooks.StreamMetadata(op.id, "openai", "chat", "gpt-4o")
    assert {told[1].status for told in seen.told} == {"streaming"}


class Model:
    """What an SDK's chunk offers."""

    def __init__(self, text: str) -> None:
        self.text = text

    def model_dump_json(self, **_: Any) -> str:
        return f'{{"text":"{self.text}"}}'


def raw(sizes: dict[str, Any], **options: Any) -> StreamReport:
    """The last report of a stream of three chunks with raw chunks asked for."""
    own: list[StreamReport] = []
    with otel_llm.options(on_progress=own.append, capture_raw_chunks=True, **options):
        op = operations.start(stream=True)
        for data in sizes.values():
            operations.chunk(op, 1, data)
        operations.end(op)
    assert _progress.flush(10)
    return last(own)


CHUNKS: dict[str, Any] = {"model": Model("hello "), "bytes": b"\x00\xff", "text": "é"}


def test_raw_chunks_come_in_order() -> None:
    report = raw(CHUNKS, capture_content=True)
    assert report.raw_chunks == (b'{"text":"hello "}', b"\x00\xff", "é".encode())
    assert report.raw_truncated is False


def test_raw_chunks_are_content_and_need_its_capture() -> None:
    assert raw(CHUNKS).raw_chunks is None
    _progress.configure(Config(content_off=True))
    try:
        assert raw(CHUNKS, capture_content=True).raw_chunks is None
    finally:
        _progress.configure(None)


def test_raw_chunks_stay_below_their_cap() -> None:
    report = raw(CHUNKS, capture_content=True, max_raw_bytes=18)
    assert report.raw_chunks == (b'{"text":"hello "}',)
    assert report.raw_truncated is True
    big = raw(dict.fromkeys(map(str, range(100)), b"x" * 1000), capture_content=True, max_raw_bytes=10_000)
    assert sum(map(len, big.raw_chunks or ())) == 10_000


def test_nothing_listens_when_nobody_wants_reports(got: list[StreamReport]) -> None:
    _progress.configure(None)
    assert _progress._reasons == {"instrument": 0, "hooks": 0, "options": 0}
    operations.end(operations.start(stream=True))
    assert got == []


def test_a_stream_that_is_open_when_the_program_ends_has_its_last_report() -> None:
    program = (
        "import otel_llm\n"
        "show = lambda report: print(report.status, report.chunks, flush=True)\n"
        "otel_llm.LLMInstrumentor().instrument(on_progress=show, progress_interval=60)\n"
        "call = otel_llm.track('acme', 'm1', stream=True).__enter__()\n"
        "call.chunk('x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("abandoned 1\n", "")
