"""One call of a random program: what the program does with it, and what it sees.

One set of steps serves sync and async calls: what awaits nothing is driven without an event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz import Act

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from fuzz import Step

__all__ = ["END", "Call", "driven", "turns"]

END = Act("end")
_FINALS = ("get_final_completion", "get_final_response", "get_final_message", "get_final_text", "until_done")


class Boom(Exception):
    """What the program's own loop raises."""


# What a program sees.


def _value(result: Any) -> Any:
    """A result as something that can be compared: types all the way down, fields, and what was set on it."""
    if hasattr(result, "model_dump"):
        return type(result).__name__, _dump(result), sorted(vars(result))
    if hasattr(result, "http_response"):
        return type(result).__name__, result.http_response.status_code, sorted(vars(result))
    plain = isinstance(result, str | bytes | int | float | list | dict | None)
    return (type(result).__name__, result) if plain else type(result).__name__  # a stream, from `until_done`


def _dump(result: Any) -> str:
    try:
        return repr(result.model_dump(warnings=False))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _told(error: BaseException) -> Any:
    """An exception and what stands behind it."""
    behind = []
    inner: BaseException | None = error
    while inner is not None and len(behind) < 6:
        text = re.sub(r"0x[0-9a-f]+|:\d{4,5}\b", "#", str(inner))
        own = sorted(set(vars(inner)) - {"request", "response", "_request"})
        behind.append((type(inner).__name__, text, own))
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
    return behind


async def _given(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def turns() -> None:
    """Let the event loop close dropped generators, which it does in tasks."""
    for _ in range(20):
        await asyncio.sleep(0)


def driven(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that awaits nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("a sync call waited")


def _in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread that inherits the context."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(driven, work))
    thread.start()
    thread.join()


# One call.


@dataclass(eq=False)
class Call:
    """One call of the program, and what it holds of it."""

    number: int
    step: Step
    asked: Callable[[], bool]
    """Whether a request of it has arrived."""
    client: Any
    values: list[Any] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    manager: Any = None
    stream: Any = None
    events: Any = None
    over: bool = False

    def seen(self) -> Any:
        return (len(self.values) > 0, bool(self.errors)) if self.step.timed else (self.values, self.errors)

    async def whole(self) -> None:
        for act in (*self.step.acts, END):
            await self.do(act)

    async def do(self, act: Act) -> None:
        """Do one act; what it raises is what the program sees."""
        if self.over and act is not END:
            return
        work = self._safely(getattr(self, f"_{act.name}")(act))
        if act.aside:
            _in_thread(work)
        else:
            await work
        if self.step.asynchronous and (act.name == "drop" or act is END):
            gc.collect(1)
            await turns()

    async def _safely(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (Exception, asyncio.CancelledError) as error:
            self.errors.append(_told(error))
            self.over = True
            await self._let(error)

    async def _let(self, error: BaseException | None) -> None:
        """Leave the `with` block, if there is one."""
        manager, self.manager = self.manager, None
        if manager is not None:
            try:
                trace = None if error is None else error.__traceback__
                await _given(self._method(manager, "exit")(error and type(error), error, trace))
            except Exception as another:
                self.errors.append(_told(another))

    def _method(self, owner: Any, name: str) -> Any:
        return getattr(owner, f"__a{name}__" if self.step.asynchronous else f"__{name}__")

    async def _open(self, act: Act) -> None:
        door = self.step.door
        opened = await _given(door.call(self.client))
        if door.kind == "raw":
            self.values.append(_value(opened))
        if door.kind in ("raw", "raw_stream"):
            opened = await _given(opened.parse())
        if not hasattr(opened, "__aenter__" if self.step.asynchronous else "__enter__"):
            self.values.append(_value(opened))  # no stream, also where one was asked for
            self.over = True
            return
        self.values.append(type(opened).__name__)
        self.stream = await _given(self._method(opened, "enter")())
        self.manager = opened
        if door.kind == "body":
            self.values.append(_value(await _given(self.stream.parse())))
        else:
            if door.kind == "parsed":
                self.stream = await _given(self.stream.parse())
            unparsed = door.kind in ("lines", "bytes")
            items = getattr(self.stream, f"iter_{door.kind}")() if unparsed else self.stream
            self.events = self._method(items, "iter")()

    async def _read(self, act: Act) -> None:
        read = self._method(self.events, "next")
        while act.count is None or act.count > 0:
            try:
                event = await _given(read())
            except (StopIteration, StopAsyncIteration):
                self.values.append("end")
                return
            self.values.append(_value(event))
            if act.count is not None:
                act = Act("read", act.count - 1)

    async def _final(self, act: Act) -> None:
        for name in _FINALS:
            if callable(getattr(type(self.stream), name, None)):
                self.values.append(_value(await _given(getattr(self.stream, name)())))

    async def _close(self, act: Act) -> None:
        await _given(self.stream.close())

    async def _leave(self, act: Act) -> None:
        await self._let(None)

    async def _raise(self, act: Act) -> None:
        raise Boom

    async def _drop(self, act: Act) -> None:
        self.manager = self.stream = self.events = None
        self.over = True

    async def _close_client(self, act: Act) -> None:
        if self.step.client == "own":
            await _given(self.client.close())

    async def _cancel_open(self, act: Act) -> None:
        task = asyncio.create_task(self._safely(self._open(act)))
        await self._until(self.asked, task)
        task.cancel()
        await task

    async def _cancel_read(self, act: Act) -> None:
        """Cancel a task that reads until nothing more comes."""
        task = await self._hanging()
        task.cancel()
        await task

    async def _close_under(self, act: Act) -> None:
        task = await self._hanging()
        await self.stream.close()
        await asyncio.wait([task], timeout=0.02)
        task.cancel()
        await task

    async def _hanging(self) -> asyncio.Task[None]:
        before = len(self.values)
        task = asyncio.create_task(self._safely(self._read(Act("read"))))
        await self._until(lambda: len(self.values) > before, task)
        return task

    @staticmethod
    async def _until(happened: Callable[[], bool], task: asyncio.Task[None]) -> None:
        for _ in range(5000):
            if task.done() or happened():
                return
            await asyncio.sleep(0.001)
        raise TimeoutError

    async def _end(self, act: Act) -> None:
        await self._let(None)
        self.stream = self.events = None
        if self.step.client != "shared":
            await _given(self.client.close())
