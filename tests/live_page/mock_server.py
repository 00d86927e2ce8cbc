"""A stand-in for the live view's server, to work on the page alone: `python tests/live_page/mock_server.py [--empty]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import uvicorn
from mock_detail import detail, trace, trace_row
from mock_world import World, money
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC = Path(__file__).parents[2] / "src/otel_llm/live/static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
BOUNDS = [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600]


def query(request: Request | WebSocket) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


def window(request: Request) -> float | None:
    text = request.query_params.get("window")
    return float(text) if text else None


class Api:
    """The endpoints of docs/live-api.md that the page uses."""

    def __init__(self, world: World, *, mode: str, token: str) -> None:
        self.world = world
        self.mode = mode
        self.token = token

    async def status(self, _: Request) -> JSONResponse:
        calls = self.world.calls

        def values(key: str) -> list[str]:
            return sorted({call[key] for call in calls})

        return JSONResponse({
            "version": "0.1.0", "mode": self.mode, "now": time.time(), "uptime_s": time.time() - self.world.born, "token_required": bool(self.token),
            "otlp": {"http": "http://127.0.0.1:4318", "grpc": "127.0.0.1:4317"}, "clients": 1,
            "calls": {"kept": len(calls), "seen": len(calls), "running": len(self.world.running), "dropped": 0},
            "traces": {"kept": len(calls), "seen": len(calls), "dropped": 0, "spans": len(calls) * 9},
            "received": {"spans": len(calls) * 9, "metrics": 20, "logs": 0, "rejected": 0},
            "forward": {"url": "http://collector:4318", "sent": len(calls) * 9, "queued": 0, "dropped": 0, "retries": 0}, "keep": None,
            "models": values("model"), "endpoints": values("endpoint"), "providers": values("provider"), "services": values("service"),
            "cursor": len(calls),
        })  # fmt: skip

    async def summary(self, request: Request) -> JSONResponse:
        calls = self.world.select(query(request), window=window(request))
        keys = [key for key in request.query_params.get("group_by", "").split(",") if key]
        return JSONResponse({"window_s": window(request), "group_by": keys, "total": self.world.row(calls), "rows": self.world.rows(calls, keys) if keys else []})

    async def calls(self, request: Request) -> JSONResponse:
        matched = self.world.select(query(request))
        since = int(request.query_params.get("since", 0))
        before = int(request.query_params.get("before", 10**9))
        limit = int(request.query_params.get("limit", 100))
        page = [call for call in matched if since < call["seq"] < before]
        return JSONResponse({
            "calls": page[:limit], "next": page[limit - 1]["seq"] if len(page) > limit else None,
            "cursor": len(self.world.calls), "matched": len(matched),
        })  # fmt: skip

    def _find(self, key: str, value: str) -> dict[str, Any] | None:
        return next((call for call in self.world.calls if call[key] == value), None)

    async def call(self, request: Request) -> JSONResponse:
        found = self._find("id", request.path_params["id"])
        return JSONResponse(detail(found)) if found else JSONResponse({"error": "unknown call"}, 404)

    async def traces(self, request: Request) -> JSONResponse:
        calls = self.world.select(query(request))[:2000]
        before = int(request.query_params.get("before", 10**9))
        if request.query_params.get("errors"):
            calls = [call for call in calls if call["outcome"] == "failed"]
        page = [call for call in calls if call["seq"] < before]
        return JSONResponse({"traces": [trace_row(call) for call in page[:100]], "next": page[99]["seq"] if len(page) > 100 else None})

    async def trace(self, request: Request) -> JSONResponse:
        found = self._find("trace_id", request.path_params["id"])
        return JSONResponse(trace(found)) if found else JSONResponse({"error": "unknown trace"}, 404)

    async def active(self, _: Request) -> JSONResponse:
        return JSONResponse({"active": self.world.active() if self.mode == "in-process" else []})

    async def usage(self, request: Request) -> JSONResponse | PlainTextResponse:
        rows = self.world.usage(min(int(request.query_params.get("days", 30)), 60))
        if request.query_params.get("format") == "csv":
            return PlainTextResponse("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]), media_type="text/csv")
        return JSONResponse({"rows": rows, "truncated": False})

    async def compare(self, request: Request) -> JSONResponse:
        by = request.query_params.get("by", "model")
        calls = self.world.select(query(request), window=window(request))
        rows = self.world.rows(calls, ["model", "provider"] if by == "model" else [by])
        for row in rows:
            mine = [call for call in calls if call[by] == row[by]]
            counts = [0] * (len(BOUNDS) + 1)
            for call in mine:
                counts[next((at for at, bound in enumerate(BOUNDS) if call["duration_ms"] <= bound), len(BOUNDS))] += 1
            cost = float(row["cost"]) if row["cost"] else None
            row |= {
                "latency_counts": counts, "cost_per_call": cost and money(cost / row["calls"]),
                "cost_per_1k_tokens": cost and row["total_tokens"] and money(cost / row["total_tokens"] * 1000),
            }  # fmt: skip
        return JSONResponse({"by": by, "window_s": window(request), "bounds_ms": BOUNDS, "rows": rows})

    async def history(self, request: Request) -> JSONResponse:
        return JSONResponse({"points": self.world.points(query(request), 300)})

    async def stream(self, socket: WebSocket) -> None:
        await socket.accept()
        filters: dict[str, list[str]] = {}
        if self.token:
            first = json.loads(await socket.receive_text())
            if first.get("token") != self.token:
                await socket.close(1008)
                return

        async def send(kind: str, **more: Any) -> None:
            frame = {"type": kind, "timestamp": time.time(), "data": self.world.data(filters), "cursor": len(self.world.calls), "spans": len(self.world.calls) * 9}
            await socket.send_text(json.dumps(frame | more))

        async def listen() -> None:
            async for text in socket.iter_text():
                message = json.loads(text)
                if message["type"] == "unsubscribe":
                    filters.clear()
                if message["type"] == "subscribe":
                    filters.update({k: [v] for k, v in message["filters"].items() if k in ("model", "endpoint")})
                    await socket.send_text(json.dumps({"type": "subscribed", "filters": {}}))

        await send("historical_data", history=self.world.points({}, 300))
        listener = asyncio.create_task(listen())
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while not listener.done():
                await asyncio.sleep(1)
                await send("metrics_update", recent=self.world.points(filters, 10), deltas={})
        listener.cancel()


def app(world: World, *, mode: str, token: str) -> Starlette:
    api = Api(world, mode=mode, token=token)

    async def page(_: Request) -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async def run() -> None:
            while True:
                await asyncio.sleep(1)
                world.tick()

        task = asyncio.create_task(run())
        yield
        task.cancel()

    class Guard:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            given = dict(scope.get("headers", [])).get(b"authorization", b"").decode()
            if token and scope["type"] == "http" and scope["path"].startswith("/api/") and given != f"Bearer {token}":
                await JSONResponse({"error": "token needed"}, 401)(scope, receive, send)
                return

            async def with_headers(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] += [(b"content-security-policy", CSP.encode()), (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-cache")]
                await send(message)

            await self.app(scope, receive, with_headers)

    routes = [
        Route("/", page), Mount("/static", StaticFiles(directory=STATIC)), WebSocketRoute("/metrics/stream", api.stream),
        Route("/api/status", api.status), Route("/api/summary", api.summary), Route("/api/calls", api.calls), Route("/api/calls/{id}", api.call),
        Route("/api/traces", api.traces), Route("/api/traces/{id}", api.trace), Route("/api/active", api.active), Route("/api/usage", api.usage),
        Route("/api/compare", api.compare), Route("/api/history", api.history),
    ]  # fmt: skip
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Guard)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--mode", default="in-process")
    parser.add_argument("--token", default="")
    options = parser.parse_args()
    world = World(empty=options.empty)
    uvicorn.run(app(world, mode=options.mode, token=options.token), port=options.port, log_level="warning", ws="websockets-sansio")


if __name__ == "__main__":
    main()
