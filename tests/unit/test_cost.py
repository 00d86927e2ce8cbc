"""What calls cost: exact, by the right price or by none, and within budgets."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, cast

import pytest
from genai_prices import Usage as Counts
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TimeOfDateConstraint
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_llm import _attributes, _guard, _prices, cost
from otel_llm._config import Config
from otel_llm._listeners import listeners
from otel_llm._operation import ErrorInfo, Operation, Outcome, Server, Usage
from otel_llm.semconv import names, own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_llm.cost import Crossing

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def call(
    model: str = "gpt-4o", usage: Usage | None = None, provider: str = "openai", **facts: Any
) -> Operation:
    """An ended call, as the recorder leaves it before `finish`."""
    tier = facts.pop("tier", None)
    facts.setdefault("outcome", Outcome.COMPLETED)
    facts.setdefault("request_model", model)
    facts.setdefault("response_model", model)
    facts.setdefault("start_time", nanoseconds(NOW))
    if tier is not None:
        facts["server"] = Server(service_tier=tier)
    name = facts.pop("name", "chat")
    return Operation(provider, name, "/v1/chat/completions", usage=usage or Usage(1000, 100), **facts)


public = cost.PublicPrices()


# What a name stands for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o", "0.0035"),
        ("openai", "GPT-4o", "0.0035"),
        ("openai", "gpt-4o-2024-08-06", "0.0035"),
        ("openai", "gpt-4-0613", "0.036"),
        ("openai", "ft:gpt-4o-2024-08-06:acme::abc", "0.00525"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", "0.00042"),
        ("anthropic", "claude-sonnet-4-5-20250929", "0.0045"),
        ("anthropic", "claude-sonnet-4-5", "0.0045"),
        ("azure.ai.openai", "gpt-4o-2024-08-06", "0.0035"),
        ("azure.ai.openai", "gpt-35-turbo", "0.00065"),
        ("azure.ai.inference", "claude-sonnet-4-5", "0.0045"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.00495"),
        ("aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.0045"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "0.0045"),
        ("gcp.gemini", "gemini-2.5-pro", "0.00225"),
        ("groq", "llama-3.3-70b-versatile", "0.000669"),
        ("mistral_ai", "mistral-large-latest", "0.0026"),
        ("perplexity", "sonar", "0.0131"),
    ],
)
def test_known_models(provider: str, model: str, expected: str) -> None:
    assert public(call(model, provider=provider)) == Decimal(expected)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-99"),
        ("openai", "gpt-4o-2024-08-06-of-ours"),
        ("openai", "ft:gpt-4.1-nano-2025-04-14:acme::abc"),
        ("openai", "claude-sonnet-4-5"),
        ("openai", "omni-moderation-latest"),
        ("azure.ai.openai", "my-deployment"),
        ("azure.ai.openai", "gpt-4o-2024-08-06.ft-0e208cf33a6a466994aff31a08aba678"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"),
        ("my-openai-proxy", "gpt-4o"),
        ("ibm.watsonx.ai", "granite"),
        ("openai", ""),
    ],
)
def test_unknown_models_have_no_price_and_never_zero(provider: str, model: str) -> None:
    assert public(call(model, provider=provider)) is None


def test_an_azure_deployment_is_priced_by_the_model_that_answered() -> None:
    op = call(request_model="our-deployment", response_model="gpt-4o-2024-08-06", provider="azure.ai.openai")
    assert public(op) == Decimal("0.0035")


def test_bedrock_is_priced_by_the_request_which_names_the_region() -> None:
    asked = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"
    op = call(request_model=asked, response_model="claude-sonnet-4-5-20250929", provider="aws.bedrock")
    assert public(op) == Decimal("0.0045")
    assert public(call("claude-sonnet-4-5-20250929", provider="aws.bedrock")) == Decimal("0.00495")


def test_an_azure_deployment_that_is_called_like_a_model_is_not_priced_as_one() -> None:
    """The model that answered is newer than the table, and the deployment only looks like one that is in it."""
    for answered in ("gpt-77", None):
        op = call(request_model="gpt-4o", response_model=answered, provider="azure.ai.openai")
        assert public(op) is None
    own = cost.Table({"gpt-4o": {"input": 1, "output": 0}})
    assert own(call(response_model="gpt-77", provider="azure.ai.openai")) == Decimal("0.001")


def test_a_bedrock_profile_hides_the_region_and_so_the_price() -> None:
    profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
    op = call(request_model=profile, response_model="claude-sonnet-4-5-20250929", provider="aws.bedrock")
    assert public(op) is None
    own = cost.Table({"claude-sonnet-4-5-*": {"input": 1, "output": 0}})
    assert own(op) == Decimal("0.001")


def test_a_snapshot_newer_than_the_table_is_priced_by_the_name_asked_for() -> None:
    assert public(call(request_model="gpt-4o", response_model="gpt-4o-2031-01-01")) == Decimal("0.0035")
    assert public(call(request_model=None, response_model="gpt-4o")) == Decimal("0.0035")


def test_a_host_that_nobody_knows_has_no_list_price() -> None:
    assert public(call(server_address="api.openai.com")) == Decimal("0.0035")
    assert public(call(server_address="llm.example.net", known_host=False)) is None
    table = cost.Table({"gpt-4o": {"input": 1, "output": 0}})
    assert table(call(known_host=False)) == Decimal("0.001")


# Tiers, caches, dates, sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model", "tier", "expected"),
    [
        ("openai", "gpt-5", None, "0.00225"),
        ("openai", "gpt-5", "default", "0.00225"),
        ("openai", "gpt-5", "auto", "0.00225"),
        ("openai", "gpt-5", "priority", "0.0045"),
        ("openai", "gpt-5", "flex", "0.001125"),
        ("openai", "gpt-5", "batch", "0.001125"),
        ("openai", "gpt-4o", "priority", "0.00595"),
        ("openai", "gpt-4o", "flex", None),
        ("openai", "gpt-4o", "scale", None),
        ("openai", "text-embedding-3-small", "batch", None),
        ("anthropic", "claude-sonnet-4-5", "standard", "0.0045"),
        ("anthropic", "claude-sonnet-4-5", "batch", "0.00225"),
        ("anthropic", "claude-sonnet-4-5", "priority", None),
        ("azure.ai.openai", "gpt-5", "priority", None),
        ("groq", "llama-3.3-70b-versatile", "on_demand", "0.000669"),
    ],
)
def test_tiers(provider: str, model: str, tier: str | None, expected: str | None) -> None:
    price = public(call(model, provider=provider, tier=tier))
    assert price == (None if expected is None else Decimal(expected))


def test_the_tier_asked_for_counts_while_none_answered() -> None:
    assert public(call("gpt-5", parameters={"service_tier": "flex"})) == Decimal("0.001125")
    assert public(call("gpt-5", parameters={"service_tier": "flex"}, tier="default")) == Decimal("0.00225")


def test_speed_and_region_are_priced_as_such_or_not_at_all() -> None:
    def price(**parameters: str) -> Decimal | None:
        return public(call("claude-opus-4-8", provider="anthropic", parameters=parameters))

    usual = price()
    assert usual is not None
    assert price(speed="standard", inference_geo="global") == usual
    assert price(speed="fast") not in (None, usual)
    assert price(inference_geo="us") is None
    assert price(speed="fast", inference_geo="us") is None


def test_each_kind_of_cached_token_has_its_rate() -> None:
    # claude-sonnet-4-5: 3 for input, 15 output, 0.30 read, 3.75 written for minutes, 6 for an hour; per million.
    usage = Usage(1000, 10, cache_read=300, cache_write=500, cache_write_5m=200, cache_write_1h=300)
    exact = (200 * 3 + 300 * Decimal("0.3") + 200 * Decimal("3.75") + 300 * 6 + 10 * 15) / Decimal(1_000_000)
    assert public(call("claude-sonnet-4-5", usage, "anthropic")) == exact == Decimal("0.00339")
    without_split = Usage(1000, 10, cache_read=300, cache_write=500)
    assert public(call("claude-sonnet-4-5", without_split, "anthropic")) == Decimal("0.002715")


def test_a_long_prompt_has_other_rates_for_all_of_it() -> None:
    def price(tokens: int) -> Decimal | None:
        return public(call("claude-sonnet-4-5", Usage(tokens, 1000), "anthropic"))

    assert price(200_000) == Decimal("0.615")
    assert price(200_001) == Decimal("1.222506")


@pytest.mark.parametrize(
    ("provider", "model", "moment", "expected"),
    [
        ("openai", "o3", datetime(2025, 5, 1, tzinfo=UTC), "0.014"),
        ("openai", "o3", NOW, "0.0028"),
        ("deepseek", "deepseek-reasoner", datetime(2025, 6, 1, 16, 29, tzinfo=UTC), "0.000769"),
        ("deepseek", "deepseek-reasoner", datetime(2025, 6, 1, 16, 30, tzinfo=UTC), "0.00019"),
    ],
)
def test_the_price_is_that_of_the_day_and_the_hour(
    provider: str, model: str, moment: datetime, expected: str
) -> None:
    price = public(call(model, provider=provider, start_time=nanoseconds(moment)))
    assert price == Decimal(expected)


def test_a_tier_that_the_table_does_not_yet_price_on_that_day_has_no_price() -> None:
    assert (
        public(call("gpt-4o", tier="priority", start_time=nanoseconds(datetime(2026, 1, 1, tzinfo=UTC))))
        is None
    )


def test_no_price_in_the_table_changes_within_a_minute() -> None:
    times = [
        moment
        for provider in get_snapshot().providers
        for model in provider.models
        for part in [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
        if isinstance(part.constraint, TimeOfDateConstraint)
        for moment in (part.constraint.start_time, part.constraint.end_time)
    ]
    assert times
    assert {(moment.second, moment.microsecond) for moment in times} == {(0, 0)}


def test_modalities_have_their_rates_where_the_table_has_them() -> None:
    spoken = Usage(
        100, 10, modalities={"audio.input": 50, "text.input": 50, "audio.output": 5, "text.output": 5}
    )
    # gpt-audio: text 2.50 and 10, audio 32 and 64 per million.
    assert public(call("gpt-audio", spoken)) == Decimal("0.002095")
    assert public(call("gpt-4o", spoken)) == Decimal("0.00035")
    # How many of the cached tokens were audio is not said, and the rates differ.
    mixed = Usage(100, 10, cache_read=20, modalities={"audio.input": 50})
    assert public(call("gpt-realtime", mixed)) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(None, 5),
        Usage(5, None),
        Usage(10, 5, cache_read=11),
        Usage(10, 5, cache_write=4, cache_write_1h=5),
        Usage(10, 5, source="estimate"),
        Usage(source="absent"),
    ],
)
def test_counts_that_are_missing_estimated_or_contradictory_have_no_price(usage: Usage) -> None:
    assert public(call(usage=usage)) is None
    assert cost.Table({"gpt-4o": {"input": 1, "output": 1}})(call(usage=usage)) is None


def test_no_usage_has_no_price() -> None:
    op = call()
    op.usage = None
    assert public(op) is None


def test_embeddings_cost_by_their_input_alone() -> None:
    op = call("text-embedding-3-small", Usage(1000, None), name="embeddings")
    assert public(op) == Decimal("0.00002")


TEXT_MODELS = [
    (provider, model)
    for provider in get_snapshot().providers
    for model in provider.models
    if not isinstance(model.prices, list) and (model.prices.input_mtok and model.prices.output_mtok)
]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_our_arithmetic_is_that_of_the_table(data: st.DataObject) -> None:
    provider, model = data.draw(st.sampled_from(TEXT_MODELS))
    plain, read, short, hour, output, reasoning = (
        data.draw(st.integers(0, 400_000)) for _ in ("plain", "read", "short", "hour", "output", "reasoning")
    )
    usage = Usage(
        plain + read + short + hour, output + reasoning, read, short + hour, reasoning, None, short, hour
    )
    theirs = model.calc_price(
        Counts(
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=read,
            cache_write_tokens=short + hour,
            cache_write_5m_tokens=short,
            cache_write_1h_tokens=hour,
            output_reasoning_tokens=reasoning,
        ),
        provider,
    )
    assert _prices._Card(cast("Any", model.prices)).of(usage) == theirs.total_price


# Exactness ----------------------------------------------------------------------------------------------------------


def test_a_price_is_exact_whatever_decimal_context_the_application_has() -> None:
    table = cost.Table({"m": {"input": "0.7", "output": "2.8"}})
    op = call("m", Usage(10, 20))
    assert table(op) == Decimal("0.000063")
    assert str(table(op)) == "0.000063"
    with localcontext(prec=1):
        assert table(op) == Decimal("0.000063")
        assert public(call(usage=Usage(123_457, 76_543))) == Decimal("1.0740725")


def test_a_million_priced_calls_sum_exactly() -> None:
    op = call("gpt-4o", Usage(17, 3, cache_read=5))
    started = time.perf_counter()
    total = sum((public(op) or Decimal(0) for _ in range(1_000_000)), Decimal(0))
    print(f"\na million calls priced in {time.perf_counter() - started:.1f} s")
    # 12 x 2.50 + 5 x 1.25 + 3 x 10 dollars per million
    assert total == Decimal("66.25")


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_the_whole_costs_the_sum_of_its_parts(parts: list[int]) -> None:
    price = cost.Price(input=Decimal("0.123456789"), output=Decimal(0))
    whole = price.of(Usage(sum(parts), 0))
    assert whole == sum((price.of(Usage(part, 0)) or Decimal(0) for part in parts), Decimal(0))


# The setting --------------------------------------------------------------------------------------------------------


def make(setting: Any) -> Callable[[Operation], Decimal | None] | None:
    return cost.pricer(setting)


def test_off() -> None:
    assert make(None) is None
    assert make(False) is None


def test_list_prices() -> None:
    price = make(True)
    assert isinstance(price, cost.PublicPrices)
    assert price(call()) == Decimal("0.0035")


def test_a_function_of_the_operation() -> None:
    def ours(op: Operation) -> Decimal | None:
        return Decimal(2) if op.request_model == "m" else None

    assert make(ours) is ours


def test_a_table_by_model_provider_pattern_and_tier() -> None:
    table = make(
        {
            "m": {"input": 1, "output": 2, "call": "0.5"},
            "azure.ai.openai/m": {"input": 3, "output": 0},
            "m@batch": cost.Price(input=Decimal(5), output=Decimal(0)),
            "ft:m-*": {"input": 7, "output": 0},
            "ft:m-large-*": {"input": 9, "output": 0},
        }
    )
    assert table is not None
    million = Usage(1_000_000, 0)

    def price(model: str, **facts: Any) -> Decimal | None:
        return table(call(model, million, **facts))

    assert price("M") == Decimal("1.5")
    assert price("m", provider="azure.ai.openai") == 3
    assert price("m", tier="batch") == 5
    assert price("m", tier="flex") is None
    assert price("ft:m-small-1") == 7
    assert price("ft:m-large-1") == 9
    assert price("ft:m-large-1", tier="batch") is None
    assert price("other") is None
    assert price("m-2024-01-01", request_model="m") == Decimal("1.5")


def test_several_are_asked_in_order() -> None:
    price = make([{"gpt-4o": {"input": 0, "output": 0}}, None, True])
    assert price is not None
    assert price(call()) == 0  # a price of zero is a price
    assert price(call("gpt-4-0613")) == Decimal("0.036")
    assert price(call("gpt-99")) is None


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        (7, TypeError),
        ("gpt-4o", TypeError),
        ({"m": {"input": "much"}}, ValueError),
        ({"m": {"input": -1}}, ValueError),
        ({"m": {"input": float("nan")}}, ValueError),
        ({"m": {"inputs": 1}}, ValueError),
        ([7], TypeError),
    ],
)
def test_a_setting_that_is_none_of_these_raises(setting: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make(setting)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prices, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"otel-llm\[cost\]"):
        make(True)


def test_the_table_is_imported_with_the_first_price_and_without_a_network() -> None:
    program = """
