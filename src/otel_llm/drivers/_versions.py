"""One line about an SDK whose version, or whose seams, are not those that the scenarios ran on."""

from __future__ import annotations

import logging
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..providers._base import Provider

__all__ = ["age", "installed", "notice"]

_log = logging.getLogger("otel_llm")


def installed(provider: Provider) -> str | None:
    """The version of the provider's SDK that is installed."""
    try:
        return version(provider.distribution)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def age(provider: Provider, found: str) -> str:
    """How a version stands to those that the scenarios ran on; empty for one of them."""
    if _numbers(found) < _numbers(provider.minimum):
        return f"older than {provider.minimum}, the oldest known"
    if _numbers(found)[:1] > _numbers(provider.tested)[:1]:
        return f"newer than {provider.tested}, the newest known"
    return ""


def notice(provider: Provider, missing: Sequence[str]) -> None:
    """Say at info level that an SDK is older or newer than known, or that seams are missing."""
    found = installed(provider)
    if found is None:
        return
    years = age(provider, found)
    if years or missing:
        _log.info(
            "%s %s is instrumented as far as it can be%s%s",
            provider.distribution,
            found,
            f": it is {years}" if years else "",
            f"; not found: {', '.join(missing)}" if missing else "",
        )
