"""Calls that no SDK makes: the same span, metrics and hooks."""

from __future__ import annotations

import asyncio
import gc
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.utils import suppress_instrumentation
from scene import instrumented, run

import otel_llm
from otel_llm import _guard, _recording, hooks
from otel_llm.testing import FakeProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scene import Telemetry

    from otel_llm.helpers import TrackedCall
    from otel_llm.testing import FakeProvider
    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with instrumented() as captured:
        yield captured


def attributes(telemetry: Telemetry) -> dict[str, Any]:
    """Those of the one span, without measured times."""
    return {
        name: value
        for name, value in (telemetry.span().attributes or {}).items()
        if "time_to" not in name and ".gap." not in name and "rate" not in name and "duration" not in name
    }


BASE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "acme",
    "gen_ai.request.model": "m1",
    "otel_llm.outcome": "completed",
}


def test_a_call_with_what_is_known_of_it(telemetry: Telemetry) -> None:
    with otel_llm.track(
        "acme", "m1", server_address="api.acme.test", server_port=443, parameters={"temperature": 0.5}
    ) as call:
        call.usage(10, 20, cache_read=4)
        call.response(model="m1-0604", id="r1", finish_reasons=["stop"], tool_calls=["f"])
        call.attributes(**{"user.id": "ada"})
    span = telemetry.span()
    assert (span.name, span.kind) == ("chat m1", trace.SpanKind.CLIENT)
    assert attributes(telemetry) == {
        **BASE,
        "server.address": "api.acme.test",
        "server.port": 443,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.model": "m1-0604",
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "otel_llm.response.tool_calls": ("f",),
        "user.id": "ada",
    }


def test_metrics_are_named_as_those_of_an_sdk(telemetry: Telemetry, fake_provider: FakeProvider) -> None:
    with OpenAI(base_url=fake_provider.openai_url, api_key="none") as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    names = set(telemetry.points())
    telemetry.clear()
    with otel_llm.track("acme", "m1") as call:
        call.usage(10, 20)
    assert {name for name, points in telemetry.points().items() if points} >= {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
    }
    assert {name for name in telemetry.points() if name.startswith("gen_ai.")} == {
        name for name in names if name.startswith("gen_ai.")
    }


def test_hooks_hear_of_it(telemetry: Telemetry, seen: Seen) -> None:
    hooks.attach("mine", ("llm.chat.start", "llm.chat.stop"), seen)
    with otel_llm.track("acme", "m1") as call:
        call.usage(10, 20)
    assert [(event, metadata.provider, metadata.sdk) for event, _, metadata, _ in seen.told] == [
        ("llm.chat.start", "acme", ""),
        ("llm.chat.stop", "acme", ""),
    ]
    assert seen.told[1][1].total_tokens == 30
    assert seen.told[1][2].trace_id == f"{telemetry.span().context.trace_id:032x}"


def test_a_stream_counts_its_chunks(telemetry: Telemetry, seen: Seen) -> None:
    hooks.attach("mine", "llm.stream.stop", seen)
    with otel_llm.track("acme", "m1", stream=True) as call:
        for data in ("hello ", "é", b"1234", None):
            call.chunk(data)
    assert (seen.told[0][1].chunks, seen.told[0][1].bytes) == (4, 12)
    assert telemetry.span().attributes["gen_ai.request.stream"] is True
    points = telemetry.points()
    assert points["gen_ai.client.operation.time_to_first_chunk"][0].count == 1
    assert points["gen_ai.client.operation.time_per_output_chunk"][0].count == 3


def test_sizes_of_chunks_are_measured_if_asked_for() -> None:
    with instrumented(chunk_metrics="all") as telemetry:
        with otel_llm.track("acme", "m1", stream=True) as call:
            for data in ("hello ", "hello ", b"1234"):
                call.chunk(data)
        (point,) = telemetry.points()["otel_llm.stream.chunk.size"]
    assert (point.count, point.sum, point.min, point.max) == (3, 16, 4, 6)


