"""Every way by which a program reaches a model, each in its sync and its async form.

A door opens a call and gives what the SDK gives; `events` reads a streaming one to its end.
A door that the installed SDK lacks is left out of the matrix (`lacking` says why).
"""

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "MY-PROMPT"}]
CHAT = {"model": "gpt-4o", "messages": MESSAGES}
RESPONSE = {"model": "gpt-4o", "input": "MY-PROMPT"}
MESSAGE = {"model": "claude-test-1", "max_tokens": 64, "messages": MESSAGES}
USAGE = {"include_usage": True}


@dataclass(frozen=True, kw_only=True)
class Door:
    """One way in. `call` takes a client; on an async client it gives an awaitable, except for managers."""

    name: str
    sdk: str
    call: Callable[[Any], Any]
    needs: str
    """The attribute path on the client without which the SDK does not have this door."""
    kind: str = "plain"
    """plain | stream | manager (a context manager giving a stream) | lines | bytes | raw | raw_stream | body"""
    operation: str = "chat"
    async_only_awaitable: bool = True

    @property
    def streams(self) -> bool:
        return self.kind in ("stream", "manager", "raw_stream", "lines", "bytes")

    def __str__(self) -> str:
        return self.name


TLS = ssl.create_default_context()
"""Made once: each client makes its own otherwise, which takes longer than a test."""


def client(sdk: str, server: Any, *, asynchronous: bool, **options: Any) -> Any:
    """A client of the SDK against the fake provider, with the SDK's own kind of HTTP client."""
    module = importlib.import_module(sdk)
    http = module.DefaultAsyncHttpxClient if asynchronous else module.DefaultHttpxClient
    timeout = {"timeout": options["timeout"]} if "timeout" in options else {}
    options.setdefault("http_client", http(verify=TLS, **timeout))
    if sdk == "openai":
        cls = module.AsyncOpenAI if asynchronous else module.OpenAI
        return cls(api_key="sk-SECRET", base_url=server.openai_url, **options)
    cls = module.AsyncAnthropic if asynchronous else module.Anthropic
    return cls(api_key="sk-ant-SECRET", base_url=server.anthropic_url, **options)


def lacking(door: Door) -> str | None:
    """Why the installed SDK does not have `door`; None if it does."""
    module, there = _sample(door.sdk)
    for part in door.needs.split("."):
        there = getattr(there, part, None)
        if there is None:
            return f"{door.sdk} {module.__version__} has no {door.needs}"
    return None


@cache
def _sample(sdk: str) -> tuple[Any, Any]:
    module = importlib.import_module(sdk)
    return module, (module.OpenAI if sdk == "openai" else module.Anthropic)(api_key="none")


