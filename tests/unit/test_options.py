"""Options and sessions: values of the current context, and of nothing else."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

import otel_llm
from otel_llm import _options, hooks
from otel_llm._config import Config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otel_llm.testing import Capture
    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")


def test_outside_of_any_block_there_is_nothing() -> None:
    assert _options.current() is None
    assert _options.current_session() is None


def test_inner_options_add_to_outer_ones() -> None:
    with otel_llm.options(enabled=False, progress_interval=2.0):
        with otel_llm.options(progress_interval=0.5, capture_raw_chunks=True) as inner:
            assert _options.current() is inner
            assert inner == _options.Options(enabled=False, progress_interval=0.5, capture_raw_chunks=True)
        assert _options.current() == _options.Options(enabled=False, progress_interval=2.0)
    assert _options.current() is None


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        (True, "span_only"),
        (False, "no_content"),
        ("EVENT_only", "event_only"),
        ("span_and_event", "span_and_event"),
    ],
)
def test_content_is_named_as_in_the_settings(given: bool | str, mode: str) -> None:
    with otel_llm.options(capture_content=given) as options:
        assert options.capture_content == mode


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^options\(capture_content=\.\.\.\)"):
        otel_llm.options(capture_content="all")
    for interval in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="progress_interval"):
            otel_llm.options(progress_interval=interval)
    with pytest.raises(ValueError, match="max_raw_bytes"):
        otel_llm.options(max_raw_bytes=0)


def test_where_content_goes() -> None:
    config = Config(capture_content="event_only")
    assert _options.capture_mode(config) == "event_only"
    with otel_llm.options(enabled=True):
        assert _options.capture_mode(config) == "event_only"
    with otel_llm.options(capture_content="span_only"):
        assert _options.capture_mode(config) == "span_only"
        assert _options.capture_mode(Config(content_off=True)) == "no_content"


def test_a_session_is_built_up_by_its_blocks() -> None:
    with otel_llm.session("c1", user_id="ada", tenant="t1") as outer:
        assert outer.attributes == {"user.id": "ada", "tenant": "t1"}
        with otel_llm.session(user_id="bob", **{"app.step": 2}) as inner:
            assert (inner.conversation_id, inner.user_id) == ("c1", "bob")
            assert inner.attributes == {"user.id": "bob", "tenant": "t1", "app.step": 2}
        assert _options.current_session() is outer
    assert _options.current_session() is None


def test_ids_of_other_types_become_texts_and_what_is_none_is_not_given() -> None:
    number = uuid.UUID(int=7)
    with (
        otel_llm.session(number, user_id=5, tenant="t1"),
        otel_llm.session(None, user_id=None, tenant=None) as inner,
    ):
        assert (inner.conversation_id, inner.user_id) == (str(number), "5")
        assert inner.attributes == {"user.id": "5", "tenant": "t1"}


def test_a_session_is_no_baggage() -> None:
    with otel_llm.session("c1", user_id="ada"), otel_llm.options(enabled=True):
        assert baggage.get_all() == {}


def test_a_session_cannot_be_changed() -> None:
    with otel_llm.session("c1", tenant="t") as session:
        with pytest.raises(AttributeError):
            session.user_id = "x"  # type: ignore[misc]
        with pytest.raises(TypeError):
            session.attributes["tenant"] = "other"  # type: ignore[index]


def test_a_session_tells_hooks_of_its_start_and_end(seen: Seen) -> None:
    hooks.attach("mine", ("llm.session.start", "llm.session.stop"), seen)
    with otel_llm.session("c1", user_id="ada"):
        pass
    about = hooks.SessionMetadata("c1", "ada", None)
    assert [(event, type(m), metadata) for event, m, metadata, _ in seen.told] == [
        ("llm.session.start", hooks.StartMeasurements, about),
        ("llm.session.stop", hooks.SpanMeasurements, about),
    ]


def test_a_block_is_good_for_one_use() -> None:
    block = otel_llm.options(enabled=False)
    with block, pytest.raises(RuntimeError, match="entered before"):
        block.__enter__()
    assert _options.current() is None


def test_tasks_have_their_own_and_leak_nothing() -> None:
    async def one(name: str, meeting: asyncio.Barrier) -> tuple[Any, Any]:
        with otel_llm.session(name):
            await meeting.wait()
            within = await asyncio.create_task(asyncio.to_thread(_options.current_session))
            await meeting.wait()
        return within, _options.current_session()

    async def main() -> list[tuple[Any, Any]]:
        meeting = asyncio.Barrier(2)
        return await asyncio.gather(one("a", meeting), one("b", meeting))

    found = asyncio.run(main())
    assert [(within.conversation_id, after) for within, after in found] == [("a", None), ("b", None)]


def test_instrumented_threads_inherit_it_and_others_do_not() -> None:
    def read() -> list[Any]:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(_options.current_session()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(_options.current_session).result())
        return found

    with otel_llm.session("c1") as session:
        assert read() == [None, None]
        ThreadingInstrumentor().instrument()
        try:
            assert read() == [session, session]
        finally:
            ThreadingInstrumentor().uninstrument()


def test_a_generator_that_ends_elsewhere_complains_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def chat() -> AsyncIterator[int]:
        with otel_llm.session("c1"):
            yield 1
            yield 2

    async def main() -> None:
        generator = chat()
        await asyncio.create_task(anext(generator))  # type: ignore[arg-type]
        await generator.aclose()
        assert _options.current_session() is None

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    assert [record.message for record in caplog.records if record.name.startswith("opentelemetry")] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: otel_llm.options(enabled=True),
        lambda: otel_llm.session("c1"),
        lambda: otel_llm.traced("step"),
        lambda: otel_llm.tool("look"),
        lambda: otel_llm.track("acme", "m1"),
    ],
    ids=["options", "session", "traced", "tool", "track"],
)
def test_the_halves_of_a_dependency_may_run_in_two_contexts(
    llm_capture: Capture, caplog: pytest.LogCaptureFixture, make: Callable[[], Any]
) -> None:
    """As those of a web framework do, which runs each in a thread of a pool."""
    llm_capture.instrument()

    def dependency() -> Iterator[int]:
        with make():
            yield 1

    halves = dependency()
    with caplog.at_level(logging.DEBUG):
        assert contextvars.copy_context().run(next, halves) == 1
        assert contextvars.copy_context().run(next, halves, None) is None
    assert [record.message for record in caplog.records if record.name.startswith(("otel", "opentel"))] == []
    assert llm_capture.open_spans() == []


def test_a_generator_in_one_context_gives_back_what_was_before() -> None:
    def chat() -> Iterator[int]:
        with otel_llm.session("inner"):
            yield 1

    with otel_llm.session("outer") as outer:
        assert list(chat()) == [1]
        assert _options.current_session() is outer
