"""A bounded log of calls in memory: what was called, how long it took, what it cost.

    log = RequestLog(max_size=10_000, ttl=3600.0)
    log.attach()
    ...
    log.summary(provider="openai").p95

It hears of every call, sampled or not, and holds no content.
Times are seconds; `start` and `end` are seconds since the epoch or a `datetime`; money is exact US dollars.
A call counts when it has ended, and belongs to the time at which it ended.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections import deque
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, cast

from ._listeners import listeners
from ._locks import Lock
from ._records import (
    DailyUsage,
    Group,
    RequestRecord,
    Stats,
    Summary,
    WindowUsage,
    by_error,
    grouped,
    quantile,
    record_of,
    summarise,
)

if TYPE_CHECKING:
    from ._operation import Operation

__all__ = ["DailyUsage", "Group", "RequestLog", "RequestRecord", "Stats", "Summary", "WindowUsage"]

_COLUMNS = RequestRecord._fields
_NUMBERS = frozenset(
    {
        "duration",
        "first_chunk",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost",
        "attempts",
        "retry_wait",
        "processing",
        "chunks",
        "bytes",
        "longest_gap",
    }
)
_DAY = 86_400
_ROWS = 10_000
"""Rows that `daily` keeps; the oldest go first."""


@lru_cache(maxsize=4)
def _date(day: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day * _DAY))


def _seconds(when: float | datetime) -> float:
    return when.timestamp() if isinstance(when, datetime) else when


class RequestLog:
    """The newest calls of this process; safe to use from any thread.

    Recording costs the same whatever the log holds.
    Queries copy what they look at, so that they hold up nobody who records.
    """

    def __init__(self, max_size: int = 10_000, ttl: float | None = None) -> None:
        """Keep at most `max_size` records, each for at most `ttl` seconds (None: no limit).

        Records that are too old go when the log is next used.
        Raises ValueError for a limit that is not positive.
        """
        if max_size <= 0 or (ttl is not None and ttl <= 0):
            raise ValueError(f"max_size and ttl must be positive, not {max_size!r} and {ttl!r}")
        self.max_size = max_size
        self.ttl = ttl
        self._lock = Lock()
        self._records: deque[RequestRecord] = deque()
        self._added: deque[float] = deque()
        """When each record was added, on the monotonic clock; empty without `ttl`."""
        self._start_over()

    def _start_over(self) -> None:
        self._records.clear()
        self._added.clear()
        self._total = Stats(since=time.time())
        self._daily: dict[tuple[str, str, str | None], DailyUsage] = {}
        self._forgotten = 0.0
        """When the newest record that is no longer held ended."""

    def attach(self) -> None:
        """Record every call that ends from now on."""
        listeners.add("end", self.record)

    def detach(self) -> None:
        """Record no more; what is held stays."""
        listeners.remove("end", self.record)

    def __enter__(self) -> Self:
        self.attach()
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def __len__(self) -> int:
        with self._lock:
            self._expire()
            return len(self._records)

    def record(self, op: Operation) -> None:
        """Add a call that has ended; `attach` has this done for every call."""
        record = record_of(op)
        with self._lock:
            if self.ttl is not None:
                self._added.append(time.monotonic())
            self._records.append(record)
            self._expire()
            self._total.add(record)
            self._day(record)

    def _expire(self) -> None:
        """Forget what is too much or too old; the lock is held."""
        while len(self._records) > self.max_size:
            self._forget()
        if self.ttl is not None:
            oldest = time.monotonic() - self.ttl
            while self._added and self._added[0] <= oldest:
                self._forget()

    def _forget(self) -> None:
        self._forgotten = max(self._forgotten, self._records.popleft().ended)
        if self.ttl is not None:
            self._added.popleft()

    def _day(self, record: RequestRecord) -> None:
        """Add to the row of the day; the lock is held."""
        key = (_date(int(record.ended // _DAY)), record.provider, record.answered_by)
        row = self._daily.get(key)
        if row is None:
            if len(self._daily) >= _ROWS:
                del self._daily[next(iter(self._daily))]
            row = self._daily[key] = DailyUsage(
                date=key[0], provider=record.provider, model=record.answered_by
            )
        row.add(record)

    def query(
        self,
        *,
        start: float | datetime | None = None,
        end: float | datetime | None = None,
        provider: str | None = None,
        model: str | None = None,
        id: str | None = None,  # noqa: A002 - what it is
        session: str | None = None,
        limit: int | None = None,
    ) -> list[RequestRecord]:
        """The records that meet all conditions, oldest first; with `limit` the newest of them.

        start, end  calls that ended at or after `start` and before `end`
        model       as requested or as answered
        id          of the call, of the response, or of the request as the provider numbers it
        session     the conversation id
        """
        with self._lock:
            self._expire()
            records = list(self._records)
        if start is not None:
            first = _seconds(start)
            records = [record for record in records if record.ended >= first]
        if end is not None:
            last = _seconds(end)
            records = [record for record in records if record.ended < last]
        if provider is not None:
            records = [record for record in records if record.provider == provider]
        if model is not None:
            records = [record for record in records if model in (record.model, record.response_model)]
        if id is not None:
            records = [item for item in records if id in (item.id, item.response_id, item.request_id)]
        if session is not None:
            records = [record for record in records if record.session == session]
        return records if limit is None else records[len(records) - min(max(limit, 0), len(records)) :]

    def summary(self, *, window: float | None = None, **conditions: Any) -> Summary:
        """The figures of the records that `query` finds, of the last `window` seconds if given."""
        if window is not None:
            conditions["start"] = time.time() - window
        return summarise(self.query(**conditions))

    def percentile(self, metric: str, percent: float, **conditions: Any) -> float | None:
        """The exact percentile of a figure of the records that `query` finds; None if none of them has it.

        `metric` is a figure of `RequestRecord`: `duration`, `output_tokens`, ...; `percent` is 0 to 100.
        Raises ValueError for any other.
        """
        if metric not in _NUMBERS:
            raise ValueError(f"{metric!r} is no figure of a record; they are {', '.join(sorted(_NUMBERS))}")
        if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"expected 0 to 100 percent, not {percent!r}")
        values = (getattr(record, metric) for record in self.query(**conditions))
        return quantile(sorted(float(value) for value in values if value is not None), percent / 100)

    def usage(
        self, window: float | None = None, provider: str | None = None, session: str | None = None
    ) -> WindowUsage:
        """What was used in the last `window` seconds (None: since the log was made or cleared)."""
        now = time.time()
        start = self._total.since if window is None else now - window
        records = self.query(start=start, provider=provider, session=session)
        total = Group()
        for record in records:
            total.add(record)
        return WindowUsage(
            start=start,
            length=now - start,
            complete=self._forgotten < start,
            total=total,
            by_provider=grouped(records, "provider"),
            by_error=by_error(records),
        )

    def daily(
        self, *, date: str | None = None, provider: str | None = None, model: str | None = None
    ) -> list[DailyUsage]:
        """Totals by day (UTC, as 2026-11-20), provider and model, with calls no longer held, oldest first."""
        with self._lock:
            rows = [replace(row) for row in self._daily.values()]
        return [
            row
            for row in rows
            if date in (None, row.date) and provider in (None, row.provider) and model in (None, row.model)
        ]

    def stats(self) -> Stats:
        """Totals since the log was made or cleared, with calls no longer held."""
        with self._lock:
            self._expire()
            return replace(self._total, held=len(self._records))

    def clear(self) -> None:
        """Forget everything; all totals are zero again."""
        with self._lock:
            self._start_over()

    def to_json(self, **conditions: Any) -> str:
        """The records that `query` finds as a JSON array."""
        return json.dumps([record.to_dict() for record in self.query(**conditions)])

    def to_csv(self, **conditions: Any) -> str:
        """The records that `query` finds as CSV with a header; lists are joined by `|`."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows([_cell(value) for value in record] for record in self.query(**conditions))
        return out.getvalue()


def _cell(value: Any) -> Any:
    return "|".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