def test_chunks_make_a_stream_of_a_call(telemetry: Telemetry, seen: Seen) -> None:
    hooks.attach("mine", "llm.stream.stop", seen)
    with otel_llm.track("acme", "m1") as call:
        call.chunk("hello ")
    assert (seen.told[0][1].chunks, seen.told[0][1].bytes) == (1, 6)


def test_attempts_before_the_last(telemetry: Telemetry, seen: Seen) -> None:
    hooks.attach("mine", "llm.provider.request.exception", seen)
    with otel_llm.track("acme", "m1") as call:
        call.retry(0.02, status=429, error="slow_down")
        call.retry(0.5, error="ConnectError")
    assert [(m.wait, md.number, md.status, md.error) for _, m, md, _ in seen.told] == [
        (0.02, 1, 429, "slow_down"),
        (0.5, 2, None, "ConnectError"),
    ]
    assert telemetry.outcome() == "completed"
    assert telemetry.span().status.status_code is trace.StatusCode.UNSET
    points = telemetry.points()
    assert {
        point.attributes["otel_llm.attempt.outcome"]: point.value
        for point in points["otel_llm.request.attempts"]
    } == {"retried": 1, "succeeded": 1}
    assert sum(point.sum or 0 for point in points["otel_llm.retry.delay"]) == 0.52


@pytest.mark.parametrize("amount", [Decimal("0.0001"), "0.0001"])
def test_what_it_cost(telemetry: Telemetry, seen: Seen, amount: Any) -> None:
    hooks.attach("mine", "llm.chat.stop", seen)
    with otel_llm.track("acme", "m1") as call:
        call.cost(amount)
    assert seen.told[0][1].cost == Decimal("0.0001")


def test_a_call_that_fails(telemetry: Telemetry) -> None:
    error = LookupError("MY-PROMPT")
    with pytest.raises(LookupError) as caught, otel_llm.track("acme", "m1") as call:
        call.usage(3, None)
        raise error
    assert caught.value is error
    assert [entry.name for entry in caught.traceback] == ["test_a_call_that_fails"]
    assert attributes(telemetry)["error.type"] == "LookupError"
    assert telemetry.outcome() == "failed"
    assert "MY-PROMPT" not in repr(telemetry.span_snapshot())
    assert telemetry.points()["gen_ai.client.token.usage"][0].sum == 3


def test_a_call_that_is_cancelled(telemetry: Telemetry) -> None:
    async def main() -> None:
        async with otel_llm.track("acme", "m1"):
            await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert telemetry.outcome() == "cancelled"


def test_the_span_is_current_inside_and_only_there(telemetry: Telemetry) -> None:
    before = trace.get_current_span()
    with otel_llm.track("acme", "m1"):
        inside = trace.get_current_span().get_span_context()
    assert trace.get_current_span() is before
    assert inside == telemetry.span().context


def test_a_call_of_an_sdk_inside_is_no_second_one(telemetry: Telemetry, fake_provider: FakeProvider) -> None:
    with (
        OpenAI(base_url=fake_provider.openai_url, api_key="none") as client,
        otel_llm.track("acme", "m1"),
    ):
        client.models.list()
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert telemetry.span().name == "chat m1"


@pytest.mark.parametrize("off", [suppress_instrumentation, lambda: otel_llm.options(enabled=False)])
def test_suppressed_it_does_nothing(telemetry: Telemetry, seen: Seen, off: Any) -> None:
    hooks.attach("mine", hooks.EVENTS, seen)
    with off(), otel_llm.track("acme", "m1", stream=True) as call:
        call.usage(1, 2)
        call.chunk("x")
        call.retry(1.0)
        call.response(id="r")
        call.cost("1")
        call.attributes(a=1)
    assert (seen.told, telemetry.spans(), telemetry.points()) == ([], [], {})


def test_what_is_said_too_late_is_ignored(telemetry: Telemetry) -> None:
    with otel_llm.track("acme", "m1") as call:
        pass
    call.usage(1, 2)
    call.chunk("x")
    call.retry(1.0)
    assert attributes(telemetry) == BASE


