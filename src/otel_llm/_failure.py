"""What an exception says of a failed call: an `ErrorInfo`, without keeping the exception.

SDK exceptions are read by their public attributes (`status_code`, `code`, `type`, `body`), never by class, as no SDK
is imported here.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from typing import TYPE_CHECKING, Any, cast

from ._operation import ErrorInfo, Outcome
from .errors import classify

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["describe", "outcome_of", "said"]

_CODE = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_WORDS = re.compile(r"[a-z]{1,20}(?:[_-][a-z]{1,20}){0,6}")
"""What most codes are, such as `key_expired`: no key."""
_INTERRUPTS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


def outcome_of(error: BaseException) -> Outcome:
    """`CANCELLED` when the application stopped the call itself, else `FAILED`."""
    if isinstance(error, _INTERRUPTS) or not isinstance(error, Exception):
        return Outcome.CANCELLED
    return Outcome.FAILED


def _code(value: object) -> str | None:
    """A provider's code, if it has the form of one.

    A sentence is none: it would cost a metric series each, and may quote content; a key is none either.
    """
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if text is None or _WORDS.fullmatch(text):
        return text
    if not _CODE.fullmatch(text):
        return None
    from ._secrets import scrub  # noqa: PLC0415 - only failures need it

    return text if scrub(text) == text else None


def _provider_code(facts: dict[str, Any]) -> str | None:
    """The most telling of `code` and `type`, on the exception or in the body of the answer."""
    body = facts.get("body")
    outer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    inner = outer["error"] if isinstance(outer.get("error"), dict) else outer
    for value in (facts.get("code"), inner.get("code"), facts.get("type"), inner.get("type")):
        code = _code(value)
        if code is not None and code not in ("error", "null"):
            return code
    return None


def _class_name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _text(error: BaseException) -> str:
    """The text of `error`; none of one whose own `__str__` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the application's code
        return ""


def describe(
    error: BaseException, *, text: Callable[[str, tuple[str, ...]], str | None] | None = None
) -> ErrorInfo:
    """The facts of `error`.

    Its text and stack trace may quote content or a key: they are what `text` makes of them, and left out without it.
    `text` is given a text and the secrets that the failed request carried.
    """
    cls = type(error)
    facts: dict[str, Any] = getattr(error, "__dict__", {})
    status = facts.get("status_code")
    status = status if type(status) is int else None
    code = _provider_code(facts)
    name = _class_name(cls)
    message = _text(error)
    kind = classify(cls, status=status, code=code, message=message)
    secrets = _secrets(facts) if text else ()
    return ErrorInfo(
        type=code or ("timeout" if kind.category == "timeout" else name),
        exception=name,
        code=code,
        status=status,
        category=kind.category,
        retryable=kind.retryable,
        message=text(message, secrets) if text else None,
        stacktrace=text("".join(traceback.format_exception(error)), secrets) if text else None,
    )


def _secrets(facts: dict[str, Any]) -> tuple[str, ...]:
    """The values of the headers of the failed request that authenticate it."""
    headers: Any = getattr(facts.get("request") or facts.get("_request"), "headers", None)
    if headers is None:
        return ()
    values = (headers.get(name) for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key"))
    return tuple(value.rpartition(" ")[2] for value in values if isinstance(value, str))


def said(code: str | None) -> ErrorInfo:
    """The facts of a response that says itself that it failed, without an exception."""
    kind = classify(code=code)
    known = _code(code)
    return ErrorInfo(known or "_OTHER", "", code=known, category=kind.category, retryable=kind.retryable)