DOORS: tuple[Door, ...] = (
    Door(
        name="chat",
        sdk="openai",
        needs="chat.completions.create",
        call=lambda c: c.chat.completions.create(**CHAT),
    ),
    Door(
        name="chat-stream",
        sdk="openai",
        needs="chat.completions.create",
        kind="stream",
        call=lambda c: c.chat.completions.create(**CHAT, stream=True, stream_options=USAGE),
    ),
    Door(
        name="chat-parse",
        sdk="openai",
        needs="chat.completions.parse",
        call=lambda c: c.chat.completions.parse(**CHAT),
    ),
    Door(
        name="chat-helper",
        sdk="openai",
        needs="chat.completions.stream",
        kind="manager",
        call=lambda c: c.chat.completions.stream(**CHAT, stream_options=USAGE),
    ),
    Door(
        name="chat-raw",
        sdk="openai",
        needs="chat.completions.create",
        kind="raw",
        call=lambda c: c.chat.completions.with_raw_response.create(**CHAT),
    ),
    Door(
        name="chat-raw-stream",
        sdk="openai",
        needs="chat.completions.create",
        kind="raw_stream",
        call=lambda c: c.chat.completions.with_raw_response.create(**CHAT, stream=True, stream_options=USAGE),
    ),
    Door(
        name="chat-streaming-response",
        sdk="openai",
        needs="chat.completions.create",
        kind="body",
        call=lambda c: c.chat.completions.with_streaming_response.create(**CHAT),
    ),
    Door(
        name="chat-lines",
        sdk="openai",
        needs="chat.completions.create",
        kind="lines",
        call=lambda c: c.chat.completions.with_streaming_response.create(
            **CHAT, stream=True, stream_options=USAGE
        ),
    ),
    Door(
        name="chat-bytes",
        sdk="openai",
        needs="chat.completions.create",
        kind="bytes",
        call=lambda c: c.chat.completions.with_streaming_response.create(
            **CHAT, stream=True, stream_options=USAGE
        ),
    ),
    Door(
        name="chat-generic-post",
        sdk="openai",
        needs="post",
        call=lambda c: c.post("/chat/completions", cast_to=object, body=CHAT),
    ),
    Door(
        name="chat-with-options",
        sdk="openai",
        needs="with_options",
        call=lambda c: c.with_options(timeout=30).chat.completions.create(**CHAT),
    ),
    Door(
        name="responses",
        sdk="openai",
        needs="responses.create",
        call=lambda c: c.responses.create(**RESPONSE),
    ),
    Door(
        name="responses-stream",
        sdk="openai",
        needs="responses.create",
        kind="stream",
        call=lambda c: c.responses.create(**RESPONSE, stream=True),
    ),
    Door(
        name="responses-parse",
        sdk="openai",
        needs="responses.parse",
        call=lambda c: c.responses.parse(**RESPONSE),
    ),
    Door(
        name="responses-helper",
        sdk="openai",
        needs="responses.stream",
        kind="manager",
        call=lambda c: c.responses.stream(**RESPONSE),
    ),
    Door(
        name="responses-raw",
        sdk="openai",
        needs="responses.create",
        kind="raw",
        call=lambda c: c.responses.with_raw_response.create(**RESPONSE),
    ),
    Door(
        name="responses-lines",
        sdk="openai",
        needs="responses.create",
        kind="lines",
        call=lambda c: c.responses.with_streaming_response.create(**RESPONSE, stream=True),
    ),
    Door(
        name="embeddings",
        sdk="openai",
        needs="embeddings.create",
        operation="embeddings",
        call=lambda c: c.embeddings.create(model="text-embedding-3-small", input="MY-PROMPT"),
    ),
    Door(
        name="completions",
        sdk="openai",
        needs="completions.create",
        operation="text_completion",
        call=lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="MY-PROMPT"),
    ),
    Door(
        name="completions-stream",
        sdk="openai",
        needs="completions.create",
        operation="text_completion",
        kind="stream",
        call=lambda c: c.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="MY-PROMPT", stream=True, stream_options=USAGE
        ),
    ),
    Door(
        name="messages", sdk="anthropic", needs="messages.create", call=lambda c: c.messages.create(**MESSAGE)
    ),
    Door(
        name="messages-stream",
        sdk="anthropic",
        needs="messages.create",
        kind="stream",
        call=lambda c: c.messages.create(**MESSAGE, stream=True),
    ),
    Door(
        name="messages-parse",
        sdk="anthropic",
        needs="messages.parse",
        call=lambda c: c.messages.parse(**MESSAGE),
    ),
    Door(
        name="messages-helper",
        sdk="anthropic",
        needs="messages.stream",
        kind="manager",
        call=lambda c: c.messages.stream(**MESSAGE),
    ),
    Door(
        name="messages-raw",
        sdk="anthropic",
        needs="messages.create",
        kind="raw",
        call=lambda c: c.messages.with_raw_response.create(**MESSAGE),
    ),
    Door(
        name="messages-raw-stream",
        sdk="anthropic",
        needs="messages.create",
        kind="raw_stream",
        call=lambda c: c.messages.with_raw_response.create(**MESSAGE, stream=True),
    ),
    Door(
        name="messages-lines",
        sdk="anthropic",
        needs="messages.create",
        kind="lines",
        call=lambda c: c.messages.with_streaming_response.create(**MESSAGE, stream=True),
    ),
    Door(
        name="messages-streaming-response",
        sdk="anthropic",
        needs="messages.create",
        kind="body",
        call=lambda c: c.messages.with_streaming_response.create(**MESSAGE),
    ),
    Door(
        name="beta-messages",
        sdk="anthropic",
        needs="beta.messages.create",
        call=lambda c: c.beta.messages.create(**MESSAGE),
    ),
    Door(
        name="beta-messages-helper",
        sdk="anthropic",
        needs="beta.messages.stream",
        kind="manager",
        call=lambda c: c.beta.messages.stream(**MESSAGE),
    ),
)


def events(door: Door, stream: Any) -> Iterator[Any]:
    """What a program reads from a sync streaming door."""
    if door.kind == "lines":
        return stream.iter_lines()  # type: ignore[no-any-return]
    if door.kind == "bytes":
        return stream.iter_bytes()  # type: ignore[no-any-return]
    return iter(stream)


def async_events(door: Door, stream: Any) -> AsyncIterator[Any]:
    """What a program reads from an async streaming door."""
    if door.kind == "lines":
        return stream.iter_lines()  # type: ignore[no-any-return]
    if door.kind == "bytes":
        return stream.iter_bytes()  # type: ignore[no-any-return]
    return stream.__aiter__()  # type: ignore[no-any-return]
