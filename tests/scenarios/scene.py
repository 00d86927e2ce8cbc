"""What scenarios share beside fixtures: instrumenting for a block, and running coroutines to their end."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from doors import Use

from otel_llm import _recording
from otel_llm.testing._capture import capture
from support.conformance import violations

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from doors import Door
    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture(autouse=True)
def garbage_of_this_test_alone() -> None:
    """Let collections look at what the test makes, not at all that is loaded: that takes a third of a second each."""
    gc.collect()
    gc.freeze()


class Telemetry:
    """What the calls of one test left."""

    def __init__(self, captured: Any) -> None:
        self.captured = captured

    def span(self) -> ReadableSpan:
        """The one span there is."""
        spans = self.captured.spans()
        assert len(spans) == 1, [span.name for span in spans]
        assert self.captured.open_spans() == []
        return spans[0]  # type: ignore[no-any-return]

    def outcome(self) -> str:
        return str(self.span().attributes["otel_llm.outcome"])  # type: ignore[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.captured, name)


@contextmanager
def instrumented(**settings: Any) -> Iterator[Telemetry]:
    """Instrument for the block; at its end nothing of ours is left over and all of it conforms."""
    with capture() as captured:
        captured.instrument(**settings)
        telemetry = Telemetry(captured)
        yield telemetry
        _recording.drain()
        assert list(_recording.open_recordings()) == []
        setting = settings.get("semconv", "1.41")
        found = violations(
            spans=captured.spans(),
            metrics=captured._sdk.reader.get_metrics_data(),
            logs=captured.logs(),
            setting=setting,
        )
        assert not found, "\n".join(found)


def drive(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, as one that uses sync clients alone, without an event loop."""
    try:
        main.send(None)
    except StopIteration as done:
        return done.value
    main.close()
    raise AssertionError("it waits")


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end; no task of it may be left."""

    async def watched() -> Any:
        result = await main
        gc.collect()
        for _ in range(50):  # the event loop closes the SDK's own dropped generators in tasks
            if asyncio.all_tasks() == {asyncio.current_task()}:
                break
            await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(watched())


def use(door: Door, make: Callable[..., Any], *, asynchronous: bool = False, **options: Any) -> Any:
    """Go through a door with a client that `make` makes, and give all that the program gets, read to its end."""
    client = make(door.sdk, asynchronous=asynchronous, **options)
    if not asynchronous:
        return drive(Use(door, client).result())

    async def main() -> Any:
        async with client:
            return await Use(door, client).result()

    return run(main())
