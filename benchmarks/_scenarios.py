"""What the application does in each measurement: one call, written out for both SDKs, plain and async."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from ._transport import VECTORS, Server, client

SHORT = [{"role": "user", "content": "Say hello."}]
LONG = [
    {"role": ("user", "assistant")[index % 2], "content": f"{index:03d} " + "x" * 508} for index in range(200)
]
"""200 messages of 512 bytes: 100 KB of prompt."""

KINDS = ("call", "told", "prompt", "embeddings", "stream")
"""`call` is answered with what the floor reads and no more, `told` with all that the provider's own API tells."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`kind` is one of KINDS; `size` is a stream's number of chunks with text, or of vectors answered."""

    provider: str
    kind: str
    size: int = 0
    asynchronous: bool = False

    @property
    def name(self) -> str:
        size = f"-{self.size}" if self.size else ""
        return f"{self.provider}{' async' if self.asynchronous else ''} {self.kind}{size}"


def parse(spec: list[Any]) -> Scenario:
    return Scenario(*spec)


class Runner:
    """Makes the calls of one scenario with one warm client."""

    def __init__(self, scenario: Scenario, loop: asyncio.AbstractEventLoop) -> None:
        self.scenario = scenario
        self.server = Server(scenario.provider)
        self.server.stream = scenario.kind == "stream"
        self.server.told = scenario.kind == "told"
        self.server.chunks = max(scenario.size, 1)
        self.server.vectors = max(scenario.size, 1)
        self.client = client(self.server, asynchronous=scenario.asynchronous)
        self.loop = loop
        self.first_chunk = 0.0
        """CPU seconds from the newest call to its first chunk."""
        self._request = self._arguments()

    def _arguments(self) -> dict[str, Any]:
        kind = self.scenario.kind
        if kind == "embeddings":
            return {"model": "text-embedding-3-small", "input": ["text"] * (self.scenario.size or VECTORS)}
        messages = LONG if kind == "prompt" else SHORT
        if self.scenario.provider == "openai":
            request: dict[str, Any] = {"model": "gpt-4o", "messages": messages, "temperature": 0.5}
            if kind == "stream":
                request["stream_options"] = {"include_usage": True}
        else:
            request = {"model": "claude-sonnet-4-5", "messages": messages, "max_tokens": 64}
        return request | ({"stream": True} if kind == "stream" else {})

    def _create(self) -> Any:
        """The call. The method is looked up each time, as applications do."""
        if self.scenario.kind == "embeddings":
            return self.client.embeddings.create(**self._request)
        if self.scenario.provider == "openai":
            return self.client.chat.completions.create(**self._request)
        return self.client.messages.create(**self._request)

    def once(self) -> None:
        """One call, read to its end."""
        if self.scenario.asynchronous:
            self.loop.run_until_complete(self.once_async())
            return
        started = time.process_time()
        answer = self._create()
        if self.scenario.kind == "stream":
            chunks = iter(answer)
            next(chunks)
            self.first_chunk = time.process_time() - started
            for _ in chunks:
                pass

    async def once_async(self) -> None:
        started = time.process_time()
        answer = await self._create()
        if self.scenario.kind == "stream":
            chunks = aiter(answer)
            await anext(chunks)
            self.first_chunk = time.process_time() - started
            async for _ in chunks:
                pass

    def open(self) -> Any:
        """A stream with three chunks read, and its iterator: either may be what keeps things alive."""
        answer = self._create()
        chunks = iter(answer)
        for _ in range(3):
            next(chunks)
        return answer, chunks

    def together(self, calls: int) -> None:
        """`calls` async calls at once, each kept waiting by the server until all have started."""

        async def main() -> None:
            await asyncio.gather(*[self.once_async() for _ in range(calls)])

        self.loop.run_until_complete(main())

    def close(self) -> None:
        if self.scenario.asynchronous:
            self.loop.run_until_complete(self.client.close())
        else:
            self.client.close()
