"""A line in the standard log for each call: what it was, how long it took, what it cost.

    otel_llm.logger.attach("info")

or `OTEL_INSTRUMENTATION_LLM_LOG=info`.
The lines go to the logger `otel_llm.calls`: starts and ends at INFO, failures at ERROR, chunks at DEBUG.
They hold no content, no key and no header.
If the program has set up no logging at all, they are written to standard error.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from . import hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .hooks import CallMeasurements, CallMetadata, ChunkMeasurements, StartMeasurements, StreamMetadata

__all__ = ["NAME", "attach", "detach"]

NAME = "otel_llm.calls"
"""The logger that the lines go to."""

_log = logging.getLogger(NAME)
_ID = "otel_llm.logger"


class _Fallback(logging.StreamHandler[Any]):
    """Writes to standard error as long as nobody has set up logging."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if not self._others():
            self.stream = sys.stderr  # as it is now
            super().emit(record)

    def _others(self) -> bool:
        """Whether a line reaches any other handler."""
        logger: logging.Logger | None = _log
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


_fallback = _Fallback()


def attach(level: int | str = logging.INFO) -> None:
    """Write a line per event at `level` or above; attaching again changes the level.

    Raises ValueError for a level that the standard library does not know.
    """
    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    if number is None:
        raise ValueError(f"unknown log level {level!r}")
    detach()
    _log.setLevel(number)
    _log.addHandler(_fallback)
    hooks.attach_many(_ID, {event: line for event, (at, line) in _LINES.items() if at >= number})


def detach() -> None:
    """Write no more lines."""
    hooks.detach(_ID)
    _log.removeHandler(_fallback)
    _log.setLevel(logging.NOTSET)


def _text(value: str | None) -> str:
    """A value as one word of a line: what a provider sends must not begin a line of its own."""
    if value is None:
        return "?"
    return value if value.isprintable() else ascii(value)


def _extra(metadata: CallMetadata) -> dict[str, object]:
    """Attributes of the log record, for handlers that keep them (OpenTelemetry's does)."""
    values = {
        "gen_ai.provider.name": metadata.provider,
        "gen_ai.operation.name": metadata.operation,
        "gen_ai.request.model": metadata.model,
        "gen_ai.response.id": metadata.response_id,
        "error.type": metadata.error and metadata.error.type,
        "otel_llm.call.id": metadata.id,
        "otel_llm.trace_id": metadata.trace_id,
        "otel_llm.span_id": metadata.span_id,
    }
    return {name: value for name, value in values.items() if value is not None}


def _started(_event: str, _measurements: StartMeasurements, metadata: CallMetadata, _config: object) -> None:
    _log.info(
        "LLM request started: %s:%s id=%s trace_id=%s",
        _text(metadata.provider),
        _text(metadata.model),
        metadata.id,
        metadata.trace_id,
        extra=_extra(metadata),
    )


def _ended(_event: str, measurements: CallMeasurements, metadata: CallMetadata, _config: object) -> None:
    parts = [f"duration={measurements.duration * 1000:.1f}ms"]
    if measurements.first_chunk is not None:
        parts.append(f"first_chunk={measurements.first_chunk * 1000:.1f}ms")
    if measurements.total_tokens is not None:
        parts.append(f"tokens={measurements.total_tokens}")
    if measurements.cost is not None:
        parts.append(f"cost=${measurements.cost:f}")
    if metadata.attempts > 1:
        parts.append(f"attempts={metadata.attempts}")
    error = metadata.error
    if error is not None:
        parts.append(f"error={_text(error.type)} category={error.category}")
        if error.status is not None:
            parts.append(f"status={error.status}")
    parts.append(f"id={metadata.id} trace_id={metadata.trace_id}")
    if metadata.response_id is not None:
        parts.append(f"response_id={_text(metadata.response_id)}")
    _log.log(
        logging.INFO if error is None else logging.ERROR,
        "LLM request %s: %s:%s %s",
        metadata.outcome,
        _text(metadata.provider),
        _text(metadata.model),
        " ".join(parts),
        extra=_extra(metadata),
    )


def _chunk(_event: str, measurements: ChunkMeasurements, metadata: StreamMetadata, _config: object) -> None:
    _log.debug(
        "LLM stream chunk: %s:%s chunks=%d bytes=%d elapsed=%.1fms id=%s",
        _text(metadata.provider),
        _text(metadata.model),
        measurements.chunks,
        measurements.bytes,
        measurements.elapsed * 1000,
        metadata.id,
    )


_LINES: Mapping[str, tuple[int, Callable[[str, Any, Any, Any], object]]] = {
    **{
        f"llm.{component}.{phase}": (level, line)
        for component in ("chat", "embeddings", "text_completion", "operation")
        for phase, level, line in (
            ("start", logging.INFO, _started),
            ("stop", logging.INFO, _ended),
            ("exception", logging.ERROR, _ended),
        )
    },
    "llm.stream.chunk": (logging.DEBUG, _chunk),
}
