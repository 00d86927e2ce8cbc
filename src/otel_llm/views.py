"""Which of our metrics to keep, as views for a `MeterProvider`: `all`, `basic`, `cost`.

    MeterProvider([reader], views=otel_llm.views.basic())

They select on our meter and our names: metrics of others are not touched.
`OTEL_INSTRUMENTATION_LLM_METRICS=all|basic|cost|off` does the same without code, and cheaper: what it leaves
out is not even recorded.
Needs opentelemetry-sdk, which is imported when a function is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .semconv import chosen, groups, own

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.view import View

    from .semconv import Instrument

__all__ = ["all", "basic", "cost"]

_METER = "otel_llm"
"""The name of our instrumentation scope."""


def _instruments() -> dict[str, Instrument]:
    """Every instrument of ours, in whichever version of the conventions, by name."""
    tables = (*(convention.instruments for convention in chosen("both")), own.INSTRUMENTS)
    return {item.name: item for table in tables for item in table}


def all(*, exponential: bool = False) -> list[View]:  # noqa: A001
    """Keep every metric, with the buckets that the conventions advise.

    exponential  give histograms exponential buckets instead, which fit any range: better percentiles, in
                 backends that can read them.
    """
    from opentelemetry.sdk.metrics.view import (  # noqa: PLC0415 - an extra
        ExplicitBucketHistogramAggregation,
        ExponentialBucketHistogramAggregation,
        View,
    )

    return [
        View(
            instrument_name=item.name,
            meter_name=_METER,
            aggregation=ExponentialBucketHistogramAggregation()
            if exponential
            else ExplicitBucketHistogramAggregation(boundaries=item.buckets),
        )
        for item in _instruments().values()
        if item.kind == "histogram"
    ]


def basic() -> list[View]:
    """Keep the durations alone: their counts are calls, those with `error.type` are errors."""
    return _only("basic")


def cost() -> list[View]:
    """Keep what calls cost (total and newest) and their tokens."""
    return _only("cost")


def _only(preset: str) -> list[View]:
    """Drop every metric of ours that is not in the preset."""
    from opentelemetry.sdk.metrics.view import DropAggregation, View  # noqa: PLC0415 - an extra

    kept = groups(preset)
    return [
        View(instrument_name=item.name, meter_name=_METER, aggregation=DropAggregation())
        for item in _instruments().values()
        if item.group not in kept
    ]
