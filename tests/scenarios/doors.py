"""Every way by which a program reaches a model.

An API (`chat.completions`, `messages`, ...) times a way of calling it (`create`, `stream=True`, a helper, raw and
streaming responses, ...) is a door.
One that the installed SDK lacks is left out of the matrix (`lacking` says why).
`Use` goes through a door, in the same words for sync and async clients.
"""

from __future__ import annotations

import importlib
import inspect
import ssl
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "MY-PROMPT"}]
CHAT = {"model": "gpt-4o", "messages": MESSAGES}
RESPONSE = {"model": "gpt-4o", "input": "MY-PROMPT"}
PROMPT = {"model": "gpt-3.5-turbo-instruct", "prompt": "MY-PROMPT"}
EMBEDDING = {"model": "text-embedding-3-small", "input": "MY-PROMPT"}
MESSAGE = {"model": "claude-test-1", "max_tokens": 64, "messages": MESSAGES}
COMPLETE = {"model": "claude-2.1", "max_tokens_to_sample": 64, "prompt": "MY-PROMPT"}
USAGE = {"include_usage": True}
_TEXT = "text_completion"


@dataclass(frozen=True)
class Way:
    """How a method of a resource is called, and what the program has in its hand then."""

    name: str
    kind: str
    """What the program does with it, see `Use`: plain, raw, body, or one of `STREAMING`."""
    method: str
    says_stream: bool = False
    """Whether with `stream=True`."""


WAYS = {
    way.name: way
    for way in (
        Way("", "plain", "create"),
        Way("parse", "plain", "parse"),
        Way("raw", "raw", "with_raw_response.create"),
        Way("streaming-response", "body", "with_streaming_response.create"),
        Way("stream", "stream", "create", says_stream=True),
        Way("helper", "manager", "stream"),
        Way("raw-stream", "raw_stream", "with_raw_response.create", says_stream=True),
        Way("lines", "lines", "with_streaming_response.create", says_stream=True),
        Way("bytes", "bytes", "with_streaming_response.create", says_stream=True),
        Way("parsed", "parsed", "with_streaming_response.create", says_stream=True),
    )
}
STREAMING = ("stream", "manager", "raw_stream", "lines", "bytes", "parsed")
HELD = ("stream", "raw_stream")
"""Kinds that need no `with` block."""
MANAGERS = ("manager", "lines", "bytes", "parsed", "body")
"""Kinds that the SDK gives out in a `with` block only."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """One way in."""

    name: str
    sdk: str
    path: str
    """The method, as an attribute path on a client."""
    kind: str
    arguments: Mapping[str, Any]
    operation: str = "chat"
    prepare: Callable[[Any], Any] = lambda client: client
    """What is done to the client before."""

    @property
    def streams(self) -> bool:
        return self.kind in STREAMING

    @property
    def tells_usage(self) -> bool:
        """Whether the API answers with token counts: Anthropic's legacy completions do not."""
        return not (self.sdk == "anthropic" and self.operation == _TEXT)

    def method(self, client: Any) -> Any:
        """The SDK's method, bound to `client`."""
        return attrgetter(self.path)(self.prepare(client))

    def call(self, client: Any) -> Any:
        """What the SDK's method gives; of an async client something to be awaited or entered."""
        return self.method(client)(**self.arguments)

    def __str__(self) -> str:
        return self.name


def _of(
    sdk: str,
    api: str,
    resource: str,
    body: Mapping[str, Any],
    *ways: str,
    operation: str = "chat",
    streamed: Mapping[str, Any] | None = None,
) -> list[Door]:
    """The doors of one resource: those in `ways`, or all; `streamed` is what streams are asked with besides."""
    return [
        Door(
            name=f"{api}-{name}".rstrip("-"),
            sdk=sdk,
            path=f"{resource}.{way.method}",
            kind=way.kind,
            arguments={
                **body,
                **({"stream": True} if way.says_stream else {}),
                **((streamed or {}) if way.kind in STREAMING else {}),
            },
            operation=operation,
        )
        for name, way in WAYS.items()
        if name in (ways or WAYS)
    ]


_COUNTED = {"stream_options": USAGE}

