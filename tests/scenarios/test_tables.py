"""The tables of metrics say what is emitted: each metric, with each attribute, and no more."""

from __future__ import annotations

import itertools
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import pytest
from doors import CHAT, TLS
from scene import instrumented

import otel_llm
from otel_llm import semconv
from otel_llm.helpers import _counts
from otel_llm.semconv import names, own
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry

    from otel_llm.testing import FakeProvider

ELSEWHERE = {"otel_llm.live.clients"}
"""Of the live view, which has tests of its own."""
RICH = Reply(input_tokens=12, cached_tokens=4, cache_write_tokens=2, reasoning_tokens=3)


@pytest.fixture(autouse=True)
def _no_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counts, "_watched", {})


def _everything(make: Callable[..., Any], server: FakeProvider, telemetry: Telemetry) -> None:
    """One call of every kind that a metric tells of."""
    client = make("openai", max_retries=1)
    create, streamed = client.chat.completions.create, {**CHAT, "stream": True}
    server.reply(RICH)
    create(**CHAT)
    with create(**streamed, stream_options={"include_usage": True}) as stream:
        telemetry.points()  # what runs is told when metrics are read
        list(stream)
    list(create(**streamed))  # without counts: estimated
    client.embeddings.create(model="text-embedding-3-small", input="x")
    if hasattr(client, "responses"):
        client.responses.retrieve("resp_123")
    server.script(Reply.error(429, retry_after_ms=1))
    create(**CHAT)
    for reply in (Reply.error(500, retry_after_ms=1), Reply(error_after=1)):
        server.reply(reply)
        for asked in (CHAT, streamed):
            with suppress(openai.APIError):
                list(create(**asked))
    server.reply(Reply.error(400))
    with suppress(openai.APIError):
        client.embeddings.create(model="text-embedding-3-small", input="x")
    if hasattr(openai.OpenAI, "_refresh_api_key"):
        http = openai.DefaultHttpxClient(verify=TLS)
        keys = itertools.count()
        with openai.OpenAI(
            api_key=lambda: f"sk-{next(keys)}", base_url=server.openai_url, http_client=http
        ) as fresh:
            server.reply(RICH)
            fresh.chat.completions.create(**CHAT)
    with otel_llm.track("acme", "m") as call:
        call.usage(10, 20, cache_read=4, cache_write=2, reasoning=5)
        call.response(model="m-1")
    cache, breaker = otel_llm.cache("c"), otel_llm.circuit_breaker("b")
    cache.put(10)
    breaker.failure()
    breaker.set("open")


@pytest.mark.parametrize("setting", ["1.41", "latest", "both"])
def test_every_metric_has_the_attributes_of_its_table(
    setting: str, make: Callable[..., Any], server: FakeProvider
) -> None:
    prices = iter([Decimal(1), None, *[Decimal(2)] * 99])
    with instrumented(
        semconv=setting,
        chunk_metrics="all",
        cost=lambda _: next(prices),
        cost_threshold=1,
        estimate_usage=True,
        providers={"127.0.0.1": "openai"},
    ) as telemetry:
        _everything(make, server, telemetry)
        told = {
            name: {attribute for point in points for attribute in point.attributes}
            for name, points in telemetry.points().items()
        }
    tables = [item for each in semconv.chosen(setting) for item in each.instruments]
    listed = {item.name: set(item.attributes) for item in (*tables, *own.INSTRUMENTS)}
    if setting != "1.41":  # the conventions have counters for these themselves
        listed = {name: held for name, held in listed.items() if not name.startswith("otel_llm.usage.")}
    if not hasattr(openai.OpenAI, "_refresh_api_key"):
        del listed["otel_llm.auth.refreshes"]
    if "service_tier" not in openai.types.chat.ChatCompletion.model_fields:  # the oldest SDKs know of none
        for held in listed.values():
            held.discard(names.OPENAI_RESPONSE_SERVICE_TIER)
    assert listed.keys() - ELSEWHERE == told.keys()
    assert {name: listed[name] ^ told[name] for name in told if listed[name] != told[name]} == {}
