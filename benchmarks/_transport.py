"""Real SDK clients over an in-process transport: no socket, bodies that stream."""

from __future__ import annotations

import asyncio
import base64
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

VECTORS, DIMENSIONS = 2048, 1536

_HEADERS = {
    "openai": {
        "x-request-id": "req_0123456789abcdef",
        "openai-organization": "org-bench",
        "openai-processing-ms": "412",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "1999900",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "3ms",
    },
    "anthropic": {
        "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
        "anthropic-organization-id": "00000000-0000-0000-0000-000000000000",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
        "anthropic-ratelimit-tokens-limit": "400000",
        "anthropic-ratelimit-tokens-remaining": "399000",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
    },
}

_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello there."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 6, "output_tokens": 20},
}
_TOLD: dict[str, dict[str, Any]] = {
    "openai": {
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "usage": {
            **_CHAT["usage"],  # type: ignore[dict-item]
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    },
    "anthropic": {
        "usage": {
            "input_tokens": 6,
            "cache_read_input_tokens": 4,
            "output_tokens": 20,
            "service_tier": "standard",
        }
    },
}
"""What the providers' own APIs tell beside what the floor reads."""


def _event(data: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def _openai_chunks(count: int) -> list[bytes]:
    """`count` chunks with text, then the finish reason, the usage and the end mark."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    text = _event({**base, "choices": [{"index": 0, "delta": {"content": "hello "}, "finish_reason": None}]})
    return [
        *[text] * count,
        _event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        _event({**base, "choices": [], "usage": _CHAT["usage"]}),
        _event("[DONE]"),
    ]


def _anthropic_chunks(count: int) -> list[bytes]:
    start = {**_MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 6, "output_tokens": 1}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello "}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    stop = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 20},
    }
    return [
        _event({"type": "message_start", "message": start}, "message_start"),
        _event(block, "content_block_start"),
        *[_event(delta, "content_block_delta")] * count,
        _event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        _event(stop, "message_delta"),
        _event({"type": "message_stop"}, "message_stop"),
    ]


@cache
def _stream_body(provider: str, count: int) -> list[bytes]:
    return (_openai_chunks if provider == "openai" else _anthropic_chunks)(count)


@cache
def _answer_body(provider: str, *, told: bool) -> bytes:
    body = _CHAT if provider == "openai" else _MESSAGE
    return json.dumps({**body, **_TOLD[provider]} if told else body).encode()


@cache
def _embedding_body(vectors: int) -> bytes:
    vector = base64.b64encode(b"\x00\x00\x80\x3e" * DIMENSIONS).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(vectors)]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return json.dumps(
        {"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage}
    ).encode()


class _Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A response body in pieces, as it would come off a socket."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


class Server:
    """Answers requests; what with, and after what wait, is set from outside."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.stream = False
        self.told = False
        """Whether answers tell all that the provider's own API does: limits, ids, tiers, token details."""
        self.chunks = 1
        self.vectors = 1
        self.wait = 0.0

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        headers = _HEADERS[self.provider] if self.told else {}
        if self.stream:
            body = _stream_body(self.provider, self.chunks)
            return httpx2.Response(
                200, stream=_Body(body), headers={"content-type": "text/event-stream", **headers}
            )
        if request.url.path.endswith("/embeddings"):
            whole = _embedding_body(self.vectors)
        else:
            whole = _answer_body(self.provider, told=self.told)
        return httpx2.Response(
            200, stream=_Body([whole]), headers={"content-type": "application/json", **headers}
        )

    async def answer_later(self, request: httpx2.Request) -> httpx2.Response:
        if self.wait:
            await asyncio.sleep(self.wait)
        return self.answer(request)


def client(server: Server, *, asynchronous: bool) -> Any:
    """The provider's own client over `server`."""
    if server.provider == "openai":
        import openai

        made = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    else:
        import anthropic

        made = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    if asynchronous:
        http: Any = httpx2.AsyncClient(transport=httpx2.MockTransport(server.answer_later))
    else:
        http = httpx2.Client(transport=httpx2.MockTransport(server.answer))
    return made(api_key="bench", http_client=http, max_retries=0)