import socket, sys
def refuse(*_): raise AssertionError("no network")
socket.socket.connect = socket.getaddrinfo = refuse
from otel_llm import cost
from otel_llm._operation import Operation, Usage
price = cost.pricer(True)
assert price(Operation("openai", "chat", "/")) is None
assert "genai_prices" not in sys.modules
sys.stdout.write(str(price(Operation("openai", "chat", "/", request_model="gpt-4o", usage=Usage(1000, 100)))))
assert "genai_prices" in sys.modules
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.stdout, run.stderr) == ("0.0035", "")


# Calls as they end --------------------------------------------------------------------------------------------------


class Calls:
    """Ends calls the way the recorder does, with real metric instruments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cost, "_attached", ())
        monkeypatch.setattr(listeners, "costs", None)
        self._reader = InMemoryMetricReader()
        meter = MeterProvider([self._reader]).get_meter("otel_llm")
        made = {item.name: item.create(meter) for item in own.INSTRUMENTS if item.group in ("cost", "budget")}
        self.signals = cost.Signals(
            attributes=_attributes.start,
            cost=made["otel_llm.cost"].add,
            last_cost=made["otel_llm.last_cost"].set,
            unpriced=made["otel_llm.unpriced.calls"].add,
            crossings=made["otel_llm.budget.crossings"].add,
        )

    def end(self, op: Operation) -> Operation:
        costs = listeners.costs
        if costs is not None:
            costs.finish(op)
        op.freeze()
        if costs is not None:
            costs.end(op)
        return op

    def points(self) -> dict[str, dict[tuple[tuple[str, Any], ...], float]]:
        """Metric name -> attributes -> value, of all there is."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: {
                tuple(sorted(point.attributes.items())): point.value for point in metric.data.data_points
            }
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def labels(model: str, provider: str = "openai", **more: str) -> tuple[tuple[str, str], ...]:
    known = {names.OPERATION_NAME: "chat", names.PROVIDER_NAME: provider, names.REQUEST_MODEL: model, **more}
    return tuple(sorted(known.items()))


