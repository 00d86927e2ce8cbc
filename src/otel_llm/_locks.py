"""The lock of everything that a call may touch: re-entrant, and free in a child process.

A signal handler or a finaliser may make a call while its own thread holds the lock, and must not wait for itself.
A forked child would wait for ever for a lock that a thread held which it does not have.
"""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

__all__ = ["Lock"]

_locks: WeakSet[Lock] = WeakSet()


class Lock:
    """For `with` blocks alone."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        try:  # noqa: SIM105 - `suppress` costs three frames more
            self._lock.release()
        except RuntimeError:
            pass  # renewed meanwhile: this thread forked inside the block

    def renew(self) -> None:
        """Let go of the lock, whoever holds it."""
        self._lock = threading.RLock()


def _forked() -> None:
    for lock in list(_locks):
        lock.renew()


os.register_at_fork(after_in_child=_forked)
