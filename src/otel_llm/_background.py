"""A thread that does what must not hold up a call.

It starts on first use, takes work from a bounded queue that refuses what does not fit, is gone after a fork
until it is used again, and has `_LINGER` seconds to finish when the program ends.
"""

from __future__ import annotations

import atexit
import os
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from . import _guard

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Worker"]

_LINGER = 2.0

_workers: WeakSet[Worker] = WeakSet()


class Worker:
    """Runs functions one after the other in a daemon thread.

    `tick`, if given, is called after each function, and when the seconds have passed that it returned last
    (None: no need).
    """

    __slots__ = ("__weakref__", "_limit", "_lock", "_name", "_queue", "_stopped", "_thread", "_tick")

    def __init__(self, name: str, *, limit: int, tick: Callable[[], float | None] | None = None) -> None:
        self._name = name
        self._limit = limit
        self._tick = tick
        self._stopped = False
        self._reset()
        _workers.add(self)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._queue: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, fn: Callable[..., object], *arguments: Any) -> bool:
        """Have `fn` called soon; false if it will not be, as the queue is full or the program is ending."""
        if self._stopped or self._queue.qsize() >= self._limit:
            return False
        if self._thread is None and not self._start():
            return False
        self._queue.put((fn, arguments))
        return True

    def _start(self) -> bool:
        with self._lock:
            if self._thread is None:
                # Known before it runs, so that a signal handler that comes meanwhile starts no second one.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is shutting down, or there are no more threads
                    self._thread = None
                    return False
        return True

    def _run(self) -> None:
        queue = self._queue
        wait: float | None = None
        while True:
            try:
                job = queue.get(timeout=wait)
            except Empty:
                pass
            else:
                if job is None:
                    return
                self._call(*job)
            if self._tick is not None:
                wait = self._call(self._tick)

    @staticmethod
    def _call(fn: Callable[..., Any], arguments: tuple[Any, ...] = ()) -> Any:
        try:
            return fn(*arguments)
        except BaseException as error:  # noqa: BLE001 - a user's function: `sys.exit()` in it must not end this thread
            _guard.caught(error, what="a background handler")
            return None

    def join(self, timeout: float) -> bool:
        """Wait until what was put before has been done; false if `timeout` seconds were not enough."""
        if self._thread is None:
            return True
        done = threading.Event()
        self._queue.put((done.set, ()))
        return done.wait(timeout)

    def stop(self, timeout: float = _LINGER) -> None:
        """Take nothing more, and give what was put before `timeout` seconds."""
        self._stopped = True
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout)


def _stop_all() -> None:
    for worker in list(_workers):
        worker.stop()


def _forked() -> None:
    """The child has none of the parent's threads, and perhaps a lock that one of them held."""
    for worker in list(_workers):
        worker._reset()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


# At import, so that it runs after what is registered when the first call is made: that still uses workers.
atexit.register(_stop_all)
os.register_at_fork(after_in_child=_forked)