def test_calls_are_priced_counted_and_frozen(calls: Calls) -> None:
    costs = cost.Costs(public, signals=calls.signals)
    costs.attach()
    costs.attach()
    assert calls.end(call()).cost == Decimal("0.0035")
    assert calls.end(call("gpt-4-0613")).cost == Decimal("0.036")
    assert calls.end(call()).cost == Decimal("0.0035")
    assert calls.points() == {
        "otel_llm.cost": {labels("gpt-4o"): pytest.approx(0.007), labels("gpt-4-0613"): 0.036},
        "otel_llm.last_cost": {labels("gpt-4o"): 0.0035, labels("gpt-4-0613"): 0.036},
    }
    costs.detach()
    costs.detach()
    assert calls.end(call()).cost is None


def test_of_several_the_last_counts_and_none_counts_twice(calls: Calls) -> None:
    first = cost.Costs(lambda _: Decimal(1), signals=calls.signals)
    second = cost.Costs(lambda _: Decimal(2), signals=calls.signals)
    first.attach()
    second.attach()
    assert calls.end(call()).cost == 2
    second.detach()
    assert calls.end(call()).cost == 1
    assert calls.points()["otel_llm.cost"] == {labels("gpt-4o"): 3}


def test_a_call_without_a_price_is_counted_as_unpriced_and_said_once(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    cost.Costs(public, signals=calls.signals).attach()
    with caplog.at_level(logging.WARNING, "otel_llm"):
        assert calls.end(call("gpt-99")).cost is None
        assert calls.end(call("gpt-99")).cost is None
        assert calls.end(call("claude-zzz", provider="anthropic")).cost is None
    assert calls.points() == {
        "otel_llm.unpriced.calls": {labels("gpt-99"): 2, labels("claude-zzz", "anthropic"): 1}
    }
    assert [record.getMessage() for record in caplog.records] == [
        "No price is known for calls of openai gpt-99: the cost lacks them",
        "No price is known for calls of anthropic claude-zzz: the cost lacks them",
    ]


def failed(**facts: Any) -> Operation:
    return call(
        outcome=Outcome.FAILED, error=ErrorInfo("rate_limit_exceeded", "openai.RateLimitError"), **facts
    )


@pytest.mark.parametrize(
    ("op", "unpriced"),
    [
        (call(usage=Usage(source="absent"), stream=True), True),
        (call(usage=Usage(10, 5, source="estimate")), True),
        (call("gpt-99", outcome=Outcome.CLOSED), True),
        (failed(request_model="gpt-99", response_model=None), True),
        (failed(), False),
        (call(name="fetch_response", usage=Usage(source="absent")), False),
    ],
    ids=["no usage", "estimate", "closed", "failed, with usage", "failed, priced", "fetched"],
)
def test_what_counts_as_unpriced(calls: Calls, op: Operation, unpriced: bool) -> None:
    cost.Costs(public, signals=calls.signals).attach()
    calls.end(op)
    assert ("otel_llm.unpriced.calls" in calls.points()) is unpriced


def test_a_refused_call_costs_nothing_and_hides_nothing(calls: Calls) -> None:
    cost.Costs(public, signals=calls.signals).attach()
    op = failed(request_model="gpt-99", response_model=None)
    op.usage = None
    calls.end(op)
    assert calls.points() == {}


def test_what_the_provider_says_wins(calls: Calls) -> None:
    cost.Costs(lambda _: Decimal(1), signals=calls.signals).attach()
    assert calls.end(call(server=Server(cost=Decimal("0.00042")))).cost == Decimal("0.00042")
    assert calls.end(call("gpt-99", server=Server(cost=Decimal(0)))).cost == 0
    assert calls.end(call(server=Server())).cost == 1


@pytest.mark.parametrize(("given", "exact"), [(0.1, "0.1"), (2, "2"), ("0.30", "0.30")])
def test_a_function_may_return_any_number(calls: Calls, given: Any, exact: str) -> None:
    cost.Costs(lambda _: given).attach()
    assert calls.end(call()).cost == Decimal(exact)


@pytest.mark.parametrize("given", [-1, float("nan"), Decimal("Infinity"), "much"])
def test_a_price_that_is_none_leaves_the_call_unpriced(calls: Calls, given: Any) -> None:
    _guard.strict = False
    cost.Costs(lambda _: given, signals=calls.signals).attach()
    assert calls.end(call()).cost is None
    assert calls.points() == {"otel_llm.unpriced.calls": {labels("gpt-4o"): 1}}


def test_a_million_counted_calls_agree_with_the_exact_sum(calls: Calls) -> None:
    add = calls.signals.cost
    assert add is not None
    price = cost.Table({"m": {"input": "0.7", "output": "2.8"}})(call("m", Usage(10, 20)))
    assert price is not None
    for _ in range(100_000):
        add(float(price), {})
    [(_, total)] = calls.points()["otel_llm.cost"].items()
    assert total == pytest.approx(float(price * 100_000), rel=1e-9)


def test_sixteen_threads_count_every_call(calls: Calls) -> None:
    budget = cost.Budget(window=Decimal(1_000_000))
    cost.Costs(public, budget=budget, signals=calls.signals).attach()

    def work() -> None:
        for _ in range(250):
            calls.end(call())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.spent == Decimal(14)
    assert calls.points()["otel_llm.cost"] == {labels("gpt-4o"): pytest.approx(14)}


# Budgets ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def crossed() -> Iterator[list[Crossing]]:
    heard: list[Crossing] = []
    cost.add_budget_listener(heard.append)
    cost.add_budget_listener(heard.append)
    yield heard
    cost.remove_budget_listener(heard.append)
    cost.remove_budget_listener(heard.append)


def test_budgets_are_reported_once_per_crossing(calls: Calls, crossed: list[Crossing]) -> None:
    config = Config.load({}, cost=lambda _: Decimal("0.003"), cost_threshold="0.001", cost_budget="0.001")
    costs = cost.Costs.load(config, signals=calls.signals)
    assert costs is not None
    costs.attach()
    first, second = calls.end(call(server_address="api.openai.com", server_port=443)), calls.end(call())
    limit, spent = Decimal("0.001"), Decimal("0.003")
    assert crossed == [
        cost.Crossing("call", limit, spent, first),
        cost.Crossing("window", limit, spent, first),
        cost.Crossing("call", limit, spent, second),
    ]
    assert [crossing.exceeded_by for crossing in crossed] == [Decimal("0.002")] * 3
    assert calls.points()["otel_llm.budget.crossings"] == {
        labels("gpt-4o", **{names.BUDGET_SCOPE: "call"}): 2,
        labels("gpt-4o", **{names.BUDGET_SCOPE: "window"}): 1,
    }


def test_a_window_starts_with_a_call_and_ends_after_its_seconds() -> None:
    now = 100.0
    budget = cost.Budget(window=Decimal(5), seconds=60, clock=lambda: now)

    def spend(dollars: int) -> list[Decimal]:
        return [crossing.spent for crossing in budget.spend(call(), Decimal(dollars))]

    assert spend(3) == []
    now = 159.9
    assert spend(2) == []  # the limit itself is within the budget
    assert spend(1) == [Decimal(6)]
    assert spend(1) == []
    now = 160.0
    assert spend(5) == []
    assert budget.spent == 5
    now = 500.0
    assert spend(9) == [Decimal(9)]


def test_one_of_many_threads_reports_the_window() -> None:
    budget = cost.Budget(window=Decimal(100))
    found: list[Crossing] = []
    start = threading.Barrier(16)

    def work() -> None:
        start.wait()
        for _ in range(50):
            found.extend(budget.spend(call(), Decimal(1)))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.spent == 800
    assert [crossing.spent for crossing in found] == [Decimal(101)]


def test_a_child_process_has_a_window_of_its_own() -> None:
    budget = cost.Budget(window=Decimal(5))
    budget.spend(call(), Decimal(4))
    read, write = os.pipe()
    with cost._lock:  # as if another thread held it at the fork
        child = os.fork()
        if child == 0:
            try:
                crossings = budget.spend(call(), Decimal(3))
                os.write(write, f"{budget.spent} {len(crossings)}".encode())
            finally:
                os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read() == "3 0"
    os.waitpid(child, 0)
    assert budget.spent == 4


def test_a_listener_that_raises_keeps_no_other_from_hearing(calls: Calls, crossed: list[Crossing]) -> None:
    _guard.strict = False

    def broken(_: Crossing) -> None:
        raise RuntimeError

    cost.remove_budget_listener(crossed.append)
    cost.add_budget_listener(broken)
    cost.add_budget_listener(crossed.append)
    try:
        cost.Costs(public, budget=cost.Budget(call=Decimal(0))).attach()
        calls.end(call())
    finally:
        cost.remove_budget_listener(broken)
    assert [crossing.scope for crossing in crossed] == ["call"]


@pytest.mark.parametrize(
    ("keywords", "kind"),
    [
        ({}, None),
        ({"cost": False}, None),
        ({"cost": False, "cost_threshold": 1}, None),
        ({"cost": True}, cost.PublicPrices),
        ({"cost": "true"}, cost.PublicPrices),
        ({"cost_budget": 1}, cost.PublicPrices),
        ({"cost": {}}, cost.Table),
    ],
)
def test_settings(keywords: dict[str, Any], kind: type | None) -> None:
    costs = cost.Costs.load(Config.load({}, **keywords))
    assert (None if costs is None else type(costs._price)) is kind


def test_settings_by_environment() -> None:
    environ = {"OTEL_INSTRUMENTATION_LLM_COST": "true", "OTEL_INSTRUMENTATION_LLM_COST_THRESHOLD": "0.5"}
    costs = cost.Costs.load(Config.load(environ))
    assert costs is not None
    assert costs._budget is not None
    assert [crossing.limit for crossing in costs._budget.spend(call(), Decimal(1))] == [Decimal("0.5")]


def test_the_attribute_of_the_scope_is_that_of_the_table() -> None:
    [instrument] = [item for item in own.INSTRUMENTS if item.name == "otel_llm.budget.crossings"]
    assert instrument.required == ("otel_llm.budget.scope",)
