"""Which settings count when several are in use, and what is undone with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from otel_llm import _active, _progress, hooks
from otel_llm._config import Config
from otel_llm._recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_attached")


@pytest.fixture(autouse=True)
def _unused() -> Iterator[None]:
    assert _active._used == []
    yield
    for recorder in list(_active._used):
        _active.off(recorder)
    assert hooks.list() == []
    assert _progress._reasons["instrument"] == 0


def made(**settings: Any) -> Recorder:
    """A recorder in use."""
    recorder = Recorder(Config(**settings))
    _active.on(recorder)
    return recorder


def test_the_newest_is_the_active_one() -> None:
    default = _active.active()
    assert default is _active.active()
    first, second = made(), made()
    assert _active.active() is second
    _active.off(second)
    assert _active.active() is first
    _active.off(second)
    _active.off(first)
    assert _active.active() is default


def test_the_newest_callback_counts() -> None:
    first = made(on_progress=print, progress_interval=3.0)
    made()
    assert _progress._config is first.config
    second = made(on_progress=repr)
    assert _progress._config is second.config
    _active.off(second)
    assert _progress._config is first.config
    _active.off(first)
    assert _progress._reasons["instrument"] == 0


def test_the_newest_level_of_the_log_counts() -> None:
    log = logging.getLogger("otel_llm.calls")
    first = made(log="info")
    assert (hooks.list(), log.level) == (["otel_llm.logger"], logging.INFO)
    second = made(log="debug")
    assert log.level == logging.DEBUG
    made()
    _active.off(second)
    assert log.level == logging.INFO
    _active.off(first)
    assert hooks.list() == []


def test_a_log_that_the_application_attached_is_its_own() -> None:
    from otel_llm import logger

    logger.attach("info")
    _active.off(made())
    assert hooks.list() == ["otel_llm.logger"]
    logger.detach()


def test_whoever_watches_hears_of_every_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_active, "_watchers", [])
    told: list[Recorder] = []
    _active.watch(told.append)
    recorder = made()
    assert told[1:] == [recorder]
    assert told[0] is not recorder
