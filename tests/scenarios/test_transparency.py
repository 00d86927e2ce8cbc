"""What the application sees is what it sees without us: results, exceptions, request bytes, odd input and all."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import traceback
import tracemalloc
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE, RESPONSE, Door
from scene import instrumented, run, use

from otel_llm import _recording, hooks
from otel_llm.testing import Reply
from otel_llm.testing._capture import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry

CHANGING = {"x-stainless-retry-count", "idempotency-key", "traceparent", "host"}


def _request(server: Any) -> list[tuple[Any, ...]]:
    return [
        (
            request.method,
            request.path,
            request.body,
            {name: value for name, value in request.headers.items() if name not in CHANGING},
        )
        for request in server.requests
    ]


def _value(result: Any) -> Any:
    """A result as something that can be compared: its type, and what it holds but for ids."""
    if isinstance(result, list):
        return [_value(item) for item in result]
    if hasattr(result, "model_dump"):
        # Ids count requests; the fake provider's are the only thing that differs between two runs.
        dumped = json.dumps(result.model_dump(mode="json", warnings=False), sort_keys=True, default=str)
        return type(result), "".join("#" if part.isdigit() else part for part in dumped)
    if hasattr(result, "http_response"):
        return type(result), sorted(dir(result)), result.http_response.status_code
    return type(result), len(result) if isinstance(result, bytes | str) else str(type(result))


class TestResults:
    def test_result_and_request_equal_the_uninstrumented_ones(
        self, door: Door, asynchronous: bool, make: Callable[..., Any], server: Any
    ) -> None:
        def once() -> tuple[Any, Any]:
            server.clear()
            result = use(door, make, asynchronous=asynchronous)
            return _value(result), _request(server)

        plain = once()
        with instrumented():
            assert once() == plain

    def test_streams_are_the_sdks_own(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        import openai

        stream = make("openai").chat.completions.create(**CHAT, stream=True)
        assert type(stream) is openai.Stream
        httpx = sys.modules[type(stream.response).__module__.partition(".")[0]]  # httpx2 from openai 3.0 on
        assert type(stream.response) is httpx.Response
        assert isinstance(stream.response.stream, httpx.SyncByteStream)
        stream.mine = 1
        assert stream.mine == 1
        assert [type(chunk).__name__ for chunk in stream] == ["ChatCompletionChunk"] * 5

    def test_the_same_exception_one_frame_deeper(self, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply.error(400, code="bad", message="no"))

        def once() -> tuple[Any, ...]:
            try:
                make("openai").chat.completions.create(**CHAT)
            except Exception as error:
                frames = traceback.extract_tb(error.__traceback__)
                ours = [frame for frame in frames if "otel_llm/drivers" in frame.filename]
                return (
                    type(error),
                    str(error),
                    error.body,
                    error.__cause__,
                    len(frames) - len(ours),
                    len(ours),
                )
            raise AssertionError

        plain = once()
        with instrumented():
            assert once() == (*plain[:-1], 1)


def _generator() -> Any:
    yield {"role": "user", "content": "MY-PROMPT"}


class _Pydantic:
    """Made late: pydantic comes with the SDK."""


ODD_REQUESTS: dict[str, Callable[[], dict[str, Any]]] = {
    "generator": lambda: {"messages": _generator()},
    "none": lambda: {"messages": None},
    "bytes": lambda: {"messages": b"raw"},
    "int-stop": lambda: {"messages": [], "stop": 5},
    "model-none": lambda: {"model": None, "messages": []},
    "model-int": lambda: {"model": 7, "messages": []},
    "huge-int": lambda: {"messages": [], "max_tokens": 2**70},
    "nan": lambda: {"messages": [], "seed": float("inf")},
    "nested": lambda: {"messages": [{"role": "user", "content": [[[["x"]]]]}]},
    "big-image": lambda: {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000_000}}
                ],
            }
        ]
    },
}


class TestOddInput:
    @pytest.mark.parametrize("case", ODD_REQUESTS)
    @pytest.mark.parametrize("mode", ["no_content", "span_and_event"])
    def test_requests(self, case: str, mode: str, make: Callable[..., Any], server: Any) -> None:
        def once() -> Any:
            server.clear()
            try:
                result = make("openai").chat.completions.create(**{"model": "m", **ODD_REQUESTS[case]()})
                return _value(result), _request(server)
            except Exception as error:
                return type(error), str(error)

        plain = once()
        with capture() as captured:
            captured.instrument(capture_content=mode)
            assert once() == plain
            assert len(captured.spans()) == 1

    @pytest.mark.parametrize("mode", ["no_content", "span_and_event"])
    @pytest.mark.parametrize(
        "body",
        [
            b'{"choices": [null], "model": "m"}',
            b'{"choices": "none", "usage": "none"}',
            b'{"usage": {"prompt_tokens": "many", "completion_tokens": -1}}',
            b'{"choices": [{"message": null, "finish_reason": 7}]}',
            b"[]",
            b"not json",
            b"",
            b'{"id": 5, "model": ["a"], "choices": {}}',
        ],
    )
    def test_responses(self, body: bytes, mode: str, make: Callable[..., Any], server: Any) -> None:
        server.reply(Reply(body=body, headers={"content-type": "application/json"}))

        def once() -> list[Any]:
            found: list[Any] = []
            for call in (
                lambda: make("openai").chat.completions.create(**CHAT),
                lambda: make("openai").post("/responses", cast_to=object, body=RESPONSE),
                lambda: make("openai").embeddings.create(model="m", input="x", encoding_format="float"),
                lambda: make("anthropic").messages.create(**MESSAGE),
                lambda: make("openai").chat.completions.with_raw_response.create(**CHAT),
            ):
                try:
                    found.append(_value(call()))
                except Exception as error:
                    found.append((type(error), str(error)))
            return found

        plain = once()
        with capture() as captured:
            captured.instrument(capture_content=mode)
            assert once() == plain
            assert len(captured.spans()) == 5


class TestLeaks:
    def test_nothing_of_ours_stays(self, make: Callable[..., Any], server: Any) -> None:
        from otel_llm.drivers._bodies import Body
        from otel_llm.drivers._streams import Events

        server.reply(lambda request: Reply.error(400) if request.json["model"] == "bad" else Reply())
        client = make("openai")

        def calls(count: int) -> None:
            for number in range(count):
                client.chat.completions.create(**CHAT)
                stream = client.chat.completions.create(**CHAT, stream=True)
                if number % 3 == 0:
                    next(stream)
                elif number % 3 == 1:
                    stream.close()
                else:
                    list(stream)
                del stream
                if number % 3 == 0:
                    gc.collect()  # here and nowhere else: httpcore's lock does not survive it within a request
                with pytest.raises(Exception, match="400"):
                    client.chat.completions.create(model="bad", messages=[])

        kinds = (_recording.Recording, Body, Events)
        gc.collect()
        others = {id(thing) for thing in gc.get_objects() if issubclass(type(thing), kinds)}
        with ExitStack() as at_end, capture() as captured:
            gc.disable()
            at_end.callback(gc.enable)
            captured.instrument()
            calls(5)
            captured.clear()
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.take_snapshot()
            calls(60)
            gc.collect()
            _recording.drain()
            captured.clear()
            gc.collect()
            after = tracemalloc.take_snapshot()
            tracemalloc.stop()
        assert [
            thing for thing in gc.get_objects() if issubclass(type(thing), kinds) and id(thing) not in others
        ] == []
        ours = [
            change
            for change in after.compare_to(before, "filename")
            if "otel_llm" in change.traceback[0].filename and "testing" not in change.traceback[0].filename
        ]
        assert sum(change.size_diff for change in ours) < 20_000

    def test_a_client_is_not_kept_alive(self, telemetry: Telemetry, server: Any) -> None:
        from doors import client

        one = client("openai", server, asynchronous=False)
        one.chat.completions.create(**CHAT)
        one.close()
        gone = weakref.ref(one)
        del one
        gc.collect()
        assert gone() is None


class _Closing:
    """Closes its stream when it dies."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __iter__(self) -> Any:
        return iter(self.stream)

    def __del__(self) -> None:
        self.stream.close()


