"""What every test gets: our own errors are raised instead of swallowed. And the fuzzer's seed."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from otel_llm import _guard

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["otel_llm.testing.plugin"]

settings.register_profile("untimed", deadline=None)  # no test judges a time
settings.load_profile("untimed")

STARTS_PROGRAMS = ("tests/e2e/", "tests/live_page/", "tests/family/")


def pytest_configure() -> None:
    """One seed for all processes of a run of the fuzzer; programs that can be interrupted, whoever started us."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "OTEL_LLM_FUZZ" in os.environ:
        os.environ.setdefault("OTEL_LLM_FUZZ_SEED", str(random.SystemRandom().randrange(2**32)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "OTEL_LLM_FUZZ" in os.environ:
        told = (f"{name}={os.environ[name]}" for name in ("OTEL_LLM_FUZZ", "OTEL_LLM_FUZZ_SEED"))
        terminalreporter.write_line(" ".join(told))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts other programs takes seconds, each time."""
    for item in items:
        if any(folder in item.nodeid for folder in STARTS_PROGRAMS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    _guard.strict = True
    _guard.forget()
    yield
    _guard.strict = False
