"""What response headers say: request id, organisation, processing time, rate limits.

One pass over the raw headers, with one look-up each: the header objects of httpx cost a chain of calls per `get`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .._operation import RateLimit, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._operation import Operation

__all__ = ["read"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def _seconds(text: str) -> float | None:
    """A reset time: `6m0s`, `20ms`, plain seconds (OpenAI and its kin) or a moment (RFC 3339, Anthropic)."""
    seconds, rest = 0.0, text
    while (part := _SPAN.match(rest)) is not None:
        seconds += float(part[1]) * _UNITS[part[2]]
        rest = rest[part.end() :]
        if not rest:
            return seconds
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo is not None else None


_IDS: Mapping[bytes, str] = {
    b"x-request-id": "request_id",
    b"request-id": "request_id",
    b"openai-organization": "organization",
    b"anthropic-organization-id": "organization",
}


def _limit_headers() -> dict[bytes, tuple[str, bool]]:
    found: dict[bytes, tuple[str, bool]] = {}
    for what in ("requests", "tokens"):
        for fact in ("remaining", "limit", "reset"):
            entry = (f"{fact}_{what}", fact == "reset")
            found[f"x-ratelimit-{fact}-{what}".encode()] = entry
            found[f"anthropic-ratelimit-{what}-{fact}".encode()] = entry
    return found


_LIMITS = _limit_headers()


def read(op: Operation, raw: Iterable[tuple[bytes, bytes]], status: int) -> None:
    """Fill `op.server` from the raw headers of a response."""
    server = op.server
    if server is None:
        server = op.server = Server()
    server.status = status
    limits: dict[str, Any] = {}
    for name, value in raw:
        key = name.lower()
        if key in _LIMITS:
            field, is_time = _LIMITS[key]
            if is_time:
                limits[field] = _seconds(value.decode("latin-1"))
            elif value.isdigit():
                limits[field] = int(value)
        elif key in _IDS:
            setattr(server, _IDS[key], value.decode("latin-1"))
        elif key == b"openai-processing-ms" and value.isdigit():
            server.processing = int(value) / 1000
    if limits:
        server.rate_limit = RateLimit(**limits)
