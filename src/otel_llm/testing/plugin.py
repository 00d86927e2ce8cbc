"""pytest fixtures: `pytest_plugins = ["otel_llm.testing.plugin"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ._capture import Capture, capture
from ._server import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fake_provider", "llm_capture"]


@pytest.fixture
def fake_provider() -> Iterator[FakeProvider]:
    """A fake provider of the test's own, stopped after it."""
    with FakeProvider() as server:
        yield server


@pytest.fixture
def llm_capture() -> Iterator[Capture]:
    """Telemetry captured in memory; `llm_capture.instrument()` instruments the SDKs until the test ends."""
    with capture() as telemetry:
        yield telemetry
