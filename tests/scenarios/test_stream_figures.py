"""How a stream went, in figures: on the span, and the same on metrics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE
from hypothesis import given
from hypothesis import strategies as st
from scene import Telemetry, instrumented

from otel_llm._gaps import Gaps
from otel_llm._operation import StreamStats
from otel_llm.helpers import track
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.testing import FakeProvider

USAGE = {"stream_options": {"include_usage": True}}


class Clock:
    """Stands in for `perf_counter`: moved on by hand, so that every figure is known."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for name, module in list(sys.modules.items()):
        if name.startswith("otel_llm.") and hasattr(module, "perf_counter"):
            monkeypatch.setattr(module, "perf_counter", made)
    return made


def _stream(sdk: str, make: Callable[..., Any]) -> Any:
    if sdk == "openai":
        return make("openai").chat.completions.create(**CHAT, stream=True, **USAGE)
    return make("anthropic").messages.create(**MESSAGE, stream=True)


def _tracked(clock: Clock, sizes: list[int], gaps: list[float]) -> None:
    """A stream of chunks of known sizes and at known times."""
    with track("acme", "m", stream=True) as call:
        for index, size in enumerate(sizes):
            if index:
                clock.now += gaps[(index - 1) % len(gaps)]
            call.chunk("x" * size)
        call.usage(10, 20)


def _point(telemetry: Telemetry, metric: str) -> Any:
    [point] = telemetry.points()[metric]
    return point


@pytest.mark.parametrize(
    ("sizes", "count", "total", "low", "high"),
    [
        ([1] * 150 + [1000] * 150, 300, 150_150, 1, 1000),  # an average over the last hundred would say 1000
        (list(range(1, 11)), 10, 55, 1, 10),
        ([0], 1, 0, 0, 0),
    ],
)
def test_sizes(clock: Clock, sizes: list[int], count: int, total: int, low: int, high: int) -> None:
    with instrumented(chunk_metrics="all") as telemetry:
        _tracked(clock, sizes, [0.1])
        point = _point(telemetry, "otel_llm.stream.chunk.size")
        assert (point.count, point.sum, point.min, point.max) == (count, total, low, high)
        told = telemetry.span().attributes
        assert (told["otel_llm.stream.chunks"], told["otel_llm.stream.size"]) == (count, total)


def test_bytes_are_those_of_utf_8(make: Callable[..., Any], server: FakeProvider) -> None:
    server.reply(Reply(chunks=["né", "日本", "🙂"]))
    for sdk in ("openai", "anthropic"):
        with instrumented(chunk_metrics="all") as telemetry:
            list(_stream(sdk, make))
            assert telemetry.span().attributes["otel_llm.stream.size"] == 3 + 6 + 4
            assert _point(telemetry, "otel_llm.stream.chunk.size").sum == 13


def test_chunks_are_those_that_the_application_got(make: Callable[..., Any], server: FakeProvider) -> None:
    for sdk in ("openai", "anthropic"):
        with instrumented(chunk_metrics="all") as telemetry:
            got = list(_stream(sdk, make))
            assert telemetry.span().attributes["otel_llm.stream.chunks"] == len(got)
            assert _point(telemetry, "otel_llm.stream.chunk.size").count == len(got)
            gaps = _point(telemetry, "gen_ai.client.operation.time_per_output_chunk")
            assert gaps.count == len(got) - 1


def test_gaps_and_rate(clock: Clock) -> None:
    with instrumented() as telemetry:
        _tracked(clock, [1] * 11, [0.25] * 9 + [2.0])
        told = telemetry.span().attributes
        assert told["otel_llm.stream.gap.p50"] == 0.25
        assert told["otel_llm.stream.gap.p99"] == told["otel_llm.stream.gap.max"] == 2.0
        assert told["otel_llm.stream.token_rate"] == pytest.approx(20 / 4.25)
        gaps = _point(telemetry, "gen_ai.client.operation.time_per_output_chunk")
        assert (gaps.count, gaps.sum, gaps.min, gaps.max) == (10, pytest.approx(4.25), 0.25, 2.0)
        rate = _point(telemetry, "otel_llm.stream.token_rate")
        assert (rate.count, rate.sum) == (1, pytest.approx(20 / 4.25))


@pytest.mark.parametrize("metrics", ["all", "basic", "cost", "off"])
def test_the_span_has_its_gaps_whatever_metrics_there_are(clock: Clock, metrics: str) -> None:
    """The preset of metrics used to take them off the span."""
    with instrumented(metrics=metrics) as telemetry:
        _tracked(clock, [1, 1, 1], [0.5])
        assert telemetry.span().attributes["otel_llm.stream.gap.max"] == 0.5


def test_gaps_can_be_switched_off(clock: Clock) -> None:
    with instrumented(chunk_metrics="off") as telemetry:
        _tracked(clock, [1, 1, 1], [0.5])
        told = telemetry.span().attributes
        assert not [name for name in told if "gap" in name]
        assert told["otel_llm.stream.chunks"] == 3
        assert "gen_ai.client.operation.time_per_output_chunk" not in telemetry.points()


def test_a_stream_without_time_or_tokens_has_no_rate(clock: Clock) -> None:
    with instrumented() as telemetry:
        _tracked(clock, [5], [0.0])
        assert "otel_llm.stream.token_rate" not in telemetry.span().attributes
        assert "otel_llm.stream.token_rate" not in telemetry.points()


def test_a_plain_call_has_no_figures_of_streams(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    make("openai").chat.completions.create(**CHAT)
    assert not [name for name in telemetry.points() if "stream" in name or "chunk" in name]
    assert not [name for name in telemetry.span().attributes if "stream" in name or "chunk" in name]


def test_the_first_chunk_counts_from_the_request(make: Callable[..., Any], server: FakeProvider) -> None:
    server.script(Reply.error(500, retry_after_ms=120), Reply(first_delay=0.2))
    with instrumented() as telemetry:
        stream = make("openai", max_retries=1).chat.completions.create(**CHAT, stream=True)
        list(stream)
        first = telemetry.span().attributes["gen_ai.response.time_to_first_chunk"]
        assert first >= 0.32
        assert _point(telemetry, "gen_ai.client.operation.time_to_first_chunk").sum == pytest.approx(first)


@given(st.lists(st.floats(1e-6, 60), min_size=1, max_size=300))
def test_quantiles_are_close_to_those_of_all_gaps(values: list[float]) -> None:
    gaps = Gaps()
    for value in values:
        gaps.pending.append(value)
        if len(gaps.pending) == Gaps.MOST:
            gaps.take()
    gaps.take()
    stats = StreamStats()
    gaps.settle(stats)
    ordered = sorted(values)

    def exact(share: float) -> float:
        return ordered[int(share * (len(ordered) - 1) + 0.5)]

    assert stats.gap_max == pytest.approx(ordered[-1], rel=1e-6)
    assert stats.gap_p50 == pytest.approx(exact(0.5), rel=0.03)
    assert stats.gap_p99 == pytest.approx(exact(0.99), rel=0.03)
