"""Everything under `otel_llm.`: what the conventions have no name for.

A name here follows OpenTelemetry's rules for names: dotted, under our prefix and nobody else's, with no unit
(the unit is in the unit field or in this table), and on metrics only attributes with few values.
"""

from __future__ import annotations

from typing import Final

from otel_llm._operation import Outcome
from otel_llm.errors import CATEGORIES

from . import names
from ._common import modality_attributes, modality_brief
from ._own_metrics import INSTRUMENTS, LIMITS
from ._types import Attribute, Event

__all__ = ["EMBEDDINGS", "EVENTS", "INSTRUMENTS", "POINTS", "SESSION", "SPAN", "STAND_INS"]

EMBEDDINGS: Final = (
    Attribute(
        names.INPUT_MESSAGES,
        "any",
        "opt_in",
        brief="The texts sent, as parts of one message; the conventions give the input of embeddings no name.",
    ),
)
"""What spans of embeddings have besides: an attribute of the conventions that they list for inference only."""

SESSION: Final = (
    Attribute(
        names.USER_ID,
        "string",
        when="`otel_llm.session(user_id=...)`",
        brief="The application's user.",
    ),
)
"""What `otel_llm.session` adds, beside the conversation and the application's own attributes."""

_CALL = (
    Attribute(
        names.OUTCOME,
        "string",
        "required",
        brief="How the call ended; only `failed` is an error.",
        values=tuple(item.value for item in Outcome),
        open=False,
    ),
    Attribute(
        names.COST,
        "double",
        when="cost is on and the model has a price",
        brief="What the call cost.",
        unit="{USD}",
    ),
    Attribute(
        names.USAGE_SOURCE,
        "string",
        when="streams, and wherever the counts are an estimate",
        brief="Where the token counts come from.",
        values=("provider", "estimate", "absent"),
        open=False,
    ),
    Attribute(
        names.OWN_USAGE_CACHE_WRITE_5M,
        "int",
        when="the provider counts them",
        brief="Input tokens written to the cache for five minutes, a part of those written.",
        unit="{token}",
    ),
    Attribute(
        names.OWN_USAGE_CACHE_WRITE_1H,
        "int",
        when="the provider counts them",
        brief="Input tokens written to the cache for an hour, a part of those written.",
        unit="{token}",
    ),
)

_REQUEST = (
    Attribute(
        names.REQUEST_ATTEMPTS, "int", when="the call was retried", brief="How often the request was sent."
    ),
    Attribute(
        names.REQUEST_MAX_RETRIES,
        "int",
        when="the call was retried",
        brief="How many retries the SDK was allowed.",
    ),
    Attribute(
        names.OWN_REQUEST_SERVICE_TIER,
        "string",
        when="in the request and not `auto`; other hosts than OpenAI's",
        brief="The service tier asked for.",
    ),
    Attribute(
        names.RETRY_DELAY,
        "double",
        when="the call was retried",
        brief="All waits between attempts.",
        unit="s",
    ),
    Attribute(
        names.ATTEMPT_STATUSES,
        "int[]",
        when="the call was retried",
        brief="The HTTP status of each attempt before the last; 0 where no response came.",
    ),
    Attribute(
        names.ATTEMPT_ERRORS,
        "string[]",
        when="the call was retried",
        brief="The error code or exception of each attempt before the last.",
    ),
    Attribute(
        names.ATTEMPT_DURATIONS,
        "double[]",
        when="the call was retried",
        brief="How long each attempt before the last took.",
        unit="s",
    ),
    Attribute(
        names.ATTEMPT_DELAYS,
        "double[]",
        when="the call was retried",
        brief="The wait after each attempt before the last.",
        unit="s",
    ),
)

_RESPONSE = (
    Attribute(
        names.RESPONSE_REQUEST_ID, "string", when="in the headers", brief="The provider's id of the request."
    ),
    Attribute(
        names.RESPONSE_ORGANIZATION,
        "string",
        when="in the headers",
        brief="The organization that was billed.",
    ),
    Attribute(
        names.RESPONSE_PROCESSING_TIME,
        "double",
        when="in the headers",
        brief="How long the provider says it worked.",
        unit="s",
    ),
    Attribute(
        names.RESPONSE_STATUS_CODE,
        "int",
        when="a response came",
        brief="The HTTP status of the last attempt.",
    ),
    Attribute(
        names.OWN_RESPONSE_SERVICE_TIER,
        "string",
        when="in the response; other hosts than OpenAI's",
        brief="The service tier that answered.",
    ),
    Attribute(
        names.OWN_SYSTEM_FINGERPRINT,
        "string",
        when="in the response; other hosts than OpenAI's",
        brief="Changes when the provider's system does.",
    ),
    Attribute(
        names.RESPONSE_TOOL_CALLS,
        "string[]",
        when="the model asked for tools",
        brief="The names of the tools asked for, in order.",
    ),
    Attribute(
        names.ERROR_CATEGORY,
        "string",
        when="the call failed",
        brief="The kind of error, the same for every provider (`otel_llm.errors`).",
        values=CATEGORIES,
        open=False,
    ),
    Attribute(
        names.ERROR_CODE,
        "string",
        when="the call failed and the provider gave one",
        brief="The provider's error code.",
    ),
    Attribute(
        names.ERROR_RETRYABLE, "boolean", when="the call failed", brief="Whether sending it again can help."
    ),
)


