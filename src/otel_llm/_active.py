"""Which recorder helpers use, and what `instrument()` switches on beside the drivers."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from . import _progress, logger
from ._config import Config
from ._recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["active", "off", "on", "watch"]

_lock = threading.RLock()
_used: list[Recorder] = []
_watchers: list[Callable[[Recorder], object]] = []


def on(recorder: Recorder) -> None:
    """Take `recorder`, of an `instrument()`, into use."""
    with _lock:
        _used.append(recorder)
        _apply()
    for fn in _watchers:
        fn(recorder)


def watch(fn: Callable[[Recorder], object]) -> None:
    """Call `fn` with every recorder that comes into use, and with the active one now."""
    if fn not in _watchers:
        _watchers.append(fn)
    fn(active())


def off(recorder: Recorder) -> None:
    """Use `recorder` no more; nothing happens if it was not in use."""
    with _lock:
        if recorder in _used:
            _used.remove(recorder)
            _apply()


def active() -> Recorder:
    """The recorder of the newest `instrument()` that was not undone.

    Without any it is one with the settings of the environment and OpenTelemetry's global providers, so that
    helpers work in programs that have no SDK to instrument.
    """
    return _used[-1] if _used else _default()


@cache
def _default() -> Recorder:
    return Recorder(Config.load())


def _apply() -> None:
    """Switch reports and the log on or off; of several settings the newest that asks for something counts."""
    configs = [recorder.config for recorder in reversed(_used)]
    newest = configs[0] if configs else None
    _progress.configure(next((config for config in configs if config.on_progress is not None), newest))
    level = next((config.log for config in configs if config.log != "off"), None)
    if level is not None:
        logger.attach(level)
    elif _logs:
        logger.detach()
    _logs[:] = [level] if level is not None else []


_logs: list[str] = []
"""The level at which the settings, and not the application itself, attached the logger."""
