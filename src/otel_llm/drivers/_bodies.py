"""Watching the body of an HTTP response that the call hands out unread: its bytes, its close, its death.

`Body` and `AsyncBody` stand in for `response.stream` and forward everything they do not know (anthropic's SDK looks
for an observer there); `Tie` lives as long as the response and buries the recording with it.
httpx and httpx2 are never imported: the stand-ins pass for what they wrap.
"""

from __future__ import annotations

import gc
import json
import sys
import zlib
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any

import wrapt

from .. import _guard
from .._operation import Outcome
from .._recording import bury
from ..providers._base import fields
from ._streams import OURS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from types import FrameType

    from .._recording import Recording

__all__ = ["AsyncBody", "Body", "Tie", "left", "tied", "watch_collections"]

_KEY = "otel_llm"
_MAX_BODY = 1024 * 1024
"""Of a JSON body that nobody parses for us, at most this much is kept until its end."""


class Tie:
    """Kept in the response's extensions: finds the recording from the response, and notices the response's death."""

    __slots__ = ("recording",)

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def __del__(self) -> None:
        bury(self.recording)


def tie(recording: Recording, response: Any, body: Callable[[Any, Recording, Any], Any]) -> None:
    """Bind `response` to `recording`, so that whoever reads it later, in whatever context, is found.

    One that was not read yet gets a `body` (`Body` or `AsyncBody`) before its byte stream.
    """
    response.extensions[_KEY] = Tie(recording)
    if not response.is_closed:
        response.stream = body(response.stream, recording, response.headers)


def tied(response: Any) -> Recording | None:
    """The recording that `response` belongs to; None for one of a call that was not recorded."""
    found: object = fields(getattr(response, "extensions", None)).get(_KEY)
    return found.recording if isinstance(found, Tie) else None


_DYING = frozenset({"__stream__", "iter_raw", "aiter_raw"})
"""Generators of the SDK and of httpx that close the response's body when they are dropped, or read to the end."""

_collecting: int | None = None
"""The thread in which the garbage collector runs now."""


def _collects(phase: str, _: object) -> None:
    global _collecting  # noqa: PLW0603
    _collecting = get_ident() if phase == "start" else None


def watch_collections() -> None:
    """Know when the garbage collector runs, from now on."""
    if _collects not in gc.callbacks:
        gc.callbacks.append(_collects)


def _who(recording: Recording) -> str:
    """Who is at work on the response, by the frames.

    reader       the SDK's stream, as a part of a read that we watch
    generator    one of the SDK or of httpx, which dies or is read to its end
    application  anybody else
    """
    who = "application"
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - by the frames
    while frame is not None:
        code = frame.f_code
        if code in OURS and frame.f_locals["self"].recording is recording:
            return "reader"
        if code.co_name in _DYING:
            who = "generator"
        frame = frame.f_back
    return who


@_guard.guarded
def _closed(recording: Recording) -> None:
    """The body was closed; by whom decides what that means.

    The SDK closes it as a part of reading its stream: how the read ends is what counts.
    A generator that dies takes its stream with it; of bytes, the response may live on for the application to close,
    or else its `Tie` dies.
    Code of the application may close a stream too when the garbage collector drops it: at any allocation, under any
    lock that a listener or the OpenTelemetry SDK is about to take.
    """
    if recording.ended:
        return
    if _collecting == get_ident():
        bury(recording)
        return
    who = _who(recording)
    if who == "application":
        recording.close(sys.exception())
    elif who == "generator" and recording.parsed:
        bury(recording)


@_guard.guarded
def left(response: Any) -> None:
    """The application has closed an SDK's response, whose body a dying generator may have closed before."""
    recording = tied(response.http_response)
    if recording is not None:
        _closed(recording)


@_guard.guarded
def _failed(recording: Recording, error: BaseException) -> None:
    if not recording.parsed:
        recording.fail(error)


