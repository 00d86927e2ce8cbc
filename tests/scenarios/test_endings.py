"""However a program lets go of an answer: one span, ended right, at that moment, and nothing left over."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from doors import Door, async_events, events
from scene import run

from otel_llm import _recording
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry


class Boom(Exception):
    """What the application's own loop raises."""


LONG = Reply(chunks=40, chunk_delay=0.002)
PARTIAL = ("closed", "abandoned")


def opened(door: Door, client: Any) -> Any:
    """The stream of a door that is no context manager."""
    stream = door.call(client)
    return stream.parse() if door.kind == "raw_stream" else stream


async def opened_async(door: Door, client: Any) -> Any:
    stream = await door.call(client)
    if door.kind == "raw_stream":
        parsed = stream.parse()
        stream = await parsed if asyncio.iscoroutine(parsed) else parsed
    return stream


def is_manager(door: Door) -> bool:
    return door.kind in ("manager", "lines", "bytes")


def settled(telemetry: Telemetry) -> str:
    """The outcome, when it may be in the queue of the dead."""
    gc.collect()
    _recording.drain()
    return telemetry.outcome()


class TestSync:
    def test_break_inside_with(
        self, streaming_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        door = streaming_door
        client = make(door.sdk)
        with door.call(client) if is_manager(door) else opened(door, client) as stream:
            for _ in events(door, stream):
                break
        assert telemetry.outcome() == "closed" if not is_manager(door) else settled(telemetry) in PARTIAL
        span = telemetry.span()
        assert span.status.status_code.name == "UNSET"
        assert span.attributes["gen_ai.response.model"]

    def test_close(
        self, streaming_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        door = streaming_door
        client = make(door.sdk)
        if is_manager(door):
            manager = door.call(client)
            stream = manager.__enter__()
            if door.kind == "manager":
                next(events(door, stream))
            stream.close()
            assert telemetry.outcome() == "closed"
            manager.__exit__(None, None, None)
        else:
            stream = opened(door, client)
            next(events(door, stream))
            stream.close()
        assert telemetry.outcome() == "closed"

    def test_closing_the_raw_response(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        client = make(parsed_door.sdk)
        if is_manager(parsed_door):
            with parsed_door.call(client) as stream:
                next(events(parsed_door, stream))
                getattr(stream, "response", getattr(stream, "_response", None)).close()
                assert telemetry.outcome() == "closed"
        else:
            stream = opened(parsed_door, client)
            next(events(parsed_door, stream))
            stream.response.close()
            assert telemetry.outcome() == "closed"

    def test_break_outside_with_and_return(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        client = make(parsed_door.sdk)

        def first() -> Any:
            if is_manager(parsed_door):
                with parsed_door.call(client) as stream:
                    return next(events(parsed_door, stream))
            for event in opened(parsed_door, client):
                return event
            return None

        assert first() is not None
        assert settled(telemetry) == ("closed" if is_manager(parsed_door) else "abandoned")

    def test_never_iterated(
        self, streaming_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        client = make(streaming_door.sdk)
        if is_manager(streaming_door):
            with streaming_door.call(client):
                pass
            assert telemetry.outcome() == "closed"
        else:
            stream = opened(streaming_door, client)
            del stream
            assert settled(telemetry) == "abandoned"

    def test_a_manager_never_entered_makes_no_call(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        if parsed_door.kind != "manager":
            pytest.skip("not a manager")
        manager = parsed_door.call(make(parsed_door.sdk))
        del manager
        gc.collect()
        _recording.drain()
        assert telemetry.spans() == []
        assert server.requests == []

    def test_exception_in_the_loop(
        self, streaming_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        door = streaming_door
        client = make(door.sdk)
        with pytest.raises(Boom), door.call(client) if is_manager(door) else opened(door, client) as stream:
            for _ in events(door, stream):
                raise Boom
        assert settled(telemetry) in PARTIAL
        assert telemetry.span().status.status_code.name == "UNSET"

    @pytest.mark.parametrize(
        "reply",
        [Reply(chunks=5, die_after=2), Reply(chunks=5, error_after=2), Reply(chunks=5, malformed_after=2)],
        ids=["dropped", "error-event", "malformed"],
    )
    def test_broken_by_the_server(
        self, parsed_door: Door, reply: Reply, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(reply)
        client = make(parsed_door.sdk)
        failed: list[BaseException] = []
        try:
            with (
                parsed_door.call(client) if is_manager(parsed_door) else opened(parsed_door, client) as stream
            ):
                for _ in events(parsed_door, stream):
                    pass
        except Exception as error:
            failed.append(error)
        span = telemetry.span()
        if failed:
            assert telemetry.outcome() == "failed"
            assert span.status.status_code.name == "ERROR"
            assert span.attributes["error.type"]
        else:  # the SDK's stream takes it for the end, or hands the error event to the application
            assert telemetry.outcome() in ("completed", "failed")
        assert span.attributes["otel_llm.stream.chunks"] >= 1

    def test_read_timeout(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(Reply(chunks=5, hang_after=2))
        client = make(parsed_door.sdk, timeout=0.2)
        if (
            parsed_door.sdk == "anthropic"
        ):  # old methods have a timeout of their own, whatever the client's is
            client.messages.create = partial(client.messages.create, timeout=0.2)
        with pytest.raises(Exception, match=r"(?i)time"):
            with (
                parsed_door.call(client) if is_manager(parsed_door) else opened(parsed_door, client) as stream
            ):
                for _ in events(parsed_door, stream):
                    pass
        span = telemetry.span()
        assert telemetry.outcome() == "failed"
        assert span.attributes["error.type"] == "timeout"
        assert span.attributes["otel_llm.error.category"] == "timeout"

    def test_read_in_another_thread(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        client = make(parsed_door.sdk)
        read: list[Any] = []
        if is_manager(parsed_door):
            with parsed_door.call(client) as stream:
                reader = threading.Thread(target=lambda: read.extend(events(parsed_door, stream)))
                reader.start()
                reader.join()
        else:
            stream = opened(parsed_door, client)
            reader = threading.Thread(target=lambda: read.extend(events(parsed_door, stream)))
            reader.start()
            reader.join()
        assert read
        assert telemetry.outcome() == "completed"

    def test_interrupted(
        self, telemetry: Telemetry, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = make("openai")

        def interrupt(*args: Any, **kwargs: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(client._client, "send", interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.chat.completions.create(model="gpt-4o", messages=[])
        assert telemetry.outcome() == "cancelled"
        assert telemetry.span().status.status_code.name == "UNSET"


class TestAsync:
    async def _first(self, door: Door, client: Any) -> None:
        if is_manager(door):
            async with door.call(client) as stream:
                async for _ in async_events(door, stream):
                    return
        else:
            async with await opened_async(door, client) as stream:
                async for _ in async_events(door, stream):
                    return

    def test_break_inside_with(
        self, streaming_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)

        async def main() -> None:
            async with make(streaming_door.sdk, asynchronous=True) as client:
                await self._first(streaming_door, client)
                assert settled(telemetry) in PARTIAL

        run(main())
        assert telemetry.span().status.status_code.name == "UNSET"

    def test_close(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)

        async def main() -> None:
            async with make(parsed_door.sdk, asynchronous=True) as client:
                if is_manager(parsed_door):
                    async with parsed_door.call(client) as stream:
                        await anext(async_events(parsed_door, stream))
                        await stream.close()
                        assert telemetry.outcome() == "closed"
                else:
                    stream = await opened_async(parsed_door, client)
                    await anext(async_events(parsed_door, stream))
                    await stream.close()
                    assert telemetry.outcome() == "closed"

        run(main())

    def test_abandoned(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(LONG)
        if is_manager(parsed_door):
            pytest.skip("a manager closes its stream")

        async def main() -> None:
            async with make(parsed_door.sdk, asynchronous=True) as client:

                async def first() -> None:
                    async for _ in await opened_async(parsed_door, client):
                        return

                await first()
                gc.collect()
                await asyncio.sleep(0.05)
                assert settled(telemetry) == "abandoned"

        run(main())

    @pytest.mark.parametrize("when", ["before", "between", "during"])
    def test_cancelled(
        self, when: str, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        replies = {
            "before": Reply(delay=2.0),
            "between": LONG,
            "during": Reply(chunks=5, hang_after=2),
        }
        server.reply(replies[when])
        reached = asyncio.Event()

        async def consume(client: Any) -> None:
            manager = (
                parsed_door.call(client)
                if is_manager(parsed_door)
                else await opened_async(parsed_door, client)
            )
            async with manager as stream:
                count = 0
                async for _ in async_events(parsed_door, stream):
                    count += 1
                    if when == "between":
                        reached.set()
                        await asyncio.sleep(10)
                    reached.set()

        async def main() -> None:
            async with make(parsed_door.sdk, asynchronous=True) as client:
                task = asyncio.create_task(consume(client))
                if when == "before":
                    await asyncio.to_thread(server.wait_for, 1)
                else:
                    await reached.wait()
                    await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert telemetry.outcome() == "cancelled"

        run(main())
        assert telemetry.span().status.status_code.name == "UNSET"

    def test_asyncio_timeout(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(Reply(chunks=5, hang_after=2))

        async def main() -> None:
            async with make(parsed_door.sdk, asynchronous=True) as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        if is_manager(parsed_door):
                            async with parsed_door.call(client) as stream:
                                async for _ in async_events(parsed_door, stream):
                                    pass
                        else:
                            async for _ in await opened_async(parsed_door, client):
                                pass
                assert telemetry.outcome() == "cancelled"

        run(main())

    @pytest.mark.parametrize(
        "reply",
        [Reply(chunks=5, die_after=2), Reply(chunks=5, error_after=2), Reply(chunks=5, malformed_after=2)],
        ids=["dropped", "error-event", "malformed"],
    )
    def test_broken_by_the_server(
        self, parsed_door: Door, reply: Reply, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(reply)

        async def main() -> bool:
            async with make(parsed_door.sdk, asynchronous=True) as client:
                try:
                    if is_manager(parsed_door):
                        async with parsed_door.call(client) as stream:
                            async for _ in async_events(parsed_door, stream):
                                pass
                    else:
                        async for _ in await opened_async(parsed_door, client):
                            pass
                except Exception:
                    return True
                return False

        failed = run(main())
        assert telemetry.outcome() == "failed" if failed else telemetry.outcome() in ("completed", "failed")

    def test_read_in_another_task(
        self, parsed_door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        async def read(stream: Any) -> list[Any]:
            return [event async for event in async_events(parsed_door, stream)]

        async def main() -> None:
            async with make(parsed_door.sdk, asynchronous=True) as client:
                if is_manager(parsed_door):
                    async with parsed_door.call(client) as stream:
                        assert await asyncio.create_task(read(stream))
                else:
                    assert await asyncio.create_task(read(await opened_async(parsed_door, client)))
                assert telemetry.outcome() == "completed"

        run(main())


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
        telemetry: Telemetry,
        make: Callable[..., Any],
        server: Any,
    ) -> None:
        server.reply(Reply.error(status, code=code, message="no: MY-PROMPT sk-SECRET"))
        with (
            suppress(Exception),
            door.call(make(door.sdk))
            if is_manager(door) or door.kind == "body"
            else (pytest.raises(Exception, match="no")),
        ):
            if not is_manager(door) and door.kind != "body":
                door.call(make(door.sdk))
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
        self, door: Door, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        from test_doors import use

        server.script(Reply.error(429, retry_after_ms=20), Reply.error(500, retry_after_ms=30))
        use(door, make(door.sdk, max_retries=2))
        attributes = telemetry.span().attributes
        assert telemetry.outcome() == "completed"
        assert attributes["otel_llm.request.attempts"] == 3
        assert attributes["otel_llm.attempt.statuses"] == (429, 500)
        assert attributes["otel_llm.attempt.delays"] == (0.02, 0.03)
