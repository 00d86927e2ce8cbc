"""What the bodies of all of OpenAI's APIs share: parameters, usage, what the server says of itself."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Any

from .._operation import Server, Usage
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
_INPUT = {
    "cached_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_read_input_tokens": "cache_read",  # Perplexity's Responses
    "cache_creation_input_tokens": "cache_write",
    "text_tokens": "text.input",
    "image_tokens": "image.input",
    "audio_tokens": "audio.input",
}
_OUTPUT = {
    "reasoning_tokens": "reasoning",
    "text_tokens": "text.output",
    "image_tokens": "image.output",
    "audio_tokens": "audio.output",
}


def usage_of(value: Any) -> Usage | None:
    """Token counts of a `usage` object of chat completions, Responses or embeddings; None where there are none.

    Cached and reasoning tokens are subsets of input and output here, so nothing is added up.
    """
    counts: Mapping[str, Any] = value if type(value) is DICT else getattr(value, "__dict__", NOTHING)
    unknown = getattr(value, "__pydantic_extra__", None)
    if unknown:
        counts = {**counts, **unknown}  # details, which an older SDK does not declare
    get = counts.get
    usage = Usage()
    number = get("prompt_tokens", get("input_tokens"))
    if type(number) is int and 0 <= number < LARGEST:
        usage.input = number
    number = get("completion_tokens", get("output_tokens"))
    if type(number) is int and 0 <= number < LARGEST:
        usage.output = number
    if usage.input is None and usage.output is None:
        return None
    asked = (
        get("prompt_tokens_details") or get("input_tokens_details") or get("prompt_token_details")
    )  # Writer
    if asked is not None:
        _details(usage, asked, _INPUT)
    answered = get("completion_tokens_details") or get("output_tokens_details")
    if answered is not None:
        _details(usage, answered, _OUTPUT)
    return usage


def _details(usage: Usage, details: Any, known: Mapping[str, str]) -> None:
    """Set the counts that `known` names; the ones of a modality only where there are any."""
    for key, count in (details if type(details) is DICT else getattr(details, "__dict__", NOTHING)).items():
        name = known.get(key)
        if name is None or type(count) is not int or not 0 <= count < LARGEST:
            continue
        if "." not in name:
            setattr(usage, name, count)
        elif count:
            usage.modalities = {**(usage.modalities or {}), name: count}


def server_of(op: Operation) -> Server:
    server = op.server
    if server is None:
        server = op.server = Server()
    return server


def facts_of(op: Operation, data: Mapping[str, Any]) -> None:
    """What every kind of response carries beside its output."""
    get = data.get
    identifier, model = get("id"), get("model")
    if identifier and type(identifier) is str:
        op.response_id = identifier
    if model and type(model) is str:
        op.response_model = model
    usage = get("usage")
    if usage is not None:
        op.usage = usage_of(usage)
        counts = fields(usage)
        unknown = getattr(usage, "__pydantic_extra__", None)
        if unknown or counts is usage or "cost" in counts:
            _paid(op, {**counts, **(unknown or NOTHING)})
    tier, fingerprint = get("service_tier"), get("system_fingerprint")
    if tier is not None or fingerprint is not None:
        server = op.server if op.server is not None else server_of(op)
        server.service_tier = tier if type(tier) is str else None
        server.system_fingerprint = fingerprint if type(fingerprint) is str else None


def _paid(op: Operation, usage: Mapping[str, Any]) -> None:
    """What hosts add to `usage`: a price in US dollars, DeepSeek the tokens read from its cache.

    OpenRouter's price is a number, Perplexity's an object with the total in it.
    """
    cost = usage.get("cost")
    cost = fields(cost).get("total_cost", cost)
    if type(cost) in (int, float) and 0 <= cost < inf:
        server_of(op).cost = Decimal(str(cost))
    if op.usage is not None and op.usage.cache_read is None:
        op.usage.cache_read = whole(usage.get("prompt_cache_hit_tokens"))


def bytes_of(value: Any) -> int:
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else 0
