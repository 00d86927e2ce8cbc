"""What the bodies of all of OpenAI's APIs share: parameters, usage, what the server says of itself."""

from __future__ import annotations

from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from .._operation import Server, Usage, new
from .._plain import known
from ._base import DICT, LARGEST, NOTHING, fields, whole
from ._parameters import Table, floating

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["SAMPLING", "bytes_of", "facts_of", "output_type", "usage_of"]


def output_type(value: Any) -> str | None:
    kind = fields(value).get("type")
    return (
        {"text": "text", "json_object": "json", "json_schema": "json"}.get(kind)
        if isinstance(kind, str)
        else None
    )


def asked_tier(value: Any) -> str | None:
    return value if isinstance(value, str) and value != "auto" else None


SAMPLING: Table = {
    "temperature": ("temperature", floating),
    "top_p": ("top_p", floating),
    "service_tier": ("service_tier", asked_tier),
}
_MODALITIES = {"text_tokens": "text", "image_tokens": "image", "audio_tokens": "audio"}


def usage_of(value: Any) -> Usage | None:
    """Token counts of a `usage` object of chat completions, Responses or embeddings; None where there are none.

    Cached and reasoning tokens are subsets of input and output here, so nothing is added up.
    """
    counts: Mapping[str, Any] = value if type(value) is DICT else getattr(value, "__dict__", NOTHING)
    unknown = getattr(value, "__pydantic_extra__", None)
    if unknown:
        counts = {**counts, **unknown}  # details, which an older SDK does not declare
    taken, given, *parts = map(counts.get, _COUNTS)
    if taken is given is None:
        taken, given = map(counts.get, _RESPONSES_COUNTS)
    if type(taken) is not int or not 0 <= taken < LARGEST:
        taken = None
    if type(given) is not int or not 0 <= given < LARGEST:
        given = None
    if taken is given is None:
        return None
    usage = new(Usage)
    usage.input, usage.output = taken, given
    details: Any
    for details, read in filter(itemgetter(0), zip(parts, _READERS, strict=True)):
        read(usage, details if type(details) is DICT else getattr(details, "__dict__", NOTHING))
    return usage


def _asked(usage: Usage, details: Mapping[str, Any]) -> None:
    """What the input tokens were."""
    get = details.get
    read = get("cached_tokens", get("cache_read_input_tokens"))  # the latter: Perplexity's Responses
    if type(read) is int and 0 <= read < LARGEST:
        usage.cache_read = read
    written = get("cache_write_tokens", get("cache_creation_input_tokens"))
    if type(written) is int and 0 <= written < LARGEST:
        usage.cache_write = written
    if any(map(get, _MODALITIES)):
        _modalities(usage, details, "input")


def _answered(usage: Usage, details: Mapping[str, Any]) -> None:
    """What the output tokens were."""
    reasoning = details.get("reasoning_tokens")
    if type(reasoning) is int and 0 <= reasoning < LARGEST:
        usage.reasoning = reasoning
    if any(map(details.get, _MODALITIES)):
        _modalities(usage, details, "output")


def _modalities(usage: Usage, details: Mapping[str, Any], what: str) -> None:
    """The counts of a modality, where there are any."""
    found = {
        f"{kind}.{what}": count for key, kind in _MODALITIES.items() if (count := whole(details.get(key)))
    }
    if found:
        usage.modalities = {**(usage.modalities or {}), **found}


_COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "input_tokens_details",
    "prompt_token_details",  # Writer
    "completion_tokens_details",
    "output_tokens_details",
)
_RESPONSES_COUNTS = ("input_tokens", "output_tokens")
_READERS = (_asked, _asked, _asked, _answered, _answered)


def server_of(op: Operation) -> Server:
    server = op.server
    if server is None:
        server = op.server = Server()
    return server


_FACTS = ("id", "model", "usage", "service_tier", "system_fingerprint")
"""Read at once: to look up each by itself would double what reading an answer costs."""


def facts_of(op: Operation, data: Mapping[str, Any]) -> None:
    """What every kind of response carries beside its output."""
    identifier, model, usage, tier, fingerprint = map(data.get, _FACTS)
    if identifier and type(identifier) is str:
        op.response_id = identifier
    if model and type(model) is str:
        op.response_model = model
    if usage is not None:
        op.usage = usage_of(usage)
        if getattr(usage, "__pydantic_extra__", True) or "cost" in usage.__dict__:
            _paid(op, known(usage))
    if tier is not None or fingerprint is not None:
        server = server_of(op)
        server.service_tier = tier if type(tier) is str else None
        server.system_fingerprint = fingerprint if type(fingerprint) is str else None


def _paid(op: Operation, usage: Mapping[str, Any]) -> None:
    """What hosts add to `usage`: a price in US dollars, DeepSeek the tokens read from its cache.

    OpenRouter's price is a number, Perplexity's an object with the total in it.
    """
    cost = usage.get("cost")
    cost = fields(cost).get("total_cost", cost)
    if type(cost) in (int, float) and 0 <= cost < inf:
        from decimal import Decimal  # noqa: PLC0415 - few hosts say what a call cost

        server_of(op).cost = Decimal(str(cost))
    if op.usage is not None and op.usage.cache_read is None:
        op.usage.cache_read = whole(usage.get("prompt_cache_hit_tokens"))


def bytes_of(value: Any) -> int:
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else 0
