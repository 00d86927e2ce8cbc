"""The bounded log of calls and its figures."""

from __future__ import annotations

import csv
import gc
import io
import json
import statistics
import time
import weakref
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm import request_log
from otel_llm._operation import Attempt, ErrorInfo, Outcome, Server, StreamStats, Usage
from otel_llm._records import quantile
from otel_llm.request_log import Group, RequestLog, RequestRecord
from support import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_llm._operation import Operation

pytestmark = pytest.mark.usefixtures("nothing_attached")

DAY = 86_400


@pytest.fixture
def log() -> Iterator[RequestLog]:
    with RequestLog(max_size=100) as log:
        yield log


def at(seconds: float, **values: Any) -> Operation:
    """A call of no length at this time since the epoch."""
    return operations.ended(start_time=int(seconds * 1e9), duration=0.0, **values)


def test_a_record_has_the_facts_of_its_call(log: RequestLog) -> None:
    op = operations.ended(
        response_model="gpt-4o-2024-08-06",
        response_id="c1",
        conversation_id="s1",
        attributes={"user.id": "ada"},
        usage=Usage(10, 20, 4, 1, 5),
        stream=True,
        stream_stats=StreamStats(7, 30, 0.1, 0.4, gap_max=0.2),
        finish_reasons=("tool_calls",),
        tool_calls=("f", "g"),
        parameters={"output_type": "json"},
        attempts=(Attempt(1, 429, 0.1, 0.25), Attempt(2, 500, 0.1, 0.5)),
        server=Server(request_id="req_1", processing=0.3, status=200),
        duration=1.5,
    )
    (record,) = log.query()
    assert record == RequestRecord(
        id=op.id,
        provider="openai",
        operation="chat",
        endpoint="/v1/chat/completions",
        sdk="openai",
        model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        response_id="c1",
        request_id="req_1",
        session="s1",
        user_id="ada",
        stream=True,
        outcome="completed",
        start_time=op.start_time,
        duration=1.5,
        first_chunk=0.1,
        input_tokens=10,
        output_tokens=20,
        total_tokens=30,
        cache_read_tokens=4,
        cache_write_tokens=1,
        reasoning_tokens=5,
        usage_source="provider",
        cost=Decimal("0.000063"),
        finish_reasons=("tool_calls",),
        tool_calls=("f", "g"),
        output_type="json",
        attempts=3,
        retry_wait=0.75,
        processing=0.3,
        status=200,
        error_type=None,
        error_code=None,
        error_category=None,
        chunks=7,
        bytes=30,
        longest_gap=0.2,
        trace_id="00000000000000000000000000000abc",
        span_id="0000000000000def",
    )
    assert record.answered_by == "gpt-4o-2024-08-06"
    assert record.ended == pytest.approx(op.start_time / 1e9 + 1.5)


def test_a_failed_call_has_a_duration_and_a_reason(log: RequestLog) -> None:
    operations.failed(duration=0.25)
    (record,) = log.query()
    assert (record.failed, record.duration, record.status) == (True, 0.25, 429)
    assert (record.error_type, record.error_code, record.error_category) == (
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        "rate_limit",
    )


def test_a_record_is_json_without_nothing(log: RequestLog) -> None:
    op = operations.ended(tool_calls=("f", "g"), duration=0.5)
    told = log.query()[0].to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "id": op.id,
        "provider": "openai",
        "operation": "chat",
        "endpoint": "/v1/chat/completions",
        "sdk": "openai",
        "model": "gpt-4o",
        "stream": False,
        "outcome": "completed",
        "start_time": op.start_time,
        "duration": 0.5,
        "input_tokens": 10,
        "output_tokens": 20,
        "total_tokens": 30,
        "cache_read_tokens": 4,
        "usage_source": "provider",
        "cost": "0.000063",
        "tool_calls": ["f", "g"],
        "attempts": 1,
        "retry_wait": 0,
        "trace_id": "00000000000000000000000000000abc",
        "span_id": "0000000000000def",
    }


