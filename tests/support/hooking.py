"""A handler that keeps what it was told."""

from __future__ import annotations

from typing import Any

PHASES = ("start", "attempt", "chunk", "end")


class Seen:
    """What a hook was called with, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, Any, Any]] = []

    def __call__(self, event: str, measurements: Any, metadata: Any, config: Any) -> None:
        self.told.append((event, measurements, metadata, config))

    @property
    def events(self) -> list[str]:
        return [event for event, *_ in self.told]