_STREAM = (
    Attribute(names.STREAM_CHUNKS, "int", when="streams", brief="The chunks received."),
    Attribute(names.STREAM_SIZE, "int", when="streams", brief="The size of all chunks' data.", unit="By"),
    Attribute(
        names.STREAM_GAP_P50, "double", when="streams", brief="The median time between chunks.", unit="s"
    ),
    Attribute(names.STREAM_GAP_P99, "double", when="streams", brief="The 99th percentile of it.", unit="s"),
    Attribute(names.STREAM_GAP_MAX, "double", when="streams", brief="The longest stall.", unit="s"),
    Attribute(
        names.STREAM_TOKEN_RATE,
        "double",
        when="streams whose output tokens are known",
        brief="Output tokens per second from the first chunk on.",
        unit="{token}/s",
    ),
)

_QUOTA = tuple(
    Attribute(name, type_, when="in the headers", brief=brief, unit=unit)
    for name, type_, unit, brief in LIMITS
)

SPAN: Final = (*_CALL, *_REQUEST, *_RESPONSE, *_QUOTA, *_STREAM, *SESSION)
"""Our attributes on spans of calls."""

STAND_INS: Final = (
    Attribute(
        names.OWN_REQUEST_REASONING_LEVEL,
        "string",
        when="in the request",
        brief="The reasoning effort asked for.",
    ),
    Attribute(
        names.OWN_REQUEST_PREVIOUS_RESPONSE_ID,
        "string",
        when="in the request",
        brief="The response that this one continues.",
    ),
    Attribute(
        names.OWN_REQUEST_STREAM_CURSOR,
        "string",
        when="a stream is resumed",
        brief="The last event already received.",
    ),
    Attribute(
        names.OWN_RESPONSE_STATUS, "string", when="the Responses API", brief="The state the response is in."
    ),
    *(
        Attribute(
            name,
            "int",
            when="the provider counts them",
            brief=modality_brief(key),
            unit="{token}",
        )
        for key, name in modality_attributes("otel_llm.usage").items()
    ),
)
"""What the merged conventions after v1.41 name, for as long as v1.41 is what is emitted."""


def _closed(name: str, brief: str, *values: str) -> Attribute:
    return Attribute(name, "string", "required", brief=brief, values=values, open=False)


_SCOPE = _closed(names.BUDGET_SCOPE, "Which budget.", "call", "window")

POINTS: Final = (
    _closed(
        names.ATTEMPT_OUTCOME,
        "How an attempt ended; `exhausted` is the failure of a call that was retried.",
        "succeeded",
        "retried",
        "failed",
        "exhausted",
        "cancelled",
    ),
    _SCOPE,
    Attribute(names.CACHE_NAME, "string", "required", brief="The name the application gave the cache."),
    _closed(names.CACHE_OPERATION, "What the cache did.", "hit", "miss", "put", "evict"),
    Attribute(
        names.CIRCUIT_BREAKER_NAME, "string", "required", brief="The name the application gave the breaker."
    ),
    _closed(names.CIRCUIT_BREAKER_STATE, "The state.", "closed", "open", "half_open"),
)
"""Our attributes that are on metric points and on no span."""

EVENTS: Final = (
    Event(
        names.BUDGET_EVENT,
        13,
        (
            _SCOPE,
            Attribute(names.BUDGET_LIMIT, "double", "required", brief="The budget.", unit="{USD}"),
            Attribute(names.BUDGET_SPENT, "double", "required", brief="What was spent.", unit="{USD}"),
            Attribute(names.BUDGET_EXCEEDED_BY, "double", "required", brief="The difference.", unit="{USD}"),
            Attribute(names.PROVIDER_NAME, "string", brief="Who answered the call that crossed it."),
            Attribute(names.REQUEST_MODEL, "string", brief="The model of that call."),
        ),
        "A call, or a window of calls, cost more than its budget.",
        "a budget is set and is crossed",
    ),
)
"""Our events."""