def test_it_holds_what_fits_and_counts_everything() -> None:
    with RequestLog(max_size=100) as log:
        first = [operations.ended(cost=Decimal("0.1")) for _ in range(150)]
        assert len(log) == 100
        assert [record.id for record in log.query()] == [op.id for op in first[50:]]
        stats = log.stats()
    assert (stats.calls, stats.held, stats.cost, stats.total_tokens) == (150, 100, Decimal("15.0"), 4500)


def test_what_is_too_old_goes_and_its_memory_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(request_log.time, "monotonic", lambda: now[0])

    class Text(str):
        """A text that can be watched."""

        __slots__ = ("__weakref__",)

    with RequestLog(ttl=10.0) as log:
        model = Text("m")
        watched = weakref.ref(model)
        operations.ended(request_model=model, provider="old")
        del model
        now[0] += 9.5
        operations.ended(provider="new")
        assert [record.provider for record in log.query()] == ["old", "new"]
        now[0] += 0.5
        assert [record.provider for record in log.query()] == ["new"]
        log._daily.clear()
        gc.collect()
        assert watched() is None
        now[0] += 100
        assert (len(log), log.query(), log.stats().held, log.stats().calls) == (0, [], 0, 2)
        assert (len(log._records), len(log._added)) == (0, 0)


@pytest.mark.parametrize(("size", "ttl"), [(0, None), (-1, None), (1, 0), (1, -2.0)])
def test_limits_are_positive(size: int, ttl: float | None) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        RequestLog(size, ttl)


class TestQuery:
    @pytest.fixture(autouse=True)
    def _calls(self, log: RequestLog) -> None:
        at(100, provider="openai", request_model="a", conversation_id="s1")
        at(200, provider="anthropic", request_model="b", response_model="b-1", response_id="r2")
        at(300, provider="openai", request_model="b", server=Server(request_id="q3"))
        at(400, provider="openai", request_model="a", conversation_id="s1")

    @pytest.mark.parametrize(
        ("conditions", "found"),
        [
            ({}, [100, 200, 300, 400]),
            ({"start": 200}, [200, 300, 400]),
            ({"end": 300}, [100, 200]),
            ({"start": datetime.fromtimestamp(150, UTC), "end": 400.0}, [200, 300]),
            ({"provider": "openai"}, [100, 300, 400]),
            ({"model": "b"}, [200, 300]),
            ({"model": "b-1"}, [200]),
            ({"id": "r2"}, [200]),
            ({"id": "q3"}, [300]),
            ({"id": "nobody"}, []),
            ({"session": "s1"}, [100, 400]),
            ({"limit": 2}, [300, 400]),
            ({"limit": 0}, []),
            ({"limit": 9}, [100, 200, 300, 400]),
            ({"provider": "openai", "model": "a", "start": 101, "session": "s1", "limit": 1}, [400]),
            ({"provider": "anthropic", "model": "a"}, []),
        ],
    )
    def test_every_condition_alone_and_together(
        self, log: RequestLog, conditions: dict[str, Any], found: list[int]
    ) -> None:
        assert [record.ended for record in log.query(**conditions)] == found

    def test_by_its_own_id(self, log: RequestLog) -> None:
        record = log.query()[1]
        assert log.query(id=record.id) == [record]


