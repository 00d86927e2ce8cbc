"""What the SDK's retries show: one span, its attempts and their waits as served, the quota, counters, histograms.

Every provider API, sync and async, plain and streamed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from doors import DOORS, client, lacking
from scene import Telemetry, run

from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.testing import FakeProvider

BY_NAME = {door.name: door for door in DOORS}
NAMES = ("chat", "chat-stream", "responses", "responses-stream", "messages", "messages-stream")


@dataclass(frozen=True)
class Call:
    """One call of an API, done by a client that retries."""

    name: str
    asynchronous: bool
    server: FakeProvider

    @property
    def sdk(self) -> str:
        return BY_NAME[self.name].sdk

    @property
    def streams(self) -> bool:
        return BY_NAME[self.name].streams

    def __call__(self, *, max_retries: int) -> None:
        door = BY_NAME[self.name]
        made = client(self.sdk, self.server, asynchronous=self.asynchronous, max_retries=max_retries)

        async def main() -> None:
            async with made:
                answer = await door.call(made)
                if door.streams:
                    [_ async for _ in answer]

        if self.asynchronous:
            run(main())
            return
        with made:
            answer = door.call(made)
            if door.streams:
                list(answer)


@pytest.fixture(
    params=[
        pytest.param(
            name,
            marks=[pytest.mark.skip(reason=reason)] if (reason := lacking(BY_NAME[name])) else [],
        )
        for name in NAMES
    ]
)
def call(request: pytest.FixtureRequest, asynchronous: bool, server: FakeProvider) -> Call:
    return Call(request.param, asynchronous, server)


def _quota(left: int) -> dict[str, str | None]:
    """The headers of either API, with so many requests left."""
    return {
        "x-ratelimit-remaining-requests": str(left),
        "anthropic-ratelimit-requests-remaining": str(left),
    }


def _values(telemetry: Telemetry, metric: str, *names: str) -> dict[tuple[Any, ...], Any]:
    """The points of a metric by some of their attributes: sums as they are, histograms as (count, sum)."""
    return {
        tuple(point.attributes.get(name) for name in names): point.value
        if point.count is None
        else (point.count, pytest.approx(point.sum))
        for point in telemetry.points().get(metric, [])
    }


def _attempts(telemetry: Telemetry) -> dict[tuple[Any, ...], Any]:
    return _values(telemetry, "otel_llm.request.attempts", "otel_llm.attempt.outcome", "error.type")


class TestRefusedThenServed:
    """429, 500, 200."""

    @pytest.fixture(autouse=True)
    def _done(self, telemetry: Telemetry, call: Call, server: FakeProvider) -> None:
        server.script(
            Reply.error(429, retry_after_ms=20, headers=_quota(0)),
            Reply.error(500, retry_after_ms=30, headers=_quota(1)),
            Reply(headers=_quota(2)),
        )
        call(max_retries=2)
        assert len(server.requests) == 3

    def test_the_span(self, call: Call, telemetry: Telemetry) -> None:
        span = telemetry.span()
        told = dict(span.attributes or {})
        durations = told.pop("otel_llm.attempt.durations")
        assert len(durations) == 2
        assert all(0 < seconds < span.end_time - span.start_time for seconds in durations)
        expected = {
            "otel_llm.outcome": "completed",
            "otel_llm.request.attempts": 3,
            "otel_llm.request.max_retries": 2,
            "otel_llm.attempt.statuses": (429, 500),
            "otel_llm.attempt.errors": ("429", "500"),
            "otel_llm.attempt.delays": (0.02, 0.03),
            "otel_llm.retry.delay": 0.05,
            "otel_llm.response.status_code": 200,
            "otel_llm.ratelimit.remaining.requests": 2,
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 8,
        }
        assert {name: told.get(name) for name in expected} == expected
        assert span.status.is_unset
        assert "error.type" not in told

    def test_the_metrics(self, telemetry: Telemetry) -> None:
        assert _attempts(telemetry) == {
            ("retried", "429"): 1,
            ("retried", "500"): 1,
            ("succeeded", None): 1,
        }
        assert _values(telemetry, "otel_llm.retry.delay", "error.type") == {
            ("429",): (1, 0.02),
            ("500",): (1, 0.03),
        }
        assert _values(telemetry, "otel_llm.ratelimit.rejections") == {(): 1}
        assert _values(telemetry, "otel_llm.ratelimit.remaining.requests") == {(): 2}
        assert "otel_llm.errors" not in telemetry.points()
        [duration] = telemetry.points()["gen_ai.client.operation.duration"]
        assert (duration.count, "error.type" in duration.attributes) == (1, False)
        assert duration.sum >= 0.05


class TestExhausted:
    """429 three times."""

    @pytest.fixture(autouse=True)
    def _failed(self, telemetry: Telemetry, call: Call, server: FakeProvider) -> None:
        server.reply(Reply.error(429, retry_after_ms=10, headers=_quota(0)))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each SDK has its own
            call(max_retries=2)
        assert type(caught.value).__name__ == "RateLimitError"
        assert len(server.requests) == 3

    def test_the_span(self, telemetry: Telemetry) -> None:
        span = telemetry.span()
        told = dict(span.attributes or {})
        expected = {
            "otel_llm.outcome": "failed",
            "otel_llm.error.category": "rate_limit",
            "otel_llm.error.retryable": True,
            "otel_llm.request.attempts": 3,
            "otel_llm.attempt.statuses": (429, 429),
            "otel_llm.attempt.delays": (0.01, 0.01),
            "otel_llm.response.status_code": 429,
            "otel_llm.ratelimit.remaining.requests": 0,
        }
        assert {name: told.get(name) for name in expected} == expected
        assert not span.status.is_ok
        assert not span.status.is_unset

    def test_the_metrics(self, telemetry: Telemetry) -> None:
        code = telemetry.span().attributes["error.type"]
        assert _attempts(telemetry) == {("retried", "429"): 2, ("exhausted", code): 1}
        assert _values(telemetry, "otel_llm.ratelimit.rejections") == {(): 3}
        assert _values(telemetry, "otel_llm.errors", "otel_llm.error.category", "error.type") == {
            ("rate_limit", code): 1
        }
        [duration] = telemetry.points()["gen_ai.client.operation.duration"]
        assert (duration.count, duration.attributes["error.type"]) == (1, code)


class TestConnection:
    """The connection breaks before an answer, once."""

    @pytest.fixture(autouse=True)
    def _short_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A broken connection names no wait: the SDK takes half a second of its own."""
        for sdk in ("openai", "anthropic"):
            monkeypatch.setattr(f"{sdk}._base_client.INITIAL_RETRY_DELAY", 0.01)

    def test_a_broken_one_is_retried(self, call: Call, telemetry: Telemetry, server: FakeProvider) -> None:
        server.script(Reply(drop=True))
        call(max_retries=2)
        told = telemetry.span().attributes
        assert told["otel_llm.outcome"] == "completed"
        assert told["otel_llm.request.attempts"] == 2
        assert told["otel_llm.attempt.statuses"] == (0,)
        [error] = told["otel_llm.attempt.errors"]
        assert error in ("RemoteProtocolError", "ReadError", "APIConnectionError")
        assert 0 < told["otel_llm.retry.delay"] <= 0.02  # the oldest SDKs may double it
        assert _attempts(telemetry) == {("retried", error): 1, ("succeeded", None): 1}

    def test_no_connection_at_all(self, call: Call, telemetry: Telemetry, server: FakeProvider) -> None:
        server.reply(Reply(drop=True))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each SDK has its own
            call(max_retries=1)
        assert type(caught.value).__name__ == "APIConnectionError"
        told = telemetry.span().attributes
        assert told["otel_llm.error.category"] == "network"
        assert told["otel_llm.request.attempts"] == 2
        assert told["otel_llm.attempt.statuses"] == (0,)
        assert "otel_llm.response.status_code" not in told
        assert sum(_attempts(telemetry).values()) == 2


