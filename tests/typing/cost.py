"""Uses of cost, views and StatsD that must type-check; never run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, assert_type

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from otel_llm import cost, errors, views
from otel_llm.statsd import StatsdMetricExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.view import View

    from otel_llm._operation import Operation


def by_the_call(op: Operation) -> Decimal | None:
    """A pricer is any function of this form."""
    return Decimal("0.01") if op.provider == "acme" else None


pricer: cost.Pricer = by_the_call
table: cost.Pricer = cost.Table({"m": {"input": "0.70", "output": 2.8}, "n": cost.Price(input=Decimal(1))})
listed: cost.Pricer = cost.PublicPrices()
assert_type(cost.pricer([by_the_call, {"m": {"input": 1}}, True]), cost.Pricer | None)


def heard(crossing: cost.Crossing) -> None:
    """What a budget's listener is given."""
    assert_type(crossing.exceeded_by, Decimal)
    assert_type(crossing.operation.cost, Decimal | None)


cost.add_budget_listener(heard)
cost.remove_budget_listener(heard)

reader = PeriodicExportingMetricReader(StatsdMetricExporter(host="127.0.0.1", port=8125, flavour="statsd"))
kept: list[View] = views.all(exponential=True)
MeterProvider([reader], views=[*kept, *views.basic(), *views.cost()])

kind = errors.classify(ValueError, status=429, code="rate_limit_exceeded")
assert_type(kind.category, str)
assert_type(kind.retryable, bool)
