"""Questions about the calls that are kept: filters, sums by group, comparison.

Pure functions; docs/live-api.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any, Final

from ._calls import money
from ._json import is_dict, is_list, loads
from ._quantiles import exact_stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ._calls import Call
    from ._store import Kept

__all__ = [
    "COMPARED",
    "GROUPS",
    "MAX_DURATION_MS",
    "MAX_LIMIT",
    "MAX_SEQ",
    "MAX_TEXT",
    "WINDOW",
    "BadQuery",
    "Filter",
    "bounded",
    "compare",
    "flag",
    "flat",
    "flat_summary",
    "groups",
    "number",
    "summary_row",
    "whole",
]

GROUPS: Final[dict[str, Callable[[Call], str | None]]] = {
    "model": lambda call: call.model or None,
    "provider": lambda call: call.provider,
    "endpoint": lambda call: call.endpoint,
    "service": lambda call: call.service,
    "operation": lambda call: call.operation,
    "outcome": lambda call: call.outcome,
    "error": lambda call: call.error,
}
"""What calls can be grouped and filtered by."""

BOUNDS_MS: Final = tuple(accumulate(repeat(2, 14), int.__mul__, initial=10))
"""Of the comparison's histogram: 10 ms, doubling, to 164 s."""

_TRUE: Final = ("true", "1")
_FALSE: Final = ("false", "0")
COMPARED: Final = ("model", "provider", "endpoint")
"""What `compare` can put side by side."""
MAX_TEXT: Final = 200
"""Characters of what is searched for."""
WINDOW: Final = (0.001, 366 * 24 * 3600.0)
"""Seconds, at least and at most."""
MAX_DURATION_MS: Final = 1e12
MAX_LIMIT: Final = 1000
"""Rows of a page."""
MAX_SEQ: Final = 2**62
_DIGITS: Final = len(str(MAX_SEQ))


class BadQuery(ValueError):  # noqa: N818 - an answer
    """A parameter cannot be used; the text names the parameter and does not hold its value."""


@dataclass(slots=True, frozen=True)
class Filter:
    """Which calls are asked for; an empty filter lets all through."""

    fields: Mapping[str, frozenset[str]]
    words: tuple[str, ...] = ()
    stream: bool | None = None
    errors: bool = False
    min_ms: float = 0.0
    conversation: str | None = None
    trace: str | None = None
    since: float = 0.0
    """Only calls that ended later; seconds since the epoch."""

    @classmethod
    def parse(cls, query: Sequence[tuple[str, str]], *, now: float) -> Filter:
        """Read a query string's pairs, others than a filter's are ignored. Raises `BadQuery`."""
        fields: dict[str, set[str]] = defaultdict(set)
        for name, value in query:
            if name in GROUPS:
                fields[name].add(value)
        one = dict(query)
        window = number(one, "window", *WINDOW)
        return cls(
            fields={name: frozenset(values) for name, values in fields.items()},
            words=tuple(bounded(one, "q").lower().split()),
            stream=flag(one, "stream"),
            errors=bool(flag(one, "errors")),
            min_ms=number(one, "min_ms", 0, MAX_DURATION_MS) or 0.0,
            conversation=bounded(one, "conversation") or None,
            trace=bounded(one, "trace") or None,
            since=now - window if window is not None else 0.0,
        )

    def matches(self, kept: Kept) -> bool:
        """Whether a call is asked for."""
        call = kept.call
        for name, values in self.fields.items():
            value = GROUPS[name](call)
            if value not in values and not (name == "model" and call.response_model in values):
                return False
        return (
            (not self.errors or call.failed)
            and (self.stream is None or call.stream is self.stream)
            and call.duration_ms >= self.min_ms
            and (self.conversation is None or call.conversation_id == self.conversation)
            and (self.trace is None or call.trace_id == self.trace)
            and call.end >= self.since
            and all(_has_word(kept, word) for word in self.words)
        )


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """Yes or no in the query, None when it is not given. Raises `BadQuery`."""
    text = query.get(name)
    if text in (None, ""):
        return None
    if text not in (*_TRUE, *_FALSE):
        raise BadQuery(f"{name} must be true or false")
    return text in _TRUE


