"""However a program reaches the model: one span, with the facts of the answer."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from doors import CHAT, DOORS, MESSAGE, RESPONSE, TLS, Door, Use, lacking, settled
from opentelemetry import trace
from scene import drive, instrumented, run, use

from otel_llm.testing import Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry


class TestEveryDoor:
    def test_one_span_with_the_facts(
        self, door: Door, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        use(door, make, asynchronous=asynchronous)
        span = telemetry.span()
        assert span.name.startswith(f"{door.operation} ")
        facts = dict(span.attributes or {})
        answered = door.operation != "embeddings"
        expected = {
            "gen_ai.usage.input_tokens": 12 if door.tells_usage else None,
            "gen_ai.usage.output_tokens": 8 if door.tells_usage and answered else None,
            "gen_ai.response.finish_reasons": ("stop",) if answered else None,
            "otel_llm.outcome": "completed",
        }
        assert {name: facts.get(name) for name in expected} == expected
        assert facts.get("gen_ai.request.stream", False) is door.streams
        assert ("gen_ai.response.time_to_first_chunk" in facts) is door.streams

    def test_the_span_of_the_caller_is_current_within_it_and_after_it(
        self, door: Door, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        tracer = telemetry.tracer_provider.get_tracer("app")
        currents: list[trace.Span] = []

        class Watching(list[Any]):
            def append(self, event: Any) -> None:
                currents.append(trace.get_current_span())

        async def main() -> None:
            client = make(door.sdk, asynchronous=asynchronous)
            with tracer.start_as_current_span("caller") as caller:
                await Use(door, client, Watching()).result()
                currents.append(trace.get_current_span())
                assert set(currents) == {caller}
            if asynchronous:
                await client.close()

        run(main()) if asynchronous else drive(main())
        caller, llm = telemetry.spans()
        assert llm.parent.span_id == caller.context.span_id
        assert (len(currents) > 2) is door.streams

    def test_a_method_that_was_taken_before_instrumentation_is_seen(
        self, door: Door, asynchronous: bool, make: Callable[..., Any]
    ) -> None:
        client = make(door.sdk, asynchronous=asynchronous)
        method = door.method(client)
        taken = replace(door, path="__call__", prepare=lambda _: method)
        with instrumented() as telemetry:
            use(taken, lambda *_, **__: client, asynchronous=asynchronous)
            assert telemetry.outcome() == "completed"

    def test_a_client_and_a_resource_of_the_applications_own(
        self, door: Door, asynchronous: bool, make: Callable[..., Any], telemetry: Telemetry, server: Any
    ) -> None:
        """Subclasses, whose methods call those of the SDK."""
        plain = make(door.sdk, asynchronous=asynchronous)
        calls: list[str] = []
        client = _subclass(type(plain), "request", calls)(
            api_key="none", base_url=str(plain.base_url), http_client=plain._client, max_retries=0
        )
        parts = re.fullmatch(r"(.+?)\.((?:with_\w+\.)?(\w+))", door.path)
        if parts is not None:
            owner, rest, method = parts.groups()
            resource = _subclass(type(attrgetter(owner)(client)), method, calls)(client)
            door = replace(door, path=rest, prepare=lambda _: resource)
        use(door, lambda *_, **__: client, asynchronous=asynchronous)
        assert calls[-1:] == ["request"]
        assert telemetry.outcome() == "completed"


class TestModuleLevel:
    def test_openai_as_a_module(
        self, telemetry: Telemetry, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(openai, "_client", None)  # made by the first call of the process
        monkeypatch.setattr(openai, "api_key", "none")
        monkeypatch.setattr(openai, "base_url", server.openai_url + "/")
        monkeypatch.setattr(openai, "http_client", openai.DefaultHttpxClient(verify=TLS))
        doors = [door for door in DOORS if door.sdk == "openai" and not lacking(door)]
        with openai.http_client:
            for door in doors:
                if hasattr(openai, door.path.partition(".")[0]) and "options" not in door.name:
                    telemetry.clear()
                    use(door, lambda *_, **__: openai)
                    assert telemetry.outcome() == "completed"
                    assert telemetry.span().attributes["server.address"] == "127.0.0.1"
        assert len(server.requests) >= 10


def _subclass(cls: type, name: str, calls: list[str]) -> Any:
    """A subclass of `cls` whose method `name` is its own, and calls the SDK's."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return getattr(cls, name)(self, *args, **kwargs)

    return type(f"My{cls.__name__}", (cls,), {name: method})


