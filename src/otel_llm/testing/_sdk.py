"""The OpenTelemetry SDK's side of `capture`: the only module here that imports it."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics.view import View
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["Logs", "Sdk", "Spans"]


class Spans(SpanProcessor):
    """Keeps spans as they start and end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._open: dict[int, tuple[int, ReadableSpan]] = {}
        self._ended: list[tuple[int, ReadableSpan]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """A recording span has started."""
        with self._lock:
            self._open[span.get_span_context().span_id] = (next(self._numbers), span)

    def on_end(self, span: ReadableSpan) -> None:
        """A recording span has ended; `span` is a copy of the one that started."""
        context = span.get_span_context()
        if context is None:
            return
        with self._lock:
            number, _ = self._open.pop(context.span_id)
            if context.trace_flags.sampled:
                self._ended.append((number, span))

    def ended(self) -> list[ReadableSpan]:
        """Finished spans in the order of their start, whatever their clock says."""
        with self._lock:
            return [span for _, span in sorted(self._ended, key=lambda entry: entry[0])]

    def open(self) -> list[ReadableSpan]:
        """Spans that were started and have not ended."""
        with self._lock:
            return [span for _, span in self._open.values()]

    def clear(self) -> None:
        """Forget the finished ones."""
        with self._lock:
            self._ended.clear()


class Logs(LogRecordProcessor):
    """Keeps log records; their class differs between versions of the SDK, each has a `log_record`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        """A record was emitted."""
        with self._lock:
            self._records.append(log_record)

    emit = on_emit

    def records(self) -> list[Any]:
        """All records in the order of their emission."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Forget the records."""
        with self._lock:
            self._records.clear()

    def shutdown(self) -> None:
        """Nothing to shut down."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
        """Nothing is held back."""
        return True


class Sdk:
    """One set of providers, not global, whose telemetry stays in memory."""

    def __init__(
        self,
        *,
        sampler: Sampler | None = None,
        resource: dict[str, Any] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        described = Resource(resource or {"service.name": "test"})
        self.spans, self.logs = Spans(), Logs()
        self.tracer_provider = TracerProvider(sampler=sampler, resource=described, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(self.spans)
        # Deltas add up: so `clear` can forget what was before. Up-down counters tell their state.
        delta = AggregationTemporality.DELTA
        self.reader = InMemoryMetricReader(
            preferred_temporality=dict.fromkeys((Counter, Histogram, ObservableCounter), delta)
        )
        self.meter_provider = MeterProvider([self.reader], described, shutdown_on_exit=False, views=views)
        self.logger_provider = LoggerProvider(described, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(self.logs)

    def shutdown(self) -> None:
        """Shut the providers down."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()
