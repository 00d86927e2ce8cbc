"""A fake provider for whole programs, and a receiver of what they send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_llm.testing import FakeProvider
from support.environment import environment_without
from support.otlp_sink import OtlpSink
from support.programs import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def python_without(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The Python of an environment without some distributions; made once for each set of them."""
    made: dict[tuple[str, ...], Path] = {}

    def get(*left_out: str) -> Path:
        if left_out not in made:
            made[left_out] = environment_without(tmp_path_factory.mktemp("venv") / "env", *left_out)
        return made[left_out]

    return get


@pytest.fixture
def run(provider: FakeProvider, sink: OtlpSink) -> Runner:
    return Runner(provider, sink)
