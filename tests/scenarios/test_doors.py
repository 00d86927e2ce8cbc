"""However a program reaches the model: one span, with the facts of the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE, RESPONSE, Door, async_events, events
from scene import instrumented, run

from otel_llm.testing import Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry

FACTS = {
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 8,
    "otel_llm.outcome": "completed",
}


def use(door: Door, client: Any) -> Any:
    """Go through the door and read everything."""
    if door.kind in ("plain", "raw"):
        return door.call(client)
    if door.kind in ("stream", "raw_stream"):
        stream = door.call(client)
        stream = stream.parse() if door.kind == "raw_stream" else stream
        return list(events(door, stream))
    with door.call(client) as opened:
        return opened.parse() if door.kind == "body" else list(events(door, opened))


async def use_async(door: Door, client: Any) -> Any:
    """As `use`, with an async client."""
    if door.kind in ("plain", "raw"):
        return await door.call(client)
    if door.kind in ("stream", "raw_stream"):
        stream = await door.call(client)
        if door.kind == "raw_stream":
            parsed = stream.parse()
            stream = await parsed if asyncio.iscoroutine(parsed) else parsed
        return [event async for event in async_events(door, stream)]
    async with door.call(client) as opened:
        if door.kind == "body":
            return await opened.parse()
        return [event async for event in async_events(door, opened)]


async def use_async_once(door: Door, client: Any) -> Any:
    """As `use_async`, and close the client."""
    async with client:
        return await use_async(door, client)


class TestEveryDoor:
    def test_one_span_with_the_facts(
        self, door: Door, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        if asynchronous:
            run(use_async_once(door, make(door.sdk, asynchronous=True)))
        else:
            use(door, make(door.sdk))
        span = telemetry.span()
        assert span.name.startswith(f"{door.operation} ")
        facts = dict(span.attributes or {})
        expected = dict(FACTS)
        if door.operation == "embeddings":
            del expected["gen_ai.usage.output_tokens"]
        else:
            expected["gen_ai.response.finish_reasons"] = ("stop",)
        assert {name: facts.get(name) for name in expected} == expected
        assert facts.get("gen_ai.request.stream", False) is door.streams
        assert ("gen_ai.response.time_to_first_chunk" in facts) is door.streams

    def test_the_span_of_the_caller_is_current_after_it(
        self, door: Door, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        tracer = telemetry.tracer_provider.get_tracer("app")
        with tracer.start_as_current_span("caller") as caller:
            use(door, make(door.sdk))
            from opentelemetry import trace

            assert trace.get_current_span() is caller
        llm = next(span for span in telemetry.spans() if span.name != "caller")
        assert llm.parent is not None
        assert llm.parent.span_id == caller.get_span_context().span_id


class TestBeforeInstrument:
    def test_clients_bound_methods_and_raw_objects_made_before_are_seen(
        self, make: Callable[..., Any]
    ) -> None:
        client = make("openai")
        create = client.chat.completions.create
        raw = client.chat.completions.with_raw_response
        claude = make("anthropic").messages.create
        with instrumented() as telemetry:
            create(**CHAT)
            raw.create(**CHAT).parse()
            claude(**MESSAGE)
            assert [span.name for span in telemetry.spans()] == [
                "chat gpt-4o",
                "chat gpt-4o",
                "chat claude-test-1",
            ]


class TestSubclasses:
    def test_subclassed_client_and_resource(self, telemetry: Telemetry, server: Any) -> None:
        import openai
        from openai.resources.chat.completions import Completions

        class Mine(openai.OpenAI):
            pass

        class MyCompletions(Completions):
            def create(self, **kwargs: Any) -> Any:
                return super().create(**kwargs)

        with Mine(api_key="none", base_url=server.openai_url) as client:
            MyCompletions(client).create(**CHAT)
        assert telemetry.span().name == "chat gpt-4o"


class TestModuleLevel:
    def test_openai_as_a_module(
        self, telemetry: Telemetry, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import openai

        monkeypatch.setattr(openai, "_client", None)  # made by the first call of the process
        monkeypatch.setattr(openai, "api_key", "none")
        monkeypatch.setattr(openai, "base_url", server.openai_url + "/")
        openai.chat.completions.create(**CHAT)
        assert telemetry.span().attributes["server.address"] == "127.0.0.1"


class TestNoInference:
    def test_other_calls_make_no_span(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        make("openai").models.list()
        body = {"model": "claude-test-1", "messages": MESSAGE["messages"]}
        make("anthropic").post("/v1/messages/count_tokens", cast_to=object, body=body)
        assert telemetry.spans() == []
        assert telemetry.points() == {}


class TestFetch:
    def test_fetching_a_response_names_it_and_counts_no_tokens(
        self, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        client = make("openai")
        if not hasattr(client, "responses"):
            pytest.skip("this openai has no Responses")
        client.responses.retrieve("resp_123")
        list(client.responses.retrieve("resp_123", stream=True))
        for span in telemetry.spans():
            assert span.name == "fetch_response"
            assert span.attributes["gen_ai.response.id"] == "resp_123"
            assert "gen_ai.usage.input_tokens" not in span.attributes
        assert len(telemetry.spans()) == 2
        assert "gen_ai.client.token.usage" not in telemetry.points()


class TestToolRunner:
    def test_each_turn_is_a_span(self, telemetry: Telemetry, make: Callable[..., Any], server: Any) -> None:
        anthropic = pytest.importorskip("anthropic")
        if not hasattr(anthropic, "beta_tool"):
            pytest.skip("this anthropic has no tool runner")

        @anthropic.beta_tool
        def weather(city: str) -> str:
            """Tell the weather.

            Args:
                city: where
            """
            return f"rain in {city}"

        server.script(Reply(tool_calls=[ToolCall("weather", {"city": "Paris"})]), Reply(text="It rains."))
        runner = make("anthropic").beta.messages.tool_runner(**MESSAGE, tools=[weather])
        runner.until_done()
        chats = [span for span in telemetry.spans() if span.name.startswith("chat ")]
        assert [span.attributes["gen_ai.response.finish_reasons"] for span in chats] == [
            ("tool_call",),
            ("stop",),
        ]


class TestParameters:
    def test_of_a_chat_call(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        body = {
            **CHAT,
            "temperature": 1,
            "top_p": 0.5,
            "max_completion_tokens": 99,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "seed": 7,
            "stop": ["a", "b"],
            "n": 2,
            "response_format": {"type": "json_object"},
            "reasoning_effort": "low",
            "service_tier": "flex",
        }
        make("openai").post("/chat/completions", cast_to=object, body=body)
        attributes = telemetry.span().attributes
        assert attributes["gen_ai.request.temperature"] == 1.0
        assert isinstance(attributes["gen_ai.request.temperature"], float)
        expected = {
            "gen_ai.request.top_p": 0.5,
            "gen_ai.request.max_tokens": 99,
            "gen_ai.request.presence_penalty": 0.1,
            "gen_ai.request.frequency_penalty": 0.2,
            "gen_ai.request.seed": 7,
            "gen_ai.request.stop_sequences": ("a", "b"),
            "gen_ai.request.choice.count": 2,
            "gen_ai.output.type": "json",
            "gen_ai.response.finish_reasons": ("stop", "stop"),
        }
        assert {name: attributes.get(name) for name in expected} == expected

    def test_of_a_message(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        body = {**MESSAGE, "temperature": 0.3, "top_k": 5, "stop_sequences": ["x"]}
        make("anthropic").post("/v1/messages", cast_to=object, body=body)
        attributes = telemetry.span().attributes
        expected = {
            "gen_ai.request.temperature": 0.3,
            "gen_ai.request.top_k": 5,
            "gen_ai.request.max_tokens": 64,
            "gen_ai.request.stop_sequences": ("x",),
        }
        assert {name: attributes.get(name) for name in expected} == expected

    def test_of_an_embedding(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        make("openai").embeddings.create(
            model="text-embedding-3-small", input="x", dimensions=256, encoding_format="float"
        )
        attributes = telemetry.span().attributes
        assert attributes["gen_ai.embeddings.dimension.count"] == 256
        assert attributes["gen_ai.request.encoding_formats"] == ("float",)


class TestUsage:
    def test_anthropic_input_includes_the_cache(
        self, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(Reply(input_tokens=130213, cached_tokens=128955, cache_write_tokens=1253))
        client = make("anthropic")
        client.messages.create(**MESSAGE)
        list(client.messages.create(**MESSAGE, stream=True))
        for span in telemetry.spans():
            assert span.attributes["gen_ai.usage.input_tokens"] == 130213
            assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 128955
            assert span.attributes["gen_ai.usage.cache_creation.input_tokens"] == 1253

    def test_openai_cached_and_reasoning_are_subsets(
        self, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(Reply(input_tokens=50, cached_tokens=40, output_tokens=30, reasoning_tokens=20))
        client = make("openai")
        client.chat.completions.create(**CHAT)
        client.post("/responses", cast_to=object, body=RESPONSE)
        for span in telemetry.spans():
            facts = {
                name: span.attributes.get(f"gen_ai.usage.{name}")
                for name in (
                    "input_tokens",
                    "output_tokens",
                    "cache_read.input_tokens",
                    "reasoning.output_tokens",
                )
            }
            assert facts == {
                "input_tokens": 50,
                "output_tokens": 30,
                "cache_read.input_tokens": 40,
                "reasoning.output_tokens": 20,
            }

    def test_what_is_absent_is_absent(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        list(make("openai").chat.completions.create(**CHAT, stream=True))
        assert not any(name.startswith("gen_ai.usage") for name in telemetry.span().attributes)
        assert "gen_ai.client.token.usage" not in telemetry.points()


class TestConcurrency:
    def test_every_parent_is_right(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        tracer = telemetry.tracer_provider.get_tracer("app")

        async def one(client: Any, number: int) -> None:
            with tracer.start_as_current_span(f"task-{number}"):
                await client.chat.completions.create(model=f"m-{number}", messages=CHAT["messages"])

        async def main() -> None:
            async with make("openai", asynchronous=True) as client:
                await asyncio.gather(*(one(client, number) for number in range(50)))

        run(main())
        spans = telemetry.spans()
        names = {span.context.span_id: span.name for span in spans}
        llm = [span for span in spans if span.name.startswith("chat ")]
        assert len(llm) == 50
        for span in llm:
            number = span.name.removeprefix("chat m-")
            assert names[span.parent.span_id] == f"task-{number}"
