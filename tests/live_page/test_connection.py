"""The page without data, without permission, without a server, and under another path."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip(
    "playwright.sync_api", reason="the page is tested in a browser: playwright is not installed"
)
pytest.importorskip("uvicorn", reason="the extra `live` is not installed")

import uvicorn
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount

from otel_llm.live import LiveOptions, LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


def test_a_newcomer_is_told_what_to_set(fresh: Any, context: BrowserContext) -> None:
    page = context.new_page()
    for view in ("overview", "calls", "traces", "usage", "compare"):
        page.goto(f"{fresh.url}#/{view}")
        page.reload()
        expect(page.get_by_role("heading", name="Waiting for the first call")).to_be_visible()
        expect(page.locator(".snippet").first).to_have_text(
            f"export OTEL_EXPORTER_OTLP_ENDPOINT={fresh.server.otlp['http']}"
        )
    fresh.traffic.send([fresh.traffic.trace(time.time())])
    page.goto(f"{fresh.url}#/overview")
    expect(page.locator(".tile").first).to_be_visible()


def test_spans_without_a_model_call_are_told_apart(fresh: Any, context: BrowserContext) -> None:
    service, spans = fresh.traffic.trace(time.time())
    fresh.traffic.send([(service, [spans[0], spans[2]])])
    page = context.new_page()
    page.goto(fresh.url)
    expect(page.get_by_role("heading", name="Spans arrive, but none is a call to a model")).to_be_visible()


def test_it_stays_connected_under_five_minutes_of_traffic(live: Any, context: BrowserContext) -> None:
    page = context.new_page()
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.goto(live.url)
    expect(page.locator(".connection")).to_have_text("Live")
    page.wait_for_timeout(2500)
    expect(page.locator(".connection")).to_have_text("Live")
    assert [json.loads(frame)["type"] for frame in frames[:3]] == [
        "historical_data",
        "metrics_update",
        "metrics_update",
    ]


def test_the_page_says_that_the_server_is_gone_and_comes_back(
    fresh: Any, context: BrowserContext, seen: Any
) -> None:
    fresh.traffic.send([fresh.traffic.trace(time.time())])
    page = context.new_page()
    page.goto(fresh.url)
    expect(page.locator(".connection")).to_have_text("Live")
    port = int(re.findall(r":(\d+)", fresh.server.url)[0])
    fresh.server.stop()
    expect(page.locator(".connection")).to_have_text("Reconnecting")
    expect(page.locator("#notice")).to_contain_text("The live view does not answer. Trying again")
    again = LiveServer(LiveOptions(port=port, otlp_port=0))
    again.start()
    try:
        expect(page.locator(".connection")).to_have_text("Live", timeout=20_000)
        expect(page.locator("#notice")).to_be_empty()
    finally:
        again.stop()
    seen.errors.clear()  # refused connections


def test_a_token_is_asked_for_and_kept_for_the_tab(context: BrowserContext, seen: Any) -> None:
    server = LiveServer(LiveOptions(port=0, otlp_port=0, token="open-sesame"))
    server.start()
    try:
        page = context.new_page()
        page.goto(f"{server.url}#/calls")
        dialog = page.get_by_role("dialog", name="This view needs a token")
        expect(dialog).to_be_visible()
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_have_text("That token was not accepted.")
        page.get_by_role("textbox", name="Token").fill("open-sesame")
        page.keyboard.press("Enter")
        _connected(page)
        page.reload()
        _connected(page)
        other = context.new_page()
        other.goto(f"{server.url}#token=open%2Dsesame")
        _connected(other)
        assert "sesame" not in other.url
    finally:
        server.stop()
    seen.errors.clear()  # status 401


def _connected(page: Page) -> None:
    expect(page.locator(".connection")).to_have_text("Live")
    expect(page.get_by_role("heading", name="Waiting for the first call")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_it_works_mounted_under_a_path(context: BrowserContext) -> None:
    view = LiveServer(LiveOptions())
    app = Starlette(routes=[Mount("/debug/llm", view.app)])
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", ws="websockets-sansio", lifespan="off")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/debug/llm")
        assert page.url.startswith(f"http://127.0.0.1:{port}/debug/llm/")
        expect(page.locator(".connection")).to_have_text("Live")
        expect(page.get_by_role("heading", name="Waiting for the first call")).to_be_visible()
        page.close()
    finally:
        server.should_exit = True
        thread.join(10)
        view.stop()
