"""What the attributes of a span say of a call, whoever wrote them.

Four dialects are read by one table of names, in the order of preference: this project's and the official
instrumentations' (the GenAI conventions, released, unreleased and former), OpenInference's, and OpenLLMetry's.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ._json import is_dict, is_list
from ._messages import CONTENT_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._spans import Span

__all__ = ["Facts", "endpoint_of", "read"]

_MOST: Final = 10**15
_LONGEST: Final = 200

_NOT_CALLS: Final = frozenset(
    {"execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "retrieval", "fetch_response", "plan"}
)
"""Operations of the conventions that are no call to a model; the memory operations are none either."""

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "request_model": ("gen_ai.request.model", "llm.request.model_name"),
    "response_model": ("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "embedding.model_name"),
    "input": ("gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read_input_tokens",
    ),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "llm.token_count.prompt_details.cache_write", "gen_ai.usage.cache_creation_input_tokens",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning_tokens", "llm.usage.reasoning_tokens",
    ),
    "cost": ("otel_llm.cost", "llm.cost.total", "gen_ai.usage.cost"),
    "stream": ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    "first_chunk": ("gen_ai.response.time_to_first_chunk",),
    "finish": ("gen_ai.response.finish_reasons", "llm.finish_reason", "gen_ai.response.finish_reason"),
    "conversation": ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"),
    "status": ("otel_llm.response.status_code", "http.response.status_code"),
    "tier": ("openai.response.service_tier", "otel_llm.response.service_tier", "gen_ai.openai.response.service_tier"),
    "fingerprint": ("openai.response.system_fingerprint", "gen_ai.openai.system_fingerprint"),
}  # fmt: skip

_OWN: Final = frozenset(
    {
        "gen_ai.operation.name", "openinference.span.kind", "llm.request.type", "llm.invocation_parameters",
        "embedding.invocation_parameters", "gen_ai.output.type", "gen_ai.response.id", "server.address", "server.port", "error.type",
        "openai.api.type", "llm.token_count.total", "gen_ai.usage.total_tokens", "llm.usage.total_tokens",
        "otel_llm.outcome", "otel_llm.usage.source", "otel_llm.request.attempts", "otel_llm.retry.delay",
        "otel_llm.attempt.statuses", "otel_llm.attempt.errors", "otel_llm.attempt.durations", "otel_llm.attempt.delays",
        "otel_llm.response.request_id", "otel_llm.response.organization", "otel_llm.response.processing_time",
        "otel_llm.response.tool_calls", "otel_llm.error.category", "otel_llm.error.code", "otel_llm.error.retryable",
        "otel_llm.stream.chunks", "otel_llm.stream.size", "otel_llm.stream.gap.p50", "otel_llm.stream.gap.p99",
        "otel_llm.stream.gap.max", "otel_llm.stream.token_rate",
    }
)  # fmt: skip
_KNOWN: Final = frozenset(name for names in _NAMES.values() for name in names) | _OWN
_PARAMETERS: Final = ("gen_ai.request.", "otel_llm.request.")
_PREFIXES: Final = (*CONTENT_PREFIXES, *_PARAMETERS, "otel_llm.ratelimit.")
_OUTCOMES: Final = frozenset({"completed", "failed", "cancelled", "closed", "abandoned"})
_FIRST_TOKEN: Final = ("First Token Stream Event", "gen_ai.content.completion.chunk", "gen_ai.first_token")


@dataclass(slots=True, frozen=True)
class Facts:
    """What is filled into a `Call`, and into its `Detail`."""

    call: dict[str, Any]
    detail: dict[str, Any]


def read(span: Span) -> Facts | None:
    """The facts of a call, None when the span is no call to a model."""
    attributes = span.attributes
    operation = _operation(span)
    if operation is None:
        return None
    invocation = _invocation(attributes)
    provider = (_text(_first(attributes, "provider")) or "unknown").lower()
    request_model = _text(_first(attributes, "request_model")) or _text(invocation.get("model"))
    error = _error(span)
    outcome = attributes.get("otel_llm.outcome")
    first_chunk = _first_chunk_ms(span)
    tokens = {
        name: _count(_first(attributes, name))
        for name in ("input", "output", "cache_read", "cache_write", "reasoning")
    }
    known = tokens["input"] is not None or tokens["output"] is not None
    source = attributes.get("otel_llm.usage.source")
    retries = _retries(attributes)
    call = {
        "source": _source(span),
        "ttft_ms": first_chunk,
        "provider": provider,
        "operation": operation,
        "endpoint": endpoint_of(operation, provider, attributes, span.name),
        "request_model": request_model,
        "response_model": _text(_first(attributes, "response_model")),
        "stream": bool(_first(attributes, "stream") or invocation.get("stream") or first_chunk is not None),
        "outcome": outcome if outcome in _OUTCOMES else "failed" if error is not None else "completed",
        "error": error and error["type"],
        "finish_reasons": _texts(_first(attributes, "finish")),
        **{f"{name}_tokens": count for name, count in tokens.items()},
        "usage_source": source
        if source in ("provider", "estimate", "absent")
        else "provider"
        if known
        else "absent",
        "cost": _amount(_first(attributes, "cost")),
        "attempts": max(1, _count(attributes.get("otel_llm.request.attempts")) or len(retries) + 1),
        "chunks": _count(attributes.get("otel_llm.stream.chunks")),
        "conversation_id": _text(_first(attributes, "conversation")),
    }
    return Facts(call, _detail(span, invocation, error, retries, first_chunk))


def _operation(span: Span) -> str | None:
    attributes = span.attributes
    name = attributes.get("gen_ai.operation.name")
    if isinstance(name, str) and name:
        if name in _NOT_CALLS or "memory" in name:
            return None
        named = _first(attributes, "provider") or _first(attributes, "request_model")
        return name[:_LONGEST] if named else None
    kind = attributes.get("openinference.span.kind")
    if isinstance(kind, str):
        return {
            "LLM": "text_completion" if span.name == "Completion" else "chat",
            "EMBEDDING": "embeddings",
        }.get(kind.upper())
    kind = attributes.get("llm.request.type")
    if isinstance(kind, str):
        return {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"}.get(kind.lower())
    return None


def endpoint_of(operation: str, provider: str, attributes: Mapping[str, Any], name: str = "") -> str:
    """The API path, the same string on every host; a guess by the operation where the span does not say."""
    for key in ("http.route", "url.path"):
        path = attributes.get(key)
        if isinstance(path, str) and path.startswith("/v"):
            return path[:_LONGEST]
    if attributes.get("openai.api.type") == "responses" or name in ("Response", "openai.response"):
        return "/v1/responses"
    if operation == "chat":
        return "/v1/messages" if provider == "anthropic" else "/v1/chat/completions"
    return {"embeddings": "/v1/embeddings", "text_completion": "/v1/completions"}.get(
        operation, "/" + operation
    )


def _source(span: Span) -> str:
    scope = span.scope
    if scope.startswith("otel_llm"):
        return "otel_llm"
    if "openinference.span.kind" in span.attributes:
        return "openinference"
    if scope.startswith(
        ("opentelemetry.instrumentation.genai", "opentelemetry.util.genai")
    ) or scope.endswith("_v2"):
        return "opentelemetry"
    ours = (
        "gen_ai.is_streaming",
        "llm.is_streaming",
        "gen_ai.openai.api_base",
        "llm.request.type",
        "llm.usage.total_tokens",
    )
    if any(name in span.attributes for name in ours) or scope in _OPENLLMETRY:
        return "openllmetry"
    return "opentelemetry" if scope.startswith("opentelemetry.") else "other"


_OPENLLMETRY: Final = frozenset(
    f"opentelemetry.instrumentation.{name}"
    for name in (
        "openai",
        "openai.v0",
        "openai.v1",
        "anthropic",
        "groq",
        "together",
        "mistralai",
        "cohere",
        "ollama",
        "langchain",
    )
)


def _first(attributes: Mapping[str, Any], name: str) -> Any:
    for key in _NAMES[name]:
        if (value := attributes.get(key)) is not None:
            return value
    return None


def _text(value: Any) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    values = value if is_list(value) else [value]
    return tuple(item[:_LONGEST] for item in values[:32] if isinstance(item, str) and item)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return value if math.isfinite(value) else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _amount(value: Any) -> Decimal | None:
    number = _number(value)
    return None if number is None else Decimal(repr(number))


def _ms(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else round(number * 1000, 3)


def _invocation(attributes: Mapping[str, Any]) -> dict[str, Any]:
    for key in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        given = attributes.get(key)
        if isinstance(given, str):
            try:
                parsed: Any = json.loads(given)
            except (ValueError, RecursionError):
                continue
            if is_dict(parsed):
                return parsed
    return {}


def _first_chunk_ms(span: Span) -> float | None:
    seconds = _number(_first(span.attributes, "first_chunk"))
    if seconds is not None:
        return round(seconds * 1000, 3)
    for event in span.events:
        if event["name"] in _FIRST_TOKEN and span.start <= event["time"] <= span.end:
            return float(event["time"] - span.start) / 1e6
    return None


def _error(span: Span) -> dict[str, Any] | None:
    attributes = span.attributes
    kind = _text(attributes.get("error.type"))
    if kind is None and span.status != "error":
        return None
    thrown: dict[str, Any] = next(
        (event["attributes"] for event in span.events if event["name"] == "exception"), {}
    )
    exception = _text(thrown.get("exception.type"))
    retryable = attributes.get("otel_llm.error.retryable")
    return {
        "type": kind or exception or "_OTHER",
        "exception": exception,
        "code": _text(attributes.get("otel_llm.error.code")),
        "status": _count(_first(attributes, "status")),
        "category": _text(attributes.get("otel_llm.error.category")) or "unknown",
        "retryable": retryable if isinstance(retryable, bool) else None,
        "message": span.status_message or _text(thrown.get("exception.message")),
    }


def _retries(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = [
        attributes.get(f"otel_llm.attempt.{name}") for name in ("statuses", "durations", "delays", "errors")
    ]
    lists = [column[:100] if is_list(column) else [] for column in columns]
    return [
        {
            "number": at + 1,
            "status": _count(_at(lists[0], at)) or None,
            "duration_ms": _ms(_at(lists[1], at)),
            "wait_ms": _ms(_at(lists[2], at)),
            "error": _text(_at(lists[3], at)),
        }
        for at in range(max(map(len, lists)))
    ]


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _detail(
    span: Span,
    invocation: dict[str, Any],
    error: dict[str, Any] | None,
    retries: list[dict[str, Any]],
    first: float | None,
) -> dict[str, Any]:
    attributes = span.attributes
    return {
        "parameters": _parameters(attributes, invocation),
        "modalities": _modalities(attributes),
        "server": {
            "address": _text(attributes.get("server.address")),
            "port": _count(attributes.get("server.port")),
            "request_id": _text(attributes.get("otel_llm.response.request_id")),
            "organization": _text(attributes.get("otel_llm.response.organization")),
            "processing_ms": _ms(attributes.get("otel_llm.response.processing_time")),
            "service_tier": _text(_first(attributes, "tier")),
            "system_fingerprint": _text(_first(attributes, "fingerprint")),
            "status": _count(_first(attributes, "status")),
            "response_id": _text(attributes.get("gen_ai.response.id")),
        },
        "rate_limit": _rate_limit(attributes),
        "retries": retries,
        "error_detail": error,
        "tool_calls": list(_texts(attributes.get("otel_llm.response.tool_calls"))),
        "stream_stats": _stream_stats(attributes, first),
        "attributes": {
            key: value
            for key, value in attributes.items()
            if key not in _KNOWN and not key.startswith(_PREFIXES)
        },
    }


def _parameters(attributes: Mapping[str, Any], invocation: dict[str, Any]) -> dict[str, Any]:
    found = {
        key: value for key, value in invocation.items() if key not in ("model", "stream", "messages", "tools")
    }
    for key, value in attributes.items():
        if key.startswith(_PARAMETERS) and key not in _KNOWN:
            found[key.split(".request.", 1)[1]] = value
    if "gen_ai.output.type" in attributes:
        found["output_type"] = attributes["gen_ai.output.type"]
    return found


def _modalities(attributes: Mapping[str, Any]) -> dict[str, int]:
    """Token counts by modality: `gen_ai.usage.text.input_tokens` (or ours of the same shape) is `text.input`."""
    found: dict[str, int] = {}
    for key, value in attributes.items():
        if (
            key.startswith(("gen_ai.usage.", "otel_llm.usage."))
            and key.endswith("_tokens")
            and (count := _count(value))
        ):
            name = key.split(".usage.", 1)[1].removesuffix("_tokens")
            if name.startswith(("text.", "image.", "audio.", "video.", "document.")):
                found[name.removesuffix(".input") if ".cache" in name else name] = count
    return found


def _rate_limit(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    def read_one(kind: str, of: str) -> float | None:
        return _number(attributes.get(f"otel_llm.ratelimit.{kind}.{of}"))

    found = {
        name + ("_s" if kind == "reset" else ""): read_one(kind, of)
        for of in ("requests", "tokens")
        for kind in ("limit", "remaining", "reset")
        if (name := f"{kind}_{of}")
    }
    return found if any(value is not None for value in found.values()) else None


def _stream_stats(attributes: Mapping[str, Any], first: float | None) -> dict[str, Any] | None:
    found = {
        "chunks": _count(attributes.get("otel_llm.stream.chunks")),
        "bytes": _count(attributes.get("otel_llm.stream.size")),
        "first_chunk_ms": first,
        "last_chunk_ms": None,
        **{
            f"gap_{name}_ms": _ms(attributes.get(f"otel_llm.stream.gap.{name}"))
            for name in ("p50", "p99", "max")
        },
    }
    return found if any(value is not None for value in found.values()) else None
