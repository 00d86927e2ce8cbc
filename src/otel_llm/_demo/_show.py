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
    priced = any(names.COST in span.attributes for span in received.spans)
    head = _columns("duration", "first chunk", "tokens", "cost, USD", priced=priced)
    _line(console, f"[bold]{'span':{width}}{head}  outcome[/]")
    for text, guide, below, span in rows:
        name = f"[dim]{guide}[/]{_name(span)}" + " " * (width - len(text))
        _line(console, f"{name}{_columns(*_figures(span), priced=priced)}  {_outcome(span)}")
        for note in _notes(span):
            _line(console, f"[dim]{below}   {_plain(note)}[/]")
    _line(console, f"\n[bold]{'metric':46}{'count':>6}{'mean':>14}{'sum':>16}[/]")
    for metric in sorted(received.metrics, key=lambda metric: metric.name):
        count, mean, total = _measured(metric)
        _line(console, f"{metric.name:46}{count:>6}{mean:>14}{total:>16}")
    for text in _events(received.logs):
        _line(console, f"\n[bold]event[/]\n{text}")


def _line(console: Console, markup: str) -> None:
    console.print(markup.rstrip(), highlight=False, soft_wrap=True)


def _plain(text: str) -> str:
    """`text` with nothing in it taken for markup."""
    return text.replace("[", "\\[")


def _columns(duration: str, first: str, tokens: str, cost: str, *, priced: bool) -> str:
    return f"{duration:>9}{first:>13}{tokens:>12}" + (f"{cost:>11}" if priced else "")


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
    """Duration, time to the first chunk, tokens, and cost."""
    found = span.attributes
    first = found.get(names.TIME_TO_FIRST_CHUNK)
    used = [found.get(names.USAGE_INPUT_TOKENS), found.get(names.USAGE_OUTPUT_TOKENS)]
    return (
        _seconds((span.end - span.start) / _SECOND),
        "" if first is None else _seconds(first),
        " → ".join(str(count) for count in used if count is not None),
        f"{found[names.COST]:.7f}" if names.COST in found else "",
    )


def _outcome(span: Span) -> str:
    outcome = span.attributes.get(names.OUTCOME, "")
    style = {"completed": "green", "failed": "red"}.get(outcome, "yellow")
    return f"[{style}]{outcome}[/]" if outcome else ""


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


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _measured(metric: Metric) -> tuple[str, str, str]:
    """How many measurements a metric has, their mean and their sum; a sum of rates would say nothing."""
    unit = metric.unit
    if metric.HasField("histogram"):
        points: Any = metric.histogram.data_points
        count, total = sum(point.count for point in points), sum(point.sum for point in points)
        return str(count), _amount(total / count, unit), "" if "/" in unit else _amount(total, unit)
    points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
    values = [point.as_int if point.HasField("as_int") else point.as_double for point in points]
    if metric.HasField("gauge") and len(values) > 1:
        return "", "", f"{len(values)} values"
    return "", "", _amount(sum(values), unit)


def _amount(value: float, unit: str) -> str:
    if unit == "s":
        return _seconds(value)
    words = unit.replace("{", "").replace("}", "")
    plural = "s" if unit == f"{{{words}}}" and words.islower() and value != 1 else ""
    return f"{value:.4g} {words}{plural}"


def _events(logs: Sequence[LogRecord]) -> Iterator[str]:
    from ._receiver import attributes  # noqa: PLC0415 - needs the extra

    for record in logs:
        if record.event_name:
            found = attributes(record.attributes)
            about = found.get(names.EXCEPTION_TYPE) or found.get(names.REQUEST_MODEL) or ""
            yield f"{record.event_name}  {about}".rstrip()
