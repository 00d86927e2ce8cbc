"""What calls cost: a price for each as it ends, counters of it, and budgets.

Off unless `cost` is set (`instrument(cost=...)`, `OTEL_INSTRUMENTATION_LLM_COST=true`).
A price that the provider itself returned wins over any table.
A call whose price is not known has no cost, and is counted as unpriced.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

from . import _guard
from ._listeners import listeners, tell
from ._locks import Lock
from ._operation import Outcome
from ._prices import EXACT, Price, PublicPrices, Table, dollars

if TYPE_CHECKING:
    from ._config import Config
    from ._operation import Operation

__all__ = [
    "Budget",
    "Costs",
    "Crossing",
    "Price",
    "Pricer",
    "PublicPrices",
    "Signals",
    "Table",
    "add_budget_listener",
    "pricer",
    "remove_budget_listener",
]

_MAX_TOLD = 1000
"""Models that a warning names."""

_log = logging.getLogger("otel_llm")

Pricer = Callable[["Operation"], "Decimal | None"]
"""Prices an ended call in US dollars, None where it has no price for it."""


def pricer(setting: Any) -> Pricer | None:
    """Make the pricer that the setting `cost` asks for; None when it is off.

    True: list prices (`PublicPrices`); a function of the operation; a mapping: a `Table`; a sequence of
    these: asked in order, the first price counts.

    Raises ImportError when list prices are asked for without the extra `cost`, TypeError or ValueError for a
    setting that is none of these.
    """
    if setting is None or setting is False:
        return None
    if setting is True:
        return PublicPrices()
    if isinstance(setting, Mapping):
        return Table(cast("Mapping[str, Any]", setting))
    if callable(setting):
        return setting  # type: ignore[no-any-return]
    if isinstance(setting, Sequence) and not isinstance(setting, str):
        parts = cast("tuple[Any, ...]", setting)
        several = [pricer(part) for part in parts]
        return lambda op: next((price for one in several if one and (price := one(op)) is not None), None)
    raise TypeError(f"cost must be true, a function, a mapping or a sequence of these, not {setting!r}")


@dataclass(frozen=True, slots=True)
class Crossing:
    """A budget was exceeded."""

    scope: Literal["call", "window"]
    limit: Decimal
    """US dollars."""
    spent: Decimal
    """US dollars: by the call, or in the window so far."""
    operation: Operation
    """The call that crossed it; its record is frozen."""

    @property
    def exceeded_by(self) -> Decimal:
        """US dollars over the limit."""
        return EXACT.subtract(self.spent, self.limit)


_lock = Lock()


class Budget:
    """Limits in US dollars on one call and on a window of time, for this process.

    Windows do not overlap: one starts with the first priced call after the last has passed.
    Every call over its limit is reported, a window once.
    """

    __slots__ = ("_call", "_clock", "_ends", "_limit", "_pid", "_reported", "_seconds", "_spent")

    def __init__(
        self,
        *,
        call: Decimal | None = None,
        window: Decimal | None = None,
        seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`call` and `window` are the limits, None for none; `seconds` is the window's length."""
        self._call = call
        self._limit = window
        self._seconds = seconds
        self._clock = clock
        self._ends = float("-inf")
        self._spent = Decimal(0)
        self._reported = False
        self._pid = os.getpid()

    @property
    def spent(self) -> Decimal:
        """US dollars spent in the newest window."""
        return self._spent

    def spend(self, op: Operation, cost: Decimal) -> tuple[Crossing, ...]:
        """Add what a call cost; the limits that it crossed. Safe to call from any thread."""
        crossings: tuple[Crossing, ...] = ()
        if self._call is not None and cost > self._call:
            crossings = (Crossing("call", self._call, cost, op),)
        limit = self._limit
        if limit is None:
            return crossings
        with _lock:
            self._turn()
            spent = self._spent = EXACT.add(self._spent, cost)
            if self._reported or spent <= limit:
                return crossings
            self._reported = True
        return (*crossings, Crossing("window", limit, spent, op))

    def _turn(self) -> None:
        """Start a new window if the last is over; a child process starts with its own."""
        now = self._clock()
        if now >= self._ends or self._pid != os.getpid():
            self._pid = os.getpid()
            self._ends = now + self._seconds
            self._spent = Decimal(0)
            self._reported = False


_budget_listeners: tuple[Callable[[Crossing], object], ...] = ()


def add_budget_listener(fn: Callable[[Crossing], object]) -> None:
    """Call `fn` with every `Crossing`, once per crossing, on the thread whose call crossed it."""
    global _budget_listeners  # noqa: PLW0603
    with _lock:
        if fn not in _budget_listeners:
            _budget_listeners = (*_budget_listeners, fn)


