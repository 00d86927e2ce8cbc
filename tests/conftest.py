"""What every test gets: our own errors are raised instead of swallowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_llm import _guard

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["otel_llm.testing.plugin"]

STARTS_PROGRAMS = ("tests/e2e/", "tests/live_page/", "tests/family/")


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
