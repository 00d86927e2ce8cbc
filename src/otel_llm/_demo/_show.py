"""The traces as a tree, and the metrics and events beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..semconv import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
    from rich.console import Console

    from ._receiver import Receiver, Span

__all__ = ["show"]

_SECOND = 1_000_000_000


def show(console: Console, received: Receiver) -> None:
    """Print everything that was received."""
    rows = [(f"{guide}{span.name}", guide, below, span) for guide, below, span in _walk(received.spans)]
    width = max((len(text) for text, *_ in rows), default=0) + 2
    _line(console, f"[bold]{'span':{width}}{_columns('duration', 'first chunk', 'tokens')}  outcome[/]")
    for text, guide, below, span in rows:
        duration, first, tokens, outcome = _figures(span)
        name = f"[dim]{guide}[/]{_name(span)}" + " " * (width - len(text))
        _line(console, f"{name}{_columns(duration, first, tokens)}  {outcome}")
        for note in _notes(span):
            _line(console, f"[dim]{below}   {_plain(note)}[/]")
    _line(console, f"\n[bold]{'metric':44}{'count':>10}{'sum':>14}[/]")
    for metric in sorted(received.metrics, key=lambda metric: metric.name):
        count, total = _measured(metric)
        _line(console, f"{metric.name:44}{count:>10}{total:>14}")
    for text in _events(received.logs):
        _line(console, f"\n[bold]event[/]\n{text}")


def _line(console: Console, markup: str) -> None:
    console.print(markup.rstrip(), highlight=False, soft_wrap=True)


def _plain(text: str) -> str:
    """`text` with nothing in it taken for markup."""
    return text.replace("[", "\\[")


def _columns(duration: str, first: str, tokens: str) -> str:
    return f"{duration:>9}{first:>13}{tokens:>13}"


def _walk(spans: Sequence[Span]) -> Iterator[tuple[str, str, Span]]:
    """Spans in the order of a tree: the lines that lead to each, those that go on below it, and the span."""
    known = {span.id for span in spans}
    children: dict[bytes, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        children.setdefault(span.parent if span.parent in known else b"", []).append(span)

    def below(parent: bytes, lead: str) -> Iterator[tuple[str, str, Span]]:
        here = children.get(parent, [])
        for span in here:
            is_last = span is here[-1]
            guide, on = ("", "") if parent == b"" else ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            yield lead + guide, lead + on + ("│" if span.id in children else " "), span
            yield from below(span.id, lead + on)

    return below(b"", "")


def _name(span: Span) -> str:
    style = "red" if span.error else "bold" if names.OUTCOME in span.attributes else "none"
    return f"[{style}]{_plain(span.name)}[/]"


def _figures(span: Span) -> tuple[str, str, str, str]:
    found = span.attributes
    first = found.get(names.TIME_TO_FIRST_CHUNK)
    used = [found.get(names.USAGE_INPUT_TOKENS), found.get(names.USAGE_OUTPUT_TOKENS)]
    tokens = " → ".join(str(count) for count in used if count is not None)
    outcome = found.get(names.OUTCOME, "")
    style = {"completed": "green", "failed": "red"}.get(outcome, "yellow")
    return (
        _seconds((span.end - span.start) / _SECOND),
        "" if first is None else _seconds(first),
        tokens,
        f"[{style}]{outcome}[/]" if outcome else "",
    )


def _notes(span: Span) -> Iterator[str]:
    """What is worth a line of its own."""
    found = span.attributes
    if names.ERROR_TYPE in found:
        status = found.get(names.RESPONSE_STATUS_CODE)
        yield " ".join(str(part) for part in (status, found[names.ERROR_TYPE]) if part) + f" ({span.error})"
    attempts = found.get(names.REQUEST_ATTEMPTS)
    if attempts is not None:
        statuses = ", ".join(str(status or "no response") for status in found.get(names.ATTEMPT_STATUSES, ()))
        yield f"{attempts} attempts: {statuses}, then waited {_seconds(found.get(names.RETRY_DELAY, 0.0))}"
    if names.RESPONSE_TOOL_CALLS in found:
        yield "asks for " + ", ".join(found[names.RESPONSE_TOOL_CALLS])
    tokens = [
        f"{found[name]} {what}"
        for name, what in (
            (names.USAGE_CACHE_READ_INPUT_TOKENS, "input tokens from the cache"),
            (names.USAGE_REASONING_OUTPUT_TOKENS, "output tokens of reasoning"),
        )
        if found.get(name)
    ]
    if tokens:
        yield ", ".join(tokens)
    if names.STREAM_CHUNKS in found:
        yield f"{found[names.STREAM_CHUNKS]} chunks"
    if names.COST in found:
        yield f"{found[names.COST]:.6f} US dollars"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _measured(metric: Metric) -> tuple[str, str]:
    """How many measurements a metric has, and their sum with its unit."""
    if metric.HasField("histogram"):
        points: Any = metric.histogram.data_points
        return str(sum(point.count for point in points)), _amount(
            sum(point.sum for point in points), metric.unit
        )
    points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
    values = [point.as_int if point.HasField("as_int") else point.as_double for point in points]
    return "", _amount(sum(values), metric.unit)


def _amount(value: float, unit: str) -> str:
    shown = _seconds(value) if unit == "s" else f"{value:g}"
    return shown if unit in ("s", "1", "") else f"{shown} {unit.strip('{}')}"


def _events(logs: Sequence[LogRecord]) -> Iterator[str]:
    from ._receiver import attributes  # noqa: PLC0415 - needs the extra

    for record in logs:
        if record.event_name:
            found = attributes(record.attributes)
            about = found.get(names.EXCEPTION_TYPE) or found.get(names.REQUEST_MODEL) or ""
            yield f"{record.event_name}  {about}".rstrip()
