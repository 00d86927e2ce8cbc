"""Telemetry captured in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from . import _snapshot
from ._points import Point, Points

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.view import View
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

    from ._sdk import Sdk

__all__ = ["Capture", "capture"]


def _sdk() -> type[Sdk]:
    try:
        from ._sdk import Sdk  # noqa: PLC0415 - only who captures needs the SDK
    except ModuleNotFoundError as error:
        raise ImportError(
            "otel_llm.testing.capture needs the OpenTelemetry SDK: pip install 'otel-llm[otlp]'",
            name=error.name,
        ) from error
    return Sdk


class Capture:
    """Providers that are not global, and what was recorded through them. Made by `capture()`.

    with capture() as telemetry:
        telemetry.instrument()
        ...
        assert [span.name for span in telemetry.spans()] == ["chat gpt-4o"]
    """

    def __init__(
        self,
        *,
        sampler: Sampler | None = None,
        resource: Mapping[str, Any] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        self._sdk = _sdk()(sampler=sampler, resource=dict(resource or {}), views=views)
        self._lock = threading.Lock()
        self._points = Points()
        self._undo: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._undo:
            self._undo.pop()()
        self._sdk.shutdown()

    @property
    def tracer_provider(self) -> TracerProvider:
        """The SDK's provider whose spans are kept."""
        return self._sdk.tracer_provider

    @property
    def meter_provider(self) -> MeterProvider:
        """The SDK's provider whose measurements are kept."""
        return self._sdk.meter_provider

    @property
    def logger_provider(self) -> LoggerProvider:
        """The SDK's provider whose log records are kept."""
        return self._sdk.logger_provider

    @property
    def providers(self) -> dict[str, Any]:
        """The three as keywords of `LLMInstrumentor().instrument()`."""
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    def instrument(self, **settings: Any) -> None:
        """Instrument every known SDK with these providers and `settings`, until the capture ends.

        Raises `RuntimeError` when something is instrumented already.
        """
        from otel_llm.instrumentor import LLMInstrumentor  # noqa: PLC0415 - captures serve without it too

        instrumentor = LLMInstrumentor()
        if instrumentor.is_instrumented_by_opentelemetry:
            raise RuntimeError("the SDKs are instrumented already: uninstrument them first")
        instrumentor.instrument(**self.providers, **settings)
        self._undo.append(instrumentor.uninstrument)

    def spans(self) -> list[ReadableSpan]:
        """Finished spans, in the order of their start."""
        return self._sdk.spans.ended()

    def open_spans(self) -> list[ReadableSpan]:
        """Spans that were started and have not ended."""
        return self._sdk.spans.open()

    def points(self) -> dict[str, list[Point]]:
        """What was measured since the start or `clear`, per metric."""
        with self._lock:
            self._points.add(self._sdk.reader.get_metrics_data())
            return self._points.by_name()

    def logs(self) -> list[Any]:
        """The SDK's log records with their scope (`.log_record`, `.instrumentation_scope`), as emitted."""
        return self._sdk.logs.records()

    def clear(self) -> None:
        """Forget what was recorded so far; up-down counters keep their value."""
        with self._lock:
            self._sdk.reader.get_metrics_data()
            self._points.clear()
        self._sdk.spans.clear()
        self._sdk.logs.clear()

    def tree(self) -> str:
        """The names of the finished spans, one a line, each indented under its parent."""
        return _snapshot.tree(self.spans())

    def span_snapshot(self) -> list[dict[str, Any]]:
        """The finished spans as plain data that is the same in each run (see `snapshot`)."""
        return _snapshot.of_spans(self.spans())

    def metric_snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """The points as plain data that is the same in each run (see `snapshot`)."""
        return _snapshot.of_points(self.points())

    def log_snapshot(self) -> list[dict[str, Any]]:
        """The log records as plain data that is the same in each run (see `snapshot`)."""
        return _snapshot.of_logs(self.logs(), self.spans())

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain data for inline snapshots.

        Ids are replaced (`span_1` is the first span that started) and a parent is told by its name.
        Times and ports in attributes become `<seconds>` and `<port>`; a histogram of seconds keeps its count.
        Raises `AssertionError` when a span ends before it starts or starts before its parent, or has an event
        that lies outside of its time.
        """
        return {"spans": self.span_snapshot(), "metrics": self.metric_snapshot(), "logs": self.log_snapshot()}


def capture(
    *,
    sampler: Sampler | None = None,
    resource: Mapping[str, Any] | None = None,
    views: Sequence[View] = (),
) -> Capture:
    """Capture spans, metric points and log records in memory; a context manager.

    Raises `ImportError` naming the extra `otlp` when the OpenTelemetry SDK is missing.
    """
    return Capture(sampler=sampler, resource=resource, views=views)
