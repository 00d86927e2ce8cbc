"""The GenAI conventions merged after v1.41 and in no release: only for those who ask (`latest`, `both`).

Source: semantic-conventions-genai, main of October 2026. They change without notice; no schema is released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import _common as common
from . import names, own, v1_41
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
    from collections.abc import Collection, Iterable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

    from otel_llm._operation import Operation, Usage

__all__ = ["BESIDE_1_41", "CONVENTION", "Metrics"]

_MODALITIES: Final = common.modality_attributes("gen_ai.usage")

_USAGE = (
    *common.USAGE,
    Attribute(
        names.USAGE_CACHE_WRITE_INPUT_TOKENS,
        "int",
        when="the provider counts them",
        brief="Input tokens written to the provider's cache, a part of the input.",
        unit="{token}",
    ),
    *(
        Attribute(
            name, "int", when="the provider counts them", brief=common.modality_brief(key), unit="{token}"
        )
        for key, name in _MODALITIES.items()
    ),
)

_STATUS = Attribute(
    names.RESPONSE_STATUS,
    "string",
    when="the Responses API",
    brief="The state the response is in.",
    values=("queued", "in_progress", "completed", "incomplete", "failed", "cancelled"),
)

_INFERENCE = (
    *common.COMMON,
    *common.REQUEST,
    Attribute(
        names.REQUEST_TOP_K,
        "int",
        "conditionally_required",
        when="in the request",
        brief="The top-k sampling setting.",
    ),
    Attribute(
        names.REQUEST_REASONING_LEVEL,
        "string",
        when="in the request",
        brief="The reasoning effort asked for.",
    ),
    Attribute(
        names.REQUEST_PREVIOUS_RESPONSE_ID,
        "string",
        when="in the request",
        brief="The response that this one continues.",
    ),
    common.CONVERSATION,
    *common.RESPONSE,
    _STATUS,
    *_USAGE,
    *common.CONTENT,
    *common.OPENAI,
)

_FETCH = (
    *(item for item in common.COMMON if item.name != names.REQUEST_MODEL),
    Attribute(names.RESPONSE_ID, "string", "required", brief="The id of the response that is fetched."),
    Attribute(
        names.REQUEST_STREAM_CURSOR,
        "string",
        "conditionally_required",
        when="a stream is resumed",
        brief="The last event already received.",
    ),
    common.RESPONSE_MODEL,
    _STATUS,
    *(item for item in common.RESPONSE if item.name in (names.FINISH_REASONS, names.TIME_TO_FIRST_CHUNK)),
    *(item for item in common.REQUEST if item.name == names.REQUEST_STREAM),
    *(item for item in common.CONTENT if item.name != names.INPUT_MESSAGES),
    *(item for item in common.OPENAI if item.name != names.OPENAI_REQUEST_SERVICE_TIER),
    common.CONVERSATION,
)

SPANS: Final = (
    SpanForm(
        "gen_ai.client.inference",
        common.INFERENCE_OPERATIONS,
        "client",
        (*_INFERENCE, *own.SPAN),
        names.REQUEST_MODEL,
        "One call to a model: its retries and its stream included.",
    ),
    v1_41.SPANS[1],
    SpanForm(
        "gen_ai.fetch_response.client",
        ("fetch_response",),
        "client",
        (*_FETCH, *own.SPAN),
        None,
        "A stored response is fetched.",
    ),
    v1_41.SPANS[2],
    common.other((*_INFERENCE, *own.SPAN)),
)

_TOKEN_MODALITY = Attribute(
    names.TOKEN_MODALITY,
    "string",
    "required",
    brief="What the tokens stand for; `unknown` where the provider does not say.",
    values=(*common.MODALITIES, "unknown"),
    open=False,
)
_ALL: Final = (*common.REQUIRED, names.OUTCOME)


def _counter(name: str, brief: str) -> Instrument:
    return Instrument(
        f"gen_ai.client.inference.usage.{name}",
        "counter",
        "{token}",
        "int",
        (*common.REQUIRED, names.TOKEN_MODALITY),
        common.OPTIONAL,
        group="tokens",
        brief=brief,
        when="the provider counts them; never estimated",
    )


def _tokens(name: str, brief: str) -> Instrument:
    return Instrument(
        f"gen_ai.client.inference.operation.{name}",
        "histogram",
        "{token}",
        "int",
        common.REQUIRED,
        (*common.OPTIONAL, names.USAGE_SOURCE),
        TOKEN_BUCKETS,
        "tokens",
        brief,
        "inference whose token counts are known",
    )


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
        "How long calls that are no inference take.",
        "embeddings and every other call that is no inference",
    ),
    Instrument(
        "gen_ai.client.inference.duration",
        "histogram",
        "s",
        "double",
        _ALL,
        common.ENDED,
        DURATION_BUCKETS,
        "duration",
        "How long inference takes, until the answer is received whole.",
        "every inference",
    ),
    Instrument(
        "gen_ai.client.inference.time_to_first_chunk",
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
        "gen_ai.client.inference.time_per_output_chunk",
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
    _tokens("input_tokens", "Input tokens per inference, cached ones included."),
    _tokens("output_tokens", "Output tokens per inference, reasoning included."),
    _counter("input_tokens", "Input tokens, cached ones included."),
    _counter("output_tokens", "Output tokens, reasoning included."),
    _counter("cache_read.input_tokens", "Input tokens read from the provider's cache, a part of the input."),
    _counter(
        "cache_write.input_tokens", "Input tokens written to the provider's cache, a part of the input."
    ),
    _counter("reasoning.output_tokens", "Output tokens spent on reasoning, a part of the output."),
)

EVENTS: Final = (
    Event(
        names.DETAILS_EVENT,
        5,
        (*_INFERENCE, *own.SPAN),
        "The call with its messages, apart from the span.",
        "content capture is `event_only` or `span_and_event`",
    ),
    v1_41.EVENTS[1],
)

_INFERENCES: Final = frozenset(common.INFERENCE_OPERATIONS)
_MODALITY: Final = {kind: {names.TOKEN_MODALITY: kind} for kind in (*common.MODALITIES, "unknown")}
_UNKNOWN: Final = _MODALITY["unknown"]
_COUNTED: Final = ("input", "output", "cache_read", "cache_write", "reasoning")
"""The fields of `Usage` that have a counter, in the order of the instruments."""
_KEYS: Final = {
    what: tuple((f"{kind}.{what}", _MODALITY[kind]) for kind in common.MODALITIES) for what in _COUNTED
}
_ESTIMATE: Final = {names.USAGE_SOURCE: "estimate"}


class Metrics:
    """The instruments; each slot holds a bound `record` or `add`, or None when switched off."""

    __slots__ = ("_counters", "_duration", "_first_chunk", "_gap", "_input", "_operation", "_output")

    def __init__(self, meter: Meter, *, kinds: Collection[str], alone: bool = True) -> None:
        """Make the instruments; not `alone`, the duration that v1.41 has too is left to it."""
        made: list[Any] = []
        for item in INSTRUMENTS:
            if item.group not in kinds or (item is INSTRUMENTS[0] and not alone):
                made.append(None)
            else:
                instrument = item.create(meter)
                made.append(instrument.add if item.kind == "counter" else instrument.record)
        self._operation, self._duration, self._first_chunk, self._gap, self._input, self._output = made[:6]
        self._counters = tuple(zip(_COUNTED, made[6:], strict=True))

    def end(
        self, op: Operation, ended: dict[str, Any], attributes: dict[str, Any], context: Context | None = None
    ) -> None:
        """Record duration, tokens and time to first chunk; what is unknown is not recorded."""
        inference = op.name in _INFERENCES
        duration = self._duration if inference else self._operation
        if duration is not None and op.duration is not None:
            duration(op.duration, ended, context)
        usage = op.usage
        stats = op.stream_stats
        if not inference or (usage is None and stats is None):
            return
        if stats is not None and stats.first_chunk is not None and self._first_chunk is not None:
            self._first_chunk(stats.first_chunk, attributes, NO_SPAN)
        if usage is not None and self._input is not None:
            self._tokens(usage, attributes, NO_SPAN)

    def _tokens(self, usage: Usage, attributes: dict[str, Any], context: Context | None) -> None:
        estimate = usage.source == "estimate"
        sizes = attributes | _ESTIMATE if estimate else attributes
        if usage.input is not None:
            self._input(usage.input, sizes, context)
        if usage.output is not None:
            self._output(usage.output, sizes, context)
        if estimate:  # the counters feed bills
            return
        for field, add in self._counters:
            total = getattr(usage, field)
            if not total:
                continue
            if usage.modalities:
                for count, labels in _split(total, usage.modalities, field):
                    add(count, attributes | labels, context)
                    total -= count
            if total:  # the rest, so that the points add up to the total
                add(total, attributes | _UNKNOWN, context)

    def gaps(self, values: Iterable[float], attributes: dict[str, Any]) -> None:
        """Record seconds between chunks."""
        record = self._gap
        if record is not None:
            for value in values:
                record(value, attributes, NO_SPAN)


def _split(total: int, modalities: Mapping[str, int], field: str) -> list[tuple[int, dict[str, str]]]:
    """What the provider says of modalities, or nothing when it exceeds the total."""
    known = [(count, labels) for key, labels in _KEYS[field] if (count := modalities.get(key))]
    return known if sum(count for count, _ in known) <= total else []


def _beside(meter: Meter, *, kinds: Collection[str]) -> Metrics:
    return Metrics(meter, kinds=kinds, alone=False)


CONVENTION: Final = Convention(
    version="latest",
    schema_url=None,
    parameters={
        **common.PARAMETERS,
        "reasoning_level": names.REQUEST_REASONING_LEVEL,
        "previous_response_id": names.REQUEST_PREVIOUS_RESPONSE_ID,
        "stream_cursor": names.REQUEST_STREAM_CURSOR,
        "response_status": names.RESPONSE_STATUS,
    },
    doubles=frozenset[str](),
    usage=(*common.USAGE_FIELDS, ("cache_write", names.USAGE_CACHE_WRITE_INPUT_TOKENS)),
    modalities=_MODALITIES,
    points=(_TOKEN_MODALITY,),
    spans=SPANS,
    instruments=INSTRUMENTS,
    events=EVENTS,
    metrics=Metrics,
)
"""What `latest` emits."""

BESIDE_1_41: Final = CONVENTION._replace(
    parameters={
        name: attribute
        for name, attribute in CONVENTION.parameters.items()
        if v1_41.CONVENTION.parameters.get(name) != attribute
    },
    usage=tuple(pair for pair in CONVENTION.usage if pair not in v1_41.CONVENTION.usage),
    instruments=INSTRUMENTS[1:],
    metrics=_beside,
)
"""What `both` emits beside v1.41: only what that does not have, so that nothing is set or counted twice."""
