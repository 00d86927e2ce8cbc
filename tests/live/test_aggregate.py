"""Windows, distributions and snapshots: against brute force, from many threads, within fixed bounds."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.live import MetricSnapshot, MetricType, SubscriptionFilter
from otel_llm.live._aggregate import HISTORY, MAX_LABELS, MAX_SERIES, OTHER, STALE, WINDOW, Aggregator, Second
from otel_llm.live._calls import Call
from otel_llm.live._quantiles import Distribution, exact_stats
from otel_llm.live._snapshot import Numbers, Snapshots

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def make_call(end: float, *, ms: float = 100.0, **values: Any) -> Call:
    defaults: dict[str, Any] = {
        "id": "c", "trace_id": "", "span_id": "", "parent_id": None, "service": None, "source": "other", "start": end - ms / 1000,
        "end": end, "duration_ms": ms, "ttft_ms": None, "provider": "openai", "operation": "chat", "endpoint": CHAT,
        "request_model": "gpt-4o", "response_model": None, "stream": False, "outcome": "completed", "error": None,
        "finish_reasons": (), "input_tokens": 10, "output_tokens": 20, "cache_read_tokens": None, "cache_write_tokens": None,
        "reasoning_tokens": None, "usage_source": "provider", "cost": None, "attempts": 1, "chunks": None, "conversation_id": None,
        "has_content": False, "preview": None,
    }  # fmt: skip
    return Call(**{**defaults, **values})


class World:
    """An aggregator on a clock that is set by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.aggregator = Aggregator(clock=self.clock)
        self.snapshots = Snapshots(self.aggregator)

    def end(self, call: Call) -> None:
        self.aggregator.ended(self.aggregator.series(call.endpoint, call.model, call.provider), call)

    def data(self, **filters: Any) -> dict[str, Any]:
        wanted = SubscriptionFilter()
        for name, value in filters.items():
            wanted = wanted.add({name: value})
        self.clock.now += 0.06  # what was made before is not asked again
        found: dict[str, Any] = json.loads(self.snapshots.get(wanted.selection()).data)
        return found


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_quantiles_are_within_one_per_cent(values: list[float]) -> None:
    found = Distribution()
    for value in values:
        found.add(value)
    ranked = sorted(values)
    stats = found.stats()
    assert stats is not None
    assert (stats["min"], stats["max"]) == (round(ranked[0], 3), round(ranked[-1], 3))
    assert stats["avg"] == pytest.approx(math.fsum(values) / len(values), abs=0.001)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        rank = ranked[max(1, math.ceil(share * len(ranked))) - 1]
        assert stats[name] == pytest.approx(rank, rel=0.0101, abs=0.002)


@given(st.lists(st.lists(st.floats(0, 1e9), max_size=20), max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_taken_back_is_gone(parts: list[list[float]], data: Any) -> None:
    made = []
    for values in parts:
        one = Distribution()
        for value in values:
            one.add(value)
        made.append(one)
    keep = data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made)))
    total, expected = Distribution(), Distribution()
    for one in made:
        total.merge(one)
    for one, kept in zip(made, keep, strict=True):
        if kept:
            expected.merge(one)
        else:
            total.subtract(one)
    total.set_extremes(one for one, kept in zip(made, keep, strict=True) if kept)
    assert (total.bins, total.count, total.low, total.high) == (
        expected.bins,
        expected.count,
        expected.low,
        expected.high,
    )
    assert total.total == pytest.approx(expected.total, rel=1e-6, abs=1e-3)


def test_exact_stats_interpolate_between_ranks() -> None:
    assert exact_stats([float(value) for value in range(100, 119)], ("p95", 0.95)) == {
        "avg": 109.0, "min": 100.0, "max": 118.0, "p50": 109.0, "p90": 116.2, "p99": 117.82, "p95": 117.1,
    }  # fmt: skip
    assert exact_stats([]) is None


