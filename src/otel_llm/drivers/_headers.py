"""What response headers say: request id, organisation, processing time, rate limits.

One pass over the raw headers, with one look-up each: the header objects of httpx cost a chain of calls per `get`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .._operation import RateLimit, Server

if TYPE_CHECKING:
    from .._operation import Operation

__all__ = ["read"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _seconds(text: str) -> float | None:
    """A reset time: `6m0s`, `20ms`, plain seconds (OpenAI and its kin) or a moment (RFC 3339, Anthropic)."""
    parts = _SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


_IDS: Mapping[bytes, str] = {
    b"x-request-id": "request_id",
    b"request-id": "request_id",
    b"openai-organization": "organization",
    b"anthropic-organization-id": "organization",
}


def _limit_headers() -> dict[bytes, tuple[str, Callable[[str], Any]]]:
    found: dict[bytes, tuple[str, Callable[[str], Any]]] = {}
    for what in ("requests", "tokens"):
        for fact in ("remaining", "limit", "reset"):
            entry = (f"{fact}_{what}", _seconds if fact == "reset" else _whole)
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
    limits: dict[str, Any] | None = None
    for name, value in raw:
        key = name.lower()
        if key in _IDS:
            setattr(server, _IDS[key], value.decode("latin-1"))
        elif key in _LIMITS:
            field, parse = _LIMITS[key]
            number = parse(value.decode("latin-1"))
            if number is not None:
                limits = limits if limits is not None else {}
                limits[field] = number
        elif key == b"openai-processing-ms":
            milliseconds = _whole(value.decode("latin-1"))
            if milliseconds is not None:
                server.processing = milliseconds / 1000
    if limits:
        server.rate_limit = RateLimit(**limits)
