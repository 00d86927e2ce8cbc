"""Calls, traces and usage in one SQLite file, so that they outlive the process.

What is given to `write` is in the file when its future is done: the receiver answers a sender only then, and
a process that is killed loses nothing that it acknowledged.
One thread writes; batches that wait are committed together.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._calls import Call
from ._json import dumps, loads
from ._store import Kept, UsageRow

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ._store import Store

__all__ = ["Batch", "Keep", "KeepError", "Retention"]

_log = logging.getLogger("otel_llm.live")

_SCHEMA: Final = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS calls (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received REAL NOT NULL, call TEXT NOT NULL, detail TEXT
  NOT NULL
);
CREATE TABLE IF NOT EXISTS spans (
  number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, span_id TEXT NOT NULL, received REAL NOT NULL,
  span TEXT NOT NULL,
  UNIQUE (trace_id, span_id)
);
CREATE INDEX IF NOT EXISTS calls_received ON calls (received);
CREATE INDEX IF NOT EXISTS spans_received ON spans (received);
CREATE TABLE IF NOT EXISTS usage (
  date TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, row TEXT NOT NULL,
  PRIMARY KEY (date, provider, model)
) WITHOUT ROWID;
"""
_VACUUM: Final = "PRAGMA incremental_vacuum"
"""To be run as a script: it frees a page per step, and `execute` takes one step only."""
_VERSION: Final = 1
_TIDY_EVERY: Final = 60.0


