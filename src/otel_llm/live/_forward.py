"""Everything received, passed on to a collector: a bounded queue, one thread, retries, drops counted."""

from __future__ import annotations

import gzip
import http.client
import logging
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ForwardOptions", "Forwarder"]

_log = logging.getLogger("otel_llm.live")

_RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""The statuses that the OTLP specification has a client retry."""


@dataclass(slots=True, frozen=True, kw_only=True)
class ForwardOptions:
    """How to pass on."""

    url: str
    """Of the collector; `/v1/traces` and so on is added."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    max_bytes: int = 64 * 1024 * 1024
    """That wait at most; what comes on top is dropped and counted."""
    first_wait: float = 0.5
    longest_wait: float = 10.0
    """Seconds between attempts: doubled from the first to the longest, with jitter."""
    timeout: float = 10.0


class Forwarder:
    """Sends OTLP/HTTP protobuf bodies in the order in which they came.

    Raises ValueError for a URL that is none.
    """

    def __init__(self, options: ForwardOptions) -> None:
        parts = urlsplit(options.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("the URL to forward to must be http://host:port or https://host:port")
        self.options = options
        self.sent = 0
        self.dropped = 0
        self.retries = 0
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._path}"
        """Without a password that may be in it."""
        self._queue: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stop_at: float | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="otel-llm-live-forward", daemon=True)
        self._thread.start()

    def put(self, path: str, body: bytes) -> bool:
        """Queue a body for `path` (`/v1/traces`, ...); false when there is no room for it."""
        with self._changed:
            if self._stop_at is not None or self._bytes + len(body) > self.options.max_bytes:
                self.dropped += 1
                return False
            self._queue.append((path, body))
            self._bytes += len(body)
            self._changed.notify()
            return True

    def status(self) -> dict[str, str | int]:
        """The member `forward` of `/api/status`."""
        return {
            "url": self.url, "sent": self.sent, "queued": len(self._queue), "dropped": self.dropped,
            "retries": self.retries,
        }  # fmt: skip

    def close(self, *, timeout: float = 5.0) -> None:
        """Send what waits, for at most `timeout` seconds; what is left then is dropped and counted."""
        with self._changed:
            if self._stop_at is None:
                self._stop_at = monotonic() + timeout
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            delivered = self._deliver(*item)
            with self._changed:
                self._queue.popleft()
                self._bytes -= len(item[1])
                if delivered:
                    self.sent += 1
                else:
                    self.dropped += 1
        if self._connection is not None:
            self._connection.close()

    def _next(self) -> tuple[str, bytes] | None:
        """The oldest body, which stays queued while it is being sent; None at the end."""
        with self._changed:
            while not self._queue:
                if self._stop_at is not None:
                    return None
                self._changed.wait()
            return self._queue[0]

    def _deliver(self, path: str, body: bytes) -> bool:
        packed = gzip.compress(body, compresslevel=1)
        wait = self.options.first_wait
        while True:
            status, asked = self._attempt(path, packed)
            if status is not None and status < 400:  # noqa: PLR2004 - HTTP: from here on an error
                return True
            if status is not None and status not in _RETRYABLE:
                _log.warning("The collector answered %d: what was sent to it is dropped", status)
                return False
            if not self._pause(max(asked, wait * random.uniform(0.8, 1.2))):  # noqa: S311 - jitter
                return False
            self.retries += 1
            wait = min(wait * 2, self.options.longest_wait)

    def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; false when there is none, as the server has to stop."""
        with self._changed:
            end = monotonic() + seconds
            while (now := monotonic()) < end:
                if self._stop_at is not None and now >= self._stop_at:
                    return False
                limit = end if self._stop_at is None else min(end, self._stop_at)
                self._changed.wait(limit - now)
            return self._stop_at is None or now < self._stop_at

    def _attempt(self, path: str, packed: bytes) -> tuple[int | None, float]:
        """The status, None when there was no answer, and the seconds that the collector asks to wait."""
        headers = {
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            **self.options.headers,
        }
        try:
            if self._connection is None:
                make = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
                self._connection = make(self._host, self._port, timeout=self.options.timeout)
            self._connection.request("POST", self._path + path, packed, headers)
            response = self._connection.getresponse()
            response.read(1024 * 1024)
            if not response.isclosed():
                self._connection.close()
            after = response.getheader("retry-after", "")
            return response.status, min(float(after), 60.0) if after.isdecimal() else 0.0
        except (OSError, http.client.HTTPException) as error:
            _log.debug("Cannot reach the collector: %s", type(error).__name__)
            if self._connection is not None:
                self._connection.close()
            return None, 0.0
