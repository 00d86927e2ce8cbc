"""The ASGI application: page, JSON, streams, and OTLP/HTTP where it is received."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from ._api import Api
from ._frames import BadMessage, SubscriptionFilter
from ._json import dumps
from ._security import Guard
from ._stream import TooManyClients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ._parts import Parts

__all__ = ["STATIC", "make_app"]

STATIC: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_TEXTS: Final = {404: "there is nothing at this path", 405: "this method is not allowed here"}


class _Static(StaticFiles):
    """Files with the media types of the standard, whatever the machine's own table says."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kind = _TYPES.get(Path(path).suffix)
        if kind is not None and "content-type" in response.headers:
            response.headers["content-type"] = f"{kind}; charset=utf-8"
        response.headers["cache-control"] = "no-cache"
        return response


class _Events:
    """`/metrics/events`: an ASGI application, because it has to notice a client that leaves."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        if scope["method"] != "GET":  # an answer to HEAD would have no end
            raise HTTPException(405, headers={"allow": "GET"})
        query = QueryParams(scope["query_string"])
        try:
            wanted = _filter(query)
            await self._parts.hub.events(wanted, receive, send)
        except BadMessage as error:
            await _error(400, str(error))(scope, receive, send)
        except TooManyClients:
            await _error(503, "There are too many clients")(scope, receive, send)


def _filter(query: QueryParams) -> SubscriptionFilter:
    wanted = SubscriptionFilter()
    for name in ("endpoint", "model", "metric_type"):
        for value in query.getlist(name):
            wanted = wanted.add({name: value})
    if (text := query.get("interval")) is not None:
        try:
            wanted = wanted.add({"interval": float(text)})
        except ValueError:
            raise BadMessage("Invalid filter: interval must be a number") from None
    return wanted


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps({"error": text}), status, headers, "application/json")


def make_app(parts: Parts) -> Starlette:
    """The application of a server's parts."""
    static = _Static(directory=STATIC, check_dir=False)

    async def page(request: Request) -> Response:
        return await static.get_response("index.html", request.scope)

    async def failed(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, HTTPException)
        return _error(
            error.status_code, _TEXTS.get(error.status_code, "the request cannot be answered"), error.headers
        )

    async def broken(request: Request, error: Exception) -> Response:
        del request, error  # the server logs it; the client is told nothing of it
        return _error(500, "the server could not answer")

    routes: list[Any] = [
        Route("/", page),
        *Api(parts).routes(),
        Route("/metrics/events", _Events(parts)),
        WebSocketRoute("/metrics/stream", parts.hub.handle),
        Mount("/static", static),
    ]
    if parts.options.receives:
        from ._otlp import Otlp  # noqa: PLC0415 - protobuf is needed only for receiving
        from ._otlp_http import routes as otlp_routes  # noqa: PLC0415

        routes += otlp_routes(Otlp(parts.receiver, parts.forwarder))
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, policy=parts.policy)],
        exception_handlers={HTTPException: failed, Exception: broken},
    )
