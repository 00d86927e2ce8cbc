"""Whole spans and whole metric points of one call of each kind, as they go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from doors import DOORS
from scene import use

inline_snapshot = pytest.importorskip("inline_snapshot", reason="the matrix of SDK versions does without it")
snapshot = inline_snapshot.snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry

BY_NAME = {door.name: door for door in DOORS}
VARYING = (
    "gen_ai.response.id",
    "request_id",
    "time_to_first_chunk",
    "gap.",
    "token_rate",
    "processing_time",
    "fingerprint",
)


def _span(name: str, telemetry: Telemetry, make: Callable[..., Any]) -> dict[str, Any]:
    door = BY_NAME[name]
    use(door, make)
    [span] = telemetry.span_snapshot()
    span["attributes"] = {
        key: value for key, value in span["attributes"].items() if not any(part in key for part in VARYING)
    }
    return {key: span[key] for key in ("name", "kind", "status", "attributes", "events") if key in span}


def _points(telemetry: Telemetry) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [
            {key: value for key, value in point.attributes.items() if key != "server.port"}
            for point in points
        ]
        for name, points in telemetry.points().items()
    }


def test_chat(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    assert _span("chat", telemetry, make) == snapshot(
        {
            "name": "chat gpt-4o",
            "kind": "CLIENT",
            "status": "UNSET",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.response.model": "gpt-4o",
                "gen_ai.usage.cache_read.input_tokens": 0,
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 8,
                "gen_ai.usage.reasoning.output_tokens": 0,
                "otel_llm.outcome": "completed",
                "otel_llm.ratelimit.limit.requests": 10000,
                "otel_llm.ratelimit.limit.tokens": 200000,
                "otel_llm.ratelimit.remaining.requests": 9999,
                "otel_llm.ratelimit.remaining.tokens": 199980,
                "otel_llm.ratelimit.reset.requests": "<seconds>",
                "otel_llm.ratelimit.reset.tokens": "<seconds>",
                "otel_llm.response.organization": "org-fake",
                "otel_llm.response.service_tier": "default",
                "otel_llm.response.status_code": 200,
                "server.address": "127.0.0.1",
                "server.port": "<port>",
            },
        }
    )
    assert _points(telemetry) == snapshot(
        {
            "gen_ai.client.operation.duration": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                    "otel_llm.outcome": "completed",
                }
            ],
            "gen_ai.client.token.usage": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "gen_ai.token.type": "input",
                },
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "gen_ai.token.type": "output",
                },
            ],
            "otel_llm.ratelimit.limit.requests": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.limit.tokens": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.remaining.requests": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.remaining.tokens": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.reset.requests": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.reset.tokens": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
        }
    )


def test_chat_stream(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    assert _span("chat-stream", telemetry, make) == snapshot(
        {
            "name": "chat gpt-4o",
            "kind": "CLIENT",
            "status": "UNSET",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.request.stream": True,
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.response.model": "gpt-4o",
                "gen_ai.usage.cache_read.input_tokens": 0,
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 8,
                "gen_ai.usage.reasoning.output_tokens": 0,
                "otel_llm.outcome": "completed",
                "otel_llm.ratelimit.limit.requests": 10000,
                "otel_llm.ratelimit.limit.tokens": 200000,
                "otel_llm.ratelimit.remaining.requests": 9999,
                "otel_llm.ratelimit.remaining.tokens": 199980,
                "otel_llm.ratelimit.reset.requests": "<seconds>",
                "otel_llm.ratelimit.reset.tokens": "<seconds>",
                "otel_llm.response.organization": "org-fake",
                "otel_llm.response.service_tier": "default",
                "otel_llm.response.status_code": 200,
                "otel_llm.stream.chunks": 6,
                "otel_llm.stream.size": 17,
                "otel_llm.usage.source": "provider",
                "server.address": "127.0.0.1",
                "server.port": "<port>",
            },
        }
    )
    assert _points(telemetry) == snapshot(
        {
            "gen_ai.client.operation.duration": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                    "otel_llm.outcome": "completed",
                }
            ],
            "gen_ai.client.operation.time_per_output_chunk": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                }
            ],
            "gen_ai.client.operation.time_to_first_chunk": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                }
            ],
            "gen_ai.client.token.usage": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "gen_ai.token.type": "input",
                },
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "gen_ai.token.type": "output",
                },
            ],
            "otel_llm.ratelimit.limit.requests": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.limit.tokens": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.remaining.requests": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.remaining.tokens": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.reset.requests": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.reset.tokens": [
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.stream.ended": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "otel_llm.outcome": "completed",
                }
            ],
            "otel_llm.stream.token_rate": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.model": "gpt-4o",
                    "otel_llm.outcome": "completed",
                }
            ],
        }
    )


def test_responses(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    assert _span("responses", telemetry, make) == snapshot(
        {
            "name": "chat gpt-4o",
            "kind": "CLIENT",
            "status": "UNSET",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.response.model": "gpt-4o",
                "gen_ai.usage.cache_creation.input_tokens": 0,
                "gen_ai.usage.cache_read.input_tokens": 0,
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 8,
                "gen_ai.usage.reasoning.output_tokens": 0,
                "otel_llm.outcome": "completed",
                "otel_llm.ratelimit.limit.requests": 10000,
                "otel_llm.ratelimit.limit.tokens": 200000,
                "otel_llm.ratelimit.remaining.requests": 9999,
                "otel_llm.ratelimit.remaining.tokens": 199980,
                "otel_llm.ratelimit.reset.requests": "<seconds>",
                "otel_llm.ratelimit.reset.tokens": "<seconds>",
                "otel_llm.response.organization": "org-fake",
                "otel_llm.response.service_tier": "default",
                "otel_llm.response.status": "completed",
                "otel_llm.response.status_code": 200,
                "server.address": "127.0.0.1",
                "server.port": "<port>",
            },
        }
    )


def test_messages(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    assert _span("messages", telemetry, make) == snapshot(
        {
            "name": "chat claude-test-1",
            "kind": "CLIENT",
            "status": "UNSET",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.max_tokens": 64,
                "gen_ai.request.model": "claude-test-1",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.response.model": "claude-test-1",
                "gen_ai.usage.cache_creation.input_tokens": 0,
                "gen_ai.usage.cache_read.input_tokens": 0,
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 8,
                "otel_llm.outcome": "completed",
                "otel_llm.ratelimit.limit.requests": 4000,
                "otel_llm.ratelimit.limit.tokens": 480000,
                "otel_llm.ratelimit.remaining.requests": 3999,
                "otel_llm.ratelimit.remaining.tokens": 479980,
                "otel_llm.ratelimit.reset.requests": "<seconds>",
                "otel_llm.ratelimit.reset.tokens": "<seconds>",
                "otel_llm.response.organization": "org-fake",
                "otel_llm.response.service_tier": "standard",
                "otel_llm.response.status_code": 200,
                "otel_llm.usage.cache_write_1h.input_tokens": 0,
                "otel_llm.usage.cache_write_5m.input_tokens": 0,
                "server.address": "127.0.0.1",
                "server.port": "<port>",
            },
        }
    )
    assert _points(telemetry) == snapshot(
        {
            "gen_ai.client.operation.duration": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "gen_ai.response.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                    "otel_llm.outcome": "completed",
                }
            ],
            "gen_ai.client.token.usage": [
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "gen_ai.response.model": "claude-test-1",
                    "gen_ai.token.type": "input",
                },
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "gen_ai.response.model": "claude-test-1",
                    "gen_ai.token.type": "output",
                },
            ],
            "otel_llm.ratelimit.limit.requests": [
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.limit.tokens": [
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.remaining.requests": [
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.remaining.tokens": [
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.reset.requests": [
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                }
            ],
            "otel_llm.ratelimit.reset.tokens": [
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-test-1",
                    "server.address": "127.0.0.1",
                }
            ],
        }
    )


def test_embeddings(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    assert _span("embeddings", telemetry, make) == snapshot(
        {
            "name": "embeddings text-embedding-3-small",
            "kind": "CLIENT",
            "status": "UNSET",
            "attributes": {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.encoding_formats": ["base64"],
                "gen_ai.request.model": "text-embedding-3-small",
                "gen_ai.response.model": "text-embedding-3-small",
                "gen_ai.usage.input_tokens": 12,
                "otel_llm.outcome": "completed",
                "otel_llm.ratelimit.limit.requests": 10000,
                "otel_llm.ratelimit.limit.tokens": 200000,
                "otel_llm.ratelimit.remaining.requests": 9999,
                "otel_llm.ratelimit.remaining.tokens": 199980,
                "otel_llm.ratelimit.reset.requests": "<seconds>",
                "otel_llm.ratelimit.reset.tokens": "<seconds>",
                "otel_llm.response.organization": "org-fake",
                "otel_llm.response.status_code": 200,
                "server.address": "127.0.0.1",
                "server.port": "<port>",
            },
        }
    )
