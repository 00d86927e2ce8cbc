"""What the application's own caches and circuit breakers do, as metrics and hooks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from scene import instrumented

import otel_llm
from otel_llm import hooks
from otel_llm.helpers import _counts
from otel_llm.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Telemetry

    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")


@pytest.fixture(autouse=True)
def _no_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counts, "_watched", {})


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with instrumented() as captured:
        yield captured


def values(telemetry: Any, metric: str) -> dict[tuple[Any, ...], float | None]:
    """The points of a metric by the values of their attributes."""
    return {tuple(point.attributes.values()): point.value for point in telemetry.points().get(metric, [])}


class TestCache:
    def test_operations_are_counted(self, telemetry: Telemetry) -> None:
        cache = otel_llm.cache("prompts")
        cache.hit()
        cache.hit(2)
        cache.miss()
        cache.put(100)
        cache.put()
        cache.evict(40)
        assert cache.name == "prompts"
        assert values(telemetry, "otel_llm.cache.operations") == {
            ("prompts", "hit"): 3,
            ("prompts", "miss"): 1,
            ("prompts", "put"): 2,
            ("prompts", "evict"): 1,
        }
        assert values(telemetry, "otel_llm.cache.size") == {("prompts",): 60}

    def test_its_size_falls_to_nothing(self, telemetry: Telemetry) -> None:
        cache = otel_llm.cache("prompts")
        cache.put(100, 3)
        cache.evict(100, 3)
        assert values(telemetry, "otel_llm.cache.size") == {("prompts",): 0}

    def test_hooks_hear_of_it(self, telemetry: Telemetry, seen: Seen) -> None:
        hooks.attach("mine", [event for event in hooks.EVENTS if event.startswith("llm.cache")], seen)
        cache = otel_llm.cache("prompts")
        cache.hit()
        cache.miss()
        cache.put(100)
        cache.evict(100, 2)
        assert [(event, measurements) for event, measurements, *_ in seen.told] == [
            ("llm.cache.hit", hooks.CacheMeasurements(1, None)),
            ("llm.cache.miss", hooks.CacheMeasurements(1, None)),
            ("llm.cache.put", hooks.CacheMeasurements(1, 100)),
            ("llm.cache.evict", hooks.CacheMeasurements(2, 100)),
        ]
        assert {metadata for *_, metadata, _ in seen.told} == {hooks.CacheMetadata("prompts")}

    def test_two_of_one_name_are_one(self, telemetry: Telemetry) -> None:
        otel_llm.cache("prompts").hit()
        otel_llm.cache("prompts").hit()
        otel_llm.cache("other").hit()
        assert values(telemetry, "otel_llm.cache.operations") == {("prompts", "hit"): 2, ("other", "hit"): 1}


def states(telemetry: Any) -> dict[str, float | None]:
    """The states of the breaker `b`."""
    found = values(telemetry, "otel_llm.circuit_breaker.state")
    return {state: value for (name, state), value in found.items() if name == "b"}


class TestCircuitBreaker:
    def test_exactly_one_state_is_one(self, telemetry: Telemetry) -> None:
        breaker = otel_llm.circuit_breaker("b")
        assert states(telemetry) == {"closed": 1, "open": 0, "half_open": 0}
        for state in ("open", "HALF-OPEN", "half_open", "closed", "Open"):
            breaker.set(state)
            now = state.lower().replace("-", "_")
            assert breaker.state == now
            assert states(telemetry) == {each: int(each == now) for each in ("closed", "open", "half_open")}

    def test_while_threads_change_it_too(self, telemetry: Telemetry) -> None:
        breaker = otel_llm.circuit_breaker("b")
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                breaker.set("open")
                breaker.set("closed")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for _ in range(50):
                assert sum(value or 0 for value in states(telemetry).values()) == 1
        finally:
            stop.set()
            thread.join()

    def test_changes_and_failures_are_counted(self, telemetry: Telemetry) -> None:
        breaker = otel_llm.circuit_breaker("b")
        for state in ("closed", "open", "open", "half_open", "open"):
            breaker.set(state)
        breaker.failure()
        breaker.failure(4)
        assert values(telemetry, "otel_llm.circuit_breaker.transitions") == {
            ("b", "open"): 2,
            ("b", "half_open"): 1,
        }
        assert values(telemetry, "otel_llm.circuit_breaker.failures") == {("b",): 5}

    def test_hooks_hear_of_changes(self, telemetry: Telemetry, seen: Seen) -> None:
        hooks.attach("mine", "llm.circuit_breaker.state", seen)
        breaker = otel_llm.circuit_breaker("b")
        breaker.set("closed")
        breaker.set("open", failures=5)
        breaker.set("closed")
        assert [(measurements, metadata) for _, measurements, metadata, _ in seen.told] == [
            (hooks.BreakerMeasurements(5), hooks.BreakerMetadata("b", "open", "closed")),
            (hooks.BreakerMeasurements(None), hooks.BreakerMetadata("b", "closed", "open")),
        ]

    def test_one_name_is_one_breaker(self) -> None:
        assert otel_llm.circuit_breaker("b") is otel_llm.circuit_breaker("b")
        assert otel_llm.circuit_breaker("b").name == "b"

    def test_an_unknown_state_is_refused(self) -> None:
        with pytest.raises(ValueError, match="closed, open, half_open, not 'broken'"):
            otel_llm.circuit_breaker("b").set("broken")


def test_a_breaker_made_before_instrumenting_is_seen_after() -> None:
    otel_llm.circuit_breaker("b").set("open")
    with instrumented() as telemetry:
        assert states(telemetry) == {"closed": 0, "open": 1, "half_open": 0}


def test_the_state_is_told_after_instrumenting_again() -> None:
    """The SDK ignores a second callback of the same name, and the first one went silent with its recorder."""
    with capture() as telemetry:
        instrumentor = otel_llm.LLMInstrumentor()
        for state in ("open", "half_open"):
            instrumentor.instrument(**telemetry.providers)
            otel_llm.circuit_breaker("payments").set(state)
            assert values(telemetry, "otel_llm.circuit_breaker.state")[("payments", state)] == 1
            instrumentor.uninstrument()


def test_after_uninstrument_nothing_more_is_told() -> None:
    with capture() as telemetry:
        instrumentor = otel_llm.LLMInstrumentor()
        instrumentor.instrument(**telemetry.providers)
        breaker = otel_llm.circuit_breaker("b")
        breaker.set("open")
        assert states(telemetry)["open"] == 1
        instrumentor.uninstrument()
        telemetry.clear()
        breaker.set("closed")
        otel_llm.cache("c").hit()
        assert telemetry.points() == {}


def test_a_preset_can_leave_them_out() -> None:
    with instrumented(metrics="basic") as telemetry:
        otel_llm.circuit_breaker("b").set("open")
        otel_llm.cache("c").put(5)
        assert telemetry.points() == {}