def _generator_over(stream: Any) -> Any:
    with stream:
        yield from stream


async def _read_all(stream: Any) -> None:
    async for _ in stream:
        pass


class TestFinalisers:
    def test_streams_dropped_in_cycles_while_metrics_record_in_threads(
        self, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        counter = telemetry.meter_provider.get_meter("app").create_counter("app.count")
        stop = threading.Event()

        def record() -> None:
            while not stop.is_set():
                counter.add(1, {"key": [object()] and "value"})

        class Node:
            pass

        def drop() -> None:
            for _ in range(30):
                node = Node()
                node.me = node  # type: ignore[attr-defined]
                # A client each: httpcore itself hangs when a stream dies within a request of the same pool.
                client = make("openai")
                node.stream = client.chat.completions.create(**CHAT, stream=True)  # type: ignore[attr-defined]
                next(node.stream)  # type: ignore[attr-defined]

        threshold = gc.get_threshold()
        gc.set_threshold(20, 2, 2)
        recorders = [threading.Thread(target=record, daemon=True) for _ in range(3)]
        droppers = [threading.Thread(target=drop, daemon=True) for _ in range(3)]
        try:
            for thread in recorders + droppers:
                thread.start()
            for thread in droppers:
                thread.join(60)
                assert not thread.is_alive()
        finally:
            stop.set()
            gc.set_threshold(*threshold)
        for thread in recorders:
            thread.join(10)
            assert not thread.is_alive()
        gc.collect()
        _recording.drain()
        outcomes = [span.attributes["otel_llm.outcome"] for span in telemetry.spans()]
        assert outcomes == ["abandoned"] * 90

    @pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    )  # httpcore's, of coroutines
    @pytest.mark.parametrize("how", ["generator", "finaliser", "call", "read"])
    def test_the_garbage_collector_ends_a_call_while_a_lock_is_held(
        self, how: str, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        """In a collection, which may come at any allocation, under a lock that a hook takes."""
        server.reply(Reply(chunks=3, hang_after=1))
        lock = threading.Lock()
        outcomes: list[str] = []

        def on_end(event: Any, measurements: Any, metadata: Any, config: Any) -> None:
            with lock:
                outcomes.append(metadata.outcome)

        async def awaiting() -> None:
            client = make("openai", asynchronous=True)
            if how == "call":
                waiting = client.chat.completions.create(**CHAT)
            else:
                waiting = _read_all(await client.chat.completions.create(**CHAT, stream=True))
            waiting.send(None)
            cycle = [waiting]
            cycle.append(cycle)
            del waiting, cycle
            with lock:
                gc.collect()
            await client.close()

        def program() -> None:
            if how in ("call", "read"):
                asyncio.run(awaiting())
                return
            stream = make("openai").chat.completions.create(**CHAT, stream=True)
            reading = _generator_over(stream) if how == "generator" else _Closing(stream)
            next(iter(reading))
            cycle = [reading]
            cycle.append(cycle)
            del stream, reading, cycle
            with lock:
                gc.collect()

        hooks.attach("mine", ["llm.chat.stop", "llm.chat.exception"], on_end)
        try:
            thread = threading.Thread(target=program, daemon=True)
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
            gc.collect()
            telemetry.points()
        finally:
            hooks.detach("mine")
        assert outcomes == ["abandoned"]

    def test_it_ends_with_the_time_it_died(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        import time

        stream = make("openai").chat.completions.create(**CHAT, stream=True)
        next(stream)
        del stream
        gc.collect()
        died = time.time_ns()
        time.sleep(0.2)
        make("openai").embeddings.create(model="m", input="x")
        span = next(span for span in telemetry.spans() if span.name == "chat gpt-4o")
        assert span.end_time < died + 50_000_000

    def test_an_async_call_that_is_thrown_away(
        self, telemetry: Telemetry, make: Callable[..., Any], server: Any
    ) -> None:
        server.reply(Reply(delay=5))

        async def main() -> None:
            client = make("openai", asynchronous=True)
            coroutine = client.chat.completions.create(**CHAT)
            task = asyncio.ensure_future(coroutine)
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.close()

        run(main())
        assert telemetry.outcome() == "cancelled"