DOORS: tuple[Door, ...] = (
    *_of("openai", "chat", "chat.completions", CHAT, streamed=_COUNTED),
    *_of("openai", "beta-chat", "beta.chat.completions", CHAT, "parse", "helper", streamed=_COUNTED),
    *_of("openai", "responses", "responses", RESPONSE),
    *_of("openai", "beta-responses", "beta.responses", RESPONSE, "", "stream"),
    *_of("openai", "embeddings", "embeddings", EMBEDDING, "", "raw", operation="embeddings"),
    *_of("openai", "completions", "completions", PROMPT, "", "stream", operation=_TEXT, streamed=_COUNTED),
    *_of("anthropic", "messages", "messages", MESSAGE),
    *_of("anthropic", "complete", "completions", COMPLETE, "", "raw", "stream", operation=_TEXT),
    *_of("anthropic", "beta-messages", "beta.messages", MESSAGE, "", "parse", "stream", "helper"),
    Door(
        name="chat-generic-post",
        sdk="openai",
        path="post",
        kind="plain",
        arguments={"path": "/chat/completions", "cast_to": object, "body": CHAT},
    ),
    Door(
        name="messages-generic-post",
        sdk="anthropic",
        path="post",
        kind="plain",
        arguments={"path": "/v1/messages", "cast_to": object, "body": MESSAGE},
    ),
    Door(
        name="chat-with-options",
        sdk="openai",
        path="chat.completions.create",
        kind="plain",
        arguments=CHAT,
        prepare=lambda client: client.with_options(timeout=30),
    ),
)


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
    missing = lacks(door, there)
    return missing and f"{door.sdk} {module.__version__}: {missing}"


def lacks(door: Door, client: Any) -> str | None:
    """Why a client does not have `door`; None if it does."""
    for part in door.path.split("."):
        client = getattr(client, part, None)
        if client is None:
            return f"no {door.path}"
    return None


@cache
def _sample(sdk: str) -> tuple[Any, Any]:
    module = importlib.import_module(sdk)
    return module, (module.OpenAI if sdk == "openai" else module.Anthropic)(api_key="none")


async def settled(given: Any) -> Any:
    """What an async client gives is awaited; what a sync one gives is there."""
    return await given if inspect.isawaitable(given) else given


class Use:
    """One use of a door: entered by `async with`, or by `enter` and never left; reading it is `async for`.

    With a sync client nothing in it ever waits, so that `drive` runs a program of it without an event loop.
    """

    def __init__(self, door: Door, client: Any, seen: list[Any] | None = None, **more: Any) -> None:
        self.door = replace(door, arguments={**door.arguments, **more}) if more else door
        self.client = client
        self.seen: list[Any] = [] if seen is None else seen
        """What was read."""
        self.opened: Any = None
        """What the SDK gave: a result, a stream, or a manager of one."""
        self.stream: Any = None
        """What is read."""

    async def open(self) -> Self:
        """Send the request, unless the SDK sends it only when its manager is entered."""
        opened = self.door.call(self.client)
        if self.door.kind not in MANAGERS:
            opened = await settled(opened)
        if self.door.kind == "raw_stream":
            opened = await settled(opened.parse())
        self.opened = opened
        return self

    async def enter(self) -> Self:
        """Begin, outside of any `with` block."""
        if self.opened is None:
            await self.open()
        enter = getattr(self.opened, "__aenter__", None) or self.opened.__enter__
        self.stream = await settled(enter())
        if self.door.kind == "parsed":
            self.stream = await settled(self.stream.parse())
        return self

    async def leave(self, *error: Any) -> Any:
        """Leave the SDK's `with` block."""
        leave = getattr(self.opened, "__aexit__", None) or self.opened.__exit__
        return await settled(leave(*error))

    __aenter__ = enter
    __aexit__ = leave

    def __aiter__(self) -> Events:
        if self.door.kind in ("lines", "bytes"):
            return Events(getattr(self.stream, f"iter_{self.door.kind}")(), self.seen)
        return Events(self.stream, self.seen)

    async def result(self) -> Any:
        """Everything that the door gives, read to its end."""
        if self.door.kind in ("plain", "raw"):
            return (await self.open()).opened
        if self.door.kind in HELD:
            async for _ in await self.enter():
                pass
            return self.seen
        async with self:
            if self.door.kind == "body":
                return await settled(self.stream.parse())
            async for _ in self:
                pass
            return self.seen

    async def close(self) -> None:
        """Close what is read."""
        await settled(self.stream.close())

    @property
    def response(self) -> Any:
        """The HTTP response below it."""
        names = ("http_response", "response", "_response")
        return next(found for name in names if (found := getattr(self.stream, name, None)) is not None)


class Events:
    """What a program reads, one by one."""

    def __init__(self, stream: Any, seen: list[Any]) -> None:
        self._iterator = aiter(stream) if hasattr(type(stream), "__aiter__") else iter(stream)
        self._seen = seen

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if hasattr(type(self._iterator), "__anext__"):
            event = await anext(self._iterator)
        else:
            try:
                event = next(self._iterator)
            except StopIteration:
                raise StopAsyncIteration from None
        self._seen.append(event)
        return event
