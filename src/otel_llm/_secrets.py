"""Keys and tokens in texts that others wrote: providers echo the key in the message that says it is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MASK", "scrub"]

MASK = "[secret]"

_SHORTEST = 6
"""Characters below which a known secret is not looked for: it would be found in half of all words."""

_NAMES = (
    r"(?:x-)?(?:goog-|amz-)?(?:api|access|secret|subscription|session|auth|private|account|security)"
    r"[-_ ]?(?:access[-_ ]?)?(?:key|token|secret|credential)s?(?:[-_ ]?id)?"
    r"|aws_secret_access_key|password|passwd|client[-_ ]?secret|signature|sig|set-cookie|cookie|token|secret"
)
_HELD = rf"\1{MASK}"
_PATTERNS: tuple[tuple[str, str], ...] = (
    # What keys of providers and clouds look like, also when partly masked with stars or dots by the provider.
    (r"\b(?:sk|pk|rk|gsk|xai|pplx|csk|nvapi|r8|hf|glpat|key)[-_][\w*.-]{3,}[\w*]", MASK),
    (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}", MASK),
    (r"\bAIza[\w-]{20,}|\bya29\.[\w.-]+|\bgh[pousr]_\w{16,}|\bgithub_pat_\w+|\bxox[abeoprs]-[\w-]+", MASK),
    (
        r"\bey[JK][\w-]{8,}(?:\.[\w-]*){0,2}",
        MASK,
    ),  # JSON web tokens; matches wherever it begins, so is never quadratic
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", MASK),
    # What stands where a secret does.
    (r"(?i)\b((?:bearer|basic|digest|negotiate|aws4-hmac-sha256)\s+)[\w+/=.~:*-]{4,}", _HELD),
    (r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?)(?!(?:bearer|basic)\s+\[)[^'\"\r\n]+", _HELD),
    (
        (
            rf"(?i)(?<![a-z])((?:{_NAMES})(?:\s+(?:provided|given|is|was))?['\"]?\s*[:=]\s*['\"]?)"
            r"(?!\[)[^\s'\",;&)}\]]+"
        ),
        _HELD,
    ),
    (r"(?i)([?&](?:api[-_]?key|key|code|sig|token)=)[^&\s'\"]+", _HELD),
    (r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)[^\s/@]{1,500}@", rf"{_HELD}@"),
)
"""Compiled by `re` when first used, as that takes milliseconds."""


def scrub(text: str, known: Iterable[str | None] = ()) -> str:
    """`text` without what is or looks like a secret; `known` are secrets to take out wherever they stand."""
    for secret in known:
        if secret and len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = re.sub(pattern, replacement, text)
    return text
