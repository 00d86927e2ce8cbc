"""The one place that swallows our own errors: telemetry never breaks a call.

`guarded` marks a function that stands between the application and us: an exception in it is caught here, the
function's caller gets None, and the application notices nothing.
Only `Exception` is caught: an interrupt or a cancellation is the application's.
Each code line that fails warns once, later failures of it are logged at debug level.
Tests set `strict`: then errors of ours are raised, so that none hides.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")

_log = logging.getLogger("otel_llm")
_warned: set[tuple[str, int]] = set()
_MAX_WARNED = 1000

strict = False
"""Raise what would be swallowed. For tests."""

SITES: list[Callable[..., object]] = []
"""Every guarded function: the fault-injection test makes each of them raise."""


def caught(error: BaseException, *, what: str = "telemetry of an LLM call") -> None:
    """Report `error`, which was ours or a user's hook's, and go on.

    The report holds no text of the exception: that may quote content or a key.
    """
    if strict:
        raise error
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ("", 0)
    if line in _warned or len(_warned) >= _MAX_WARNED:
        _log.debug("Error in %s at %s:%d: %s (reported before)", what, *line, type(error).__name__)
        return
    _warned.add(line)
    _log.warning(
        "Error in %s at %s:%d: %s. The call itself is not affected; further errors there are logged at debug level.",
        what,
        *line,
        type(error).__name__,
    )


def guarded(fn: Callable[_P, _R]) -> Callable[_P, _R | None]:
    """Let no `Exception` of `fn` through: report it and return None."""

    @functools.wraps(fn)
    def site(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            caught(error)
            return None

    SITES.append(site)
    return site


def forget() -> None:
    """Warn again about lines that warned before. For tests."""
    _warned.clear()