@given(
    st.lists(
        st.tuples(st.floats(0, 400), st.floats(0, 400), st.sampled_from(["a", "b"]), st.integers(0, 50)),
        max_size=40,
    ),
    st.floats(0, 200),
)
@settings(max_examples=80, deadline=None)
def test_the_window_is_what_brute_force_counts(
    events: list[tuple[float, float, str, int]], wait: float
) -> None:
    """Calls that become known at any time after their end, asked in between and some time later."""
    world = World()
    known = []
    for at, age, model, tokens in sorted(events):
        world.clock.now = max(START + at, world.clock.now)
        ended = max(world.clock.now - age, START)
        known.append((int(ended), tokens))
        world.end(make_call(ended, ms=tokens + 1, output_tokens=tokens, request_model=model))
        if tokens % 3 == 0:
            world.data()
    world.clock.now += wait
    data = world.data()
    second = int(world.clock.now)
    inside = [tokens for ended, tokens in known if second - WINDOW < ended <= second]
    assert data["overview"]["calls"] == len(inside)
    assert data["overview"]["output_tokens"] == sum(inside)
    latency = data["overview"]["latency_ms"]
    if inside:
        assert (latency["min"], latency["max"]) == (min(inside) + 1, max(inside) + 1)
    else:
        assert latency is None
        assert data["latency"] == {}
    assert sum(data["throughput"]["responses_per_sec"].values()) == pytest.approx(
        data["throughput"]["total_responses_per_sec"], abs=0.001
    )
    points = world.snapshots.history()
    by_second = {point["t"]: point["responses"] for point in points}
    assert list(by_second) == list(range(second - HISTORY + 1, second + 1))
    assert by_second == {at: sum(ended == at for ended, _ in known) for at in by_second}


def test_rates_are_over_the_stated_window_and_fall_to_zero() -> None:
    world = World()
    for _ in range(20):
        world.end(make_call(world.clock.now))
        world.clock.now += 0.5
    data = world.data()
    throughput = data["throughput"]
    assert throughput["window_s"] == pytest.approx(10, abs=0.2)
    assert throughput["total_requests_per_sec"] == pytest.approx(20 / throughput["window_s"], rel=0.01)
    assert throughput["tokens_per_sec"] == {CHAT: pytest.approx(400 / throughput["window_s"], rel=0.01)}
    world.clock.now += 40
    throughput = world.data()["throughput"]
    assert throughput["total_requests_per_sec"] == pytest.approx(20 / throughput["window_s"], rel=0.01)
    world.clock.now += 61
    throughput = world.data()["throughput"]
    assert (
        throughput["total_requests_per_sec"],
        throughput["total_tokens_per_sec"],
        throughput["window_s"],
    ) == (0, 0, pytest.approx(59.5, abs=0.6))


def test_known_delays_have_known_quantiles() -> None:
    world = World()
    for ms in range(100, 1001, 100):
        world.end(make_call(world.clock.now, ms=ms))
    latency = world.data()["latency"][CHAT]
    assert latency["p90"] == pytest.approx(900, rel=0.05)
    assert (latency["avg"], latency["min"], latency["max"]) == (550, 100, 1000)


def test_the_providers_cache_in_per_cent() -> None:
    world = World()
    world.end(make_call(START, cache_read_tokens=4))
    world.end(make_call(START, cache_read_tokens=0))
    world.end(make_call(START, endpoint="/v1/embeddings", cache_read_tokens=None))  # says nothing of a cache
    expected = {
        "hit_rate": 50.0,
        "token_reuse_rate": 20.0,
        "avg_prefix_length": 4.0,
        "total_lookups": 2,
        "cache_hits": 1,
    }
    data = world.data()
    assert data["cache"] == {**expected, "by_endpoint": {CHAT: expected}}
    assert data["overview"]["cache_hit_rate"] == 0.5
    world.end(make_call(START, cache_read_tokens=None))  # a zero that was left out
    assert world.data()["cache"]["total_lookups"] == 3
    assert World().data()["overview"]["cache_hit_rate"] is None


