"""The instruments under `otel_llm.`, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import names
from ._common import ASKED, OPTIONAL, REQUIRED
from ._types import DURATION_BUCKETS, Instrument

if TYPE_CHECKING:
    from ._types import Number

_LIMIT_PARTS: tuple[tuple[str, Number, str, str], ...] = (
    ("remaining", "int", "", "The {} left until the limit resets."),
    ("limit", "int", "", "The {} allowed."),
    ("reset", "double", "s", "How long until the limit of {} resets."),
)
LIMITS: Final[tuple[tuple[str, Number, str, str], ...]] = tuple(
    (f"otel_llm.ratelimit.{name}.{what}", type_, unit or f"{{{what[:-1]}}}", brief.format(what))
    for what in ("requests", "tokens")
    for name, type_, unit, brief in _LIMIT_PARTS
)
"""Name, type, unit and meaning of what the headers say of limits: each is an attribute and a gauge."""

_ENDED = (*REQUIRED, names.OUTCOME)

INSTRUMENTS: Final = (
    Instrument(
        "otel_llm.request.active",
        "updowncounter",
        "{request}",
        "int",
        REQUIRED,
        (names.REQUEST_MODEL,),
        group="active",
        brief="Calls that are running.",
        observable=True,
    ),
    Instrument(
        "otel_llm.stream.active",
        "updowncounter",
        "{stream}",
        "int",
        REQUIRED,
        (names.REQUEST_MODEL,),
        group="active",
        brief="Streams that are open.",
        observable=True,
    ),
    Instrument(
        "otel_llm.stream.ended",
        "counter",
        "{stream}",
        "int",
        _ENDED,
        (*OPTIONAL, names.ERROR_TYPE),
        group="stream",
        brief="Streams by how they ended.",
    ),
    Instrument(
        "otel_llm.stream.chunk.size",
        "histogram",
        "By",
        "int",
        REQUIRED,
        ASKED,
        tuple(float(2**power) for power in range(4, 17)),
        "sizes",
        "The size of chunks' data; its count is chunks, its sum is bytes.",
    ),
    Instrument(
        "otel_llm.stream.token_rate",
        "histogram",
        "{token}/s",
        "double",
        _ENDED,
        OPTIONAL,
        (1, 2, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000),
        "stream",
        "Output tokens per second from the first chunk on.",
        "streams whose output tokens are known",
    ),
    Instrument(
        "otel_llm.request.attempts",
        "counter",
        "{attempt}",
        "int",
        (*REQUIRED, names.ATTEMPT_OUTCOME),
        (*OPTIONAL, names.ERROR_TYPE),
        group="retries",
        brief="HTTP attempts by how they ended, of calls that were retried or failed.",
    ),
    Instrument(
        "otel_llm.retry.delay",
        "histogram",
        "s",
        "double",
        REQUIRED,
        (*ASKED, names.ERROR_TYPE),
        DURATION_BUCKETS,
        "retries",
        "The wait before an attempt is repeated.",
    ),
    Instrument(
        "otel_llm.auth.refreshes",
        "counter",
        "{refresh}",
        "int",
        (names.PROVIDER_NAME,),
        group="retries",
        brief="Keys or tokens fetched anew.",
    ),
    Instrument(
        "otel_llm.ratelimit.rejections",
        "counter",
        "{rejection}",
        "int",
        REQUIRED,
        ASKED,
        group="ratelimit",
        brief="Attempts refused because a limit was reached (HTTP 429).",
    ),
    *(
        Instrument(
            name,
            "gauge",
            unit,
            type_,
            (names.PROVIDER_NAME,),
            (names.REQUEST_MODEL, names.SERVER_ADDRESS, names.SERVER_PORT),
            group="ratelimit",
            brief=brief,
            when="in the headers",
            observable=True,
        )
        for name, type_, unit, brief in LIMITS
    ),
    Instrument(
        "otel_llm.errors",
        "counter",
        "{error}",
        "int",
        (*REQUIRED, names.ERROR_CATEGORY),
        (*OPTIONAL, names.ERROR_TYPE, names.ERROR_RETRYABLE),
        group="errors",
        brief="Failed calls by the kind of error.",
    ),
    Instrument(
        "otel_llm.prompt_cache.hits",
        "counter",
        "{call}",
        "int",
        REQUIRED,
        OPTIONAL,
        group="prompt_cache",
        brief="Calls of whose input the provider's cache held a part; the duration's count has all calls.",
        when="the provider counts cached tokens",
    ),
    *(
        Instrument(
            f"otel_llm.usage.{name}_tokens",
            "counter",
            "{token}",
            "int",
            REQUIRED,
            OPTIONAL,
            group="prompt_cache",
            brief=brief,
            when="the provider counts them; never estimated",
        )
        for name, brief in (
            ("cache_read.input", "Input tokens read from the provider's cache."),
            ("cache_write.input", "Input tokens written to the provider's cache."),
            ("reasoning.output", "Output tokens spent on reasoning."),
        )
    ),
    Instrument(
        "otel_llm.cost",
        "counter",
        "{USD}",
        "double",
        REQUIRED,
        OPTIONAL,
        group="cost",
        brief="What calls cost.",
        when="cost is on and the model has a price",
    ),
    Instrument(
        "otel_llm.last_cost",
        "gauge",
        "{USD}",
        "double",
        REQUIRED,
        OPTIONAL,
        group="cost",
        brief="What the newest call cost.",
        when="cost is on and the model has a price",
    ),
    Instrument(
        "otel_llm.unpriced.calls",
        "counter",
        "{call}",
        "int",
        REQUIRED,
        OPTIONAL,
        group="budget",
        brief="Calls whose model has no known price.",
        when="cost is on",
    ),
    Instrument(
        "otel_llm.budget.crossings",
        "counter",
        "{crossing}",
        "int",
        (names.BUDGET_SCOPE,),
        (*REQUIRED, names.REQUEST_MODEL),
        group="budget",
        brief="Budgets that were exceeded, once per crossing.",
    ),
    Instrument(
        "otel_llm.cache.operations",
        "counter",
        "{operation}",
        "int",
        (names.CACHE_NAME, names.CACHE_OPERATION),
        group="helpers",
        brief="What the application's caches did (`otel_llm.cache`).",
    ),
    Instrument(
        "otel_llm.cache.size",
        "updowncounter",
        "By",
        "int",
        (names.CACHE_NAME,),
        group="helpers",
        brief="What the application's caches hold.",
    ),
    Instrument(
        "otel_llm.circuit_breaker.state",
        "updowncounter",
        "{breaker}",
        "int",
        (names.CIRCUIT_BREAKER_NAME, names.CIRCUIT_BREAKER_STATE),
        group="helpers",
        brief="1 for the state a circuit breaker is in, 0 for the others (`otel_llm.circuit_breaker`).",
        observable=True,
    ),
    Instrument(
        "otel_llm.circuit_breaker.transitions",
        "counter",
        "{transition}",
        "int",
        (names.CIRCUIT_BREAKER_NAME, names.CIRCUIT_BREAKER_STATE),
        group="helpers",
        brief="Changes into a state.",
    ),
    Instrument(
        "otel_llm.circuit_breaker.failures",
        "counter",
        "{failure}",
        "int",
        (names.CIRCUIT_BREAKER_NAME,),
        group="helpers",
        brief="Failures a circuit breaker was told of.",
    ),
    Instrument(
        "otel_llm.live.clients",
        "updowncounter",
        "{client}",
        "int",
        group="live",
        brief="Connected clients of the live view.",
    ),
)
"""Our metrics."""
