"""Watching a stream of parsed events without replacing the SDK's stream object.

The SDK keeps an iterator inside its stream; these stand in for that iterator.
They are iterators and no generators: a generator of ours would be finalised by the event loop on its own, next to the
SDK's, and the two would race.
Nothing is attached to a context here, during a read or between reads.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .. import _guard
from .._operation import Outcome
from ..providers._base import fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from .._recording import Recording

__all__ = ["OURS", "AsyncEvents", "AsyncHidingEvents", "Events", "HidingEvents", "is_usage_alone"]


@_guard.guarded
def _exhausted(recording: Recording) -> None:
    recording.end(Outcome.COMPLETED)


@_guard.guarded
def _failed(recording: Recording, error: BaseException) -> None:
    recording.fail(error)


@_guard.guarded
def _closed(recording: Recording) -> None:
    recording.close(None)


class _Watched:
    """What both kinds share: anything else is asked of the SDK's own iterator."""

    __slots__ = ("_chunk", "_inner", "_next", "recording")

    def __init__(self, inner: Any, recording: Recording, read: Any) -> None:
        self._inner = inner
        self._next = read
        self._chunk = recording.chunk
        self.recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Events(_Watched):
    """The iterator inside a sync stream."""

    __slots__ = ()

    def __init__(self, inner: Iterator[Any], recording: Recording) -> None:
        super().__init__(inner, recording, inner.__next__)

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Any:
        try:
            chunk = self._next()
        except StopIteration:
            _exhausted(self.recording)
            raise
        except BaseException as error:
            _failed(self.recording, error)
            raise
        try:
            self._chunk(chunk)
        except Exception as error:  # noqa: BLE001 - inline, as a call of the guard costs at every chunk
            _guard.caught(error)
        return chunk

    def close(self) -> None:
        """Close the SDK's iterator; only an application calls this."""
        self._inner.close()
        _closed(self.recording)


class AsyncEvents(_Watched):
    """The iterator inside an async stream."""

    __slots__ = ()

    def __init__(self, inner: AsyncIterator[Any], recording: Recording) -> None:
        super().__init__(inner, recording, inner.__anext__)

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._next()
        except StopAsyncIteration:
            _exhausted(self.recording)
            raise
        except BaseException as error:
            _failed(self.recording, error)
            raise
        try:
            self._chunk(chunk)
        except Exception as error:  # noqa: BLE001 - inline, as a call of the guard costs at every chunk
            _guard.caught(error)
        return chunk

    async def aclose(self) -> None:
        """Close the SDK's iterator; only an application calls this."""
        await self._inner.aclose()
        _closed(self.recording)


def is_usage_alone(chunk: Any) -> bool:
    """Whether a chunk is the one that `include_usage` adds at the end: token counts and no choice."""
    facts = fields(chunk)
    return facts.get("choices") == [] and facts.get("usage") is not None


OURS = frozenset(
    method.__code__ for method in (Events.__next__, Events.close, AsyncEvents.__anext__, AsyncEvents.aclose)
)
"""The code under which the SDK closes a response as a part of reading it."""


@_guard.guarded
def _hidden(recording: Recording, chunk: Any) -> None:
    if recording.accumulator is not None:
        recording.accumulator.add(chunk)


class HidingEvents(Events):
    """As `Events`, for a stream whose token counts we asked for: the chunk that brings them is ours alone."""

    __slots__ = ()

    def __init__(self, inner: Iterator[Any], recording: Recording) -> None:
        super().__init__(inner, recording)
        self._next = partial(_shown, self._next, recording)  # holds no `self`: that would be a cycle


class AsyncHidingEvents(AsyncEvents):
    """As `HidingEvents`, for an async stream."""

    __slots__ = ()

    def __init__(self, inner: AsyncIterator[Any], recording: Recording) -> None:
        super().__init__(inner, recording)
        self._next = partial(_shown_later, self._next, recording)


def _shown(read: Callable[[], Any], recording: Recording) -> Any:
    while is_usage_alone(chunk := read()):
        _hidden(recording, chunk)
    return chunk


async def _shown_later(read: Callable[[], Any], recording: Recording) -> Any:
    while is_usage_alone(chunk := await read()):
        _hidden(recording, chunk)
    return chunk