def test_a_block_is_good_for_one_use(telemetry: Telemetry) -> None:
    block = otel_llm.track("acme", "m1")
    with block:
        pass
    with pytest.raises(RuntimeError, match="entered before"):
        block.__enter__()


def test_a_wrong_word_is_our_problem(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    with otel_llm.track("acme", "m1") as call, caplog.at_level(logging.WARNING, logger="otel_llm"):
        call.cost("much")
        call.retry("soon")  # type: ignore[arg-type]
    assert telemetry.outcome() == "completed"
    assert len(caplog.messages) == 2


def test_a_filter_can_leave_it_out() -> None:
    with instrumented(filters=[lambda op: op.request_model != "m1"]) as telemetry:
        with otel_llm.track("acme", "m1") as call:
            call.usage(1, 2)
        with otel_llm.track("acme", "m2"):
            pass
        assert telemetry.span().name == "chat m2"
        points = telemetry.points()
    assert [
        point.attributes["gen_ai.request.model"] for point in points["gen_ai.client.operation.duration"]
    ] == ["m2"]
    assert "gen_ai.client.token.usage" not in points


def _read(call: TrackedCall, answer: dict[str, int]) -> None:
    call.usage(answer["in"], answer["out"])


@pytest.mark.parametrize("capture", [False, True])
def test_an_exception_without_a_text_is_a_failure_all_the_same(capture: bool) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    with instrumented(capture_content=capture) as telemetry:
        with pytest.raises(MuteError), otel_llm.track("acme", "m1"):
            raise MuteError
        assert telemetry.outcome() == "failed"
        assert telemetry.span().attributes["error.type"].endswith("MuteError")  # type: ignore[index,union-attr]


def test_half_a_surrogate_pair_in_a_chunk_is_counted(telemetry: Telemetry) -> None:
    with otel_llm.track("acme", "m1", stream=True) as call:
        for text in ("a", "\ud800", "é"):
            call.chunk(text)
    assert attributes(telemetry)["otel_llm.stream.chunks"] == 3
    assert attributes(telemetry)["otel_llm.stream.size"] == 1 + 3 + 2


def test_half_a_surrogate_pair_in_a_name_costs_no_export() -> None:
    """Of a model, a conversation or a tool; models do not come from us, nor do ids of conversations."""
    half = "a\ud800"
    with instrumented(capture_content=True) as telemetry:
        with otel_llm.session(half, user_id=half), otel_llm.tool(half, call_id=half):
            pass
        with pytest.raises(KeyError), otel_llm.track("acme", half):
            raise KeyError(half)
        assert encode_spans(telemetry.spans()).SerializeToString()
        assert encode_logs(telemetry.logs()).SerializeToString()
        assert encode_metrics(telemetry.captured._sdk.reader.get_metrics_data()).SerializeToString()
        assert [span.name for span in telemetry.spans()] == ["execute_tool a?", "chat a?"]


class TestDecorator:
    def test_of_a_function(self, telemetry: Telemetry) -> None:
        @otel_llm.track("acme", "m1", read=_read)
        def ask(question: str, *, loud: bool = False) -> dict[str, int]:
            """Ask."""
            assert (question, loud) == ("q", True)
            return {"in": 10, "out": 20}

        assert ask.__doc__ == "Ask."
        for _ in range(2):
            assert ask("q", loud=True) == {"in": 10, "out": 20}
        assert [span.attributes["gen_ai.usage.input_tokens"] for span in telemetry.spans()] == [10, 10]

    def test_of_a_function_that_raises(self, telemetry: Telemetry) -> None:
        @otel_llm.track("acme", "m1")
        def ask() -> None:
            raise LookupError("x")

        with pytest.raises(LookupError) as caught:
            ask()
        assert [entry.name for entry in caught.traceback][0::2] == ["test_of_a_function_that_raises", "ask"]
        assert len(caught.traceback) == 3
        assert telemetry.outcome() == "failed"

    def test_of_a_coroutine(self, telemetry: Telemetry) -> None:
        @otel_llm.track("acme", "m1", read=_read)
        async def ask() -> dict[str, int]:
            await asyncio.sleep(0)
            return {"in": 10, "out": 20}

        assert asyncio.iscoroutinefunction(ask)
        assert run(ask()) == {"in": 10, "out": 20}
        assert attributes(telemetry)["gen_ai.usage.output_tokens"] == 20

    def test_of_a_generator(self, telemetry: Telemetry, seen: Seen) -> None:
        hooks.attach("mine", "llm.stream.stop", seen)

        @otel_llm.track("acme", "m1", stream=True, read=_read)
        def ask() -> Iterator[str]:
            assert trace.get_current_span().is_recording()
            sent = yield "hello "
            assert sent == "more"
            yield "you"
            return {"in": 1, "out": 2}  # type: ignore[return-value]

        generator: Any = ask()
        assert next(generator) == "hello "
        assert not trace.get_current_span().is_recording()
        assert generator.send("more") == "you"
        with pytest.raises(StopIteration) as stop:
            next(generator)
        assert stop.value.value == {"in": 1, "out": 2}
        assert (seen.told[0][1].chunks, seen.told[0][1].bytes, seen.told[0][1].total_tokens) == (2, 9, 3)
        assert telemetry.outcome() == "completed"

    def test_of_an_asynchronous_generator(self, telemetry: Telemetry, seen: Seen) -> None:
        hooks.attach("mine", "llm.stream.stop", seen)

        @otel_llm.track("acme", "m1", stream=True)
        async def ask() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            assert trace.get_current_span().is_recording()
            yield "hello "
            await asyncio.sleep(0)
            yield "you"

        async def main() -> list[str]:
            found = []
            async for text in ask():
                assert not trace.get_current_span().is_recording()
                found.append(text)
            return found

        assert run(main()) == ["hello ", "you"]
        assert (seen.told[0][1].chunks, seen.told[0][1].bytes) == (2, 9)
        assert telemetry.outcome() == "completed"

    def test_of_a_generator_that_is_left(self, telemetry: Telemetry) -> None:
        @otel_llm.track("acme", "m1", stream=True)
        def ask() -> Iterator[str]:
            yield "a"
            yield "b"

        for _ in ask():
            break
        gc.collect()
        # It may have died in a finaliser, which must not record: the next call does.
        _recording.drain()
        assert telemetry.outcome() == "abandoned"

    def test_of_an_asynchronous_generator_that_is_closed(self, telemetry: Telemetry) -> None:
        closed: list[str] = []

        @otel_llm.track("acme", "m1", stream=True)
        async def ask() -> AsyncIterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                closed.append("closed")

        async def main() -> None:
            generator: Any = ask()
            assert await anext(generator) == "a"
            await generator.aclose()

        run(main())
        _recording.drain()
        assert closed == ["closed"]
        assert telemetry.outcome() == "abandoned"

    def test_what_is_thrown_into_a_generator_reaches_it(self, telemetry: Telemetry) -> None:
        @otel_llm.track("acme", "m1", stream=True)
        def ask() -> Iterator[str]:
            try:
                yield "a"
            except KeyError:
                yield "caught"

        generator: Any = ask()
        assert (next(generator), generator.throw(KeyError("k"))) == ("a", "caught")
        assert list(generator) == []
        assert telemetry.outcome() == "completed"

    def test_what_is_thrown_into_an_asynchronous_generator_reaches_it(self, telemetry: Telemetry) -> None:
        @otel_llm.track("acme", "m1", stream=True)
        async def ask() -> AsyncIterator[str]:
            try:
                yield "a"
            except KeyError:
                yield "caught"
                raise

        async def main() -> list[str]:
            generator: Any = ask()
            found = [await anext(generator), await generator.athrow(KeyError("k"))]
            with pytest.raises(KeyError):
                await anext(generator)
            return found

        assert run(main()) == ["a", "caught"]
        assert telemetry.outcome() == "failed"
