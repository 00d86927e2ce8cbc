"""Watching a stream of parsed events without replacing the SDK's stream object.

The SDK keeps an iterator inside its stream; these stand in for that iterator.
They are iterators and no generators: a generator of ours would be finalised by the event loop on its own, next to the
SDK's, and the two would race.
Nothing is attached to a context here, during a read or between reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _guard
from .._operation import Outcome
from ..providers._base import fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .._recording import Recording

__all__ = ["AsyncEvents", "AsyncHidingEvents", "Events", "HidingEvents", "is_usage_alone"]


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

    __slots__ = ("_inner", "_next", "_recording")

    def __init__(self, inner: Any, recording: Recording, read: Any) -> None:
        self._inner = inner
        self._next = read
        self._recording = recording

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
        recording = self._recording
        recording.reading = True
        try:
            chunk = self._next()
        except StopIteration:
            _exhausted(recording)
            raise
        except BaseException as error:
            _failed(recording, error)
            raise
        recording.reading = False
        try:
            recording.chunk(chunk)
        except Exception as error:  # noqa: BLE001 - inline, as a call of the guard costs at every chunk
            _guard.caught(error)
        return chunk

    def close(self) -> None:
        """Close the SDK's iterator; only an application calls this."""
        self._recording.reading = True
        self._inner.close()
        _closed(self._recording)


class AsyncEvents(_Watched):
    """The iterator inside an async stream."""

    __slots__ = ()

    def __init__(self, inner: AsyncIterator[Any], recording: Recording) -> None:
        super().__init__(inner, recording, inner.__anext__)

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> Any:
        recording = self._recording
        recording.reading = True
        try:
            chunk = await self._next()
        except StopAsyncIteration:
            _exhausted(recording)
            raise
        except BaseException as error:
            _failed(recording, error)
            raise
        recording.reading = False
        try:
            recording.chunk(chunk)
        except Exception as error:  # noqa: BLE001 - inline, as a call of the guard costs at every chunk
            _guard.caught(error)
        return chunk

    async def aclose(self) -> None:
        """Close the SDK's iterator; only an application calls this."""
        self._recording.reading = True
        await self._inner.aclose()
        _closed(self._recording)


def is_usage_alone(chunk: Any) -> bool:
    """Whether a chunk is the one that `include_usage` adds at the end: token counts and no choice."""
    facts = fields(chunk)
    return facts.get("choices") == [] and facts.get("usage") is not None


class HidingEvents(Events):
    """As `Events`, for a stream whose token counts we asked for: the chunk that brings them is ours."""

    __slots__ = ()

    def __next__(self) -> Any:
        chunk = super().__next__()
        return super().__next__() if is_usage_alone(chunk) else chunk


class AsyncHidingEvents(AsyncEvents):
    """As `HidingEvents`, for an async stream."""

    __slots__ = ()

    async def __anext__(self) -> Any:
        chunk = await super().__anext__()
        return await super().__anext__() if is_usage_alone(chunk) else chunk
