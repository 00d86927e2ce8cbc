"""What a program hears of its calls in its own process, with the real SDKs."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import pytest
from doors import CHAT, MESSAGE
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from scene import instrumented, run

import otel_llm
from otel_llm import _guard, hooks
from otel_llm.helpers import _counts
from otel_llm.testing import Reply, ToolCall, capture
from support.hooking import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_llm.testing import FakeProvider

PRICE = Decimal("0.000063")


@pytest.fixture(autouse=True)
def _no_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counts, "_watched", {})


@pytest.fixture
def seen() -> Iterator[Seen]:
    """A handler of every event."""
    seen = Seen()
    hooks.attach("everything", hooks.EVENTS, seen)
    yield seen
    hooks.detach("everything")


def calls(seen: Seen) -> list[str]:
    """The events of whole calls."""
    return [event for event in seen.events if hooks.PAYLOADS[event][1] is hooks.CallMetadata]


def test_every_event_there_is(server: FakeProvider, make: Callable[..., Any], seen: Seen) -> None:
    """One program that makes each of them happen, each with the payloads that are promised."""
    client = make("openai", max_retries=1)
    with capture() as telemetry:
        telemetry.instrument(
            cost=lambda _: PRICE,
            cost_threshold="0.00001",
            capture_content="span_only",
            progress_interval=0.01,
        )
        with otel_llm.session("c1", user_id="ada"):
            server.script(Reply.error(429, retry_after_ms=1), Reply(finish_reason="length"))
            client.chat.completions.create(**CHAT)
        client.embeddings.create(model="e", input="x")
        client.completions.create(model="gpt-3.5-turbo-instruct", prompt="x")
        server.script(Reply(chunks=3, chunk_delay=0.05))
        list(client.chat.completions.create(**CHAT, stream=True))
        server.script(Reply(chunks=3, die_after=1))
        with contextlib.suppress(Exception):
            list(client.chat.completions.create(**CHAT, stream=True))
        for create, arguments in (
            (client.embeddings.create, {"model": "e", "input": "x"}),
            (client.completions.create, {"model": "i", "prompt": "x"}),
        ):
            server.script(Reply.error(400))
            with pytest.raises(openai.BadRequestError):
                create(**arguments)
        with otel_llm.track("acme", "m1", "rerank"):
            pass
        for block in (otel_llm.track("acme", "m1", "rerank"), otel_llm.tool("f")):
            with pytest.raises(LookupError), block:
                raise LookupError
        with otel_llm.tool("f"):
            pass
        cache = otel_llm.cache("c")
        cache.hit()
        cache.miss()
        cache.put(1)
        cache.evict(1)
        breaker = otel_llm.circuit_breaker("every")
        breaker.set("open")
        breaker.set("closed")
        refreshes = hasattr(openai.OpenAI, "_refresh_api_key")
        if refreshes:
            fetch = lambda: "sk-SECRET"  # noqa: E731 - what the SDK calls
            with openai.OpenAI(api_key=fetch, base_url=server.openai_url, max_retries=0) as other:
                other.chat.completions.create(**CHAT)
    lacking = set() if refreshes else {"llm.provider.auth_refresh"}
    assert set(seen.events) == set(hooks.EVENTS) - lacking
    for event, measurements, metadata, _ in seen.told:
        assert (type(measurements), type(metadata)) == hooks.PAYLOADS[event], event


def test_a_call_and_its_attempts(server: FakeProvider, make: Callable[..., Any], seen: Seen) -> None:
    server.script(Reply.error(429, retry_after_ms=20))
    with instrumented() as telemetry:
        make("openai", max_retries=2).chat.completions.create(**CHAT)
        span = telemetry.span()
    assert Counter(seen.events) == {
        "llm.chat.start": 1,
        "llm.provider.request.start": 2,
        "llm.provider.request.exception": 1,
        "llm.provider.rate_limit": 1,
        "llm.chat.stop": 1,
        "llm.provider.request.stop": 1,
    }
    start, stop = seen.told[0], next(told for told in seen.told if told[0] == "llm.chat.stop")
    assert abs(start[1].system_time - time.time_ns()) < 60e9
    assert start[2].id == stop[2].id
    assert (stop[2].attempts, stop[2].outcome, stop[1].total_tokens) == (2, "completed", 20)
    assert stop[2].trace_id == f"{span.context.trace_id:032x}"
    refused = next(told for told in seen.told if told[0] == "llm.provider.request.exception")
    assert (refused[2].number, refused[2].status, refused[1].wait) == (1, 429, 0.02)


def test_a_failure(server: FakeProvider, make: Callable[..., Any], seen: Seen) -> None:
    server.script(Reply.error(400, code="context_length_exceeded"))
    with instrumented(), pytest.raises(openai.BadRequestError):
        make("openai").chat.completions.create(**CHAT)
    assert calls(seen) == ["llm.chat.start", "llm.chat.exception"]
    _, measured, metadata, _ = next(told for told in seen.told if told[0] == "llm.chat.exception")
    assert measured.duration > 0
    assert metadata.error == hooks.CallError(
        type="context_length_exceeded",
        exception="openai.BadRequestError",
        code="context_length_exceeded",
        status=400,
        category="context_length",
        retryable=False,
    )


def test_a_stream_that_is_good_and_one_that_dies(
    server: FakeProvider, make: Callable[..., Any], seen: Seen
) -> None:
    client = make("openai")
    server.script(Reply(chunks=2), Reply(chunks=3, die_after=1))
    with instrumented():
        list(client.chat.completions.create(**CHAT, stream=True))
        with contextlib.suppress(Exception):
            list(client.chat.completions.create(**CHAT, stream=True))
    assert [event for event in calls(seen) if "stream" in event] == [
        "llm.stream.start",
        "llm.stream.stop",
        "llm.stream.start",
        "llm.stream.exception",
    ]
    chunks = [(metadata.id, m.chunks) for event, m, metadata, _ in seen.told if event == "llm.stream.chunk"]
    first = chunks[0][0]
    # The role, the pieces, the end.
    assert [count for identity, count in chunks if identity == first] == [1, 2, 3, 4]


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_neither_content_nor_keys_anywhere(
    server: FakeProvider,
    make: Callable[..., Any],
    seen: Seen,
    caplog: pytest.LogCaptureFixture,
    sdk: str,
    asynchronous: bool,
) -> None:
    client: Any = make(sdk, asynchronous=asynchronous)
    create = client.chat.completions.create if sdk == "openai" else client.messages.create
    arguments = CHAT if sdk == "openai" else MESSAGE
    server.script(
        Reply(text="MY-ANSWER", tool_calls=[ToolCall("f", {"x": "MY-ARGUMENT"})]),
        Reply.error(401, message="bad key sk-SECRET for MY-PROMPT"),
        Reply(text="MY-ANSWER"),
    )
    log = otel_llm.RequestLog()
    otel_llm.logger.attach("debug")

    async def use() -> None:
        await create(**arguments)
        with contextlib.suppress(Exception):
            await create(**arguments)
        async for _ in await create(**arguments, stream=True):
            pass
        await client.close()

    try:
        with instrumented(), log, caplog.at_level(logging.DEBUG, logger="otel_llm"):
            if asynchronous:
                run(use())
            else:
                create(**arguments)
                with contextlib.suppress(Exception):
                    create(**arguments)
                list(create(**arguments, stream=True))
    finally:
        otel_llm.logger.detach()
    told = repr(seen.told) + log.to_json() + log.to_csv()
    told += repr([vars(record) for record in caplog.records if record.name.startswith("otel_llm")])
    assert len(log) == 3
    assert "LLM stream chunk" in told
    for secret in ("MY-PROMPT", "MY-ANSWER", "MY-ARGUMENT", "sk-SECRET"):
        assert secret not in told


def test_handlers_come_and_go_at_run_time(server: FakeProvider, make: Callable[..., Any]) -> None:
    one, two = Seen(), Seen()
    client = make("openai")
    with instrumented(), otel_llm.RequestLog() as log:
        hooks.attach("one", "llm.chat.stop", one)
        hooks.attach("two", "llm.chat.stop", two)
        client.chat.completions.create(**CHAT)
        hooks.detach("two")
        client.chat.completions.create(**CHAT)
        hooks.detach("one")
        client.chat.completions.create(**CHAT)
    assert (len(one.told), len(two.told), len(log)) == (2, 1, 3)


def test_a_handler_that_raises_changes_nothing(
    server: FakeProvider, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard, "strict", False)

    def broken(*_: object) -> None:
        raise RuntimeError("x")

    hooks.attach("broken", hooks.EVENTS, broken)
    try:
        with instrumented() as telemetry:
            client = make("openai")
            answer = client.chat.completions.create(**CHAT)
            chunks = list(client.chat.completions.create(**CHAT, stream=True))
            assert [span.attributes["otel_llm.outcome"] for span in telemetry.spans()] == ["completed"] * 2
    finally:
        broken_stats = hooks.stats("broken")
        hooks.detach("broken")
    assert answer.choices[0].message.content == "word1 word2 word3"
    assert len(chunks) == 5
    assert broken_stats.errors >= 10


def test_unsampled_calls_are_heard_of_all_the_same(
    server: FakeProvider, make: Callable[..., Any], seen: Seen
) -> None:
    with capture(sampler=ALWAYS_OFF) as telemetry, otel_llm.RequestLog() as log:
        telemetry.instrument()
        make("openai").chat.completions.create(**CHAT)
        assert telemetry.spans() == []
        assert telemetry.points()["gen_ai.client.operation.duration"][0].count == 1
    assert calls(seen) == ["llm.chat.start", "llm.chat.stop"]
    assert log.stats().total_tokens == 20


def test_filters_leave_no_trace(server: FakeProvider, make: Callable[..., Any], seen: Seen) -> None:
    with instrumented(filters=[lambda op: op.request_model != "gpt-4o"]) as telemetry:
        answer = make("openai").chat.completions.create(**CHAT)
        assert (telemetry.spans(), telemetry.points(), telemetry.logs()) == ([], {}, [])
    assert answer.choices[0].message.content == "word1 word2 word3"
    assert seen.told == []


def test_a_filter_that_raises_filters_nothing(
    server: FakeProvider, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    with instrumented(filters=[lambda op: op.nothing]) as telemetry:
        make("openai").chat.completions.create(**CHAT)
        assert telemetry.outcome() == "completed"


class TestRequestAndResponseHooks:
    def test_they_get_the_span_and_the_sdks_objects(
        self, server: FakeProvider, make: Callable[..., Any]
    ) -> None:
        told: list[Any] = []

        def on_request(span: Any, options: Any) -> None:
            told.append((span.is_recording(), options.json_data["model"]))

        def on_response(span: Any, response: Any) -> None:
            told.append((span.is_recording(), response))

        with instrumented(request_hook=on_request, response_hook=on_response):
            answer = make("openai").chat.completions.create(**CHAT)
        assert told[0] == (True, "gpt-4o")
        assert told[1][1] is answer

    def test_one_that_raises_changes_nothing(
        self, server: FakeProvider, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_guard, "strict", False)

        def broken(_span: Any, _thing: Any) -> None:
            raise RuntimeError("x")

        with instrumented(request_hook=broken, response_hook=broken) as telemetry:
            answer = make("openai").chat.completions.create(**CHAT)
            assert telemetry.outcome() == "completed"
        assert answer.choices[0].message.content == "word1 word2 word3"


def test_answers_are_as_they_would_be_without_us(
    server: FakeProvider, make: Callable[..., Any], seen: Seen
) -> None:
    client = make("openai")
    server.script(Reply(), Reply())
    bare = client.chat.completions.create(**CHAT)
    with instrumented(on_progress=lambda _: None):
        told = client.chat.completions.create(**CHAT)
    assert type(told) is type(bare)
    assert set(vars(told)) == set(vars(bare))
    unequal = {name for name in vars(bare) if getattr(told, name) != getattr(bare, name)}
    assert unequal <= {"id", "created", "_request_id"}


def test_an_unknown_telemetry_object_is_not_kept_alive(
    server: FakeProvider, make: Callable[..., Any], seen: Seen
) -> None:
    """Payloads hold plain values only: nothing of the SDK can be reached from them."""
    server.script(Reply(), Reply.error(400))
    client = make("openai")
    with instrumented():
        client.chat.completions.create(**CHAT)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**CHAT)

    def plain(value: Any) -> bool:
        if isinstance(value, tuple):
            return all(plain(part) for part in value)
        return value is None or type(value) in (str, int, float, bool, Decimal)

    assert [told for told in seen.told if not plain(told[1]) or not plain(told[2])] == []
