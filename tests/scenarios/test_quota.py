"""What is left of a provider's limits: on the span, and as gauges that are read with the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE
from scene import Telemetry, instrumented, run

from otel_llm import LLMInstrumentor, _metrics
from otel_llm.testing import Reply
from otel_llm.testing._capture import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.testing import FakeProvider

OPENAI = {
    "x-ratelimit-remaining-requests": "7",
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-reset-requests": "1m12s",
    "x-ratelimit-remaining-tokens": "900",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-reset-tokens": "250ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-remaining": "7",
    "anthropic-ratelimit-requests-limit": "10",
    "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
    "anthropic-ratelimit-tokens-remaining": "900",
    "anthropic-ratelimit-tokens-limit": "1000",
    "anthropic-ratelimit-tokens-reset": "2001-01-01T00:00:00Z",
}
LEFT = {
    "otel_llm.ratelimit.remaining.requests": 7,
    "otel_llm.ratelimit.limit.requests": 10,
    "otel_llm.ratelimit.remaining.tokens": 900,
    "otel_llm.ratelimit.limit.tokens": 1000,
}


class Clock:
    """Stands in for `perf_counter` of the gauges."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_metrics, "perf_counter", made)
    return made


def _gauges(telemetry: Telemetry) -> dict[str, float]:
    """The gauges of limits now, each of which has one point at most."""
    telemetry.clear()
    found = {name: points for name, points in telemetry.points().items() if "ratelimit" in name}
    assert all(len(points) == 1 for points in found.values())
    return {name: points[0].value for name, points in found.items()}


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_on_the_span_and_as_gauges(
    sdk: str,
    streams: bool,
    asynchronous: bool,
    telemetry: Telemetry,
    make: Callable[..., Any],
    server: FakeProvider,
) -> None:
    server.reply(Reply(headers=OPENAI if sdk == "openai" else ANTHROPIC))
    client = make(sdk, asynchronous=asynchronous)
    create = client.chat.completions.create if sdk == "openai" else client.messages.create
    asked: dict[str, Any] = {**(CHAT if sdk == "openai" else MESSAGE), "stream": streams}

    async def main() -> None:
        async with client:
            answer = await create(**asked)
            if streams:
                [_ async for _ in answer]

    if asynchronous:
        run(main())
    else:
        answer = create(**asked)
        if streams:
            list(answer)
    span = telemetry.span().attributes
    assert {name: span[name] for name in LEFT} == LEFT
    assert {name: value for name, value in _gauges(telemetry).items() if "reset" not in name} == LEFT
    point = telemetry.points()["otel_llm.ratelimit.remaining.tokens"][0]
    assert (point.type, point.attributes) == (
        "gauge",
        {
            "gen_ai.provider.name": sdk,
            "gen_ai.request.model": asked["model"],
            "server.address": "127.0.0.1",
            "server.port": span["server.port"],
        },
    )


def test_the_newest_answer_counts(
    telemetry: Telemetry, make: Callable[..., Any], server: FakeProvider
) -> None:
    client = make("openai")
    for left in ("5", "3", "4"):
        server.reply(Reply(headers={**OPENAI, "x-ratelimit-remaining-requests": left}))
        client.chat.completions.create(**CHAT)
    assert _gauges(telemetry)["otel_llm.ratelimit.remaining.requests"] == 4


def test_the_time_to_the_reset_runs_down(
    clock: Clock, telemetry: Telemetry, make: Callable[..., Any], server: FakeProvider
) -> None:
    server.reply(Reply(headers=OPENAI))
    make("openai").chat.completions.create(**CHAT)
    clock.now += 12
    told = _gauges(telemetry)
    assert told["otel_llm.ratelimit.reset.requests"] == 60
    assert told["otel_llm.ratelimit.reset.tokens"] == 0


def test_limits_are_forgotten_when_they_have_been_reset_long_ago(
    clock: Clock, telemetry: Telemetry, make: Callable[..., Any], server: FakeProvider
) -> None:
    """A program that made its last calls in a burst would warn of a full quota for ever."""
    client = make("openai")
    server.reply(Reply(headers=OPENAI))
    client.chat.completions.create(**CHAT)
    server.reply(Reply(headers={**OPENAI, "x-ratelimit-reset-requests": "24h"}))
    client.chat.completions.create(**{**CHAT, "model": "by-the-day"})
    clock.now += 301
    assert _gauges(telemetry)["otel_llm.ratelimit.reset.requests"] == 24 * 3600 - 301
    clock.now += 24 * 3600
    assert _gauges(telemetry) == {}


def test_a_recorder_that_is_gone_tells_nothing(make: Callable[..., Any], server: FakeProvider) -> None:
    server.reply(Reply(headers=OPENAI))
    with capture() as telemetry:
        instrumentor = LLMInstrumentor()
        instrumentor.instrument(**telemetry.providers)
        make("openai").chat.completions.create(**CHAT)
        assert "otel_llm.ratelimit.limit.tokens" in telemetry.points()
        instrumentor.uninstrument()
        telemetry.clear()
        assert telemetry.points() == {}
        instrumentor.instrument(**telemetry.providers)
        make("openai").chat.completions.create(**CHAT)
        assert "otel_llm.ratelimit.limit.tokens" in telemetry.points()
        instrumentor.uninstrument()


def test_headers_that_are_no_numbers_are_no_limits(make: Callable[..., Any], server: FakeProvider) -> None:
    odd = dict.fromkeys(OPENAI, "many")
    server.reply(Reply(headers=odd))
    with instrumented() as telemetry:
        make("openai").chat.completions.create(**CHAT)
        assert not [name for name in telemetry.span().attributes if "ratelimit" in name]
        assert _gauges(telemetry) == {}
