"""Every call to an LLM provider SDK as one true OpenTelemetry span.

Nothing is imported before it is used: a program that is only instrumented pays for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import hooks, logger, redactors, sampling
    from ._operation import Attempt, ErrorInfo, Operation, Outcome, RateLimit, Usage
    from ._options import options, session
    from .helpers import cache, circuit_breaker, tool, traced, track
    from .instrumentor import LLMInstrumentor, instrument_client, uninstrument_client
    from .request_log import RequestLog

__all__ = [
    "Attempt",
    "ErrorInfo",
    "LLMInstrumentor",
    "Operation",
    "Outcome",
    "RateLimit",
    "RequestLog",
    "Usage",
    "__version__",
    "cache",
    "circuit_breaker",
    "hooks",
    "instrument_client",
    "logger",
    "options",
    "redactors",
    "sampling",
    "session",
    "tool",
    "traced",
    "track",
    "uninstrument_client",
]

_HOME = {
    **dict.fromkeys(("Attempt", "ErrorInfo", "Operation", "Outcome", "RateLimit", "Usage"), "_operation"),
    **dict.fromkeys(("options", "session"), "_options"),
    **dict.fromkeys(("cache", "circuit_breaker", "tool", "traced", "track"), "helpers"),
    **dict.fromkeys(("LLMInstrumentor", "instrument_client", "uninstrument_client"), "instrumentor"),
    "RequestLog": "request_log",
}
"""The module that each name is in; names that are not here are modules themselves."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME.get(name)
    value = import_module(f".{home or name}", __name__)
    if home is not None:
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
