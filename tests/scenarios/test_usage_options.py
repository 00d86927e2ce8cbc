"""Token counts that have to be asked for or estimated, and keys that are fetched anew."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE, TLS
from scene import instrumented, run

from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = {"127.0.0.1": "openai"}


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
    def test_marked_and_on_no_counter(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(chunks=["four", "byte", "word"]))
        with instrumented(estimate_usage=True) as telemetry:
            list(make("openai").chat.completions.create(**CHAT, stream=True))
            span = telemetry.span()
            assert _usage(span) == (7, 3)
            assert span.attributes["otel_llm.usage.source"] == "estimate"

    def test_not_where_the_provider_counts(self, make: Callable[..., Any]) -> None:
        with instrumented(estimate_usage=True) as telemetry:
            make("anthropic").messages.create(**MESSAGE)
            assert _usage(telemetry.span()) == (12, 8)
            assert "otel_llm.usage.source" not in telemetry.span().attributes

    @pytest.mark.parametrize("reply", [Reply(drop=True), Reply(usage=False)], ids=["no answer", "no usage"])
    def test_of_an_embedding_has_no_output(self, reply: Reply, make: Callable[..., Any], server: Any) -> None:
        server.reply(reply)
        with instrumented(estimate_usage=True) as telemetry:
            with suppress(Exception):
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
