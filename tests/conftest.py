"""What every test gets: our own errors are raised instead of swallowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from otel_llm import _guard

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["otel_llm.testing.plugin"]


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    _guard.strict = True
    _guard.forget()
    yield
    _guard.strict = False
