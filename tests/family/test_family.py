"""The SDKs of other providers, each used for real: one conforming span per call, with who answered and how it ended."""

from __future__ import annotations

import gc
import importlib
from typing import TYPE_CHECKING, Any

import pytest
from scene import instrumented, run
from sdks import MESSAGES, ask, needs

from otel_llm import _recording
from otel_llm.testing import Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry
    from sdks import Family

LONG = Reply(chunks=40, chunk_delay=0.002)
CHAT: dict[str, Any] = {"model": "m", "messages": MESSAGES}


def facts(telemetry: Telemetry) -> dict[str, Any]:
    """What every span must say, as this one says it."""
    span = telemetry.span()
    attributes = dict(span.attributes or {})
    names = {
        "provider": "gen_ai.provider.name",
        "operation": "gen_ai.operation.name",
        "asked": "gen_ai.request.model",
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "reasons": "gen_ai.response.finish_reasons",
        "outcome": "otel_llm.outcome",
    }
    found = {key: attributes.get(name) for key, name in names.items()}
    return {key: value for key, value in found.items() if value is not None}


def expected(sdk: Family, *, streamed: bool = False, **other: Any) -> dict[str, Any]:
    """The facts of a call that went well."""
    usage = {} if streamed and not sdk.usage_in_stream else {"input": 12, "output": 8}
    known = {
        "provider": sdk.label,
        "operation": "chat",
        "asked": "m",
        "reasons": ("stop",),
        "outcome": "completed",
    }
    return {key: value for key, value in {**known, **usage, **other}.items() if value is not None}


class TestChat:
    def test_plain(self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry, server: Any) -> None:
        ask(make(), sdk.chat, **CHAT, temperature=0.5)
        assert facts(telemetry) == expected(sdk)
        attributes = telemetry.span().attributes
        assert attributes["gen_ai.request.temperature"] == 0.5
        assert attributes["gen_ai.response.id"] == f"chatcmpl-{server.requests[0].number:06d}"
        assert attributes["server.address"] == "127.0.0.1"
        assert attributes["server.port"] == int(server.url.rpartition(":")[2])
        assert not any(name.startswith("openai.") for name in attributes)

    def test_stream(self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry) -> None:
        stream = ask(make(), sdk.chat, **CHAT, stream=True)
        chunks = list(stream)
        assert facts(telemetry) == expected(sdk, streamed=True)
        attributes = telemetry.span().attributes
        assert attributes["otel_llm.stream.chunks"] == len(chunks)
        assert attributes["otel_llm.stream.size"] == len("word1 word2 word3")

    def test_async(self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry) -> None:
        async def main() -> None:
            async with make(asynchronous=True) as client:
                await ask(client, sdk.chat, **CHAT)

        run(main())
        assert facts(telemetry) == expected(sdk)

    @pytest.mark.parametrize("http", ["DefaultAsyncHttpxClient", "DefaultAioHttpClient"])
    def test_async_stream(
        self, http: str, sdk: Family, make: Callable[..., Any], telemetry: Telemetry
    ) -> None:
        async def main() -> None:
            transport = getattr(importlib.import_module(sdk.module), http)()
            async with make(asynchronous=True, http_client=transport) as client:
                async for _ in await ask(client, sdk.chat, **CHAT, stream=True):
                    pass
                assert facts(telemetry) == expected(sdk, streamed=True)

        run(main())

    def test_tool_calls(
        self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry
    ) -> None:
        server.reply(Reply(tool_calls=[ToolCall("weather", {"city": "Graz"})]))
        client = make()
        ask(client, sdk.chat, **CHAT)
        list(ask(client, sdk.chat, **CHAT, stream=True))
        assert [span.attributes["gen_ai.response.finish_reasons"] for span in telemetry.spans()] == [
            ("tool_call",),
            ("tool_call",),
        ]

    def test_raw_and_streaming_responses(
        self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry
    ) -> None:
        owner, _, method = sdk.chat.rpartition(".")
        client = make()
        ask(client, f"{owner}.with_raw_response.{method}", **CHAT).parse()
        assert facts(telemetry) == expected(sdk)
        telemetry.clear()
        with ask(client, f"{owner}.with_streaming_response.{method}", **CHAT, stream=True) as response:
            for _ in response.iter_lines():
                pass
        assert facts(telemetry) == expected(sdk, streamed=True)