def remove_budget_listener(fn: Callable[[Crossing], object]) -> None:
    """Stop calling `fn`; no error if it was not added."""
    global _budget_listeners  # noqa: PLW0603
    with _lock:
        _budget_listeners = tuple(other for other in _budget_listeners if other != fn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """The instruments of cost, as bound functions of a value and attributes; None for one that is off."""

    attributes: Callable[[Operation], dict[str, Any]]
    """The attributes that a call's metric points have, each with a bounded number of values."""
    cost: Callable[[float, dict[str, Any]], object] | None = None
    """`add` of `otel_llm.cost`."""
    last_cost: Callable[[float, dict[str, Any]], object] | None = None
    """`set` of `otel_llm.last_cost`."""
    unpriced: Callable[[int, dict[str, Any]], object] | None = None
    """`add` of `otel_llm.unpriced.calls`."""
    crossings: Callable[[int, dict[str, Any]], object] | None = None
    """`add` of `otel_llm.budget.crossings`."""
    event: Callable[[Crossing], object] | None = None
    """Tells of a crossing as the event `otel_llm.budget.exceeded`."""


_CROSSING = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
"""What a crossing says of the call, beside its scope."""


def _costs_something(op: Operation) -> bool:
    """Whether a call without a price hides one: fetching a stored answer is free, so is a refused call."""
    return op.name != "fetch_response" and (op.usage is not None or op.outcome is not Outcome.FAILED)


class Costs:
    """Prices calls as they end, counts what they cost and keeps the budgets."""

    __slots__ = ("_budget", "_price", "_signals", "_told")

    def __init__(
        self, price: Pricer, *, budget: Budget | None = None, signals: Signals | None = None
    ) -> None:
        self._price = price
        self._budget = budget
        self._signals = signals
        self._told: set[tuple[str, str | None]] = set()

    @classmethod
    def load(cls, config: Config, *, signals: Signals | None = None) -> Costs | None:
        """Make what the settings ask for; None when cost is off. Budgets without `cost` use list prices.

        Raises as `pricer` does.
        """
        limited = config.cost_threshold is not None or config.cost_budget is not None
        price = pricer(config.cost if config.cost is not None else limited)
        if price is None:
            return None
        budget = Budget(call=config.cost_threshold, window=config.cost_budget, seconds=config.cost_window)
        return cls(price, budget=budget if limited else None, signals=signals)

    def attach(self) -> None:
        """Price the calls of every recorder that has no prices of its own; of several, the newest does."""
        with _lock:
            _attach(*(other for other in _attached if other is not self), self)

    def detach(self) -> None:
        """Undo `attach`; one attached before takes over again."""
        with _lock:
            _attach(*(other for other in _attached if other is not self))

    @_guard.guarded
    def finish(self, op: Operation) -> None:
        """Set `op.cost`; it stays None where no price is known."""
        if op.server is not None and op.server.cost is not None:
            op.cost = dollars(op.server.cost)
            return
        price = self._price(op)
        if price is not None:
            op.cost = dollars(price)

    @_guard.guarded
    def end(self, op: Operation) -> None:
        """Count the cost of an ended call and hold it against the budgets."""
        if op.cost is None:
            if _costs_something(op):
                self._unpriced(op)
            return
        signals = self._signals
        if signals is not None:
            attributes = signals.attributes(op)
            amount = float(op.cost)
            if signals.cost is not None:
                signals.cost(amount, attributes)
            if signals.last_cost is not None:
                signals.last_cost(amount, attributes)
        if self._budget is not None:
            for crossing in self._budget.spend(op, op.cost):
                self._crossed(crossing)

    def _unpriced(self, op: Operation) -> None:
        if self._signals is not None and self._signals.unpriced is not None:
            self._signals.unpriced(1, self._signals.attributes(op))
        model = (op.provider, op.response_model or op.request_model)
        if model not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(model)
            _log.warning("No price is known for calls of %s %s: the cost lacks them", *model)

    def _crossed(self, crossing: Crossing) -> None:
        signals = self._signals
        if signals is not None and signals.crossings is not None:
            known = signals.attributes(crossing.operation)
            attributes = {name: known[name] for name in _CROSSING if name in known}
            signals.crossings(1, attributes | {"otel_llm.budget.scope": crossing.scope})
        if signals is not None and signals.event is not None:
            signals.event(crossing)
        tell(_budget_listeners, crossing)


_attached: tuple[Costs, ...] = ()


def _attach(*costs: Costs) -> None:
    global _attached  # noqa: PLW0603
    _attached = costs
    listeners.costs = costs[-1] if costs else None
