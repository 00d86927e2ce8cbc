"""Who is attached to which event, and whoever wants to tell them asks here.

Light, as everything that may have something to tell imports it: what is told is made in `_events`, which is loaded
with the first handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _guard
from ._background import Worker
from ._locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Handler", "attach", "emit", "refreshed", "table", "wanted", "worker"]

_QUEUE = 10_000
"""Events that wait for background handlers, all together."""

worker = Worker("otel_llm-hooks", limit=_QUEUE)
_counting = Lock()


class Handler:
    """A function of the user's, with what it was attached with."""

    __slots__ = ("attached", "background", "config", "dropped", "errors", "events", "fn", "id")

    def __init__(
        self,
        identity: str,
        events: tuple[str, ...],
        fn: Callable[..., object],
        config: object,
        *,
        background: bool,
    ) -> None:
        self.id = identity
        self.events = events
        self.fn = fn
        self.config = config
        self.background = background
        self.attached = True
        self.errors = 0
        self.dropped = 0

    def __call__(self, event: str, measurements: object, metadata: object) -> None:
        if self.background:
            if not worker.put(self._run, event, measurements, metadata):
                with _counting:
                    self.dropped += 1
        else:
            self._run(event, measurements, metadata)

    def _run(self, event: str, measurements: object, metadata: object) -> None:
        if not self.attached:
            return
        try:
            self.fn(event, measurements, metadata, self.config)
        except BaseException as error:
            if not (self.background or isinstance(error, Exception)):
                raise  # an interrupt is the application's; a thread of ours has none
            with _counting:
                self.errors += 1
            _guard.caught(error, what=f"the hook {self.id!r}")


table: dict[str, tuple[Handler, ...]] = {}
"""The handlers of each event, in the order in which they were attached; replaced as a whole by `attach`."""


def wanted(event: str) -> bool:
    """Whether anybody is attached to `event`: ask before making a payload."""
    return event in table


def emit(event: str, measurements: object, metadata: object) -> None:
    """Call whoever is attached to `event`."""
    for handler in table.get(event, ()):
        handler(event, measurements, metadata)


def attach(handlers: Iterable[Handler]) -> None:
    """Make `handlers` the ones that are attached."""
    global table  # noqa: PLW0603 - replaced as a whole, so that readers need no lock
    new: dict[str, tuple[Handler, ...]] = {}
    for handler in handlers:
        for event in handler.events:
            new[event] = (*new.get(event, ()), handler)
    table = new


def refreshed(provider: str) -> None:
    """A client of `provider` asked for a fresh key; for the driver."""
    if wanted("llm.provider.auth_refresh"):
        from ._events import refresh  # noqa: PLC0415 - loaded with the handler

        refresh(provider)
