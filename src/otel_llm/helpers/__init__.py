"""For what no instrumented SDK does: calls of your own, tools, caches and circuit breakers.

All use the settings and OpenTelemetry providers of `instrument()`; without it, those of the environment.
"""

from ._counts import Cache, CircuitBreaker, cache, circuit_breaker
from ._spans import Tool, ToolRun, Traced, tool, traced
from ._track import TrackedCall, Tracker, track

__all__ = [
    "Cache",
    "CircuitBreaker",
    "Tool",
    "ToolRun",
    "Traced",
    "TrackedCall",
    "Tracker",
    "cache",
    "circuit_breaker",
    "tool",
    "traced",
    "track",
]
