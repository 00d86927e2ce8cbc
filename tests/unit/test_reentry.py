"""A signal handler runs in a thread that may hold one of our locks: a call that it makes must not wait for itself.

So does a finaliser, which runs inside any allocation.
And a forked child has none of the threads that held a lock.
"""

from __future__ import annotations

import os
import signal
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import otel_llm
from otel_llm import _active, _attributes, _background, _dispatch, _progress, cost, hooks
from otel_llm._attributes import Capped
from otel_llm._listeners import listeners
from otel_llm.helpers import _counts
from support import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


pytestmark = [
    pytest.mark.usefixtures("nothing_attached"),
    pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here"),
]


@pytest.fixture(autouse=True)
def _no_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counts, "_breakers", Capped())
    monkeypatch.setattr(_counts, "_watched", {})


@pytest.fixture
def interrupt() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Runs a function in a signal handler, between two steps of the code that asks for it."""
    todo: list[Callable[[], Any]] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: todo.pop()())

    def interrupt(fn: Callable[[], Any]) -> None:
        todo.append(fn)
        signal.raise_signal(signal.SIGUSR1)
        while todo:
            pass

    yield interrupt
    signal.signal(signal.SIGUSR1, before)


def _everything() -> None:
    """Calls of all kinds, heard by whoever listens."""
    hooks.attach("in the handler", "llm.chat.stop", lambda *_: 1 / 0)
    op = operations.start(stream=True)
    operations.chunk(op, 5)
    operations.end(op)
    operations.ended()
    assert cost.Budget(window=Decimal(1)).spend(op, Decimal(2))
    otel_llm.cache("c").hit()
    otel_llm.circuit_breaker("b").set("open")
    otel_llm.circuit_breaker("b").set("closed")
    hooks.detach("in the handler")


LOCKS = {
    "hooks": lambda: hooks._lock,
    "counting": lambda: _dispatch._counting,
    "listeners": lambda: listeners._lock,
    "progress": lambda: _progress._lock,
    "helpers": lambda: _counts._lock,
    "values on metrics": lambda: _attributes._lock,
    "budget": lambda: cost._lock,
    "recorders": lambda: _active._lock,
}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_call_in_a_signal_handler_does_not_wait_for_its_own_thread(
    interrupt: Callable[[Callable[[], Any]], None], monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    monkeypatch.setattr("otel_llm._guard.strict", False)
    with otel_llm.options(on_progress=lambda _: None), LOCKS[lock]():
        interrupt(_everything)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(
    lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_llm._guard.strict", False)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with LOCKS[lock]():
            held.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            with otel_llm.options(on_progress=lambda _: None):
                _everything()
        except BaseException:
            os._exit(1)
        os._exit(0)
    done.set()
    holder.join(60)
    assert os.waitpid(child, 0)[1] == 0


def test_a_block_that_forks_ends_in_the_child_too() -> None:
    with _dispatch._counting:
        child = os.fork()
    if child == 0:
        os._exit(0 if _dispatch._counting._lock.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_request_log_answers_a_signal_handler_while_it_records(
    interrupt: Callable[[Callable[[], Any]], None],
) -> None:
    asked: list[int] = []
    with otel_llm.RequestLog(ttl=60) as log:
        operations.ended()
        with log._lock:
            interrupt(lambda: asked.append(log.stats().calls))
            interrupt(operations.ended)
        assert (asked, log.stats().calls, len(log)) == ([1], 2, 2)


def test_a_signal_while_the_background_starts_starts_no_second_thread(
    interrupt: Callable[[Callable[[], Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _background.Worker("otel_llm-test", limit=10)
    start, done = threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.undo()
        interrupt(lambda: worker.put(done.append, "in the handler"))
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    assert worker.put(done.append, "first")
    assert worker.join(10)
    assert done == ["in the handler", "first"]
    assert [thread.name for thread in threading.enumerate()].count("otel_llm-test") == 1
    worker.stop()