def test_one_of_four_fails_on_its_endpoint_only() -> None:
    world = World()
    for endpoint in (CHAT, CHAT, CHAT, MESSAGES):
        outcome = "failed" if endpoint == MESSAGES else "completed"
        world.end(
            make_call(START, endpoint=endpoint, outcome=outcome, error="x" if outcome == "failed" else None)
        )
    data = world.data()
    assert list(data["error"]["errors_per_sec"]) == [MESSAGES]
    assert data["error"]["total_errors_per_sec"] > 0
    assert (data["overview"]["errors"], data["overview"]["error_rate"]) == (1, 0.25)


def test_streams_are_active_then_completed() -> None:
    world = World()
    world.aggregator.local = True
    series = world.aggregator.series(CHAT, "gpt-4o", "openai")
    for _ in range(3):
        world.aggregator.began(series, stream=True)
    data = world.data()
    assert data["streaming"] == {"active_streams": 3, "completed_streams": 0, "failed_streams": 0}
    assert data["queue"] == {"active_streams": 3, "queue_depth": 3}
    assert (data["overview"]["active_requests"], data["overview"]["active_streams"]) == (3, 3)
    world.aggregator.answered(series)
    assert world.data()["queue"] == {"active_streams": 3, "queue_depth": 2}
    for outcome, answered in (("completed", True), ("failed", False), ("closed", False)):
        world.aggregator.left(series, stream=True, answered=answered)
        world.aggregator.ended(
            series, make_call(world.clock.now, stream=True, outcome=outcome, ttft_ms=50.0), counted=True
        )
    data = world.data()
    assert data["queue"] == {"active_streams": 0, "queue_depth": 0}
    assert (data["streaming"]["completed_streams"], data["streaming"]["failed_streams"]) == (1, 1)
    assert data["streaming"]["ttft"]["avg"] == 50.0
    assert data["streaming"]["tokens_per_second"]["avg"] == pytest.approx(20 / 0.05, rel=0.001)
    assert data["overview"]["calls"] == 3
    assert data["throughput"]["total_requests_per_sec"] == data["throughput"]["total_responses_per_sec"]


def test_reports_of_other_processes_add_up_and_grow_stale() -> None:
    world = World()
    series = world.aggregator.series(CHAT, "gpt-4o", "openai")
    assert world.data()["overview"]["active_streams"] is None
    world.aggregator.report(series, "one", streams=2)
    world.aggregator.report(series, "two", streams=3, requests=4)
    world.aggregator.report(series, "one", streams=1)
    data = world.data()
    assert (data["overview"]["active_streams"], data["overview"]["active_requests"]) == (4, 4)
    assert world.snapshots.history()[-1]["active_streams"] == 4
    world.clock.now += STALE + 1
    data = world.data()
    assert data["overview"]["active_streams"] is None
    for number in range(200):
        world.aggregator.report(series, f"sender {number}", streams=1)
    assert world.data()["overview"]["active_streams"] == 64
    assert world.snapshots.history()[-1]["active_streams"] == 64


def test_labels_are_limited() -> None:
    world = World()
    for number in range(1000):
        world.end(make_call(START, request_model=f"model-{number}"))
        world.end(make_call(START, endpoint=f"/v1/{number}" + "x" * 300))
    labels = world.aggregator.labels()
    assert len(labels["models"]) <= MAX_LABELS + 1
    assert max(map(len, labels["endpoints"])) == 200
    assert len(world.aggregator._series) <= MAX_SERIES + 1
    data = world.data()
    assert data["overview"]["calls"] == 2000
    assert OTHER in data["latency"]


def test_an_event_from_the_future_counts_now_and_an_old_one_not() -> None:
    world = World()
    world.end(make_call(START + 1000))
    assert world.data()["overview"]["calls"] == 1
    world.end(make_call(START - HISTORY - 5))
    assert world.data()["overview"]["calls"] == 1
    assert sum(point["responses"] for point in world.snapshots.history()) == 1


def test_a_late_call_changes_its_point() -> None:
    world = World()
    world.clock.now += 100
    assert sum(point["responses"] for point in world.snapshots.history()) == 0
    world.end(make_call(START + 50))
    assert {point["t"]: point["responses"] for point in world.snapshots.history()}[int(START) + 50] == 1
    assert world.data(model="gpt-4o")["overview"]["calls"] == 1
    of_model = world.snapshots.history(models=frozenset({"gpt-4o"}))
    assert sum(point["responses"] for point in of_model) == 1
    assert {point["active_streams"] for point in of_model} == {None}


