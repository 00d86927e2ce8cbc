"""Who hears of operations: functions per phase, attached and detached at run time.

The recorder calls them with the `Operation` itself, for every call, sampled or not.
With nobody attached a phase costs one attribute read.

phase     called with                when
start     (operation)                the call begins
attempt   (operation, Attempt)       an HTTP attempt failed and the SDK is about to wait and send again
chunk     (operation, chunk, now)    a stream gave its caller's next chunk (the SDK's object; `now`: perf_counter)
end       (operation)                the call has ended; its record is frozen

Prices, which an ended call is given before anybody hears of it, are here too: most programs have none, and load no
`cost`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from . import _guard
from ._locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cost import Costs

__all__ = ["Listeners", "Phase", "listeners"]

Phase = Literal["start", "attempt", "chunk", "end"]


class Listeners:
    """Tuples of functions, replaced as a whole on change, so that readers need no lock."""

    __slots__ = ("_lock", "attempt", "chunk", "costs", "end", "start")

    def __init__(self) -> None:
        self._lock = Lock()
        self.start: tuple[Callable[..., object], ...] = ()
        self.attempt: tuple[Callable[..., object], ...] = ()
        self.chunk: tuple[Callable[..., object], ...] = ()
        self.end: tuple[Callable[..., object], ...] = ()
        self.costs: Costs | None = None
        """What prices the calls of recorders without prices of their own: the newest of those attached."""

    def add(self, phase: Phase, fn: Callable[..., object]) -> None:
        """Call `fn` at `phase` from now on; a function already there is not added again."""
        with self._lock:
            now: tuple[Callable[..., object], ...] = getattr(self, phase)
            if fn not in now:
                setattr(self, phase, (*now, fn))

    def remove(self, phase: Phase, fn: Callable[..., object]) -> None:
        """Stop calling `fn` at `phase`; a function not there is no error."""
        with self._lock:
            setattr(self, phase, tuple(other for other in getattr(self, phase) if other != fn))


listeners = Listeners()
"""The listeners of this process."""


def tell(functions: tuple[Callable[..., object], ...], *arguments: Any) -> None:
    """Call each function; one that raises does not keep the others from being called."""
    for fn in functions:
        try:
            fn(*arguments)
        except Exception as error:  # noqa: BLE001 - a listener's error is never the application's
            _guard.caught(error, what="a listener of LLM calls")
