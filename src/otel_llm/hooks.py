"""Functions of yours, called when something happens: attach and detach at run time.

    def on_stop(event, measurements, metadata, config):
        print(metadata.provider, metadata.model, measurements.duration, measurements.total_tokens)

    hooks.attach("my-hook", "llm.chat.stop", on_stop)

Hooks hear of every call, sampled or not.
With nothing attached nothing is registered anywhere: a call then pays one attribute read per phase.
A handler runs inside the call, so it should be quick; one attached with `background=True` runs in a thread of
ours, behind a queue that drops and counts what does not fit.
An exception in a handler is counted, and reported once per line; it never reaches the application, and the
handler stays attached.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from time import perf_counter, time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from . import _dispatch, _events, _progress
from ._locks import Lock
from ._payloads import (
    EVENTS,
    PAYLOADS,
    AttemptMeasurements,
    AttemptMetadata,
    AuthMetadata,
    BreakerMeasurements,
    BreakerMetadata,
    BudgetMeasurements,
    BudgetMetadata,
    CacheMeasurements,
    CacheMetadata,
    CallError,
    CallMeasurements,
    CallMetadata,
    ChunkMeasurements,
    CostMeasurements,
    CountMeasurements,
    LastError,
    MessageMetadata,
    RateLimitMeasurements,
    SessionMetadata,
    SpanMeasurements,
    SpanMetadata,
    StartMeasurements,
    StreamMetadata,
    StreamReport,
    ToolMetadata,
    UsageMeasurements,
)

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

__all__ = [
    "EVENTS",
    "PAYLOADS",
    "AttemptMeasurements",
    "AttemptMetadata",
    "AuthMetadata",
    "BreakerMeasurements",
    "BreakerMetadata",
    "BudgetMeasurements",
    "BudgetMetadata",
    "CacheMeasurements",
    "CacheMetadata",
    "CallError",
    "CallMeasurements",
    "CallMetadata",
    "ChunkMeasurements",
    "CostMeasurements",
    "CountMeasurements",
    "HandlerStats",
    "LastError",
    "MessageMetadata",
    "RateLimitMeasurements",
    "SessionMetadata",
    "SpanMeasurements",
    "SpanMetadata",
    "StartMeasurements",
    "StreamMetadata",
    "StreamReport",
    "ToolMetadata",
    "UsageMeasurements",
    "attach",
    "attach_many",
    "detach",
    "execute",
    "flush",
    "list",
    "span",
    "stats",
    "wanted",
]

_lock = Lock()
_attached: dict[str, tuple[_dispatch.Handler, ...]] = {}


@dataclass(slots=True, frozen=True)
class HandlerStats:
    """What went wrong with a handler since it was attached."""

    errors: int
    """Exceptions that it raised."""
    dropped: int
    """Events that did not fit into the queue of background handlers."""


def attach(
    id: str,  # noqa: A002 - the name users know
    events: str | Iterable[str],
    fn: Callable[[str, Any, Any, Any], object],
    config: object = None,
    *,
    background: bool = False,
) -> None:
    """Have `fn(event, measurements, metadata, config)` called at one event or several.

    `PAYLOADS` names the classes of `measurements` and `metadata` for each event of `EVENTS`; the events of
    `span("myapp.step")` are `myapp.step.start`, `.stop` and `.exception`.
    With `background` the handler runs in a thread of ours and cannot hold up a call.
    Raises ValueError if `id` is attached already, or an event starts with `llm.` and is not in `EVENTS`.
    """
    names = (events,) if isinstance(events, str) else tuple(events)
    _attach(id, [_dispatch.Handler(id, _known(names), fn, config, background=background)])


def attach_many(
    id: str,  # noqa: A002 - as in `attach`
    handlers: Mapping[str, Callable[[str, Any, Any, Any], object]],
    config: object = None,
    *,
    background: bool = False,
) -> None:
    """As `attach`, with a function of its own for each event, under one id."""
    _attach(
        id,
        [
            _dispatch.Handler(id, _known((event,)), fn, config, background=background)
            for event, fn in handlers.items()
        ],
    )


def _known(events: tuple[str, ...]) -> tuple[str, ...]:
    for event in events:
        if event.startswith("llm.") and event not in PAYLOADS:
            raise ValueError(f"there is no event {event!r}; otel_llm.hooks.EVENTS lists them")
    return tuple(dict.fromkeys(events))


def _attach(identity: str, handlers: builtins.list[_dispatch.Handler]) -> None:
    with _lock:
        if identity in _attached:
            raise ValueError(f"a hook with the id {identity!r} is attached already: detach it first")
        _attached[identity] = tuple(handlers)
        _sync()


def detach(id: str) -> bool:  # noqa: A002 - as in `attach`
    """Stop calling the handler of this id, also for what waits in the background; false if there is none."""
    with _lock:
        handlers = _attached.pop(id, ())
        for handler in handlers:
            handler.attached = False
        _sync()
        return bool(handlers)


def _sync() -> None:
    before = wanted("llm.stream.progress")
    _events.sync([handler for handlers in _attached.values() for handler in handlers])
    _progress.want("hooks", wanted("llm.stream.progress") - before)


def stats(id: str) -> HandlerStats:  # noqa: A002 - as in `attach`
    """The errors and drops of the handler of this id. Raises KeyError if there is none."""
    handlers = _attached[id]
    return HandlerStats(sum(item.errors for item in handlers), sum(item.dropped for item in handlers))


def wanted(event: str) -> bool:
    """Whether anybody is attached to `event`: to ask before making payloads that cost something."""
    return _dispatch.wanted(event)


def execute(event: str, measurements: object, metadata: object) -> None:
    """Call whoever is attached to `event`, as if it had happened: for tests, and for events of your own."""
    _dispatch.emit(event, measurements, metadata)


def flush(timeout: float = 1.0) -> bool:
    """Wait until background handlers have seen what has happened so far; false after `timeout` seconds."""
    return _dispatch.worker.join(timeout)


_numbers = itertools.count(1)


class _Span:
    """See `span`."""

    __slots__ = ("_attributes", "_id", "_name", "_started")

    def __init__(self, name: str, attributes: Mapping[str, Any]) -> None:
        self._name = name
        self._attributes = MappingProxyType(attributes)

    def _emit(self, phase: str, measurements: object, error: str | None = None) -> None:
        event = f"{self._name}.{phase}"
        if _dispatch.wanted(event):
            execute(event, measurements, SpanMetadata(self._id, self._name, self._attributes, error))

    def __enter__(self) -> None:
        self._id = f"{os.getpid():x}-s{next(_numbers):x}"
        self._emit("start", StartMeasurements(time_ns()))
        self._started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = SpanMeasurements(perf_counter() - self._started)
        if kind is None or kind is GeneratorExit:
            self._emit("stop", took)
        else:
            self._emit("exception", took, kind.__qualname__)


def span(name: str, /, **metadata: Any) -> _Span:
    """Emit `<name>.start`, then `<name>.stop` or `<name>.exception`, around a `with` block of yours.

    These are events for hooks only; `otel_llm.traced` makes an OpenTelemetry span.
    Raises ValueError for a name within `llm.`, which is ours.
    """
    if name == "llm" or name.startswith("llm."):
        raise ValueError(f"the event {name!r} is in the namespace of this package: choose a name of your own")
    return _Span(name, metadata)


def list(prefix: str = "") -> builtins.list[str]:  # noqa: A001 - the name users know; last, as it hides the type
    """The ids of what is attached to an event that starts with `prefix`, in the order in which they came."""
    return [
        identity
        for identity, handlers in _attached.copy().items()
        if any(event.startswith(prefix) for handler in handlers for event in handler.events)
    ]
