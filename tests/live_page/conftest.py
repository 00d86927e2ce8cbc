"""A browser, a live server, traffic; every page of a test must stay without errors and on loopback."""

from __future__ import annotations

import json
import shutil
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from live_page import traffic
from live_page.otlp_json import Span
from live_page.running import Running
from otel_llm.live import LiveOptions, LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 20_000
"""Milliseconds until something that has to happen counts as not happening."""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Live:
    """A running server and its traffic."""

    server: LiveServer
    traffic: Any = field(init=False)

    def __post_init__(self) -> None:
        self.traffic = traffic.Traffic(self.server.otlp["http"])

    @property
    def url(self) -> str:
        return self.server.url.rstrip("/") + "/"

    def model(self, name: str) -> Any:
        return next(model for model in traffic.MODELS if model.name == name)

    def child(self, parent: Any, name: str, after: float) -> Any:
        """One more span below `parent`."""
        start = parent.start + after
        return Span(
            parent.trace_id,
            f"{int(after * 1e6) + 1:016x}",
            parent.span_id,
            name,
            1,
            start,
            start + 0.001,
            "app",
        )

    def api(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}api/{path}", timeout=5) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """With five minutes and three days of traffic."""
    server = LiveServer(LiveOptions(port=0, otlp_port=0))
    server.start()
    started = Live(server)
    started.traffic.days(3, 10)
    started.traffic.past(300)
    yield started
    server.stop()


@pytest.fixture
def fresh() -> Iterator[Live]:
    """Without traffic."""
    server = LiveServer(LiveOptions(port=0, otlp_port=0))
    server.start()
    yield Live(server)
    server.stop()


@pytest.fixture
def running() -> Any:
    """Streams of this process."""
    return Running()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        program = CHROMIUM or playwright.chromium.executable_path
        if not Path(program).exists():
            pytest.skip(
                "the page is tested in a browser: no chromium is installed (apt-get install chromium)"
            )
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@dataclass
class Seen:
    """What pages said and asked for."""

    errors: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on(
            "console",
            lambda message: (
                self.errors.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("websocket", lambda socket: self.urls.append(socket.url))


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Checked after the test; one that breaks a connection on purpose clears `errors`."""
    seen = Seen()
    yield seen
    assert seen.errors == []
    hosts = {urlsplit(url).hostname for url in seen.urls if not url.startswith("blob:")}
    assert hosts <= {"127.0.0.1"}
    assert hosts


@pytest.fixture
def context(browser: Browser, seen: Seen) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    context.set_default_timeout(PATIENCE)
    context.on("page", seen.watch)
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext, live: Live) -> Callable[[str], Page]:
    """Open a view of the server with traffic."""

    def open_page(view: str) -> Page:
        page = context.new_page()
        page.goto(f"{live.url}#/{view}")
        return page

    return open_page