def test_many_threads_count_exactly() -> None:
    world = World()
    call = make_call(START, cost=Decimal("0.5"), cache_read_tokens=1)

    def work() -> None:
        series = world.aggregator.series(CHAT, "gpt-4o", "openai")
        for _ in range(2_000):
            world.aggregator.began(series, stream=False)
            world.aggregator.left(series, stream=False, answered=False)
            world.aggregator.ended(series, call, counted=True)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = world.data()
    overview = data["overview"]
    assert (overview["calls"], overview["output_tokens"], overview["cost"]) == (32_000, 640_000, 16_000.0)
    assert (overview["active_requests"], data["queue"]["queue_depth"], data["cache"]["cache_hits"]) == (
        None,
        0,
        32_000,
    )


def test_memory_does_not_grow_with_time_or_traffic() -> None:
    world = World()
    for _ in range(2000):
        world.clock.now += 1
        for ms in (1, 10, 100):
            world.end(make_call(world.clock.now - 2, ms=ms))
    (series,) = world.aggregator._series.values()
    assert len(series.seconds) <= HISTORY + 1
    assert len(world.aggregator.changed) <= 2 * HISTORY
    assert len(world.aggregator._active) <= 2 * HISTORY
    world.snapshots.history()
    assert len(world.snapshots._points) <= 2 * HISTORY


def test_a_snapshot_is_made_once_for_all_who_want_the_same() -> None:
    world = World()
    wanted = SubscriptionFilter()
    first = world.snapshots.get(wanted)
    assert world.snapshots.get(replace(wanted, interval=0.1).selection()) is first
    assert world.snapshots.get(wanted.add({"model": "m"})) is not first
    assert world.snapshots.made == 2
    for number in range(1000):
        world.snapshots.get(wanted.add({"model": f"m{number}"}))
        world.clock.now += 0.01
    assert len(world.snapshots._cached) < 300


def test_the_public_records_are_frozen_and_have_the_protocols_values() -> None:
    snapshot = MetricSnapshot(1.0, "{}", "[]", Numbers(0.0, 0.0, 0))
    with pytest.raises(FrozenInstanceError):
        snapshot.data = ""  # type: ignore[misc]
    assert [kind.value for kind in MetricType] == [
        "throughput",
        "latency",
        "cache",
        "queue",
        "streaming",
        "error",
        "all",
    ]
    wanted = SubscriptionFilter()
    assert wanted == SubscriptionFilter(frozenset(), frozenset(), frozenset({MetricType.ALL}), 1.0)
    assert wanted != wanted.add({"interval": 2})
    with pytest.raises(FrozenInstanceError):
        wanted.interval = 3.0  # type: ignore[misc]


def test_a_seconds_sums_can_be_merged_and_taken_back() -> None:
    second, total = Second(), Second()
    second.add(make_call(START, cost=Decimal(1), outcome="failed", stream=True, ttft_ms=5.0))
    second.add(make_call(START))
    total.merge(second)
    total.merge(second)
    total.subtract(second)
    assert (total.responses, total.errors, total.cost, total.unpriced, total.latency.count) == (
        2,
        1,
        1.0,
        1,
        2,
    )


def test_a_clock_that_is_set_back_counts_right() -> None:
    world = World()
    world.clock.now += 100
    world.end(make_call(world.clock.now))
    world.clock.now -= 30
    series = world.aggregator.series(CHAT, "gpt-4o", "openai")
    world.aggregator.began(series, stream=False)
    world.end(make_call(world.clock.now))
    assert world.data()["overview"]["calls"] == 2
    for _ in range(200):
        world.clock.now += 1
        overview = world.data()["overview"]
        assert 0 <= overview["calls"] <= 2
        assert overview["requests_per_sec"] >= 0
    assert overview["calls"] == 0
