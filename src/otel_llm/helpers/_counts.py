"""`cache` and `circuit_breaker`: what the application's own caches and breakers do, as metrics and hooks.

They count; the cache and the breaker themselves are the application's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from opentelemetry.metrics import Observation

from .. import _dispatch, _guard
from .._active import active, watch
from .._attributes import Capped
from .._locks import Lock
from .._payloads import BreakerMeasurements, BreakerMetadata, CacheMeasurements, CacheMetadata
from ..semconv import names, own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._metrics import Gauges
    from .._recorder import Recorder

__all__ = ["Cache", "CircuitBreaker", "cache", "circuit_breaker"]

STATES = ("closed", "open", "half_open")

_OPERATIONS = "otel_llm.cache.operations"
_SIZE = "otel_llm.cache.size"
_STATE = "otel_llm.circuit_breaker.state"
_TRANSITIONS = "otel_llm.circuit_breaker.transitions"
_FAILURES = "otel_llm.circuit_breaker.failures"

_lock = Lock()


_made: WeakKeyDictionary[Recorder, dict[str, Any]] = WeakKeyDictionary()
_caches = Capped()
_breakers = Capped()
_watched: dict[str, CircuitBreaker] = {}
"""The breakers whose state is a metric; they live for ever, as a state is told as long as the program runs."""
_others: WeakValueDictionary[str, CircuitBreaker] = WeakValueDictionary()
"""Those whose name is beyond the cap."""


def _instruments(recorder: Recorder) -> dict[str, Any]:
    """The instruments of a recorder by name; none if its settings leave them out."""
    with _lock:
        made = _made.get(recorder)
        if made is None:
            made = _made[recorder] = {
                item.name: item.create(
                    recorder.meter, [_Observe(recorder.gauges)] if item.observable else None
                )
                for item in own.INSTRUMENTS
                if item.group == "helpers" and item.group in recorder.kinds
            }
        return made


def _add(name: str, amount: int, attributes: dict[str, Any]) -> None:
    instrument = _instruments(active()).get(name)
    if instrument is not None:
        instrument.add(amount, attributes)


class _Observe:
    """Reads the states of breakers when metrics are collected, while the active recorder is of this meter provider.

    It cannot go by the recorder: the SDK keeps the first callback of a name and ignores those that come later.
    """

    __slots__ = ("_gauges",)

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def __call__(self, _options: object) -> Iterator[Observation]:
        recorder = active()
        if recorder.gauges is not self._gauges or "helpers" not in recorder.kinds:
            return
        for breaker in list(_watched.values()):
            now = breaker.state
            for state in STATES:
                yield Observation(
                    int(state == now),
                    {names.CIRCUIT_BREAKER_NAME: breaker.name, names.CIRCUIT_BREAKER_STATE: state},
                )


class Cache:
    """A cache of the application's. Keys are never asked for."""

    __slots__ = ("_attributes", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._attributes = {names.CACHE_NAME: _caches.add(name)}

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._name

    @_guard.guarded
    def _count(self, operation: str, count: int, size: int | None) -> None:
        _add(_OPERATIONS, count, {**self._attributes, names.CACHE_OPERATION: operation})
        if size:
            _add(_SIZE, size if operation == "put" else -size, self._attributes)
        event = f"llm.cache.{operation}"
        if _dispatch.wanted(event):
            _dispatch.emit(event, CacheMeasurements(count, size), CacheMetadata(self._name))

    def hit(self, count: int = 1) -> None:
        """An entry was found."""
        self._count("hit", count, None)

    def miss(self, count: int = 1) -> None:
        """An entry was not found."""
        self._count("miss", count, None)

    def put(self, size: int | None = None, count: int = 1) -> None:
        """Entries were stored, of `size` bytes together."""
        self._count("put", count, size)

    def evict(self, size: int | None = None, count: int = 1) -> None:
        """Entries went, of `size` bytes together."""
        self._count("evict", count, size)


def cache(name: str) -> Cache:
    """Count what a cache of the application's does: `hit`, `miss`, `put`, `evict`.

    `name` is an attribute of the metrics: those after the first 200 are counted together, as `_OTHER`.
    """
    return Cache(name)


class CircuitBreaker:
    """A circuit breaker of the application's; `circuit_breaker` makes one per name. It starts closed."""

    __slots__ = ("__weakref__", "_attributes", "_name", "_state")

    def __init__(self, name: str) -> None:
        self._name = name
        self._attributes = {names.CIRCUIT_BREAKER_NAME: _breakers.add(name)}
        self._state = "closed"

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._name

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`."""
        return self._state

    def set(self, state: str, *, failures: int | None = None) -> None:
        """Say in which state the breaker is now, and how many failures it counts. Case and `-` do not matter.

        Raises ValueError for a state that is not `closed`, `open` or `half_open`.
        """
        new = state.lower().replace("-", "_")
        if new not in STATES:
            raise ValueError(f"the state of a circuit breaker is one of {', '.join(STATES)}, not {state!r}")
        with _lock:
            old, self._state = self._state, new
        if old != new:
            self._changed(old, new, failures)

    @_guard.guarded
    def _changed(self, old: str, new: str, failures: int | None) -> None:
        _add(_TRANSITIONS, 1, {**self._attributes, names.CIRCUIT_BREAKER_STATE: new})
        if _dispatch.wanted("llm.circuit_breaker.state"):
            _dispatch.emit(
                "llm.circuit_breaker.state",
                BreakerMeasurements(failures),
                BreakerMetadata(self._name, new, old),
            )

    @_guard.guarded
    def failure(self, count: int = 1) -> None:
        """Calls through the breaker have failed."""
        _add(_FAILURES, count, self._attributes)


def circuit_breaker(name: str) -> CircuitBreaker:
    """Show the state of a circuit breaker of the application's; the same object for the same name.

    `name` is an attribute of the metrics: of those after the first 200 there is no state, and changes and failures
    are counted together, as `_OTHER`.
    """
    with _lock:
        breaker = _watched.get(name) or _others.get(name)
        if breaker is None:
            breaker = CircuitBreaker(name)
            kept = _watched if name in _breakers.known else _others
            kept[name] = breaker
    _observe()
    return breaker


@_guard.guarded
def _observe() -> None:
    watch(_instruments)
