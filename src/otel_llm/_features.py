"""What `instrument()` switches on beside the drivers when its settings ask for it.

That is prices and budgets, reports of streams, the log and the live view.
Each is undone by `uninstrument()`.
A feature whose extra is missing says so once; the calls are recorded without it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import _active, _attributes
from .semconv import own

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._recorder import Recorder
    from .cost import Signals

__all__ = ["switch_on"]

_log = logging.getLogger("otel_llm")


def switch_on(recorder: Recorder) -> list[Callable[[], object]]:
    """Start what the recorder's settings ask for; returns what undoes it, in the order of undoing."""
    undo: list[Callable[[], object]] = []
    for feature in (_prices, _reports, _live):
        try:
            undo[:0] = feature(recorder)
        except ImportError as error:
            _log.warning("%s", error)
    return undo


def _prices(recorder: Recorder) -> list[Callable[[], object]]:
    config = recorder.config
    if config.cost is None and config.cost_threshold is None and config.cost_budget is None:
        return []  # nothing of it is set; what is, `Costs` judges
    from .cost import Costs  # noqa: PLC0415 - only who wants prices needs it

    costs = Costs.load(config, signals=_signals(recorder))
    if costs is None:
        return []
    recorder.costs = costs
    costs.attach()
    return [costs.detach]


def _signals(recorder: Recorder) -> Signals:
    from .cost import Signals  # noqa: PLC0415 - as above

    made = {
        item.name: item.create(recorder.meter)
        for item in own.INSTRUMENTS
        if item.group in ("cost", "budget") and item.group in recorder.kinds
    }
    return Signals(
        attributes=_attributes.answered,
        cost=getattr(made.get("otel_llm.cost"), "add", None),
        last_cost=getattr(made.get("otel_llm.last_cost"), "set", None),
        unpriced=getattr(made.get("otel_llm.unpriced.calls"), "add", None),
        crossings=getattr(made.get("otel_llm.budget.crossings"), "add", None),
        event=recorder.budget,
    )


def _reports(recorder: Recorder) -> list[Callable[[], object]]:
    _active.on(recorder)
    return [lambda: _active.off(recorder)]


def _live(recorder: Recorder) -> list[Callable[[], object]]:
    if recorder.config.live is None:
        return []
    from .live.server import serve_setting  # noqa: PLC0415 - an extra of its own

    server = serve_setting(recorder.config.live, token=recorder.config.live_token)
    return [] if server is None else [server.stop]
