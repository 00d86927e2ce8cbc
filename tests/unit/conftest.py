"""What tests of hooks and listeners share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_llm import hooks
from otel_llm._listeners import listeners
from support.hooking import PHASES, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def nothing_attached() -> Iterator[None]:
    """What a test attaches goes with it, and leaves nothing behind."""
    assert hooks.list() == []
    before = {phase: getattr(listeners, phase) for phase in PHASES}
    yield
    for identity in hooks.list():
        hooks.detach(identity)
    assert {phase: getattr(listeners, phase) for phase in PHASES} == before
