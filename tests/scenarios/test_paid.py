"""A price that the provider itself returns."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT
from scene import instrumented

from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.testing import FakeProvider

COUNTS = {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20}
AT = {"127.0.0.1": "openrouter"}


def _cost(telemetry: Any) -> Any:
    return telemetry.span().attributes.get("otel_llm.cost")


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("told", "cost"), [(0.00042, 0.00042), (0, 0), ({"total_cost": 0.5, "currency": "USD"}, 0.5)]
)
def test_wins_over_any_table(
    told: Any, cost: float, streams: bool, make: Callable[..., Any], server: FakeProvider
) -> None:
    server.reply(Reply(usage={**COUNTS, "cost": told}))
    with instrumented(providers=AT, cost=lambda _: Decimal(9)) as telemetry:
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if streams else {}
        answer = make("openai").chat.completions.create(**CHAT, stream=streams, **more)
        if streams:
            list(answer)
        assert _cost(telemetry) == cost
        [point] = telemetry.points()["otel_llm.cost"]
        assert point.value == cost


@pytest.mark.parametrize("told", [-1, float("inf"), float("nan"), True, "0.1", None, {}, {"total_cost": -1}])
def test_one_that_is_no_price_is_not_taken(told: Any, make: Callable[..., Any], server: FakeProvider) -> None:
    """An infinite one would have stayed in the counter for ever."""
    server.reply(Reply(usage={**COUNTS, "cost": told}))
    with instrumented(providers=AT, cost=lambda _: Decimal("0.25")) as telemetry:
        make("openai").chat.completions.create(**CHAT)
        assert _cost(telemetry) == 0.25


def test_off_is_off(make: Callable[..., Any], server: FakeProvider) -> None:
    server.reply(Reply(usage={**COUNTS, "cost": 0.1}))
    with instrumented(providers=AT) as telemetry:
        make("openai").chat.completions.create(**CHAT)
        assert _cost(telemetry) is None
        assert "otel_llm.cost" not in telemetry.points()
