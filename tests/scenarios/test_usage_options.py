"""Token counts that have to be asked for or estimated, and keys that are fetched anew."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import openai
import pytest
from doors import CHAT, MESSAGE, TLS, Door, Use, lacking
from scene import drive, instrumented, run

from otel_llm import hooks
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = {"127.0.0.1": "openai"}


def _typed_post(client: Any) -> Any:
    """A client whose `post` streams chunks, as the methods of its resources do."""
    return SimpleNamespace(
        post=partial(client.post, cast_to=_chunk(), stream=True, stream_cls=_stream_class(client))
    )


def _way(name: str, kind: str, method: str, **arguments: Any) -> Door:
    return Door(name=name, sdk="openai", path=method, kind=kind, arguments=arguments)


_PROMPT = {"model": "gpt-3.5-turbo-instruct", "prompt": "x"}
WAYS = {
    door.name: door
    for door in (
        _way("iterate", "stream", "chat.completions.create", **CHAT, stream=True),
        replace(
            _way("generic post", "stream", "post", path="/chat/completions", body={**CHAT, "stream": True}),
            prepare=_typed_post,
        ),
        _way("helper", "manager", "chat.completions.stream", **CHAT),
        _way("completions", "stream", "completions.create", **_PROMPT, stream=True),
        _way("raw", "raw_stream", "chat.completions.with_raw_response.create", **CHAT, stream=True),
        _way("lines", "lines", "chat.completions.with_streaming_response.create", **CHAT, stream=True),
        _way("bytes", "bytes", "chat.completions.with_streaming_response.create", **CHAT, stream=True),
    )
}
"""The ways of reading a stream whose token counts have to be asked for."""


def _chunk() -> Any:
    from openai.types.chat import ChatCompletionChunk

    return ChatCompletionChunk


def _stream_class(client: Any) -> Any:
    import openai

    kind = openai.AsyncStream if isinstance(client, openai.AsyncOpenAI) else openai.Stream
    return kind[_chunk()]  # type: ignore[index]


def _read_all(door: Door, make: Callable[..., Any], *, asynchronous: bool) -> list[Any]:
    """All that the application sees of a stream, without the ids that the provider counts up."""

    async def main() -> Any:
        async with make("openai", asynchronous=True) as client:
            return await Use(door, client).result()

    seen = run(main()) if asynchronous else drive(Use(door, make("openai")).result())
    if door.kind == "bytes":
        seen = [b"".join(seen)]
    return [re.sub(r"(chatcmpl|cmpl)-[0-9a-f]+|\"created\": ?[0-9]+", "", str(_plain(item))) for item in seen]


def _plain(item: Any) -> Any:
    return item.model_dump() if hasattr(item, "model_dump") else item


def _usage(span: Any) -> tuple[Any, Any]:
    return (
        span.attributes.get("gen_ai.usage.input_tokens"),
        span.attributes.get("gen_ai.usage.output_tokens"),
    )


class TestInject:
    def test_counts_come_and_the_extra_chunk_is_hidden(self, make: Callable[..., Any], server: Any) -> None:
        client = make("openai")
        plain = [chunk.model_dump() for chunk in client.chat.completions.create(**CHAT, stream=True)]
        server.clear()
        with instrumented(stream_usage="inject", providers=KNOWN) as telemetry:
            chunks = [chunk.model_dump() for chunk in client.chat.completions.create(**CHAT, stream=True)]
            assert _usage(telemetry.span()) == (12, 8)
        assert len(chunks) == len(plain)
        assert all(chunk["choices"] for chunk in chunks)
        assert server.requests[0].json["stream_options"] == {"include_usage": True}

    def test_async(self, make: Callable[..., Any]) -> None:
        async def main() -> list[Any]:
            async with make("openai", asynchronous=True) as client:
                return [chunk async for chunk in await client.chat.completions.create(**CHAT, stream=True)]

        with instrumented(stream_usage="inject", providers=KNOWN) as telemetry:
            assert all(chunk.choices for chunk in run(main()))
            assert _usage(telemetry.span()) == (12, 8)

    @pytest.mark.parametrize("way", WAYS)
    def test_no_way_of_reading_shows_it(
        self, way: str, asynchronous: bool, make: Callable[..., Any], server: Any
    ) -> None:
        """Neither to the application nor in what is counted; where it cannot be hidden it is not asked for."""
        if (reason := lacking(WAYS[way])) is not None:
            pytest.skip(reason)
        read = [_read_all(WAYS[way], make, asynchronous=asynchronous)]
        with instrumented() as telemetry:
            read.append(_read_all(WAYS[way], make, asynchronous=asynchronous))
            chunks = telemetry.span().attributes["otel_llm.stream.chunks"]
        server.clear()
        heard: list[Any] = []
        with instrumented(stream_usage="inject", providers=KNOWN) as telemetry:
            hooks.attach("chunks", "llm.stream.chunk", lambda *told: heard.append(told))
            try:
                read.append(_read_all(WAYS[way], make, asynchronous=asynchronous))
            finally:
                hooks.detach("chunks")
            span = telemetry.span()
        assert read[0] == read[1] == read[2]
        assert (span.attributes["otel_llm.stream.chunks"], len(heard)) == (chunks, chunks)
        hidden = "stream_options" in server.requests[0].json
        assert hidden is (WAYS[way].kind in ("stream", "manager"))
        assert _usage(span) == ((12, 8) if hidden else (None, None))

    @pytest.mark.parametrize(
        ("settings", "more"),
        [
            ({}, {}),
            ({"stream_usage": "inject"}, {}),  # nobody knows what answers at this host
            ({"stream_usage": "inject", "providers": KNOWN}, {"stream_options": {"include_usage": False}}),
            (
                {"stream_usage": "inject", "providers": KNOWN},
                {"extra_headers": {"X-Stainless-Raw-Response": "true"}},
            ),
        ],
        ids=["off", "unknown-host", "user-decided", "raw"],
    )
    def test_not_where_it_is_not_ours_to_ask(
        self, settings: dict[str, Any], more: dict[str, Any], make: Callable[..., Any], server: Any
    ) -> None:
        with instrumented(**settings):
            answer = make("openai").chat.completions.create(**CHAT, stream=True, **more)
            list(answer.parse() if hasattr(answer, "parse") else answer)
        assert server.requests[0].json.get("stream_options") == more.get("stream_options")

    def test_what_the_application_asked_for_is_not_hidden(self, make: Callable[..., Any]) -> None:
        with instrumented(stream_usage="inject", providers=KNOWN):
            asked = make("openai").chat.completions.create(
                **CHAT, stream=True, stream_options={"include_usage": True}
            )
            assert list(asked)[-1].usage is not None


class TestEstimate:
    def test_an_embedding_has_no_output(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(usage=False))
        with instrumented(estimate_usage=True) as telemetry:
            make("openai").embeddings.create(model="m", input="four byte", encoding_format="float")
            assert _usage(telemetry.span()) == (7, None)  # the text, and what a message has around it

    def test_marked_and_on_no_counter(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(chunks=["four", "byte", "word"]))
        with instrumented(estimate_usage=True) as telemetry:
            list(make("openai").chat.completions.create(**CHAT, stream=True))
            span = telemetry.span()
            assert _usage(span) == (7, 3)
            assert span.attributes["otel_llm.usage.source"] == "estimate"

    def test_a_refused_call_used_nothing(self, make: Callable[..., Any], server: Any) -> None:
        """It had the tokens of its request, as if they had been billed."""
        server.reply(Reply.error(400))
        with instrumented(estimate_usage=True) as telemetry:
            for asked in (CHAT, {**CHAT, "stream": True}):
                with pytest.raises(openai.BadRequestError):
                    make("openai").chat.completions.create(**asked)
            assert [_usage(span) for span in telemetry.spans()] == [(None, None)] * 2
            assert "gen_ai.client.token.usage" not in telemetry.points()

    def test_fetching_a_stored_answer_uses_nothing(self, make: Callable[..., Any]) -> None:
        client = make("openai")
        if not hasattr(client, "responses"):
            pytest.skip("this openai has no Responses")
        with instrumented(estimate_usage=True) as telemetry:
            client.responses.retrieve("resp_123")
            assert _usage(telemetry.span()) == (None, None)

    def test_a_stream_that_breaks_used_what_came(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(chunks=["four", "byte", "word"], die_after=2))
        with instrumented(estimate_usage=True) as telemetry:
            with pytest.raises(Exception):  # noqa: B017, PT011 - each version has its own
                list(make("openai").chat.completions.create(**CHAT, stream=True))
            assert _usage(telemetry.span()) == (7, 2)

    def test_embeddings_have_no_output(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(usage=False))
        with instrumented(estimate_usage=True) as telemetry:
            make("openai").embeddings.create(model="text-embedding-3-small", input="MY-PROMPT")
            input_tokens, output_tokens = _usage(telemetry.span())
            assert input_tokens > 0
            assert output_tokens is None

    def test_not_where_the_provider_counts(self, make: Callable[..., Any]) -> None:
        with instrumented(estimate_usage=True) as telemetry:
            make("anthropic").messages.create(**MESSAGE)
            assert _usage(telemetry.span()) == (12, 8)
            assert "otel_llm.usage.source" not in telemetry.span().attributes

    def test_of_an_embedding_has_no_output(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(usage=False))
        with instrumented(estimate_usage=True) as telemetry:
            make("openai").embeddings.create(model="text-embedding-3-small", input="four byte")
            assert telemetry.span().attributes["gen_ai.usage.input_tokens"] == 7
            assert "gen_ai.usage.output_tokens" not in telemetry.span().attributes


class TestKeys:
    def test_each_fetch_is_counted_and_the_key_is_nowhere(self, server: Any) -> None:
        import openai

        if not hasattr(openai.OpenAI, "_refresh_api_key"):
            pytest.skip("this openai takes no function for a key")
        keys = iter(["sk-SECRET-1", "sk-SECRET-2"])
        with instrumented() as telemetry:
            http = openai.DefaultHttpxClient(verify=TLS)
            with openai.OpenAI(
                api_key=lambda: next(keys), base_url=server.openai_url, http_client=http, max_retries=1
            ) as client:
                server.script(Reply.error(500, retry_after_ms=5))
                client.chat.completions.create(**CHAT)
            [point] = telemetry.points()["otel_llm.auth.refreshes"]
            assert point.value == 2
            assert "SECRET" not in str(telemetry.snapshot())
