"""Every SDK of the family that is installed, against the fake provider."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
from scene import garbage_of_this_test_alone, instrumented
from sdks import FAMILY, Family

from otel_llm.testing import FakeProvider, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scene import Telemetry


__all__ = ["garbage_of_this_test_alone"]


def _is_installed(module: str) -> bool:
    parts = module.split(".")
    names = (".".join(parts[: index + 1]) for index in range(len(parts)))
    return all(importlib.util.find_spec(name) is not None for name in names)


def _param(sdk: Family) -> Any:
    lacking = [] if _is_installed(sdk.module) else [pytest.mark.skip(reason=f"{sdk.module} is not installed")]
    return pytest.param(sdk, id=sdk.name, marks=lacking)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs for every SDK, or for those that have what its `needs` names."""
    if "sdk" in metafunc.fixturenames:
        needs = getattr(metafunc.function, "needs", None)
        has = [sdk for sdk in FAMILY if needs is None or getattr(sdk, needs)]
        metafunc.parametrize("sdk", [_param(sdk) for sdk in has])


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
    """Instrumented for the test; what is left must conform, and nothing may be open."""
    with instrumented() as captured:
        yield captured


@pytest.fixture
def make(sdk: Family, server: FakeProvider) -> Iterator[Callable[..., Any]]:
    """Makes clients of the SDK, and closes the sync ones at the end."""
    made: list[Any] = []

    def new(*, asynchronous: bool = False, **options: Any) -> Any:
        one = sdk.client(server, asynchronous=asynchronous, **options)
        if not asynchronous:
            made.append(one)
        return one

    yield new
    for one in made:
        one.close()