def test_no_retry_is_no_attempt_worth_telling(call: Call, telemetry: Telemetry, server: FakeProvider) -> None:
    server.reply(Reply(headers=_quota(5)))
    call(max_retries=2)
    told = telemetry.span().attributes
    assert not [name for name in told if "attempt" in name or "retry" in name]
    assert _attempts(telemetry) == {}


def test_a_refusal_that_is_not_retried_is_one_failed_attempt(
    call: Call, telemetry: Telemetry, server: FakeProvider
) -> None:
    server.reply(Reply.error(400, code="context_length_exceeded"))
    with pytest.raises(Exception):  # noqa: B017, PT011 - each SDK has its own
        call(max_retries=2)
    assert len(server.requests) == 1
    assert [key[0] for key in _attempts(telemetry)] == ["failed"]


async def _until(true: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread or in the server."""
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


class TestGivenUp:
    """The application gives up while the SDK waits to send again."""

    @pytest.mark.parametrize("name", ["chat", "chat-stream", "messages", "messages-stream"])
    def test_an_attempt_that_was_never_sent_is_none(
        self, name: str, telemetry: Telemetry, make: Callable[..., Any], server: FakeProvider
    ) -> None:
        door = BY_NAME[name]
        server.reply(Reply.error(429, retry_after_ms=50_000))

        async def main() -> None:
            async with make(door.sdk, asynchronous=True, max_retries=2) as one:
                task = asyncio.ensure_future(door.call(one))
                await _until(lambda: "otel_llm.request.attempts" in telemetry.points())
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        run(main())
        assert len(server.requests) == 1
        told = telemetry.span().attributes
        assert told["otel_llm.outcome"] == "cancelled"
        assert told["otel_llm.response.status_code"] == 429
        assert "otel_llm.request.attempts" not in told
        assert _attempts(telemetry) == {("retried", "429"): 1}

    def test_one_that_was_sent_and_cancelled_did_not_succeed(
        self, telemetry: Telemetry, make: Callable[..., Any], server: FakeProvider
    ) -> None:
        server.script(Reply.error(500, retry_after_ms=1), Reply(delay=60))
        door = BY_NAME["chat"]

        async def main() -> None:
            async with make(door.sdk, asynchronous=True, max_retries=2) as one:
                task = asyncio.ensure_future(door.call(one))
                await _until(lambda: len(server.requests) == 2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        run(main())
        told = telemetry.span().attributes
        assert told["otel_llm.outcome"] == "cancelled"
        assert told["otel_llm.request.attempts"] == 2
        assert _attempts(telemetry) == {("retried", "500"): 1, ("cancelled", None): 1}

    def test_a_call_that_fails_before_it_is_sent_is_no_attempt(
        self, telemetry: Telemetry, make: Callable[..., Any], server: FakeProvider
    ) -> None:
        with pytest.raises(TypeError):
            make("openai").chat.completions.create(model="gpt-4o", messages=[{"content": object()}])
        assert server.requests == []
        assert telemetry.outcome() == "failed"
        assert _attempts(telemetry) == {}
