"""The last released GenAI conventions, v1.41: the default.

Source: semantic-conventions v1.41.1, model/gen-ai and model/openai (v1.41.1 has the schema of 1.41.0).
Nothing unreleased goes under `gen_ai.` here: what only later conventions name has our prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import _common as common
from . import names, own
from ._types import (
    DURATION_BUCKETS,
    NO_SPAN,
    TOKEN_BUCKETS,
    Attribute,
    Convention,
    Event,
    Instrument,
    SpanForm,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

    from otel_llm._operation import Operation

__all__ = ["CONVENTION", "Metrics"]

_USAGE = (
    *common.USAGE,
    Attribute(
        names.USAGE_CACHE_CREATION_INPUT_TOKENS,
        "int",
        when="the provider counts them",
        brief="Input tokens written to the provider's cache, a part of the input.",
        unit="{token}",
    ),
)

_INFERENCE = (
    *common.COMMON,
    *common.REQUEST,
    Attribute(names.REQUEST_TOP_K, "double", brief="The top-k sampling setting."),
    common.CONVERSATION,
    *common.RESPONSE,
    *_USAGE,
    *common.CONTENT,
    *common.OPENAI,
)

SPANS: Final = (
    SpanForm(
        "gen_ai.inference.client",
        common.INFERENCE_OPERATIONS,
        "client",
        (*_INFERENCE, *own.SPAN, *own.STAND_INS),
        names.REQUEST_MODEL,
        "One call to a model: its retries and its stream included.",
    ),
    SpanForm(
        "gen_ai.embeddings.client",
        ("embeddings",),
        "client",
        (*common.COMMON, *common.EMBEDDINGS, common.CONVERSATION, *own.EMBEDDINGS, *own.SPAN),
        names.REQUEST_MODEL,
        "One request for embeddings.",
    ),
    SpanForm(
        "gen_ai.execute_tool.internal",
        ("execute_tool",),
        "internal",
        (*common.TOOL, common.CONVERSATION, *own.SESSION),
        names.TOOL_NAME,
        "A tool run by the application (`otel_llm.tool`).",
    ),
    common.other((*_INFERENCE, *own.SPAN, *own.STAND_INS)),
)

_TOKEN_TYPE = Attribute(
    names.TOKEN_TYPE, "string", "required", brief="Which tokens.", values=("input", "output"), open=False
)
_ALL: Final = (*common.REQUIRED, names.OUTCOME)

INSTRUMENTS: Final = (
    Instrument(
        "gen_ai.client.operation.duration",
        "histogram",
        "s",
        "double",
        _ALL,
        common.ENDED,
        DURATION_BUCKETS,
        "duration",
        "How long calls take, until their answer is received whole.",
        "every call",
    ),
    Instrument(
        "gen_ai.client.token.usage",
        "histogram",
        "{token}",
        "int",
        (*common.REQUIRED, names.TOKEN_TYPE),
        (*common.OPTIONAL, names.USAGE_SOURCE),
        TOKEN_BUCKETS,
        "tokens",
        "Tokens of calls, one record for the input and one for the output.",
        "token counts are known",
    ),
    Instrument(
        "gen_ai.client.operation.time_to_first_chunk",
        "histogram",
        "s",
        "double",
        common.REQUIRED,
        common.OPTIONAL,
        DURATION_BUCKETS,
        "stream",
        "From issuing the request to the first chunk.",
        "streams that gave a chunk",
    ),
    Instrument(
        "gen_ai.client.operation.time_per_output_chunk",
        "histogram",
        "s",
        "double",
        common.REQUIRED,
        common.ASKED,
        DURATION_BUCKETS,
        "chunks",
        "From one chunk to the next.",
        "every chunk after the first",
    ),
)

EVENTS: Final = (
    Event(
        names.DETAILS_EVENT,
        5,
        (*_INFERENCE, *own.SPAN, *own.STAND_INS),
        "The call with its messages, apart from the span.",
        "content capture is `event_only` or `span_and_event`",
    ),
    Event(
        names.EXCEPTION_EVENT,
        13,
        common.EXCEPTION,
        "The exception that a call failed with.",
        "a call fails with an exception",
    ),
)

_INPUT: Final = {names.TOKEN_TYPE: "input"}
_OUTPUT: Final = {names.TOKEN_TYPE: "output"}
_ESTIMATE: Final = {names.USAGE_SOURCE: "estimate"}


class Metrics:
    """The four instruments; each holds its bound `record`, or None when switched off."""

    __slots__ = ("_duration", "_first_chunk", "_gap", "_tokens")

    def __init__(self, meter: Meter, *, kinds: Collection[str]) -> None:
        self._duration, self._tokens, self._first_chunk, self._gap = (
            item.create(meter).record if item.group in kinds else None for item in INSTRUMENTS
        )

    def end(
        self, op: Operation, ended: dict[str, Any], attributes: dict[str, Any], context: Context | None = None
    ) -> None:
        """Record duration, tokens and time to first chunk; what is unknown is not recorded."""
        if self._duration is not None and op.duration is not None:
            self._duration(op.duration, ended, context)
        usage = op.usage
        stats = op.stream_stats
        if usage is None and stats is None:
            return
        if stats is not None and stats.first_chunk is not None and self._first_chunk is not None:
            self._first_chunk(stats.first_chunk, attributes, NO_SPAN)
        if usage is None or self._tokens is None:
            return
        if usage.source == "estimate":
            attributes = attributes | _ESTIMATE
        if usage.input is not None:
            self._tokens(usage.input, attributes | _INPUT, NO_SPAN)
        if usage.output is not None:
            self._tokens(usage.output, attributes | _OUTPUT, NO_SPAN)

    def gaps(self, values: Iterable[float], attributes: dict[str, Any]) -> None:
        """Record seconds between chunks."""
        record = self._gap
        if record is not None:
            for value in values:
                record(value, attributes, NO_SPAN)


CONVENTION: Final = Convention(
    version="1.41",
    schema_url="https://opentelemetry.io/schemas/1.41.0",
    parameters={
        **common.PARAMETERS,
        "reasoning_level": names.OWN_REQUEST_REASONING_LEVEL,
        "previous_response_id": names.OWN_REQUEST_PREVIOUS_RESPONSE_ID,
        "stream_cursor": names.OWN_REQUEST_STREAM_CURSOR,
        "response_status": names.OWN_RESPONSE_STATUS,
    },
    doubles=frozenset({"top_k"}),
    usage=(*common.USAGE_FIELDS, ("cache_write", names.USAGE_CACHE_CREATION_INPUT_TOKENS)),
    modalities=common.modality_attributes("otel_llm.usage"),
    points=(_TOKEN_TYPE,),
    spans=SPANS,
    instruments=INSTRUMENTS,
    events=EVENTS,
    metrics=Metrics,
)
"""What `1.41` emits."""
