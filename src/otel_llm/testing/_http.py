"""HTTP/1.1, as much of it as a test server needs, over asyncio streams."""

from __future__ import annotations

import gzip
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

__all__ = ["MAX_BODY", "Body", "Head", "HttpError", "read_request", "write_head"]

MAX_BODY = 64 * 1024 * 1024
"""The largest request body that is read."""


class HttpError(Exception):
    """A request that cannot be read."""


class Head(NamedTuple):
    """The request line and the headers of a request."""

    method: str
    target: str
    headers: dict[str, str]


async def read_request(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    """The next request of a connection.

    Raises `asyncio.IncompleteReadError` at the end of the connection, `HttpError` for what is not HTTP.
    """
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != len(Head._fields) or not words[2].startswith("HTTP/1."):  # method, target, version
        raise HttpError("not a request line")
    headers: dict[str, str] = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon:
            raise HttpError("not a header line")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    head = Head(words[0], words[1], headers)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return head, await _read_chunked(reader)
    return head, await reader.readexactly(_size(headers.get("content-length", "0"), 10))


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        raise HttpError("not a length") from None
    if not 0 <= size <= MAX_BODY:
        raise HttpError("body too long")
    return size


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := _size((await reader.readuntil(b"\r\n")).partition(b";")[0].decode("latin-1").strip(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
        if len(body) > MAX_BODY:
            raise HttpError("body too long")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return bytes(body)


def write_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    """Send the status line and the headers of a response."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Status"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


class Body:
    """A response body that is sent piece by piece in chunked transfer coding, compressed or not."""

    def __init__(self, writer: asyncio.StreamWriter, *, compress: bool) -> None:
        self._writer = writer
        self._gzip = zlib.compressobj(wbits=31) if compress else None

    async def send(self, piece: bytes) -> None:
        """Send a piece so that the client can read it now; raises `ConnectionError` when it is gone."""
        if self._gzip is not None:
            piece = self._gzip.compress(piece) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        await self._write(piece)

    async def end(self) -> None:
        """Finish the body."""
        if self._gzip is not None:
            await self._write(self._gzip.flush())
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _write(self, piece: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the client is gone")
        if piece:  # an empty chunk would end the body
            self._writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await self._writer.drain()


def compressed(body: bytes) -> bytes:
    """A whole body, the same bytes for the same body."""
    return gzip.compress(body, mtime=0)
