"""One way to write a call of an SDK, done by its synchronous and by its asynchronous client."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_async", "call_sync"]


def call_sync(make: Callable[[], Any], method: str, **kwargs: Any) -> Any:
    """Call `method` (dotted) of a client of its own; a stream is read to its end, as a list."""
    with make() as client:
        result = attrgetter(method)(client)(**kwargs)
        return list(result) if kwargs.get("stream") else result


def call_async(make: Callable[[], Any], method: str, **kwargs: Any) -> Any:
    """The same with an asynchronous client, in an event loop of its own."""

    async def call() -> Any:
        async with make() as client:
            result = await attrgetter(method)(client)(**kwargs)
            return [item async for item in result] if kwargs.get("stream") else result

    return asyncio.run(call())
