"""Every public method of the installed SDKs makes a span when it runs a model, or is on the list of those that do not."""

from __future__ import annotations

import asyncio
import importlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from otel_llm.providers.not_covered import not_covered, page
from support.walk import Visit, client, methods, visit, visit_async

MESSAGES = [{"role": "user", "content": "x"}]
CHAT = {"model": "m", "messages": MESSAGES}

INFERENCE: dict[str, dict[str, dict[str, Any]]] = {
    # What runs a model only with the right arguments.
    "openai": {
        "get": {"path": "/responses/resp_1", "cast_to": object},
        "post": {"path": "/chat/completions", "cast_to": object, "body": CHAT},
        "responses.stream": {"model": "m", "input": "x"},
    },
    "anthropic": {"post": {"path": "/v1/messages", "cast_to": object, "body": CHAT}},
}


def _request(sdk: str) -> dict[str, Any]:
    """Arguments of the client's own `request`."""
    options = importlib.import_module(f"{sdk}._models").FinalRequestOptions
    path = "/chat/completions" if sdk == "openai" else "/v1/messages"
    return {"cast_to": object, "options": options(method="post", url=path, json_data=CHAT)}


@cache
def walked(sdk: str, asynchronous: bool) -> dict[str, Visit]:
    """What each method did."""
    asked: list[str] = []
    told = {**INFERENCE[sdk], "request": _request(sdk)}
    made = client(sdk, asked, asynchronous=asynchronous)
    names = methods(sdk, made)

    async def main() -> dict[str, Visit]:
        return {name: await visit_async(made, name, asked, **told.get(name, {})) for name in names}

    if asynchronous:
        return asyncio.run(main())
    return {name: visit(made, name, asked, **told.get(name, {})) for name in names}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])


@pytest.fixture(params=["openai", "anthropic"])
def sdk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def reasons(sdk: str, *, gone: bool = True) -> dict[str, str]:
    """The methods on the list, and why they are on it."""
    listed = (gap for gap in not_covered()[sdk].gaps if gone or not gap.gone)
    return {name: gap.reason for gap in listed for name in gap.names}


class TestWalk:
    def test_every_method_makes_a_span_or_is_listed(self, sdk: str, asynchronous: bool) -> None:
        listed = reasons(sdk)
        missing = [
            str(found)
            for name, found in walked(sdk, asynchronous).items()
            if not found.spans and name not in listed
        ]
        assert missing == []

    def test_what_makes_a_span_is_not_listed(self, sdk: str, asynchronous: bool) -> None:
        listed = reasons(sdk)
        found = walked(sdk, asynchronous)
        assert [name for name, found in found.items() if found.spans and name in listed] == []
        assert all(len(found.spans) <= 1 for found in found.values())

    def test_what_is_said_to_ask_nothing_asks_nothing(self, sdk: str, asynchronous: bool) -> None:
        quiet = [name for name, reason in reasons(sdk).items() if reason == "asks nothing of the network"]
        found = walked(sdk, asynchronous)
        assert [found[name].requests for name in quiet if name in found] == [
            [] for name in quiet if name in found
        ]

    def test_the_list_names_nothing_that_is_gone(self, sdk: str) -> None:
        installed = importlib.import_module(sdk).__version__
        if numbers(installed) < numbers(not_covered()[sdk].release):
            pytest.skip(f"{sdk} {installed} is not the newest release")
        there = walked(sdk, False).keys() | walked(sdk, True).keys()
        assert reasons(sdk, gone=False).keys() - there == set()
        former = reasons(sdk).keys() - reasons(sdk, gone=False).keys()
        assert former & there == set()

    def test_the_walk_sees_what_it_should(self, sdk: str, asynchronous: bool) -> None:
        """The walk itself: it finds nested resources, and its calls reach the network."""
        found = walked(sdk, asynchronous)
        expected = {
            "openai": {"chat.completions.create", "embeddings.create", "post", "request"},
            "anthropic": {"messages.create", "messages.stream", "post", "request"},
        }[sdk]
        assert expected <= {name for name, found in found.items() if found.spans}
        reached = [name for name, found in found.items() if found.requests]
        assert len(reached) > len(found) / 2


class TestList:
    def test_each_method_is_on_it_once(self, sdk: str) -> None:
        names = [name for gap in not_covered()[sdk].gaps for name in gap.names]
        assert len(names) == len(set(names))
        assert all(gap.reason and gap.methods for gap in not_covered()[sdk].gaps)

    def test_the_page_is_up_to_date(self) -> None:
        written = Path(__file__).parents[2] / "docs" / "coverage.md"
        assert written.read_text() == page(), (
            "run: python -m otel_llm.providers.not_covered > docs/coverage.md"
        )