class TestSummary:
    def test_nineteen_calls(self, log: RequestLog) -> None:
        for value in range(100, 118):
            operations.ended(duration=value / 1000)
        operations.failed(duration=0.118)
        summary = log.summary()
        assert (summary.calls, summary.failed, summary.error_rate) == (19, 1, 1 / 19)
        assert summary.p50 == pytest.approx(0.109)
        assert summary.p95 == pytest.approx(0.1171)
        assert summary.p99 == pytest.approx(0.11782)
        assert (summary.smallest, summary.largest) == (0.1, 0.118)
        assert summary.average == pytest.approx(0.109)
        assert (summary.input_tokens, summary.output_tokens, summary.total_tokens) == (180, 360, 540)
        assert summary.cost == Decimal("0.001134")
        assert summary.by_error == {"rate_limit_exceeded": 1}

    @pytest.mark.parametrize(("count", "p95"), [(1, 0.1), (2, 0.195)])
    def test_few_calls(self, log: RequestLog, count: int, p95: float) -> None:
        for value in range(1, count + 1):
            operations.ended(duration=value / 10)
        assert log.summary().p95 == pytest.approx(p95)

    def test_no_calls(self, log: RequestLog) -> None:
        summary = log.summary()
        assert (summary.calls, summary.error_rate, summary.average, summary.p95) == (0, 0.0, None, None)
        assert summary.to_dict() == {
            "calls": 0,
            "failed": 0,
            "error_rate": 0.0,
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
            "cost": "0",
            "by_provider": {},
            "by_model": {},
            "by_error": {},
        }

    def test_by_provider_and_model(self, log: RequestLog) -> None:
        operations.ended(provider="openai", request_model="a", duration=1.0)
        operations.ended(provider="anthropic", request_model="b", response_model="b-1", duration=2.0)
        operations.ended(provider="anthropic", request_model="b", response_model="b-1", duration=4.0)
        summary = log.summary()
        assert summary.by_provider["anthropic"] == Group(
            calls=2,
            failed=0,
            input_tokens=20,
            output_tokens=40,
            total_tokens=60,
            cache_read_tokens=8,
            cost=Decimal("0.000126"),
            duration=6.0,
        )
        assert {model: group.average for model, group in summary.by_model.items()} == {"a": 1.0, "b-1": 3.0}
        assert sum(group.calls for group in summary.by_model.values()) == summary.calls
        assert json.loads(json.dumps(summary.to_dict())) == summary.to_dict()

    def test_of_a_window(self, log: RequestLog) -> None:
        now = time.time()
        at(now - 100)
        at(now - 1)
        assert (log.summary(window=60).calls, log.summary(window=60, provider="x").calls) == (1, 0)

    def test_percentiles_of_any_figure(self, log: RequestLog) -> None:
        for value in range(11):
            operations.ended(usage=Usage(1, value * 10), cost=Decimal(value))
        operations.ended(usage=None, cost=None)
        assert log.percentile("output_tokens", 90) == 90
        assert log.percentile("cost", 50) == 5.0
        assert log.percentile("first_chunk", 50) is None
        assert log.percentile("output_tokens", 50, provider="nobody") is None

    def test_what_is_no_figure(self, log: RequestLog) -> None:
        with pytest.raises(ValueError, match="'model' is no figure"):
            log.percentile("model", 50)
        for percent in (-1, 101):
            with pytest.raises(ValueError, match="0 to 100"):
                log.percentile("duration", percent)


@given(
    st.lists(st.floats(0, 1e6, allow_nan=False), min_size=2, max_size=60),
    st.integers(min_value=1, max_value=99),
)
def test_quantiles_are_those_of_the_standard_library(values: list[float], percent: int) -> None:
    expected = statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
    assert quantile(sorted(values), percent / 100) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_ends_of_the_quantiles() -> None:
    assert [quantile([1.0, 2.0, 4.0], share) for share in (0.0, 0.5, 1.0)] == [1.0, 2.0, 4.0]
    assert [quantile([3.0], share) for share in (0.0, 0.5, 1.0)] == [3.0, 3.0, 3.0]


class TestUsage:
    def test_of_a_window(self, log: RequestLog) -> None:
        for _ in range(2):
            operations.ended(provider="openai")
        operations.ended(provider="anthropic", outcome=Outcome.CLOSED)
        operations.failed(provider="anthropic")
        at(time.time() - 3600)
        usage = log.usage(60)
        assert (usage.calls, usage.succeeded, usage.failed) == (4, 3, 1)
        assert usage.total.total_tokens == 90
        assert {name: group.total_tokens for name, group in usage.by_provider.items()} == {
            "openai": 60,
            "anthropic": 30,
        }
        assert usage.by_error == {"rate_limit_exceeded": 1}
        assert usage.length == pytest.approx(60, abs=1)
        assert usage.complete
        assert log.usage(60, "anthropic").calls == 2
        assert json.loads(json.dumps(usage.to_dict()))["total"]["calls"] == 4

    def test_of_everything(self, log: RequestLog) -> None:
        operations.ended()
        assert log.usage().calls == 1

    def test_of_a_session(self, log: RequestLog) -> None:
        for _ in range(2):
            operations.ended(conversation_id="s1")
        operations.ended(conversation_id="s2")
        assert log.usage(session="s1").total.total_tokens == 60

    def test_it_says_when_calls_are_missing(self) -> None:
        with RequestLog(max_size=2) as log:
            for _ in range(3):
                operations.ended()
            assert not log.usage(60).complete
            assert (log.usage(60).calls, log.stats().calls) == (2, 3)


