"""OTLP/HTTP: `/v1/traces`, `/v1/metrics` and `/v1/logs`, protobuf and JSON, gzip, by the OTLP specification.

Sizes are limited after decompression. An answer has the encoding of its request; a failure is a
`google.rpc.Status` with a fixed text.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final

from google.protobuf import json_format
from starlette.responses import Response
from starlette.routing import Route

from ._json import dumps
from ._otlp import MAX_BODY, SIGNALS, BadBody
from ._receiver import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from ._otlp import Otlp

__all__ = ["routes"]

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_CODES: Final = {400: 3, 413: 8, 415: 3, 503: 14}
"""HTTP statuses as gRPC codes: INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 4096
"""Compressed bytes after which other work of the event loop has its turn."""


class _Refused(Exception):  # noqa: N818 - a status, not a fault
    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text


def routes(otlp: Otlp) -> list[Route]:
    """The routes of the three signals."""

    def route(name: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _export(otlp, name, request)

        return Route(SIGNALS[name].path, endpoint, methods=["POST"])

    return [route(name) for name in SIGNALS]


async def _export(otlp: Otlp, name: str, request: Request) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    json = kind == _JSON
    if kind not in (_PROTOBUF, _JSON):
        return _status(415, f"The content type must be {_PROTOBUF} or {_JSON}", json=json)
    try:
        response = await otlp.take(name, await _body(request), json=json)
    except _Refused as refused:
        return _status(refused.status, refused.text, json=json)
    except BadBody as bad:
        return _status(400, str(bad), json=json)
    except Busy:
        return _status(503, "Nothing can be kept now", json=json)
    if json:
        return Response(json_format.MessageToJson(response, indent=None), media_type=_JSON)
    return Response(response.SerializeToString(), media_type=_PROTOBUF)


async def _body(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in ("gzip", "identity"):
        raise _Refused(415, "The content encoding must be gzip or none")
    if (length := request.headers.get("content-length", "")).isdecimal() and int(length[:20]) > MAX_BODY:
        raise _Refused(413, f"A body has at most {MAX_BODY} bytes")
    parts: list[bytes] = []
    size = 0
    stream = request.stream()
    async for part in _gunzipped(stream) if encoding == "gzip" else stream:
        size += len(part)
        if size > MAX_BODY:
            raise _Refused(413, f"A body has at most {MAX_BODY} bytes, decompressed")
        parts.append(part)
    return b"".join(parts)


async def _gunzipped(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Decompress in pieces of at most 64 KiB, so that a bomb is noticed before it goes off.

    What is received is cut up: with what follows a member in `unused_data`, a body of a million empty members
    would otherwise be copied for each of them, while nobody else has a turn.
    """
    inflate = zlib.decompressobj(_GZIP)
    begun = False
    async for received in stream:
        for at in range(0, len(received), _PIECE):
            data = received[at : at + _PIECE]
            while data:
                if inflate.eof:
                    inflate = zlib.decompressobj(_GZIP)  # another member follows
                begun = True
                try:
                    yield inflate.decompress(data, 65536)
                except zlib.error:
                    raise _Refused(400, "The body is not valid gzip") from None
                data = inflate.unconsumed_tail or inflate.unused_data
            await asyncio.sleep(0)
    while begun and not inflate.eof:
        rest = inflate.decompress(b"", 65536)
        if not rest:
            raise _Refused(400, "The body is not valid gzip")
        yield rest


def _status(status: int, text: str, *, json: bool) -> Response:
    """A `google.rpc.Status`, written by hand: its class is in a package that is needed for nothing else."""
    headers = {"retry-after": "1"} if status == 503 else None  # noqa: PLR2004 - HTTP
    code = _CODES[status]
    if json:
        return Response(dumps({"code": code, "message": text}), status, headers, _JSON)
    message = text.encode()
    return Response(
        b"\x08" + bytes((code,)) + b"\x12" + bytes((len(message),)) + message, status, headers, _PROTOBUF
    )
