"""Our own metrics of calls: retries, rate limits, errors, streams, the provider's prompt cache, and what runs now.

A plain call that succeeds at once costs nothing here: counters are for what is out of the ordinary, and the
convention's histograms have the count of everything.
What runs now and what is left of the limits are observable: their callbacks read state that is replaced, last for
the life of the meter, and say nothing when their recorder is off.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry.metrics import MeterProvider, Observation, get_meter_provider

from . import _attributes
from ._attributes import OTHER, low
from ._operation import Outcome
from ._recording import drain, open_recordings
from .semconv import names, own
from .semconv._types import NO_SPAN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Meter

    from ._operation import Attempt, Operation, RateLimit, StreamStats

__all__ = ["Gauges", "OwnMetrics", "gauges"]

_MAX_LIMITS = 200
"""Combinations of provider, host and model whose limits are kept."""
_STALE = 300.0
"""Seconds after which limits that have been reset since are told no more: nobody knows what is left now."""

_ACTIVE = (names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL)
"""What tells running calls apart."""

_ROWS = {item.name: item for item in own.INSTRUMENTS}


def _nothing(*_: object) -> None:
    """Stands in for an instrument that is switched off."""


class OwnMetrics:
    """The synchronous instruments, by bound method."""

    __slots__ = (
        "_attempts",
        "_cache_read",
        "_cache_write",
        "_delay",
        "_errors",
        "_hits",
        "_reasoning",
        "_refreshes",
        "_rejections",
        "_sizes",
        "_streams",
        "_token_rate",
    )

    def __init__(self, meter: Meter, *, kinds: Collection[str], beside_latest: bool) -> None:
        def make(name: str) -> Callable[..., None]:
            row = _ROWS[name]
            if row.group not in kinds:
                return _nothing
            made = row.create(meter)
            recorded: Callable[..., None] = made.record if row.kind == "histogram" else made.add
            return recorded

        self._attempts = make("otel_llm.request.attempts")
        self._delay = make("otel_llm.retry.delay")
        self._refreshes = make("otel_llm.auth.refreshes")
        self._rejections = make("otel_llm.ratelimit.rejections")
        self._errors = make("otel_llm.errors")
        self._streams = make("otel_llm.stream.ended")
        self._sizes = make("otel_llm.stream.chunk.size")
        self._token_rate = make("otel_llm.stream.token_rate")
        self._hits = make("otel_llm.prompt_cache.hits")
        # The newer conventions have counters for these tokens themselves.
        counted = _nothing if beside_latest else None
        self._cache_read = counted or make("otel_llm.usage.cache_read.input_tokens")
        self._cache_write = counted or make("otel_llm.usage.cache_write.input_tokens")
        self._reasoning = counted or make("otel_llm.usage.reasoning.output_tokens")

    def retried(self, attempt: Attempt, common: dict[str, Any], context: Context) -> None:
        """An attempt failed and another one follows."""
        attributes = {**common, names.ERROR_TYPE: low(attempt.error or str(attempt.status))}
        self._delay(attempt.wait, attributes, context)
        self._attempts(1, {**attributes, names.ATTEMPT_OUTCOME: "retried"}, context)
        if attempt.status == 429:  # noqa: PLR2004 - Too Many Requests
            self._rejections(1, common, context)

    def refreshed(self, provider: str) -> None:
        """The SDK fetched a key or token anew."""
        self._refreshes(1, {names.PROVIDER_NAME: provider})

    def sizes(self, values: Iterable[int], attributes: dict[str, Any]) -> None:
        """Bytes of model output in chunks."""
        record = self._sizes
        if record is not _nothing:
            for value in values:
                record(value, attributes, NO_SPAN)

    def end(self, op: Operation, common: dict[str, Any], context: Context, *, sent: bool) -> None:
        """Record what was out of the ordinary about a call; `common` has neither outcome nor error.

        `sent`: the last attempt was sent, and nothing went wrong before it.
        Errors are recorded in the span's `context`, which offers an exemplar; the rest has that of the duration.
        """
        error = op.error
        if error is not None:
            failed = {**common, names.ERROR_TYPE: low(error.type)}
            more = {names.ERROR_CATEGORY: error.category, names.ERROR_RETRYABLE: error.retryable}
            self._errors(1, {**failed, **more}, context)
            if error.status == 429:  # noqa: PLR2004 - Too Many Requests
                self._rejections(1, common, context)
            if error.exception and sent:
                outcome = "exhausted" if op.attempts else "failed"
                self._attempts(1, {**failed, names.ATTEMPT_OUTCOME: outcome}, context)
        elif op.attempts and sent:
            self._attempts(1, {**common, names.ATTEMPT_OUTCOME: _retried_to(op)}, context)
        if op.stream_stats is not None:
            self._stream(op, op.stream_stats, common)
        usage = op.usage
        if usage is None or usage.source == "estimate":
            return
        if usage.cache_read:
            self._cache_read(usage.cache_read, common, NO_SPAN)
            self._hits(1, common, NO_SPAN)
        if usage.cache_write:
            self._cache_write(usage.cache_write, common, NO_SPAN)
        if usage.reasoning:
            self._reasoning(usage.reasoning, common, NO_SPAN)

    def _stream(self, op: Operation, stats: StreamStats, common: dict[str, Any]) -> None:
        ended = {**common, names.OUTCOME: str(op.outcome)}
        self._streams(1, {**ended, names.ERROR_TYPE: low(op.error.type)} if op.error else ended, NO_SPAN)
        if stats.token_rate is not None:
            self._token_rate(stats.token_rate, ended, NO_SPAN)


def _retried_to(op: Operation) -> str:
    """How the last attempt of a call ended that is no error: it was answered, or cancelled before that."""
    server = op.server
    answered = server is not None and server.status is not None and server.status < 400  # noqa: PLR2004 - errors
    return "cancelled" if op.outcome is Outcome.CANCELLED and not answered else "succeeded"


class Gauges:
    """What runs now, and what is left of the limits, of all recorders of one meter provider.

    A callback cannot be taken back and a second one of the same name is ignored, so there is one of each for the life
    of the provider, over recorders that come (`join`) and go (`leave`).
    """

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._recorders: set[object] = set()
        self._limits: dict[tuple[Any, ...], tuple[RateLimit, float]] = {}

    def join(self, recorder: object, meter: Meter, kinds: Collection[str]) -> None:
        """Observe the calls of `recorder` too."""
        self._recorders.add(recorder)
        if "active" in kinds:
            self._make(meter, "otel_llm.request.active", self._active(streams=False))
            self._make(meter, "otel_llm.stream.active", self._active(streams=True))
        if "ratelimit" in kinds:
            for fact in ("remaining", "limit", "reset"):
                for what in ("requests", "tokens"):
                    self._make(meter, f"otel_llm.ratelimit.{fact}.{what}", self._limit(f"{fact}_{what}"))

    def leave(self, recorder: object) -> None:
        """Observe the calls of `recorder` no more; without any, say nothing."""
        self._recorders.discard(recorder)
        if not self._recorders:
            self._limits.clear()

    def _make(
        self, meter: Meter, name: str, callback: Callable[[CallbackOptions], Iterable[Observation]]
    ) -> None:
        if name not in self._made:
            self._made.add(name)
            _ROWS[name].create(meter, [callback])

    def limits(self, ended: dict[str, Any], limit: RateLimit) -> None:
        """Remember the newest limits of a provider's model; `ended` are the attributes of the call's duration."""
        get = ended.get
        key = (
            get(names.PROVIDER_NAME),
            get(names.REQUEST_MODEL),
            get(names.SERVER_ADDRESS),
            get(names.SERVER_PORT),
        )
        if key in self._limits or (len(self._limits) < _MAX_LIMITS and OTHER not in key):
            self._limits[key] = limit, perf_counter()

    def _active(self, *, streams: bool) -> Callable[[CallbackOptions], Iterator[Observation]]:
        seen: dict[tuple[Any, ...], int] = {}

        def observe(_: CallbackOptions) -> Iterator[Observation]:
            if not self._recorders:
                return
            drain()  # whoever reads metrics also ends what has died
            counts = dict.fromkeys(seen, 0)  # what was seen once goes back to 0 and does not vanish
            for recording in open_recordings():
                op = recording.op
                if recording.recorder in self._recorders and (op.stream or not streams):
                    attributes = _attributes.shared(op)
                    key = tuple((name, attributes.get(name)) for name in _ACTIVE)
                    counts[key] = counts.get(key, 0) + 1
            seen.update(counts)
            for key, count in counts.items():
                yield Observation(count, {name: value for name, value in key if value is not None})

        return observe

    def _limit(self, field: str) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            now = perf_counter()
            for key, (limit, said) in list(self._limits.items()):
                age = now - said
                if age > max(_STALE, limit.reset_requests or 0.0, limit.reset_tokens or 0.0):
                    self._limits.pop(key, None)
                    continue
                value = getattr(limit, field)
                if value is not None:
                    left = max(0.0, value - age) if field.startswith("reset") else value
                    yield Observation(left, _limit_attributes(*key))

        return observe


_of_provider: WeakKeyDictionary[MeterProvider, Gauges] = WeakKeyDictionary()
_of_global = Gauges()


def gauges(provider: MeterProvider | None) -> Gauges:
    """The gauges of a meter provider; None is the global one, set already or later."""
    if provider is None or provider is get_meter_provider():
        return _of_global
    return _of_provider.setdefault(provider, Gauges())


def _limit_attributes(
    provider: str, model: str | None, address: str | None, port: int | None
) -> dict[str, Any]:
    values = {
        names.PROVIDER_NAME: provider,
        names.REQUEST_MODEL: model,
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
    }
    return {name: value for name, value in values.items() if value is not None}
