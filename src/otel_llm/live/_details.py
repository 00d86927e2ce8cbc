"""What the attributes of a span say of a call beside what lists and sums need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._json import is_list
from ._names import KNOWN, PARAMETERS, PREFIXES, first
from ._values import count, ms, number, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._spans import Span

__all__ = ["detail_of", "retries_of"]


def retries_of(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attempts before the last."""
    columns = [
        attributes.get(f"otel_llm.attempt.{name}") for name in ("statuses", "durations", "delays", "errors")
    ]
    lists = [column[:100] if is_list(column) else [] for column in columns]
    return [
        {
            "number": at + 1,
            "status": count(_at(lists[0], at)) or None,
            "duration_ms": ms(_at(lists[1], at)),
            "wait_ms": ms(_at(lists[2], at)),
            "error": text(_at(lists[3], at)),
        }
        for at in range(max(map(len, lists)))
    ]


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def detail_of(
    span: Span,
    *,
    invocation: dict[str, Any],
    error: dict[str, Any] | None,
    retries: list[dict[str, Any]],
    first_chunk: float | None,
) -> dict[str, Any]:
    """The `Detail` of a call, without content and resource."""
    attributes = span.attributes
    return {
        "parameters": _parameters(attributes, invocation),
        "modalities": _modalities(attributes),
        "server": {
            "address": text(attributes.get("server.address")),
            "port": count(attributes.get("server.port")),
            "request_id": text(attributes.get("otel_llm.response.request_id")),
            "organization": text(attributes.get("otel_llm.response.organization")),
            "processing_ms": ms(attributes.get("otel_llm.response.processing_time")),
            "service_tier": text(first(attributes, "tier")),
            "system_fingerprint": text(first(attributes, "fingerprint")),
            "status": count(first(attributes, "status")),
            "response_id": text(attributes.get("gen_ai.response.id")),
        },
        "rate_limit": _rate_limit(attributes),
        "retries": retries,
        "error_detail": error,
        "tool_calls": list(texts(attributes.get("otel_llm.response.tool_calls"))),
        "stream_stats": _stream_stats(attributes, first_chunk),
        "attributes": {
            key: value
            for key, value in attributes.items()
            if key not in KNOWN and not key.startswith(PREFIXES) and _modality(key) is None
        },
    }


def _parameters(attributes: Mapping[str, Any], invocation: dict[str, Any]) -> dict[str, Any]:
    found = {
        key: value for key, value in invocation.items() if key not in ("model", "stream", "messages", "tools")
    }
    for key, value in attributes.items():
        if key.startswith(PARAMETERS) and key not in KNOWN:
            found[key.split(".request.", 1)[1]] = value
    if "gen_ai.output.type" in attributes:
        found["output_type"] = attributes["gen_ai.output.type"]
    return found


def _modality(key: str) -> str | None:
    """A count by modality, by its short name: `gen_ai.usage.text.input_tokens` is `text.input`."""
    if not key.startswith(("gen_ai.usage.", "otel_llm.usage.")) or not key.endswith("_tokens"):
        return None
    name = key.split(".usage.", 1)[1].removesuffix("_tokens")
    if not name.startswith(("text.", "image.", "audio.", "video.", "document.")):
        return None
    return name.removesuffix(".input") if ".cache" in name else name


def _modalities(attributes: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: tokens
        for key, value in attributes.items()
        if (name := _modality(key)) is not None and (tokens := count(value)) is not None
    }


def _rate_limit(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    def read_one(kind: str, of: str) -> float | None:
        return number(attributes.get(f"otel_llm.ratelimit.{kind}.{of}"))

    found = {
        name + ("_s" if kind == "reset" else ""): read_one(kind, of)
        for of in ("requests", "tokens")
        for kind in ("limit", "remaining", "reset")
        if (name := f"{kind}_{of}")
    }
    return found if any(value is not None for value in found.values()) else None


def _stream_stats(attributes: Mapping[str, Any], first: float | None) -> dict[str, Any] | None:
    found = {
        "chunks": count(attributes.get("otel_llm.stream.chunks")),
        "bytes": count(attributes.get("otel_llm.stream.size")),
        "first_chunk_ms": first,
        "last_chunk_ms": None,
        **{
            f"gap_{name}_ms": ms(attributes.get(f"otel_llm.stream.gap.{name}"))
            for name in ("p50", "p99", "max")
        },
    }
    return found if any(value is not None for value in found.values()) else None
