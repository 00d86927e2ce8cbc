"""Which recorder helpers use, and what `instrument()` switches on beside the drivers."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ._config import Config
from ._locks import Lock
from ._recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["active", "follow", "off", "on", "watch"]

_lock = Lock()
_used: list[Recorder] = []
_watchers: list[Callable[[Recorder], object]] = []
_followers: list[Callable[[Config | None], object]] = []


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


def follow(fn: Callable[[Config | None], object]) -> None:
    """Call `fn` with the settings for reports of streams, now and when they change; None without `instrument()`."""
    _followers.append(fn)
    fn(_reporting())


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


def _configs() -> list[Config]:
    """The newest first."""
    return [recorder.config for recorder in reversed(_used)]


def _reporting() -> Config | None:
    configs = _configs()
    newest = configs[0] if configs else None
    return next((config for config in configs if config.on_progress is not None), newest)


def _apply() -> None:
    """Switch reports and the log on or off; of several settings the newest that asks for something counts."""
    config = _reporting()
    if config is not None and config.on_progress is not None:
        import_module("._progress", __package__)  # it follows
    for fn in _followers:
        fn(config)
    level = next((config.log for config in _configs() if config.log != "off"), None)
    if level is not None or _logs:
        from . import logger  # noqa: PLC0415 - only who wants a log needs it

        if level is None:
            logger.detach()
        else:
            logger.attach(level)
    _logs[:] = [level] if level is not None else []


_logs: list[str] = []
"""The level at which the settings, and not the application itself, attached the logger."""