class TestNoInference:
    def test_other_calls_make_no_span(
        self, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        async def main() -> None:
            gpt, claude = (make(sdk, asynchronous=asynchronous) for sdk in ("openai", "anthropic"))
            body = {"model": "claude-test-1", "messages": MESSAGE["messages"]}
            await settled(claude.post("/v1/messages/count_tokens", cast_to=object, body=body))
            await settled(gpt.models.list())
            await settled(gpt.models.retrieve("gpt-4o"))
            if hasattr(claude.messages, "count_tokens"):
                await settled(claude.messages.count_tokens(**body))
            if hasattr(gpt, "responses"):
                await settled(gpt.responses.cancel("resp_123"))
            if asynchronous:
                await gpt.close()
                await claude.close()

        run(main()) if asynchronous else drive(main())
        assert len(server.requests) >= 3
        assert telemetry.spans() == []
        assert telemetry.points() == {}


class TestFetch:
    """Responses that were made before, perhaps in the background: their tokens were counted when they were made."""

    @pytest.mark.parametrize("way", ["plain", "stream", "helper"])
    def test_fetching_a_response_names_it_and_counts_no_tokens(
        self, way: str, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        door = Door(
            name=way,
            sdk="openai",
            path="responses.stream" if way == "helper" else "responses.retrieve",
            kind={"helper": "manager"}.get(way, way),
            arguments={"response_id": "resp_123", **({"stream": True} if way == "stream" else {})},
        )
        if reason := lacking(door):
            pytest.skip(reason)
        try:
            use(door, make, asynchronous=asynchronous)
        except TypeError as error:
            pytest.skip(f"this openai cannot: {error}")
        span = telemetry.span()
        assert span.name == "fetch_response"
        assert span.attributes["gen_ai.response.id"] == "resp_123"
        assert span.attributes["otel_llm.outcome"] == "completed"
        assert "gen_ai.usage.input_tokens" not in span.attributes
        assert "gen_ai.client.token.usage" not in telemetry.points()

    def test_a_response_that_is_made_in_the_background(
        self, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        door = Door(
            name="background",
            sdk="openai",
            path="responses.create",
            kind="plain",
            arguments={**RESPONSE, "background": True},
        )
        if reason := lacking(door):
            pytest.skip(reason)
        assert use(door, make, asynchronous=asynchronous).status == "queued"
        span = telemetry.span()
        assert span.name == "chat gpt-4o"
        assert span.attributes["otel_llm.outcome"] == "completed"
        assert "gen_ai.response.finish_reasons" not in span.attributes
        assert "gen_ai.usage.input_tokens" not in span.attributes


class TestToolRunner:
    @pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
    def test_each_turn_is_a_span(
        self, streamed: bool, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        if not hasattr(anthropic, "beta_tool"):
            pytest.skip(f"anthropic {anthropic.__version__} has no tool runner")

        async def weather(city: str) -> str:
            """Tell the weather.

            Args:
                city: where
            """
            return f"rain in {city}"

        def weather_now(city: str) -> str:
            """Tell the weather.

            Args:
                city: where
            """
            return f"rain in {city}"

        tool = anthropic.beta_async_tool(weather) if asynchronous else anthropic.beta_tool(weather_now)
        asked = ToolCall("weather" if asynchronous else "weather_now", {"city": "Paris"})
        server.script(Reply(tool_calls=[asked]), Reply(text="It rains."))

        async def main() -> None:
            client = make("anthropic", asynchronous=asynchronous)
            runner = client.beta.messages.tool_runner(**MESSAGE, tools=[tool], stream=streamed)
            await settled(runner.until_done())
            if asynchronous:
                await client.close()

        run(main()) if asynchronous else drive(main())
        chats = [span for span in telemetry.spans() if span.name.startswith("chat ")]
        assert [span.attributes["gen_ai.response.finish_reasons"] for span in chats] == [
            ("tool_call",),
            ("stop",),
        ]
        assert [span.attributes["otel_llm.outcome"] for span in chats] == ["completed"] * 2


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
