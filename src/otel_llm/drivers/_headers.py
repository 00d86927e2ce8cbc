"""What response headers say: request id, organisation, processing time, rate limits.

The raw headers become one dict, and each name of interest is looked up in it, in C: the header objects of httpx cost a
chain of calls per `get`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import repeat
from math import inf
from typing import TYPE_CHECKING

from .._operation import RateLimit, Server, new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._operation import Operation

__all__ = ["read"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_PARTS = re.compile(rf"(?:{_PART.pattern})+")


_whole = re.compile(rb"\d{1,18}").fullmatch
"""Matches a number that has a place in OTLP."""


def _seconds(value: bytes) -> float | None:
    """A reset time: `6m0s`, `20ms`, plain seconds (OpenAI and its kin) or a moment (RFC 3339, Anthropic)."""
    if not value:
        return None
    text = value.decode("latin-1")
    if _PARTS.fullmatch(text) is not None:
        seconds = 0.0
        for number, unit in _PART.findall(text):
            seconds += float(number) * _UNITS[unit]
        return seconds
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return seconds if 0 <= seconds < inf else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo is not None else None


_OPENAI_LIMITS = (
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-reset-requests",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-reset-tokens",
)
_ANTHROPIC_LIMITS = (
    b"anthropic-ratelimit-requests-remaining",
    b"anthropic-ratelimit-requests-limit",
    b"anthropic-ratelimit-requests-reset",
    b"anthropic-ratelimit-tokens-remaining",
    b"anthropic-ratelimit-tokens-limit",
    b"anthropic-ratelimit-tokens-reset",
)
_MISSING = repeat(b"")
_KNOWN = frozenset(
    {
        b"x-request-id",
        b"request-id",
        b"openai-organization",
        b"anthropic-organization-id",
        b"openai-processing-ms",
        *_OPENAI_LIMITS,
        *_ANTHROPIC_LIMITS,
    }
)


def read(op: Operation, raw: Sequence[tuple[bytes, bytes]], status: int) -> None:
    """Fill `op.server` from the raw headers of a response."""
    server = op.server
    if server is None:
        server = op.server = new(Server)
    server.status = status
    if not raw:
        return
    names, values = zip(*raw, strict=True)
    told = dict(zip(map(bytes.lower, names), values, strict=True))
    if _KNOWN.isdisjoint(told):
        return
    get = told.get
    value = get(b"x-request-id") or get(b"request-id")
    if value is not None:
        server.request_id = value.decode("latin-1")
    value = get(b"openai-organization") or get(b"anthropic-organization-id")
    if value is not None:
        server.organization = value.decode("latin-1")
    value = get(b"openai-processing-ms")
    if value is not None and _whole(value):
        server.processing = int(value) / 1000
    limits = tuple(map(get, _OPENAI_LIMITS, _MISSING))
    if not any(limits):
        limits = tuple(map(get, _ANTHROPIC_LIMITS, _MISSING))
        if not any(limits):
            return
    requests, most_requests, reset_requests, tokens, most_tokens, reset_tokens = limits
    server.rate_limit = RateLimit(
        int(requests) if _whole(requests) else None,
        int(most_requests) if _whole(most_requests) else None,
        _seconds(reset_requests),
        int(tokens) if _whole(tokens) else None,
        int(most_tokens) if _whole(most_tokens) else None,
        _seconds(reset_tokens),
    )
