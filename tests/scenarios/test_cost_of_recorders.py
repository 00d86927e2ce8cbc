"""Prices, budgets and their signals belong to the `instrument()` that asked for them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from doors import CHAT, MESSAGE
from scene import instrumented

from otel_llm import cost
from otel_llm._listeners import listeners
from otel_llm.instrumentor import (
    AnthropicInstrumentor,
    OpenAIInstrumentor,
    instrument_client,
    uninstrument_client,
)
from otel_llm.testing._capture import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.cost import Crossing


def _spent(telemetry: Any) -> dict[str, float]:
    points = telemetry.points().get("otel_llm.cost", [])
    return {point.attributes["gen_ai.provider.name"]: point.value for point in points}


def _events(telemetry: Any) -> list[tuple[str, float, float]]:
    return [
        (
            record.log_record.attributes["otel_llm.budget.scope"],
            record.log_record.attributes["otel_llm.budget.limit"],
            record.log_record.attributes["otel_llm.budget.spent"],
        )
        for record in telemetry.logs()
        if record.log_record.event_name == "otel_llm.budget.exceeded"
    ]


def test_two_meter_providers_each_have_the_costs_and_budgets_of_their_own_calls(
    make: Callable[..., Any],
) -> None:
    """They used to be those of whichever was instrumented last, for both."""
    heard: list[Crossing] = []
    cost.add_budget_listener(heard.append)
    with capture() as first, capture() as second:
        one, two = OpenAIInstrumentor(), AnthropicInstrumentor()
        one.instrument(**first.providers, cost=lambda _: Decimal(1), cost_threshold="0.5", cost_budget=1)
        two.instrument(**second.providers, cost=lambda _: Decimal(3), cost_budget=4)
        try:
            for _ in range(2):
                make("openai").chat.completions.create(**CHAT)
                make("anthropic").messages.create(**MESSAGE)
        finally:
            two.uninstrument()
            one.uninstrument()
            cost.remove_budget_listener(heard.append)
        assert (_spent(first), _spent(second)) == ({"openai": 2}, {"anthropic": 6})
        assert _events(first) == [("call", 0.5, 1), ("call", 0.5, 1), ("window", 1, 2)]
        assert _events(second) == [("window", 4, 6)]
        assert [(c.scope, c.spent) for c in heard] == [
            ("call", 1),
            ("call", 1),
            ("window", 2),
            ("window", 6),
        ]


def test_a_table_without_prices_is_one(make: Callable[..., Any]) -> None:
    with instrumented(cost={}) as telemetry:
        make("openai").chat.completions.create(**CHAT)
        [unpriced] = telemetry.points()["otel_llm.unpriced.calls"]
        assert unpriced.value == 1


def test_two_instrumentors_tell_of_a_crossing_once(make: Callable[..., Any]) -> None:
    """The event used to come once per `instrument()` with a budget."""
    with capture() as telemetry:
        one, two = OpenAIInstrumentor(), AnthropicInstrumentor()
        settings: dict[str, Any] = {"cost": lambda _: Decimal(1), "cost_threshold": "0.5"}
        one.instrument(**telemetry.providers, **settings)
        two.instrument(**telemetry.providers, **settings)
        try:
            make("openai").chat.completions.create(**CHAT)
        finally:
            two.uninstrument()
            one.uninstrument()
        assert _events(telemetry) == [("call", 0.5, 1)]
        [point] = telemetry.points()["otel_llm.budget.crossings"]
        assert point.value == 1


def test_a_client_with_providers_of_its_own_is_priced_as_the_process_is(make: Callable[..., Any]) -> None:
    with instrumented(cost=lambda _: Decimal(1)) as telemetry, capture() as own:
        client = make("openai")
        instrument_client(client, **own.providers)
        try:
            client.chat.completions.create(**CHAT)
        finally:
            uninstrument_client(client)
        [span] = own.spans()
        assert span.attributes["otel_llm.cost"] == 1
        assert _spent(telemetry) == {"openai": 1}


def test_a_stream_that_outlives_its_instrumentation_is_priced(make: Callable[..., Any]) -> None:
    with capture() as telemetry:
        one = OpenAIInstrumentor()
        one.instrument(**telemetry.providers, cost=lambda _: Decimal(1))
        stream = make("openai").chat.completions.create(**CHAT, stream=True)
        one.uninstrument()
        list(stream)
        [span] = telemetry.spans()
        assert span.attributes["otel_llm.cost"] == 1
        assert _spent(telemetry) == {"openai": 1}
        assert listeners.costs is None