class TestDaily:
    def test_a_row_per_day_provider_and_model(self, log: RequestLog) -> None:
        at(DAY - 1, response_model="m")
        at(DAY, response_model="m")
        at(DAY + 5, response_model="m")
        at(DAY + 6, provider="anthropic", request_model="c")
        rows = [
            (row.date, row.provider, row.model, row.calls, row.total_tokens, row.cost) for row in log.daily()
        ]
        assert rows == [
            ("1970-01-01", "openai", "m", 1, 30, Decimal("0.000063")),
            ("1970-01-02", "openai", "m", 2, 60, Decimal("0.000126")),
            ("1970-01-02", "anthropic", "c", 1, 30, Decimal("0.000063")),
        ]
        assert [row.calls for row in log.daily(date="1970-01-02", provider="openai")] == [2]
        assert [row.calls for row in log.daily(model="c")] == [1]
        assert log.daily()[0].to_dict() == {
            "date": "1970-01-01",
            "provider": "openai",
            "model": "m",
            "calls": 1,
            "failed": 0,
            "input_tokens": 10,
            "output_tokens": 20,
            "total_tokens": 30,
            "cache_read_tokens": 4,
            "cost": "0.000063",
            "duration": 0.0,
            "average": 0.0,
        }

    def test_rows_outlive_records_and_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(request_log, "_ROWS", 3)
        with RequestLog(max_size=1) as log:
            for day in range(5):
                at(day * DAY)
                at(day * DAY)
            assert [(row.date, row.calls) for row in log.daily()] == [
                ("1970-01-03", 2),
                ("1970-01-04", 2),
                ("1970-01-05", 2),
            ]

    def test_rows_are_copies(self, log: RequestLog) -> None:
        operations.ended()
        log.daily()[0].calls = 99
        log.stats().calls = 99
        assert (log.daily()[0].calls, log.stats().calls) == (1, 1)


def test_clear_forgets_everything(log: RequestLog) -> None:
    operations.ended()
    before = log.stats().since
    log.clear()
    stats = log.stats()
    assert (stats.calls, stats.cost, stats.total_tokens, stats.held) == (0, Decimal(0), 0, 0)
    assert stats.since >= before
    assert (log.query(), log.daily(), log.usage().calls) == ([], [], 0)


def test_json_and_csv(log: RequestLog) -> None:
    operations.ended(tool_calls=("f", "g"), request_model='a "b",\nc')
    operations.failed(provider="anthropic")
    assert json.loads(log.to_json()) == [record.to_dict() for record in log.query()]
    rows = list(csv.DictReader(io.StringIO(log.to_csv())))
    assert list(rows[0]) == list(RequestRecord._fields)
    assert (rows[0]["model"], rows[0]["tool_calls"], rows[0]["cost"]) == ('a "b",\nc', "f|g", "0.000063")
    assert (rows[1]["cost"], rows[1]["error_type"]) == ("", "rate_limit_exceeded")
    assert len(list(csv.DictReader(io.StringIO(log.to_csv(provider="anthropic"))))) == 1


def test_content_is_not_kept(log: RequestLog) -> None:
    error = ErrorInfo("x", "X", message="MY-PROMPT", stacktrace="MY-PROMPT")
    operations.failed(error=error, content={"input": "MY-PROMPT"})
    assert "MY-PROMPT" not in repr(log.query()) + log.to_json() + log.to_csv()


def test_detached_it_records_no_more() -> None:
    log = RequestLog()
    log.attach()
    log.attach()
    operations.ended()
    log.detach()
    log.detach()
    operations.ended()
    assert len(log) == 1
