"""What the attributes of a span say of a call, whoever wrote them.

Four dialects are read by one table of names, in the order of preference: this project's and the official
instrumentations' (the GenAI conventions, released, unreleased and former), OpenInference's, and
OpenLLMetry's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from otel_llm._operation import Outcome, UsageSource

from ._details import detail_of, retries_of
from ._json import is_dict
from ._names import first
from ._values import LONGEST, amount, count, number, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._spans import Span

__all__ = ["Facts", "endpoint_of", "read"]

_NOT_CALLS: Final = frozenset(
    {"execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "retrieval", "fetch_response", "plan"}
)
"""Operations of the conventions that are no call to a model; the memory operations are none either."""

_OUTCOMES: Final[frozenset[str]] = frozenset(Outcome)
_USAGE_SOURCES: Final = frozenset(get_args(UsageSource))
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
    provider = (text(first(attributes, "provider")) or "unknown").lower()
    request_model = text(first(attributes, "request_model")) or text(invocation.get("model"))
    error = _error(span)
    outcome = text(attributes.get("otel_llm.outcome"))
    first_chunk = _first_chunk_ms(span)
    tokens = {
        name: count(first(attributes, name))
        for name in ("input", "output", "cache_read", "cache_write", "reasoning")
    }
    known = tokens["input"] is not None or tokens["output"] is not None
    source = text(attributes.get("otel_llm.usage.source"))
    retries = retries_of(attributes)
    call = {
        "source": _source(span),
        "ttft_ms": first_chunk,
        "provider": provider,
        "operation": operation,
        "endpoint": endpoint_of(operation, provider, attributes, span.name),
        "request_model": request_model,
        "response_model": text(first(attributes, "response_model")),
        "stream": bool(first(attributes, "stream") or invocation.get("stream") or first_chunk is not None),
        "outcome": outcome if outcome in _OUTCOMES else "failed" if error is not None else "completed",
        "error": error and error["type"],
        "finish_reasons": texts(first(attributes, "finish")),
        **{f"{name}_tokens": count for name, count in tokens.items()},
        "usage_source": source if source in _USAGE_SOURCES else "provider" if known else "absent",
        "cost": amount(first(attributes, "cost")),
        "attempts": max(1, count(attributes.get("otel_llm.request.attempts")) or len(retries) + 1),
        "chunks": count(attributes.get("otel_llm.stream.chunks")),
        "conversation_id": text(first(attributes, "conversation")),
    }
    return Facts(
        call, detail_of(span, invocation=invocation, error=error, retries=retries, first_chunk=first_chunk)
    )


def _operation(span: Span) -> str | None:
    attributes = span.attributes
    name = attributes.get("gen_ai.operation.name")
    if isinstance(name, str) and name:
        if name in _NOT_CALLS or "memory" in name:
            return None
        named = first(attributes, "provider") or first(attributes, "request_model")
        return name[:LONGEST] if named else None
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
            return path[:LONGEST]
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
    seconds = number(first(span.attributes, "first_chunk"))
    if seconds is not None:
        return round(seconds * 1000, 3)
    for event in span.events:
        if event["name"] in _FIRST_TOKEN and span.start <= event["time"] <= span.end:
            return float(event["time"] - span.start) / 1e6
    return None


def _error(span: Span) -> dict[str, Any] | None:
    attributes = span.attributes
    kind = text(attributes.get("error.type"))
    if kind is None and span.status != "error":
        return None
    nothing: dict[str, Any] = {}
    thrown = next((event["attributes"] for event in span.events if event["name"] == "exception"), nothing)
    exception = text(thrown.get("exception.type"))
    retryable = attributes.get("otel_llm.error.retryable")
    return {
        "type": kind or exception or "_OTHER",
        "exception": exception,
        "code": text(attributes.get("otel_llm.error.code")),
        "status": count(first(attributes, "status")),
        "category": text(attributes.get("otel_llm.error.category")) or "unknown",
        "retryable": retryable if isinstance(retryable, bool) else None,
        "message": span.status_message or text(thrown.get("exception.message")),
    }