class KeepError(Exception):
    """The file cannot be used; the text says which and why."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Retention:
    """How long the file keeps what."""

    age: float = 30 * 24 * 3600.0
    """Seconds since a call or a span was received. Usage by day is kept for ever: it is small."""
    bytes: int = 1024 * 1024 * 1024
    """The size of the file, about; the oldest go first."""


class Batch(NamedTuple):
    """What is written together."""

    calls: list[Kept]
    """New ones, or new versions of known ones."""
    spans: list[tuple[str, str, str]]
    """Trace id, span id, the record as JSON."""
    usage: list[tuple[tuple[str, str, str], UsageRow]]
    """Rows that have changed."""


def _call_json(call: Call) -> str:
    values = {item.name: getattr(call, item.name) for item in fields(call)}
    return dumps(
        {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}
    )


def _call_of(text: str) -> Call:
    values: dict[str, Any] = loads(text)
    cost = values["cost"]
    values["cost"] = None if cost is None else Decimal(cost)
    values["finish_reasons"] = tuple(values["finish_reasons"])
    return Call(**values)


def _usage_json(row: UsageRow) -> str:
    values = {item.name: getattr(row, item.name) for item in fields(row)}
    return dumps({**values, "cost": None if row.cost is None else str(row.cost)})


def _usage_of(text: str) -> UsageRow:
    values: dict[str, Any] = loads(text)
    cost = values.pop("cost")
    return UsageRow(**values, cost=None if cost is None else Decimal(cost))


class Keep:
    """The file. Raises `KeepError` when it cannot be opened."""

    def __init__(
        self, path: Path, *, retention: Retention | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.retention = retention or Retention()
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[Batch, Future[None]] | None] = queue.SimpleQueue()
        self._tidied = float("-inf")
        try:
            self._descriptor = _claim(path)
            with closing(self._connect()) as connection:
                if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
                    raise KeepError(f"{path} was written by another version of otel-llm")
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise KeepError(f"Cannot keep calls in {path}: {error}") from None
        self._thread = threading.Thread(target=self._run, name="otel-llm-live-keep", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=10)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def restore(self, store: Store) -> None:
        """Fill an empty store with the newest of what the file has."""
        with closing(self._connect()) as connection:
            spans = connection.execute(
                "SELECT trace_id, span FROM"
                " (SELECT * FROM spans ORDER BY number DESC LIMIT ?) ORDER BY number",
                (store.limits.traces * 10,),
            )
            store.add_spans((trace_id, loads(text), text) for trace_id, text in spans)
            calls = connection.execute(
                "SELECT seq, call, detail, received FROM"
                " (SELECT * FROM calls ORDER BY seq DESC LIMIT ?) ORDER BY seq",
                (store.limits.calls,),
            )
            for seq, call, detail, received in calls:
                store.restore(Kept(seq, _call_of(call), detail, received))
            for date, provider, model, row in connection.execute(
                "SELECT date, provider, model, row FROM usage"
            ):
                store.usage[date, provider, model] = _usage_of(row)

    def before(self, seq: int, *, size: int = 500) -> Iterator[Kept]:
        """The calls in the file that came before `seq`, newest first."""
        with closing(self._connect()) as connection:
            while rows := connection.execute(
                "SELECT seq, call, detail, received FROM calls WHERE seq < ? ORDER BY seq DESC LIMIT ?",
                (seq, size),
            ).fetchall():
                for number, call, detail, received in rows:
                    seq = number
                    yield Kept(number, _call_of(call), detail, received)

    def call(self, call_id: str) -> Kept | None:
        """One call of the file."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT seq, call, detail, received FROM calls WHERE id = ?", (call_id,)
            ).fetchone()
        return None if row is None else Kept(row[0], _call_of(row[1]), row[2], row[3])

    def calls_of(self, trace_id: str) -> dict[str, Call]:
        """The calls of a trace in the file, by id."""
        first, beyond = f"{trace_id}-", f"{trace_id}."  # `.` follows `-`: all ids that begin with the trace's
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT id, call FROM calls WHERE id > ? AND id < ?", (first, beyond)
            ).fetchall()
        return {call_id: _call_of(call) for call_id, call in rows}

    def spans(self, trace_id: str, *, limit: int) -> list[dict[str, Any]]:
        """The records of a trace's spans in the file."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT span FROM spans WHERE trace_id = ? LIMIT ?", (trace_id, limit)
            ).fetchall()
        return [loads(row[0]) for row in rows]

    def size(self) -> int:
        """The file's size in bytes, without its journal."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def write(self, batch: Batch) -> Future[None]:
        """Write `batch`; the future is done when it is committed, or has the error that prevented it."""
        future: Future[None] = Future()
        self._queue.put((batch, future))
        return future

    def close(self) -> None:
        """Write what waits, then close the file; a second call does nothing."""
        if self._descriptor >= 0:
            self._queue.put(None)
            self._thread.join()
            os.close(self._descriptor)
            self._descriptor = -1

    def _run(self) -> None:
        with closing(self._connect()) as connection:
            last = False
            while not last:
                waiting = [self._queue.get()]
                while not self._queue.empty():
                    waiting.append(self._queue.get())
                last = None in waiting
                self._commit(connection, [item for item in waiting if item is not None])

    def _commit(self, connection: sqlite3.Connection, items: list[tuple[Batch, Future[None]]]) -> None:
        try:
            with connection:
                for batch, _ in items:
                    self._insert(connection, batch)
            self._tidy(connection)
        except sqlite3.Error as error:
            _log.warning("Cannot write to %s: %s", self.path, error)
            for _, future in items:
                future.set_exception(KeepError(str(error)))
            return
        for _, future in items:
            future.set_result(None)

    def _insert(self, connection: sqlite3.Connection, batch: Batch) -> None:
        now = self._clock()
        connection.executemany(
            "INSERT OR IGNORE INTO spans (trace_id, span_id, received, span) VALUES (?, ?, ?, ?)",
            [(trace_id, span_id, now, text) for trace_id, span_id, text in batch.spans],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO calls (seq, id, received, call, detail) VALUES (?, ?, ?, ?, ?)",
            [
                (kept.seq, kept.call.id, kept.received, _call_json(kept.call), kept.detail)
                for kept in batch.calls
            ],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO usage (date, provider, model, row) VALUES (?, ?, ?, ?)",
            [(*key, _usage_json(row)) for key, row in batch.usage],
        )

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Apply the retention, once a minute."""
        if time.monotonic() < self._tidied + _TIDY_EVERY:
            return
        self._tidied = time.monotonic()
        oldest = self._clock() - self.retention.age
        with connection:
            for table in ("calls", "spans"):
                sql = f"DELETE FROM {table} WHERE received < ?"  # noqa: S608 - constant names
                connection.execute(sql, (oldest,))
        connection.executescript(_VACUUM)
        while self._bytes(connection) > self.retention.bytes and self._drop_tenth(connection):
            connection.executescript(_VACUUM)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @staticmethod
    def _bytes(connection: sqlite3.Connection) -> int:
        pages, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
        )
        return int(pages * size)

    @staticmethod
    def _drop_tenth(connection: sqlite3.Connection) -> int:
        """Delete the oldest tenth of calls and of spans; how many that were."""
        dropped = 0
        with connection:
            for table, key in (("calls", "seq"), ("spans", "number")):
                count = f"SELECT (count(*) + 9) / 10 FROM {table}"  # noqa: S608 - constant names
                oldest = f"SELECT {key} FROM {table} ORDER BY {key} LIMIT ({count})"  # noqa: S608
                dropped += connection.execute(f"DELETE FROM {table} WHERE {key} IN ({oldest})").rowcount  # noqa: S608
        return dropped


def _claim(path: Path) -> int:
    """Make the file, its owner's alone to read, and lock it against a second server.

    The descriptor that holds the lock is closed last: closing one drops SQLite's own locks on the file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        path.chmod(0o600)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise KeepError(f"{path} is in use by another server") from None
    return descriptor
