"""However a program lets go of an answer: one span, ended right, at that moment, and nothing left over."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from doors import DOORS, Door, Events, lacking, settled
from endings import ENDINGS, WHOLE, Ending, Stage
from opentelemetry import trace
from scene import drive, run, use

from otel_llm import _recording
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry


def expected(ending: Ending, door: Door) -> dict[str, Any]:
    """The facts of an answer that was let go of."""
    outcome = ending.of(door)
    facts: dict[str, Any] = {"otel_llm.outcome": outcome}
    if outcome == "completed" and ending.reply == WHOLE:
        facts["gen_ai.response.finish_reasons"] = ("stop",)
        if door.tells_usage:
            facts |= {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 8}
    elif (
        door.sdk == "anthropic" and door.tells_usage and not ending.unread
    ):  # the first event tells what is known by then
        facts |= {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 1}
    if not ending.unread:
        facts["gen_ai.response.model"] = door.arguments["model"]
    return facts


def facts(span: Any) -> dict[str, Any]:
    """What a span says of them."""
    return {name: span.attributes[name] for name in NAMES if name in span.attributes}


NAMES = (
    "otel_llm.outcome",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.model",
)


CASES = [
    pytest.param(
        ending,
        door,
        asynchronous,
        id=f"{ending.name}-{door}-{'async' if asynchronous else 'sync'}",
        marks=[pytest.mark.skip(reason=reason)] if (reason := lacking(door)) else [],
    )
    for ending in ENDINGS
    for door in DOORS
    if door.streams and (ending.kinds is None or door.kind in ending.kinds)
    for asynchronous in ((False, True) if ending.asynchronous is None else (ending.asynchronous,))
]


class TestEveryEnding:
    @pytest.mark.parametrize(("ending", "door", "asynchronous"), CASES)
    def test_one_span_ended_right(
        self,
        ending: Ending,
        door: Door,
        asynchronous: bool,
        telemetry: Telemetry,
        make: Callable[..., Any],
        server: Any,
    ) -> None:
        server.reply(ending.reply)
        tracer = telemetry.tracer_provider.get_tracer("app")

        def calls() -> list[Any]:
            return [span for span in telemetry.spans() if span.name != "app"]

        def check() -> None:
            [span] = calls()
            assert facts(span) == expected(ending, door)

        async def main() -> None:
            with tracer.start_as_current_span("app") as caller:
                stage = Stage(
                    door=door,
                    client=make(door.sdk, asynchronous=asynchronous),
                    asynchronous=asynchronous,
                    asked=lambda: server.wait_for(1),
                    check=check,
                )
                with suppress(Exception, asyncio.CancelledError, KeyboardInterrupt):
                    await ending.program(stage)
                assert trace.get_current_span() is caller
                assert _recording.current.get() is None
                if ending.late:
                    for _ in range(
                        500 if asynchronous else 1
                    ):  # the event loop closes dropped generators in tasks
                        gc.collect()
                        telemetry.points()
                        if calls():
                            break
                        await asyncio.sleep(0.01)
                check()
                seen = len(stage.seen)
                if asynchronous:
                    await stage.client.close()
            [span] = calls()
            assert (span.status.status_code.name == "ERROR") is (ending.of(door) == "failed")
            assert span.parent.span_id == caller.get_span_context().span_id
            assert span.attributes.get("error.type") == (ending.error or span.attributes.get("error.type"))
            if door.kind in ("stream", "raw_stream", "parsed"):
                assert span.attributes["otel_llm.stream.chunks"] == seen

        run(main()) if asynchronous else drive(main())
        [point] = telemetry.points()["gen_ai.client.operation.duration"]
        assert point.count == 1
        assert point.attributes["otel_llm.outcome"] == ending.of(door)
        assert sum(point.value for point in telemetry.points().get("otel_llm.stream.active", ())) == 0


class TestBytesBelowTheSDK:
    """A program may read the HTTP response itself, whatever the SDK has made of it."""

    @pytest.mark.parametrize("way", ["stream", "raw"])
    @pytest.mark.parametrize("reads", ["lines", "bytes", "raw", "read"])
    @pytest.mark.parametrize("api", ["chat", "messages"])
    def test_read_to_the_end(
        self,
        way: str,
        reads: str,
        api: str,
        asynchronous: bool,
        telemetry: Telemetry,
        make: Callable[..., Any],
    ) -> None:
        door = next(door for door in DOORS if door.name == f"{api}-{'raw-stream' if way == 'raw' else way}")

        async def main() -> None:
            client = make(door.sdk, asynchronous=asynchronous)
            opened = await settled(door.call(client))
            response = opened.http_response if way == "raw" else opened.response
            if reads == "read":
                await settled(response.aread() if asynchronous else response.read())
            else:
                async for _ in Events(
                    getattr(response, ("a" if asynchronous else "") + f"iter_{reads}")(), []
                ):
                    pass
            assert facts(telemetry.span()) == expected(ENDINGS[0], door)
            if asynchronous:
                await client.close()

        run(main()) if asynchronous else drive(main())


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "category"),
        [
            (400, "context_length_exceeded", "context_length"),
            (401, "invalid_api_key", "authentication"),
            (429, "rate_limit_exceeded", "rate_limit"),
            (500, None, "server_error"),
        ],
    )
    def test_of_the_provider(
        self,
        status: int,
        code: str | None,
        category: str,
        door: Door,
        asynchronous: bool,
        telemetry: Telemetry,
        make: Callable[..., Any],
        server: Any,
    ) -> None:
        server.reply(Reply.error(status, code=code, message="no: MY-PROMPT sk-SECRET"))
        with pytest.raises(Exception, match="no"):
            use(door, make, asynchronous=asynchronous)
        span = telemetry.span()
        assert telemetry.outcome() == "failed"
        assert span.status.status_code.name == "ERROR"
        assert "SECRET" not in str(span.status.description)
        assert "PROMPT" not in str(span.status.description)
        assert span.attributes["otel_llm.error.category"] == category
        assert span.attributes["otel_llm.response.status_code"] == status
        [event] = [log for log in telemetry.logs() if log.log_record.event_name]
        assert event.log_record.event_name == "gen_ai.client.operation.exception"
        assert event.log_record.span_id == span.context.span_id

    def test_a_response_that_says_it_failed(
        self, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(Reply(response_status="failed", error_code="server_error"))
        make("openai").post("/responses", cast_to=object, body={"model": "gpt-4o", "input": "x"})
        span = telemetry.span()
        assert telemetry.outcome() == "failed"
        assert span.attributes["error.type"] == "server_error"
        assert span.status.status_code.name == "ERROR"

    def test_usage_of_a_billed_call_whose_answer_cannot_be_parsed(
        self, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        from pydantic import BaseModel

        class Answer(BaseModel):
            text: str

        client = make("openai")
        if not hasattr(client.chat.completions, "parse"):
            pytest.skip("this openai has no parse")
        from openai import LengthFinishReasonError

        server.reply(Reply(text='{"te', finish_reason="length"))
        with pytest.raises(LengthFinishReasonError):
            client.chat.completions.parse(
                model="gpt-4o", messages=[{"role": "user", "content": "x"}], response_format=Answer
            )
        attributes = telemetry.span().attributes
        assert attributes["gen_ai.usage.output_tokens"] == 8
        assert attributes["gen_ai.response.finish_reasons"] == ("length",)
        assert telemetry.outcome() == "failed"


class TestRetries:
    def test_one_span_and_no_error(
        self, door: Door, asynchronous: bool, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.script(Reply.error(429, retry_after_ms=20), Reply.error(500, retry_after_ms=30))
        use(door, make, asynchronous=asynchronous, max_retries=2)
        attributes = telemetry.span().attributes
        assert telemetry.outcome() == "completed"
        assert attributes["otel_llm.request.attempts"] == 3
        assert attributes["otel_llm.attempt.statuses"] == (429, 500)
        assert attributes["otel_llm.attempt.delays"] == (0.02, 0.03)
