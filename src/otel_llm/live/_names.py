"""The names under which the dialects write what a span says of a call, in the order of preference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._messages import CONTENT_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KNOWN", "NAMES", "PARAMETERS", "PREFIXES", "first"]

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "request_model": ("gen_ai.request.model", "llm.request.model_name"),
    "response_model": (
        "gen_ai.response.model", "llm.response.model_name", "llm.model_name", "embedding.model_name",
    ),
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
    "tier": ("openai.response.service_tier", "otel_llm.response.service_tier",
    "gen_ai.openai.response.service_tier"),
    "fingerprint": ("openai.response.system_fingerprint", "gen_ai.openai.system_fingerprint"),
}  # fmt: skip

_OWN: Final = frozenset(
    {
        "gen_ai.operation.name", "openinference.span.kind", "llm.request.type", "llm.invocation_parameters",
        "embedding.invocation_parameters", "gen_ai.output.type", "gen_ai.response.id", "server.address",
        "server.port", "error.type",
        "openai.api.type", "llm.token_count.total", "gen_ai.usage.total_tokens", "llm.usage.total_tokens",
        "otel_llm.outcome", "otel_llm.usage.source", "otel_llm.request.attempts", "otel_llm.retry.delay",
        "otel_llm.attempt.statuses", "otel_llm.attempt.errors", "otel_llm.attempt.durations",
        "otel_llm.attempt.delays",
        "otel_llm.response.request_id", "otel_llm.response.organization", "otel_llm.response.processing_time",
        "otel_llm.response.tool_calls", "otel_llm.error.category", "otel_llm.error.code",
        "otel_llm.error.retryable",
        "otel_llm.stream.chunks", "otel_llm.stream.size", "otel_llm.stream.gap.p50",
        "otel_llm.stream.gap.p99",
        "otel_llm.stream.gap.max", "otel_llm.stream.token_rate",
    }
)  # fmt: skip
KNOWN: Final = frozenset(name for names in NAMES.values() for name in names) | _OWN
PARAMETERS: Final = ("gen_ai.request.", "otel_llm.request.")
PREFIXES: Final = (*CONTENT_PREFIXES, *PARAMETERS, "otel_llm.ratelimit.")


def first(attributes: Mapping[str, Any], name: str) -> Any:
    """The value under the first of the names of `name` that is there, None when none is."""
    for key in NAMES[name]:
        if (value := attributes.get(key)) is not None:
            return value
    return None
