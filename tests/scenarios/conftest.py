"""Real SDKs over real HTTP on loopback, instrumented, and what came out of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from doors import DOORS, Door, client, lacking
from scene import Telemetry, garbage_of_this_test_alone, instrumented

from otel_llm.testing import FakeProvider, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = ["garbage_of_this_test_alone"]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


@pytest.fixture
def server(shared_server: FakeProvider) -> FakeProvider:
    """The fake provider, with nothing scripted."""
    shared_server.clear()
    shared_server.reply(Reply())
    return shared_server


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with instrumented() as captured:
        yield captured


@pytest.fixture(autouse=True)
def _nothing_said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test may make OpenTelemetry complain, about a context that cannot be detached for instance."""
    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        yield
    complaints = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.name.startswith("opentelemetry") and "while already" not in record.getMessage()
    ]
    assert complaints == []


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def _param(door: Door) -> Any:
    reason = lacking(door)
    return pytest.param(door, id=door.name, marks=[pytest.mark.skip(reason=reason)] if reason else [])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    named = {name for mark in metafunc.definition.iter_markers("parametrize") for name in mark.args[0]}
    if "door" in metafunc.fixturenames and "door" not in named:
        metafunc.parametrize("door", [_param(door) for door in DOORS])


@pytest.fixture
def make(server: FakeProvider) -> Iterator[Callable[..., Any]]:
    """Makes clients of an SDK against the fake provider, and closes the sync ones at the end."""
    made: list[Any] = []

    def new(sdk: str, *, asynchronous: bool = False, **options: Any) -> Any:
        one = client(sdk, server, asynchronous=asynchronous, **{"max_retries": 0, **options})
        if not asynchronous:
            made.append(one)
        return one

    yield new
    for one in made:
        one.close()