class _Unparsed:
    """The bytes of a body that the SDK does not parse: lines, raw bytes, or a JSON body read later."""

    __slots__ = ("_collected", "_decoder", "_line", "_recording", "_size", "_sse")

    def __init__(self, recording: Recording, headers: Mapping[str, str]) -> None:
        self._recording = recording
        self._sse = "event-stream" in headers.get("content-type", "")
        encoding = headers.get("content-encoding", "").strip().lower()
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in ("gzip", "deflate") else None
        self._collected: list[bytes] | None = [] if encoding in ("", "identity", "gzip", "deflate") else None
        self._size = 0
        self._line = b""

    def feed(self, data: bytes) -> None:
        if self._recording.parsed or self._collected is None:
            return
        if self._decoder is not None:
            data = self._decoder.decompress(data)
        if self._sse:
            *lines, self._line = (self._line + data).split(b"\n")
            for line in lines:
                self._event(line)
            return
        self._size += len(data)
        if self._size > _MAX_BODY:
            self._collected = None
        else:
            self._collected.append(data)

    def _event(self, line: bytes) -> None:
        line = line.strip()
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data.startswith(b"{"):
            try:
                chunk = json.loads(data)
            except ValueError:
                return  # an odd event is the application's to read; it has no facts
            self._recording.chunk(chunk)

    def end(self) -> None:
        recording = self._recording
        if recording.parsed:
            return
        if not self._sse and self._collected:
            with suppress(ValueError):  # no JSON, as Bedrock's streams: it came, and has no facts
                recording.response(json.loads(b"".join(self._collected)))
        recording.end(Outcome.COMPLETED)


@_guard.guarded
def _unparsed(recording: Recording, headers: Mapping[str, str]) -> _Unparsed:
    return _Unparsed(recording, headers)


@_guard.guarded
def _fed(body: _Unparsed | None, data: bytes) -> None:
    if body is not None:
        body.feed(data)


@_guard.guarded
def _read(body: _Unparsed | None) -> None:
    if body is not None:
        body.end()


def _is_parsed(recording: Recording) -> bool:
    """Whether it is the SDK's stream that begins to read the body; the application may, even where there is one."""
    recording.parsed = _who(recording) == "reader"
    return recording.parsed


class Body(wrapt.ObjectProxy[Any]):
    """Stands in for the byte stream of a sync response."""

    def __init__(self, wrapped: Any, recording: Recording, headers: Mapping[str, str]) -> None:
        super().__init__(wrapped)
        self._self_recording = recording
        self._self_headers = headers

    def __iter__(self) -> Iterator[bytes]:
        if _is_parsed(self._self_recording):
            return iter(self.__wrapped__)
        return self._watch()

    def _watch(self) -> Iterator[bytes]:
        recording: Recording = self._self_recording
        body = _unparsed(recording, self._self_headers)
        try:
            for data in self.__wrapped__:
                _fed(body, data)
                yield data
        except GeneratorExit:
            raise
        except BaseException as error:
            _failed(recording, error)
            raise
        _read(body)

    def close(self) -> None:
        """Close the wrapped stream; the call ends with it if nothing else ended it."""
        try:
            self.__wrapped__.close()
        finally:
            _closed(self._self_recording)


class AsyncBody(wrapt.ObjectProxy[Any]):
    """Stands in for the byte stream of an async response."""

    def __init__(self, wrapped: Any, recording: Recording, headers: Mapping[str, str]) -> None:
        super().__init__(wrapped)
        self._self_recording = recording
        self._self_headers = headers

    def __aiter__(self) -> AsyncIterator[bytes]:
        if _is_parsed(self._self_recording):
            return self.__wrapped__.__aiter__()  # type: ignore[no-any-return]
        return self._watch()

    async def _watch(self) -> AsyncIterator[bytes]:
        recording: Recording = self._self_recording
        body = _unparsed(recording, self._self_headers)
        try:
            async for data in self.__wrapped__:
                _fed(body, data)
                yield data
        except GeneratorExit:
            raise
        except BaseException as error:
            _failed(recording, error)
            raise
        _read(body)

    async def aclose(self) -> None:
        """Close the wrapped stream; the call ends with it if nothing else ended it."""
        try:
            await self.__wrapped__.aclose()
        finally:
            _closed(self._self_recording)
