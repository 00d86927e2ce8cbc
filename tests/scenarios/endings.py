"""Every way by which a program lets go of a stream, and what the span must say of it.

An ending is a small program, written once for sync and async clients; `test_endings.py` runs each through every
streaming door.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from doors import HELD, Door, Use, settled
from scene import drive

from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping

WHOLE = Reply(chunks=3)
HANGING = Reply(chunks=5, hang_after=2)
"""Half an answer; the rest does not come before the client closes the connection."""
UNPARSED = ("lines", "bytes")
"""Kinds of doors behind which the program reads what nobody parses."""


class Boom(Exception):
    """What the program's own loop raises."""


@dataclass(kw_only=True)
class Stage:
    """What an ending works with."""

    door: Door
    client: Any
    asynchronous: bool
    asked: Callable[[], object]
    """Waits, in a thread, until the provider has got the request."""
    check: Callable[[], object]
    """Fails unless the call has ended as it should."""
    seen: list[Any] = field(default_factory=list)
    """What the program has read."""

    def use(self, **more: Any) -> Use:
        """A use of the door; `more` are arguments of the call."""
        return Use(self.door, self.client, self.seen, **more)

    async def elsewhere(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Do `work` in another task, or, with a sync client, in another thread."""
        if self.asynchronous:
            await asyncio.create_task(work())
            return
        with ThreadPoolExecutor(1) as pool:
            pool.submit(drive, work()).result()


@dataclass(frozen=True)
class Ending:
    """One way to let go."""

    program: Callable[[Stage], Awaitable[None]]
    outcome: str
    otherwise: Mapping[str, str] = field(default_factory=dict)
    """The outcome behind doors of some kinds, if it is another there."""
    _: KW_ONLY
    reply: Reply = HANGING
    late: bool = False
    """Whether only the garbage collector notices it: the next call or reader of metrics records it."""
    kinds: tuple[str, ...] | None = None
    """The kinds of doors that know it; None: all that stream."""
    asynchronous: bool | None = None
    """None: with both kinds of clients."""
    error: str | None = None
    """`error.type`, where it is the same everywhere."""
    unread: bool = False
    """Whether the program has read nothing."""

    @property
    def name(self) -> str:
        return self.program.__name__.replace("_", "-")

    def of(self, door: Door) -> str:
        """The outcome behind `door`."""
        return self.otherwise.get(door.kind, self.outcome)


# Read to its end.


async def exhausted(stage: Stage) -> None:
    async with stage.use() as use:
        async for _ in use:
            pass


async def exhausted_outside_with(stage: Stage) -> None:
    async for _ in await stage.use().enter():
        pass


async def read_on_after_the_end(stage: Stage) -> None:
    use = await stage.use().enter()
    events = aiter(use)
    async for _ in events:
        pass
    async for _ in events:
        raise AssertionError


async def read_elsewhere(stage: Stage) -> None:
    use = await stage.use().enter()

    async def read() -> None:
        async for _ in use:
            pass

    await stage.elsewhere(read)


async def begun_here_read_there_left_elsewhere(stage: Stage) -> None:
    use = await stage.use().enter()
    events = aiter(use)

    async def first() -> None:
        await anext(events)

    async def rest() -> None:
        async for _ in events:
            pass

    await stage.elsewhere(first)
    await stage.elsewhere(rest)
    await stage.elsewhere(lambda: use.leave(None, None, None))


async def closed_after_the_last_event(stage: Stage) -> None:
    async with stage.use() as use:
        async for event in use:
            if _is_last(event):
                return


def _is_last(event: Any) -> bool:
    """Whether an event ends the answer, so that nothing but the end of the stream comes after it."""
    if isinstance(event, str):
        return any(word in event for word in ("[DONE]", '"response.completed"', '"message_stop"'))
    if event.type == "chunk" if hasattr(event, "type") else False:  # of the helper of chat completions
        event = event.chunk
    kind = getattr(event, "type", None)
    if kind is None:
        return getattr(event, "usage", None) is not None
    return kind in ("response.completed", "message_stop")


# Closed before its end.


async def break_inside_with(stage: Stage) -> None:
    async with stage.use() as use:
        async for _ in use:
            break


async def return_inside_with(stage: Stage) -> None:
    async def first() -> Any:
        async with stage.use() as use:
            async for event in use:
                return event
        return None

    assert await first()


async def left_unread(stage: Stage) -> None:
    async with stage.use():
        pass


async def exception_inside_with(stage: Stage) -> None:
    async with stage.use() as use:
        async for _ in use:
            raise Boom


async def closed(stage: Stage) -> None:
    use = await stage.use().enter()
    await anext(aiter(use))
    await use.close()
    stage.check()


async def closed_unread(stage: Stage) -> None:
    use = await stage.use().enter()
    await use.close()
    stage.check()


async def closed_twice(stage: Stage) -> None:
    async with stage.use() as use:
        await anext(aiter(use))
        await use.close()
        stage.check()
        await use.close()


async def closed_elsewhere(stage: Stage) -> None:
    use = await stage.use().enter()
    events = aiter(use)
    await anext(events)
    await stage.elsewhere(use.close)
    stage.check()


async def raw_response_closed(stage: Stage) -> None:
    use = await stage.use().enter()
    events = aiter(use)
    await anext(events)
    response = use.response
    await settled(response.aclose() if stage.asynchronous else response.close())
    stage.check()


async def read_on_after_close(stage: Stage) -> None:
    async with stage.use() as use:
        await anext(aiter(use))
        await use.close()
        stage.check()
        use.seen = []
        await anext(aiter(use))


async def closed_long_after_the_last_read(stage: Stage) -> None:
    async with stage.use() as use:
        async for _ in use:
            break
        for _ in range(
            10 if stage.asynchronous else 0
        ):  # the event loop closes the dropped iterator meanwhile
            await asyncio.sleep(0)


async def generator_of_the_application_closed(stage: Stage) -> None:
    events = _generator(stage)
    await anext(events)
    await events.aclose()


async def _generator(stage: Stage) -> AsyncIterator[Any]:
    async with stage.use() as use:
        async for event in use:
            yield event


# Dropped.


async def break_outside_with(stage: Stage) -> None:
    async for _ in await stage.use().enter():
        break


async def return_outside_with(stage: Stage) -> None:
    async def first() -> Any:
        async for event in await stage.use().enter():
            return event
        return None

    assert await first()


async def exception_outside_with(stage: Stage) -> None:
    async for _ in await stage.use().enter():
        raise Boom


async def never_iterated(stage: Stage) -> None:
    await stage.use().enter()


async def dropped_in_a_cycle(stage: Stage) -> None:
    use = await stage.use().enter()
    use.stream.me = use  # type: ignore[attr-defined]
    await anext(aiter(use))


async def dropped_elsewhere(stage: Stage) -> None:
    kept = [await stage.use().enter()]
    await anext(aiter(kept[0]))

    async def drop() -> None:
        kept.clear()

    await stage.elsewhere(drop)


async def generator_of_the_application_dropped(stage: Stage) -> None:
    async for _ in _generator(stage):
        break


async def client_closed(stage: Stage) -> None:
    use = await stage.use().enter()
    await anext(aiter(use))
    await settled(stage.client.close())


# Broken.


async def connection_dropped(stage: Stage) -> None:
    await exhausted(stage)


async def connection_dropped_outside_with(stage: Stage) -> None:
    await exhausted_outside_with(stage)


async def error_event(stage: Stage) -> None:
    await exhausted(stage)


async def error_event_outside_with(stage: Stage) -> None:
    await exhausted_outside_with(stage)


async def malformed_chunk(stage: Stage) -> None:
    await exhausted(stage)


async def read_timeout(stage: Stage) -> None:
    async with stage.use(timeout=0.3) as use:
        async for _ in use:
            pass


# Cancelled.


async def interrupted(stage: Stage) -> None:
    async with stage.use() as use:
        async for _ in use:
            raise KeyboardInterrupt


async def _cancel(work: Coroutine[Any, Any, None], when: Awaitable[object]) -> None:
    task = asyncio.create_task(work)
    await when
    task.cancel()
    await task


async def cancelled_before_the_answer(stage: Stage) -> None:
    await _cancel(exhausted(stage), asyncio.to_thread(stage.asked))


async def cancelled_during_a_read(stage: Stage) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with stage.use() as use:
            async for _ in use:
                reading.set()

    await _cancel(read(), reading.wait())


async def cancelled_during_a_read_outside_with(stage: Stage) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in await stage.use().enter():
            reading.set()

    await _cancel(read(), reading.wait())


async def cancelled_between_reads(stage: Stage) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with stage.use() as use:
            async for _ in use:
                reading.set()
                await asyncio.Event().wait()

    await _cancel(read(), reading.wait())


async def cancelled_between_reads_outside_with(stage: Stage) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in await stage.use().enter():
            reading.set()
            await asyncio.Event().wait()

    await _cancel(read(), reading.wait())


async def cancelled_while_it_closes(stage: Stage) -> None:
    """By a program that cleans up first."""
    reading = asyncio.Event()

    async def read() -> None:
        use = await stage.use().enter()
        try:
            async for _ in use:
                reading.set()
                await asyncio.Event().wait()
        finally:
            await use.close()
            stage.check()

    await _cancel(read(), reading.wait())


async def cancelled_with_its_group(stage: Stage) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with stage.use() as use:
            async for _ in use:
                reading.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        await reading.wait()
        raise Boom


async def asyncio_timeout(stage: Stage) -> None:
    async with asyncio.timeout(None) as limit:
        async with stage.use() as use:
            async for _ in use:
                limit.reschedule(asyncio.get_running_loop().time() + 0.05)


async def asyncio_wait_for(stage: Stage) -> None:
    async with stage.use() as use:
        events = aiter(use)
        await anext(events)
        while True:
            await asyncio.wait_for(anext(events), 0.05)


ENDINGS = (
    Ending(exhausted, "completed", reply=WHOLE),
    Ending(exhausted_outside_with, "completed", reply=WHOLE),
    Ending(read_on_after_the_end, "completed", reply=WHOLE),
    Ending(read_elsewhere, "completed", reply=WHOLE),
    Ending(begun_here_read_there_left_elsewhere, "completed", reply=WHOLE),
    Ending(
        closed_after_the_last_event, "completed", reply=WHOLE, kinds=(*HELD, "manager", "parsed", "lines")
    ),
    Ending(break_inside_with, "closed"),
    Ending(return_inside_with, "closed"),
    Ending(left_unread, "closed", unread=True),
    Ending(exception_inside_with, "closed"),
    Ending(closed, "closed"),
    Ending(closed_unread, "closed", unread=True),
    Ending(closed_twice, "closed"),
    Ending(closed_elsewhere, "closed"),
    Ending(raw_response_closed, "closed"),
    Ending(read_on_after_close, "closed"),
    Ending(closed_long_after_the_last_read, "closed"),
    Ending(generator_of_the_application_closed, "closed"),
    Ending(break_outside_with, "abandoned", late=True),
    Ending(return_outside_with, "abandoned", late=True),
    Ending(exception_outside_with, "abandoned", late=True),
    Ending(never_iterated, "abandoned", late=True, unread=True),
    Ending(dropped_in_a_cycle, "abandoned", late=True, kinds=HELD),
    Ending(dropped_elsewhere, "abandoned", late=True),
    Ending(generator_of_the_application_dropped, "closed", late=True),
    Ending(client_closed, "abandoned", late=True),
    Ending(connection_dropped, "failed", reply=Reply(chunks=5, die_after=2)),
    Ending(connection_dropped_outside_with, "failed", reply=Reply(chunks=5, die_after=2)),
    Ending(error_event, "failed", reply=Reply(chunks=5, error_after=2)),
    Ending(error_event_outside_with, "failed", reply=Reply(chunks=5, error_after=2)),
    Ending(
        malformed_chunk,
        "failed",
        dict.fromkeys(UNPARSED, "completed"),
        reply=Reply(chunks=5, malformed_after=2),
    ),
    Ending(read_timeout, "failed", error="timeout"),
    Ending(interrupted, "cancelled"),
    Ending(cancelled_before_the_answer, "cancelled", reply=Reply(delay=60), asynchronous=True, unread=True),
    Ending(cancelled_during_a_read, "cancelled", asynchronous=True),
    Ending(cancelled_during_a_read_outside_with, "cancelled", asynchronous=True),
    Ending(cancelled_between_reads, "cancelled", asynchronous=True),
    Ending(cancelled_between_reads_outside_with, "abandoned", late=True, asynchronous=True),
    Ending(cancelled_while_it_closes, "cancelled", asynchronous=True),
    Ending(cancelled_with_its_group, "cancelled", asynchronous=True),
    Ending(asyncio_timeout, "cancelled", asynchronous=True),
    Ending(asyncio_wait_for, "cancelled", asynchronous=True),
)
