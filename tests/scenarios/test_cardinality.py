"""No attribute of a metric takes more values than its cap, whatever the calls say: 1,000 different ones of each."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import openai
import pytest
from doors import MESSAGES
from scene import instrumented

import otel_llm
from otel_llm import _attributes
from otel_llm.helpers import _counts
from otel_llm.semconv import own
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INPUTS = 1000
CAP = 200
POOLS = ("_operations", "_providers", "_models", "_errors", "_servers", "_tiers")
NOT_OURS_HERE = {"otel_llm.live.clients"}
"""Has no attributes at all."""


@pytest.fixture(autouse=True)
def _fresh_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values that were seen are remembered for the life of a process; other tests must not miss room."""
    for name in POOLS:
        monkeypatch.setattr(_attributes, name, _attributes.Capped())
    for name in ("_caches", "_breakers"):
        monkeypatch.setattr(_counts, name, _attributes.Capped())
    monkeypatch.setattr(_counts, "_watched", {})


def _values(telemetry: Any) -> Iterator[tuple[str, str, set[Any]]]:
    """Each metric, each of its attributes, and the values that it took."""
    for metric, points in telemetry.points().items():
        for name in {name for point in points for name in point.attributes}:
            yield metric, name, {point.attributes[name] for point in points if name in point.attributes}


def _hold_to_the_cap(telemetry: Any) -> set[str]:
    """Check every attribute, and return the names of those that reached the cap."""
    found = {(metric, name): len(values) for metric, name, values in _values(telemetry)}
    assert {key: count for key, count in found.items() if count > CAP + 1} == {}
    models = set[Any]().union(*(values for _, name, values in _values(telemetry) if name.endswith(".model")))
    assert len(models) == CAP + 1  # those asked for and those that answered together
    return {name for (_, name), count in found.items() if count == CAP + 1}


def _tracked(i: int) -> None:
    """A call in which everything that can be told is new, and which fails every second time."""
    with (
        suppress(_Failure),
        otel_llm.session(f"conversation-{i}", user_id=f"tenant-{i}"),
        otel_llm.track(
            f"provider-{i}",
            f"model-{i}",
            f"operation-{i}",
            endpoint=f"/v1/{i}",
            server_address=f"host-{i}.example",
            server_port=1024 + i,
            parameters={"service_tier": f"tier-{i}"},
        ) as call,
    ):
        call.retry(0.0, status=429, error=f"retried-{i}")
        call.chunk("data")
        call.usage(10, 20, cache_read=3, cache_write=2, reasoning=5)
        call.response(model=f"answered-{i}", id=f"id-{i}", finish_reasons=[f"reason-{i}"])
        if i % 3 == 0:
            call.cost("0.5")
        if i % 2:
            raise type(f"Failure{i}", (_Failure,), {})


class _Failure(Exception):
    pass


@pytest.mark.parametrize("semconv", ["1.41", "latest", "both"])
def test_helpers(semconv: str) -> None:
    with instrumented(
        semconv=semconv, cost=lambda _: None, cost_threshold="0.1", cost_budget=1, chunk_metrics="all"
    ) as telemetry:
        for i in range(INPUTS):
            _tracked(i)
        for i in range(INPUTS):
            otel_llm.cache(f"cache-{i}").put(100)
            breaker = otel_llm.circuit_breaker(f"breaker-{i}")
            breaker.set("open")
            breaker.failure()
        assert _hold_to_the_cap(telemetry) >= {
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "server.address",
            "error.type",
            "otel_llm.cache.name",
            "otel_llm.circuit_breaker.name",
        }
        points = telemetry.points()
        assert sum(point.value for point in points["otel_llm.cache.size"]) == INPUTS * 100
        assert sum(point.value for point in points["otel_llm.circuit_breaker.failures"]) == INPUTS
        assert sum(point.value for point in points["otel_llm.circuit_breaker.state"]) == CAP
        assert sum(point.value for point in points["otel_llm.errors"]) == INPUTS / 2
        assert sum(point.value for point in points["otel_llm.ratelimit.rejections"]) == INPUTS
        durations = [point for name in points if name.endswith(".duration") for point in points[name]]
        assert sum(point.count for point in durations if point.count) == INPUTS
        unpriced = sum(point.value for point in points["otel_llm.unpriced.calls"])
        assert unpriced == INPUTS - len(range(0, INPUTS, 3))
        assert points.keys() >= {"otel_llm.cost", "otel_llm.last_cost", "otel_llm.budget.crossings"}


@pytest.mark.slow
def test_answers_of_a_provider(make: Callable[..., Any], server: Any) -> None:
    """Codes, tiers, models and quotas as a server sends them."""
    client = make("openai")
    with instrumented(providers={"127.0.0.1": "openai"}, cost={"*": {"input": 1, "output": 1}}) as telemetry:
        for i in range(INPUTS):
            if i % 4 == 0:
                server.reply(Reply.error(400 + i % 100, code=f"code_{i}", type=f"type_{i}"))
            else:
                limit = {"x-ratelimit-remaining-requests": str(i), "x-ratelimit-limit-tokens": "100"}
                server.reply(
                    Reply(
                        model=f"answered-{i}",
                        service_tier=f"tier-{i}",
                        finish_reason=f"reason-{i}",
                        headers=limit,
                    )
                )
            with suppress(openai.APIStatusError):
                answer = client.chat.completions.create(
                    model=f"asked-{i}", messages=MESSAGES, stream=i % 8 == 1, user=f"tenant-{i}"
                )
                if i % 8 == 1:
                    list(answer)
        has_tiers = "service_tier" in openai.types.chat.ChatCompletion.model_fields  # not in the oldest SDKs
        tiers = {"openai.response.service_tier"} if has_tiers else set[str]()
        assert _hold_to_the_cap(telemetry) >= {"error.type", *tiers}
        points = telemetry.points()
        assert sum(point.count for point in points["gen_ai.client.operation.duration"]) == INPUTS
        limits = points["otel_llm.ratelimit.remaining.requests"]
        assert all(point.attributes["gen_ai.request.model"] != "_OTHER" for point in limits)
        assert 0 < len(limits) <= CAP


def test_every_metric_is_held_to_it(make: Callable[..., Any], server: Any) -> None:
    """What the two tests above leave out has no attribute that they do not hold."""
    with instrumented(semconv="both", chunk_metrics="all", cost=lambda _: None) as telemetry:
        _tracked(1)
        server.reply(Reply(headers={f"x-ratelimit-{k}-{w}": "1" for k in ("remaining", "limit", "reset")
                                    for w in ("requests", "tokens")}))  # fmt: skip
        make("openai").chat.completions.create(model="m", messages=MESSAGES)
        held = set(telemetry.points())
    missing = {item.name for item in own.INSTRUMENTS} - held - NOT_OURS_HERE
    others = {name for item in own.INSTRUMENTS if item.name in missing for name in item.attributes}
    known = {name for item in own.INSTRUMENTS if item.name in held for name in item.attributes}
    bounded = {"otel_llm.cache.name", "otel_llm.cache.operation", "otel_llm.budget.scope"}
    assert others - known <= bounded | {"otel_llm.circuit_breaker.name", "otel_llm.circuit_breaker.state"}
