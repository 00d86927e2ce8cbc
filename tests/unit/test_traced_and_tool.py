"""Spans around the application's own code, and around its tools."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel
from scene import instrumented, run

import otel_llm
from otel_llm import _recording, hooks, redactors
from otel_llm.instrumentor import LLMInstrumentor
from otel_llm.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scene import Telemetry

    from otel_llm.testing import FakeProvider
    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with instrumented() as captured:
        yield captured


@pytest.fixture
def spans(llm_capture: Any) -> Any:
    llm_capture.instrument()
    return llm_capture


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError


class TestTraced:
    def test_of_a_function(self, spans: Any, fake_provider: FakeProvider) -> None:
        @otel_llm.traced
        def answer(question: str) -> str:
            """Answer."""
            with OpenAI(base_url=fake_provider.openai_url, api_key="none") as client:
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": question}]
                )
            return "a"

        assert (answer("q"), answer.__doc__) == ("a", "Answer.")
        assert spans.tree() == "TestTraced.test_of_a_function.<locals>.answer\n  chat gpt-4o"
        assert spans.spans()[0].kind is SpanKind.INTERNAL

    def test_of_a_partial_function(self, spans: Any) -> None:
        def answer(question: str) -> str:
            return question

        assert otel_llm.traced(functools.partial(answer, "q"))() == "q"
        assert spans.tree().endswith("<locals>.answer")

    def test_with_a_name_and_attributes(self, spans: Any) -> None:
        @otel_llm.traced("answer", step=2)
        def answer() -> None: ...

        answer()
        (span,) = spans.spans()
        assert (span.name, dict(span.attributes)) == ("answer", {"step": 2})

    def test_of_a_coroutine(self, spans: Any) -> None:
        @otel_llm.traced("outer")
        async def outer() -> int:
            return sum(await asyncio.gather(inner(1), inner(2)))

        @otel_llm.traced("inner")
        async def inner(number: int) -> int:
            await asyncio.sleep(0)
            return number

        assert run(outer()) == 3
        assert spans.tree() == "outer\n  inner\n  inner"

    def test_of_generators(self, spans: Any) -> None:
        @otel_llm.traced("sync")
        def numbers() -> Iterator[int]:
            assert trace.get_current_span().is_recording()
            yield 1
            yield 2

        @otel_llm.traced("async")
        async def more() -> AsyncIterator[int]:
            assert trace.get_current_span().is_recording()
            yield 3

        async def main() -> list[int]:
            return [number async for number in more()]

        assert list(numbers()) + run(main()) == [1, 2, 3]
        assert spans.tree() == "sync\nasync"
        assert not trace.get_current_span().is_recording()

    def test_of_a_generator_that_is_left(self, spans: Any) -> None:
        @otel_llm.traced("numbers")
        def numbers() -> Iterator[int]:
            yield 1
            yield 2

        assert next(numbers()) == 1
        gc.collect()
        _recording.drain()
        (span,) = spans.spans()
        assert (span.name, span.status.status_code) == ("numbers", StatusCode.UNSET)
        assert spans.open_spans() == []

    def test_of_a_block(self, spans: Any) -> None:
        with otel_llm.traced("step", size=1) as span:
            span.set_attribute("found", 3)

        async def main() -> None:
            async with otel_llm.traced("async step"):
                await asyncio.sleep(0)

        run(main())
        assert [(span.name, dict(span.attributes)) for span in spans.spans()] == [
            ("step", {"size": 1, "found": 3}),
            ("async step", {}),
        ]

    def test_a_failure_is_on_the_span_without_its_text(self, spans: Any) -> None:
        error = LookupError("MY-PROMPT")
        with pytest.raises(LookupError) as caught, otel_llm.traced("step"):
            raise error
        assert caught.value is error
        (span,) = spans.spans()
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert (dict(span.attributes), span.events) == ({"error.type": "LookupError"}, ())

    def test_an_exception_without_a_text_is_a_failure_all_the_same(self, spans: Any) -> None:
        with pytest.raises(Mute), otel_llm.traced("step"):
            raise Mute
        (span,) = spans.spans()
        assert span.attributes["error.type"].endswith("Mute")
        assert span.status.status_code is StatusCode.ERROR

    def test_a_cancellation_is_no_failure(self, spans: Any) -> None:
        with pytest.raises(asyncio.CancelledError), otel_llm.traced("step"):
            raise asyncio.CancelledError
        assert spans.spans()[0].status.status_code is StatusCode.UNSET

    @pytest.mark.parametrize("off", [suppress_instrumentation, lambda: otel_llm.options(enabled=False)])
    def test_suppressed_it_does_nothing(self, spans: Any, off: Any) -> None:
        with off(), otel_llm.traced("step") as span:
            span.set_attribute("a", 1)
        assert spans.spans() == []

    def test_a_block_needs_a_name(self) -> None:
        with pytest.raises(TypeError, match="needs a name"):
            otel_llm.traced().__enter__()


TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "get_weather",
    "gen_ai.tool.type": "function",
}


class TestTool:
    def test_of_a_function(self, telemetry: Telemetry, seen: Seen) -> None:
        hooks.attach("mine", ("llm.tool.start", "llm.tool.stop"), seen)

        @otel_llm.tool
        def get_weather(city: str) -> str:
            """Say how the weather is.

            Not for forecasts.
            """
            return f"sunny in {city}"

        assert get_weather("Bern") == "sunny in Bern"
        span = telemetry.span()
        assert (span.name, span.kind) == ("execute_tool get_weather", SpanKind.INTERNAL)
        assert dict(span.attributes or {}) == {**TOOL, "gen_ai.tool.description": "Say how the weather is."}
        (start, stop) = seen.told
        assert (
            start[2]
            == stop[2]
            == hooks.ToolMetadata(
                start[2].id,
                "get_weather",
                None,
                f"{span.context.trace_id:032x}",
                f"{span.context.span_id:016x}",
                None,
            )
        )
        assert stop[1].duration >= 0

    def test_of_a_block(self, telemetry: Telemetry) -> None:
        with otel_llm.tool("get_weather", call_id="call_1", arguments={"city": "Bern"}) as tool:
            assert trace.get_current_span() is tool.span
            tool.result({"sky": "sunny"})
        assert dict(telemetry.span().attributes or {}) == {**TOOL, "gen_ai.tool.call.id": "call_1"}

    def test_of_a_coroutine(self, telemetry: Telemetry) -> None:
        @otel_llm.tool("get_weather", type=None)
        async def weather() -> str:
            await asyncio.sleep(0)
            return "sunny"

        assert run(weather()) == "sunny"
        assert "gen_ai.tool.type" not in (telemetry.span().attributes or {})

    def test_one_that_fails(self, telemetry: Telemetry, seen: Seen) -> None:
        hooks.attach("mine", ("llm.tool.stop", "llm.tool.exception"), seen)
        with pytest.raises(LookupError), otel_llm.tool("get_weather"):
            raise LookupError("MY-PROMPT")
        assert dict(telemetry.span().attributes or {}) == {**TOOL, "error.type": "LookupError"}
        assert [(event, metadata.error) for event, _, metadata, _ in seen.told] == [
            ("llm.tool.exception", "LookupError")
        ]

    def test_calls_inside_are_its_children(self, telemetry: Telemetry, fake_provider: FakeProvider) -> None:
        with (
            OpenAI(base_url=fake_provider.openai_url, api_key="none") as client,
            otel_llm.tool("get_weather"),
        ):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        assert telemetry.tree() == "execute_tool get_weather\n  chat gpt-4o"

    def test_it_belongs_to_the_session(self, telemetry: Telemetry) -> None:
        with otel_llm.session("c1", user_id="ada"), otel_llm.tool("get_weather"):
            pass
        assert dict(telemetry.span().attributes or {}) == {
            **TOOL,
            "gen_ai.conversation.id": "c1",
            "user.id": "ada",
        }

    @pytest.mark.parametrize("off", [suppress_instrumentation, lambda: otel_llm.options(enabled=False)])
    def test_suppressed_it_does_nothing(self, telemetry: Telemetry, seen: Seen, off: Any) -> None:
        hooks.attach("mine", hooks.EVENTS, seen)

        @otel_llm.tool
        def get_weather() -> str:
            return "sunny"

        with off():
            assert get_weather() == "sunny"
            with otel_llm.tool("get_weather") as tool:
                tool.result("sunny")
        assert (telemetry.spans(), [event for event in seen.events if "tool" in event]) == ([], [])

    def test_of_what_has_no_name_of_its_own(self, telemetry: Telemetry) -> None:
        class Look:
            """Looks."""

            def __call__(self, city: str) -> str:
                return city

        def get_weather(city: str) -> str:
            return city

        assert otel_llm.tool(functools.partial(get_weather, city="Bern"))() == "Bern"
        assert otel_llm.tool(Look())("Bern") == "Bern"
        assert [span.name for span in telemetry.spans()] == ["execute_tool get_weather", "execute_tool Look"]

    def test_a_block_needs_a_name(self) -> None:
        with pytest.raises(TypeError, match="needs a name"):
            otel_llm.tool().__enter__()


class TestToolContent:
    """Arguments and results are content."""

    def _run(self, **settings: Any) -> dict[str, Any]:
        @otel_llm.tool
        def get_weather(city: str, *, days: int = 1) -> dict[str, Any]:
            return {"sky": ["sunny"] * days, "city": city}

        with instrumented(**settings) as telemetry:
            get_weather("Bern", days=2)
            found = dict(telemetry.span().attributes or {})
        return {name: value for name, value in found.items() if name.startswith("gen_ai.tool.call")}

    def test_they_are_left_out_by_default(self) -> None:
        assert self._run() == {}

    @pytest.mark.parametrize("mode", ["span_only", "span_and_event"])
    def test_they_are_json_when_content_is_captured(self, mode: str) -> None:
        found = {name: json.loads(value) for name, value in self._run(capture_content=mode).items()}
        assert found == {
            "gen_ai.tool.call.arguments": {"city": "Bern", "days": 2},
            "gen_ai.tool.call.result": {"sky": ["sunny", "sunny"], "city": "Bern"},
        }

    def test_they_are_not_on_spans_when_content_is_for_events(self) -> None:
        assert self._run(capture_content="event_only") == {}

    def test_the_hard_off_wins(self) -> None:
        assert self._run(capture_content="span_only", content_off=True) == {}

    def test_options_say_it_for_a_block(self) -> None:
        with otel_llm.options(capture_content=True):
            assert set(self._run()) == {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}

    def test_they_are_redacted_as_parts(self) -> None:
        def hide(part: Any) -> Any:
            if part["type"] == "tool_call":
                return {**part, "arguments": {**part["arguments"], "city": "***"}}
            return None if part["type"] == "tool_call_response" else part

        found = self._run(capture_content="span_only", redact=hide)
        assert found == {"gen_ai.tool.call.arguments": '{"city":"***","days":2}'}

    def test_a_redactor_that_raises_costs_the_content_only(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("otel_llm._guard.strict", False)

        def broken(_part: Any) -> Any:
            raise RuntimeError("x")

        assert self._run(capture_content="span_only", redact=broken) == {}
        assert len(caplog.messages) >= 1

    def test_they_stay_within_the_budget(self) -> None:
        with instrumented(capture_content="span_only", max_attribute_bytes=300) as telemetry:
            with otel_llm.tool("get_weather", arguments={"city": "x" * 10_000, "days": 2}) as tool:
                tool.result(["y" * 10_000] * 10)
            found = dict(telemetry.span().attributes or {})
        arguments, result = found["gen_ai.tool.call.arguments"], found["gen_ai.tool.call.result"]
        assert len(arguments) <= 300
        assert len(result) <= 300
        assert json.loads(arguments)["days"] == 2
        json.loads(result)

    @pytest.mark.parametrize("limits", [{"max_attribute_length": 200}, {"max_span_attribute_length": 100}])
    def test_they_stay_json_within_the_limit_of_the_sdk(self, limits: Any) -> None:
        with capture() as captured:
            provider = TracerProvider(span_limits=SpanLimits(**limits), shutdown_on_exit=False)
            provider.add_span_processor(captured._sdk.spans)
            LLMInstrumentor().instrument(tracer_provider=provider, capture_content="span_only")
            try:
                with otel_llm.tool("get_weather", arguments={"city": "é" * 500, "days": 2}) as tool:
                    tool.result(["y" * 500] * 10)
            finally:
                LLMInstrumentor().uninstrument()
            (span,) = captured.spans()
        for name in ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"):
            json.loads(span.attributes[name])
            assert len(span.attributes[name]) <= next(iter(limits.values()))

    def test_the_object_of_a_method_is_no_argument(self) -> None:
        class Agent(BaseModel):
            api_key: str = "sk-SECRET"

            @otel_llm.tool
            def look(self, thing: str) -> None: ...

            @classmethod
            @otel_llm.tool("made")
            def make(cls, thing: str) -> None: ...

        with instrumented(capture_content="span_only") as telemetry:
            Agent().look("a")
            Agent.make("b")
            found = [span.attributes["gen_ai.tool.call.arguments"] for span in telemetry.spans()]
        assert found == ['{"thing":"a"}', '{"thing":"b"}']

    def test_odd_values_are_no_problem(self) -> None:
        class Odd:
            def __repr__(self) -> str:
                raise RuntimeError("x")

        class Tools:
            @otel_llm.tool
            def look(self, thing: object) -> object:
                return thing

        with instrumented(capture_content="span_only") as telemetry:
            assert isinstance(Tools().look(Odd()), Odd)
            partial = functools.partial(Tools().look, thing=b"\x00")
            assert partial() == b"\x00"
            assert [span.name for span in telemetry.spans()] == ["execute_tool look"] * 2
            for span in telemetry.spans():
                json.loads(span.attributes["gen_ai.tool.call.arguments"])

    @pytest.mark.parametrize(
        ("given", "recorded"),
        [("sunny", '"sunny"'), ('{"sky": "sunny"}', '{"sky":"sunny"}'), (7, "7"), (None, None)],
    )
    def test_a_text_that_is_json_is_not_encoded_again(self, given: Any, recorded: str | None) -> None:
        with instrumented(capture_content="span_only") as telemetry:
            with otel_llm.tool("get_weather") as tool:
                tool.result(given)
            assert (telemetry.span().attributes or {}).get("gen_ai.tool.call.result") == recorded

    def test_ready_made_redactors_cover_tools(self) -> None:
        found = self._run(capture_content="span_only", redact=redactors.keys("city"))
        assert json.loads(found["gen_ai.tool.call.arguments"]) == {"city": redactors.MASK, "days": 2}