class TestEndings:
    def test_close(self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry) -> None:
        server.reply(LONG)
        stream = ask(make(), sdk.chat, **CHAT, stream=True)
        next(iter(stream))
        stream.close()
        assert facts(telemetry) == {
            "provider": sdk.label,
            "operation": "chat",
            "asked": "m",
            "outcome": "closed",
        }

    def test_drop(self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry) -> None:
        server.reply(LONG)
        stream = ask(make(), sdk.chat, **CHAT, stream=True)
        next(iter(stream))
        del stream
        gc.collect()
        _recording.drain()
        assert facts(telemetry)["outcome"] == "abandoned"

    def test_two_retries(
        self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry
    ) -> None:
        server.script(Reply.error(429, retry_after_ms=20), Reply.error(500, retry_after_ms=30))
        ask(make(max_retries=2), sdk.chat, **CHAT)
        assert facts(telemetry) == expected(sdk)
        attributes = telemetry.span().attributes
        assert attributes["otel_llm.request.attempts"] == 3
        assert attributes["otel_llm.attempt.statuses"] == (429, 500)
        assert attributes["otel_llm.attempt.delays"] == (0.02, 0.03)

    def test_error(self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry) -> None:
        server.reply(Reply.error(429, code="rate_limit_exceeded"))
        with pytest.raises(sdk.errors().RateLimitError):
            ask(make(), sdk.chat, **CHAT)
        attributes = telemetry.span().attributes
        assert attributes["otel_llm.outcome"] == "failed"
        assert attributes["error.type"] == "rate_limit_exceeded"
        assert attributes["otel_llm.response.status_code"] == 429

    def test_error_in_a_stream(
        self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry
    ) -> None:
        server.reply(Reply(error_after=1, error_message="broke", error_type="overloaded"))
        stream = ask(make(), sdk.chat, **CHAT, stream=True)
        if sdk.name == "fireworks":  # its SDK takes the error for a chunk, and tells nobody
            list(stream)
        else:
            with pytest.raises(sdk.errors().APIError, match="broke"):
                list(stream)
        assert facts(telemetry)["outcome"] == "failed"
        assert telemetry.span().attributes["error.type"] == "overloaded"

    def test_a_connection_that_breaks(
        self, sdk: Family, make: Callable[..., Any], server: Any, telemetry: Telemetry
    ) -> None:
        server.reply(Reply(chunks=9, die_after=2))
        with pytest.raises(Exception, match=r"closed|peer|incomplete"):
            list(ask(make(), sdk.chat, **CHAT, stream=True))
        assert facts(telemetry)["outcome"] == "failed"


class TestOtherEndpoints:
    @needs("embeddings")
    def test_embeddings(self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry) -> None:
        ask(make(), sdk.embeddings, model=sdk.embedding_model, input="x")
        assert facts(telemetry) == expected(
            sdk, operation="embeddings", asked=sdk.embedding_model, output=None, reasons=None
        )

    @needs("completions")
    @pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
    def test_text_completions(
        self, streamed: bool, sdk: Family, make: Callable[..., Any], telemetry: Telemetry
    ) -> None:
        done = ask(make(), sdk.completions, model="m", prompt="x", **({"stream": True} if streamed else {}))
        if streamed:
            list(done)
        bare = {"input": None, "output": None}
        if sdk.name == "writer":  # its completions have neither usage nor reasons
            bare["reasons"] = None
        assert facts(telemetry) == expected(
            sdk, operation="text_completion", **(bare if streamed or sdk.name == "writer" else {})
        )
        if streamed:
            assert telemetry.span().attributes["otel_llm.stream.size"] == len("word1 word2 word3")

    @needs("responses")
    @pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
    def test_responses(
        self, streamed: bool, sdk: Family, make: Callable[..., Any], telemetry: Telemetry
    ) -> None:
        done = ask(make(), sdk.responses, model="m", input="x", **({"stream": True} if streamed else {}))
        if streamed:
            list(done)
        assert facts(telemetry) == expected(sdk)

    @needs("messages")
    def test_messages(self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry) -> None:
        ask(make(), sdk.messages, **CHAT, max_tokens=9)
        assert facts(telemetry) == expected(sdk)

    @needs("streamed_messages")
    def test_streamed_messages(self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry) -> None:
        list(ask(make(), sdk.messages, **CHAT, max_tokens=9, stream=True))
        assert facts(telemetry) == expected(sdk)

    @needs("other")
    def test_what_is_no_inference_makes_no_span(
        self, sdk: Family, make: Callable[..., Any], telemetry: Telemetry, server: Any
    ) -> None:
        client = make()
        for method, body in sdk.other.items():
            ask(client, method, **body)
        assert len(server.requests) == len(sdk.other)
        assert telemetry.spans() == []
        assert telemetry.points() == {}


class TestWhoAnswers:
    def test_the_providers_own_host(self, sdk: Family, telemetry: Telemetry) -> None:
        import httpx

        asked: list[Any] = []

        def answer(request: Any) -> Any:
            asked.append(request.url)
            return httpx.Response(400, json={})

        with sdk.at_home(httpx.MockTransport(answer)) as client, pytest.raises(sdk.errors().BadRequestError):
            ask(client, sdk.chat, **CHAT)
        attributes = telemetry.span().attributes
        assert attributes["gen_ai.provider.name"] == sdk.label
        assert attributes["server.address"] == sdk.host == asked[-1].host
        assert attributes["server.port"] == 443

    def test_the_users_map_wins(self, sdk: Family, make: Callable[..., Any]) -> None:
        with instrumented(providers={"127.0.0.1": "mine"}) as telemetry:
            ask(make(), sdk.chat, **CHAT)
            assert facts(telemetry)["provider"] == "mine"


class TestContent:
    def test_streamed_and_plain_say_the_same(
        self, sdk: Family, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(
            Reply(text="It is fine.", tool_calls=[ToolCall("weather", {"city": "Graz"}, id="call_1")])
        )
        with instrumented(capture_content="span_only") as telemetry:
            client = make()
            ask(client, sdk.chat, **CHAT)
            list(ask(client, sdk.chat, **CHAT, stream=True))
            first, second = (span.attributes["gen_ai.output.messages"] for span in telemetry.spans())
            assert "MY-PROMPT" in telemetry.spans()[0].attributes["gen_ai.input.messages"]
        assert first == second
        assert "It is fine." in first
        assert '"city":"Graz"' in first.replace(" ", "")
