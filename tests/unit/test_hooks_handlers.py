"""What handlers may do: raise, block, run in the background, outlive a fork."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_llm import _dispatch, _guard, hooks
from support import operations

if TYPE_CHECKING:
    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")


def test_a_handler_that_raises_is_counted_reported_once_and_kept(
    seen: Seen, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard, "strict", False)

    def broken(*_: object) -> None:
        raise RuntimeError("sk-SECRET")

    hooks.attach("broken", "llm.chat.stop", broken)
    hooks.attach("mine", "llm.chat.stop", seen)
    with caplog.at_level(logging.WARNING, logger="otel_llm"):
        for _ in range(3):
            operations.ended()
    assert seen.events == ["llm.chat.stop"] * 3
    assert hooks.stats("broken") == hooks.HandlerStats(errors=3, dropped=0)
    assert hooks.list() == ["broken", "mine"]
    (line,) = caplog.messages
    assert "the hook 'broken'" in line
    assert "sk-SECRET" not in line


def test_a_handler_that_blocks_in_the_background_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dispatch.worker, "_limit", 3)
    entered, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow(_event: str, _measurements: object, metadata: hooks.CallMetadata, _config: object) -> None:
        entered.set()
        assert go_on.wait(10)
        done.append(metadata.id)

    hooks.attach("slow", "llm.chat.stop", slow, background=True)
    first = operations.ended()
    assert entered.wait(10)
    later = [operations.ended() for _ in range(5)]
    assert done == []
    assert hooks.stats("slow") == hooks.HandlerStats(errors=0, dropped=2)
    go_on.set()
    assert hooks.flush(10)
    assert done == [op.id for op in (first, *later[:3])]


def test_what_waits_in_the_background_is_dropped_with_its_handler() -> None:
    entered, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow(*_: object) -> None:
        entered.set()
        assert go_on.wait(10)
        done.append("done")

    hooks.attach("slow", "llm.chat.stop", slow, background=True)
    operations.ended()
    assert entered.wait(10)
    operations.ended()
    hooks.detach("slow")
    go_on.set()
    assert hooks.flush(10)
    assert done == ["done"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_a_background_handler_that_exits_is_counted_and_ends_no_thread(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    monkeypatch.setattr(_guard, "strict", False)

    def leaves(*_: object) -> None:
        raise error

    hooks.attach("leaves", "llm.chat.stop", leaves, background=True)
    hooks.attach("mine", "llm.chat.stop", seen, background=True)
    for _ in range(3):
        operations.ended()
    assert hooks.flush(10)
    assert seen.events == ["llm.chat.stop"] * 3
    assert hooks.stats("leaves") == hooks.HandlerStats(errors=3, dropped=0)


def test_an_interrupt_in_a_handler_is_the_applications(seen: Seen) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    hooks.attach("interrupted", "myapp.step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        hooks.execute("myapp.step", None, None)
    assert hooks.stats("interrupted") == hooks.HandlerStats(errors=0, dropped=0)


def test_a_handler_detaches_itself_and_attaches_another(seen: Seen) -> None:
    def once(event: str, *_: object) -> None:
        seen.told.append((event, "once", None, None))
        assert hooks.detach("once")
        hooks.attach("next", "llm.chat.stop", seen)

    hooks.attach("once", "llm.chat.stop", once)
    operations.ended()
    operations.ended()
    assert [measurements == "once" for _, measurements, *_ in seen.told] == [True, False]
    assert seen.events == ["llm.chat.stop"] * 2
    assert hooks.list() == ["next"]


def test_background_handlers_share_one_thread() -> None:
    threads: set[str] = set()
    for number in range(3):
        hooks.attach(
            f"h{number}",
            "llm.chat.stop",
            lambda *_: threads.add(threading.current_thread().name),
            background=True,
        )
    operations.ended()
    assert hooks.flush(10)
    assert threads == {"otel_llm-hooks"}
    assert [thread.name for thread in threading.enumerate()].count("otel_llm-hooks") == 1


def test_sixteen_threads_are_counted_exactly() -> None:
    lock = threading.Lock()
    counts: Counter[str] = Counter()

    def count(event: str, measurements: Any, _metadata: object, _config: object) -> None:
        with lock:
            counts[event] += 1
            counts["tokens"] += getattr(measurements, "total_tokens", 0)

    hooks.attach("count", ("llm.chat.start", "llm.chat.stop"), count)

    def work() -> None:
        for _ in range(500):
            operations.ended()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {"llm.chat.start": 8000, "llm.chat.stop": 8000, "tokens": 240_000}


def test_attaching_while_calls_run_is_safe() -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            operations.ended()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for number in range(300):
            hooks.attach(f"h{number}", hooks.EVENTS, lambda *_: None)
            hooks.detach(f"h{number}")
    finally:
        stop.set()
        thread.join()


def _run(program: str) -> str:
    code = textwrap.dedent(program)
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": tests},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_background_is_emptied_when_the_program_ends() -> None:
    assert (
        _run("""
        import threading, time
        from otel_llm import hooks
        from support import operations

        def handler(event, measurements, metadata, config):
            time.sleep(0.01)
            print(event)

        hooks.attach("x", "llm.chat.stop", handler, background=True)
        assert [t.name for t in threading.enumerate()] == ["MainThread"]
        for _ in range(5):
            operations.ended()
        """).split()
        == ["llm.chat.stop"] * 5
    )


def test_a_handler_that_never_returns_does_not_keep_the_program_from_ending() -> None:
    assert (
        _run("""
        import threading
        from otel_llm import _background, hooks
        from support import operations

        _background._LINGER = 0.1
        hooks.attach("x", "llm.chat.stop", lambda *_: threading.Event().wait(), background=True)
        operations.ended()
        print("ended")
        """)
        == "ended\n"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_a_background_of_its_own() -> None:
    assert _run("""
        import os, threading
        from otel_llm import hooks
        from support import operations

        hooks.attach("x", "llm.chat.stop", lambda *a: print(os.getpid() == int(a[2].id.split("-")[0], 16)),
                     background=True)
        operations.ended()
        assert hooks.flush(5)
        import sys
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            operations.ended()
            assert hooks.flush(5)
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """).split() == ["True", "True"]