def number(query: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    """A number in the query, None when it is not given. Raises `BadQuery`."""
    text = query.get(name)
    if text in (None, ""):
        return None
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise BadQuery(f"{name} must be a number from {least:g} to {most:g}")
    return value


def whole(query: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    """A whole number in the query. Raises `BadQuery`."""
    text = query.get(name)
    if text in (None, ""):
        return default
    usable = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    if not usable or not least <= int(text) <= most:
        raise BadQuery(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def bounded(query: Mapping[str, str], name: str) -> str:
    """A text in the query that is not too long, empty when it is not given. Raises `BadQuery`."""
    text = query.get(name, "")
    if len(text) > MAX_TEXT:
        raise BadQuery(f"{name} must have at most {MAX_TEXT} characters")
    return text


def _has_word(kept: Kept, word: str) -> bool:
    call = kept.call
    texts = (
        call.id, call.provider, call.model, call.response_model, call.endpoint, call.service, call.error,
        call.conversation_id, call.operation,
    )  # fmt: skip
    if any(text is not None and word in text.lower() for text in texts):
        return True
    if not call.has_content or json.dumps(word)[1:-1].lower() not in kept.detail.lower():
        return False
    return any(word in text.lower() for text in _texts(loads(kept.detail).get("content")))


def _texts(value: Any) -> Iterator[str]:
    """The texts in captured content, without the names of its members and the like."""
    if isinstance(value, str):
        yield value
    elif is_list(value):
        for item in value:
            yield from _texts(item)
    elif is_dict(value):
        for key, item in value.items():
            if key not in ("type", "role", "modality", "mime_type", "finish_reason"):
                yield from _texts(item)


def cache_hit_rate(calls: Iterable[Call]) -> float | None:
    """Hits over calls with known input, of the models of which some call said what came from a cache."""
    with_input: dict[tuple[str, str, str], int] = defaultdict(int)
    hits: dict[tuple[str, str, str], int] = {}
    for call in calls:
        key = (call.provider, call.model, call.endpoint)
        with_input[key] += call.input_tokens is not None
        if call.cache_read_tokens is not None:
            hits[key] = hits.get(key, 0) + (call.cache_read_tokens > 0)
    lookups = sum(max(with_input[key], 1) for key in hits)
    return round(sum(hits.values()) / lookups, 4) if lookups else None


def _tokens(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def cost_of(calls: Iterable[Call]) -> Decimal | None:
    """The sum of the costs that are known."""
    known = [call.cost for call in calls if call.cost is not None]
    return sum(known, Decimal()) if known else None


def summary_row(calls: Sequence[Call]) -> dict[str, Any]:
    """The object `ROW` of docs/live-api.md."""
    errors = sum(call.failed for call in calls)
    return {
        "calls": len(calls),
        "errors": errors,
        "error_rate": round(errors / len(calls), 6) if calls else 0.0,
        "streams": sum(call.stream for call in calls),
        "retried": sum(call.attempts > 1 for call in calls),
        "input_tokens": _tokens(call.input_tokens for call in calls),
        "output_tokens": _tokens(call.output_tokens for call in calls),
        "total_tokens": _tokens(call.total_tokens for call in calls),
        "cache_read_tokens": _tokens(call.cache_read_tokens for call in calls),
        "cache_write_tokens": _tokens(call.cache_write_tokens for call in calls),
        "reasoning_tokens": _tokens(call.reasoning_tokens for call in calls),
        "cache_hit_rate": cache_hit_rate(calls),
        "cost": money(cost_of(calls)),
        "unpriced": sum(call.unpriced for call in calls),
        "latency_ms": exact_stats([call.duration_ms for call in calls]),
        "ttft_ms": exact_stats([call.ttft_ms for call in calls if call.ttft_ms is not None]),
        "tokens_per_second": exact_stats([speed for call in calls if (speed := call.speed) is not None]),
        "first": min((call.end for call in calls), default=None),
        "last": max((call.end for call in calls), default=None),
    }


def groups(calls: Iterable[Call], by: Sequence[str]) -> list[tuple[dict[str, str | None], list[Call]]]:
    """The calls by the values of these fields, the group with most calls first."""
    found: dict[tuple[str | None, ...], list[Call]] = defaultdict(list)
    for call in calls:
        found[tuple(GROUPS[name](call) for name in by)].append(call)
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), [value or "" for value in item[0]]))
    return [(dict(zip(by, key, strict=True)), members) for key, members in ranked]


def compare(calls: Iterable[Call], by: str) -> dict[str, Any]:
    """The answer of `/api/compare`, without `window_s`."""
    rows: list[dict[str, Any]] = []
    for key, members in groups(calls, ("model", "provider") if by == "model" else (by,)):
        cost = cost_of(members)
        priced = [call for call in members if call.cost is not None]
        tokens = sum(call.total_tokens or 0 for call in priced)
        counts = [0] * (len(BOUNDS_MS) + 1)
        for call in members:
            counts[
                next((i for i, bound in enumerate(BOUNDS_MS) if call.duration_ms <= bound), len(BOUNDS_MS))
            ] += 1
        rows.append(
            {
                **key,
                **summary_row(members),
                "cost_per_call": _per(cost, len(priced)),
                "cost_per_1k_tokens": _per(cost, tokens, Decimal(1000)),
                "latency_counts": counts,
            }
        )
    return {"by": by, "bounds_ms": list(BOUNDS_MS), "rows": rows}


def _per(cost: Decimal | None, count: int, times: Decimal = Decimal(1)) -> str | None:
    if cost is None or not count:
        return None
    return money((cost * times / count).quantize(Decimal("1e-9")))


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for CSV: `latency_ms` becomes `latency_ms_avg` and so on, empty where there is nothing."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if "latency_ms" in row and name in ("latency_ms", "ttft_ms", "tokens_per_second"):
            for stat in ("avg", "min", "max", "p50", "p90", "p99"):
                out[f"{name}_{stat}"] = value[stat] if is_dict(value) else None
        elif not is_dict(value):
            out[name] = " ".join(map(str, value)) if is_list(value) else value
    return out


def flat_summary(calls: Sequence[Call]) -> dict[str, Any]:
    """The flat numbers of `/debug/summary`."""
    row = summary_row(calls)
    stats = exact_stats([call.duration_ms for call in calls], ("p95", 0.95)) or {}
    return {
        "count": row["calls"],
        "error_count": row["errors"],
        "error_rate": row["error_rate"],
        **{f"{name}_ms": stats.get(name) for name in ("avg", "p50", "p90", "p95", "p99")},
        **{name: row[name] for name in ("input_tokens", "output_tokens", "total_tokens", "cost")},
        **{
            f"by_{name}": {
                key[name] or "": len(members)
                for key, members in groups(calls, (name,))
                if name != "error" or key[name]
            }
            for name in ("provider", "model", "error")
        },
    }
