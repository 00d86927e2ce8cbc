"""Every figure is right: with many threads, two meter providers, deltas, a second `instrument()`, and after a fork."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE, client
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from scene import instrumented

import otel_llm
from otel_llm import _attributes, _recording
from otel_llm.helpers import _counts
from otel_llm.instrumentor import AnthropicInstrumentor, LLMInstrumentor, OpenAIInstrumentor
from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_llm.testing import FakeProvider

THREADS = 16
ROUNDS = 6
_DELTA = dict.fromkeys(
    (Counter, Histogram, UpDownCounter, ObservableUpDownCounter), AggregationTemporality.DELTA
)


@pytest.fixture(autouse=True)
def _no_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one test would be told in the next."""
    monkeypatch.setattr(_counts, "_watched", {})


class Meter:
    """A meter provider with a cumulative and a delta reader."""

    def __init__(self) -> None:
        self._readers = {
            "total": InMemoryMetricReader(),
            "delta": InMemoryMetricReader(preferred_temporality=_DELTA),  # type: ignore[arg-type]
        }
        self.provider = MeterProvider(self._readers.values(), shutdown_on_exit=False)

    def read(self, which: str = "total", *by: str) -> dict[str, dict[tuple[Any, ...], Any]]:
        """Metric -> the values of some attributes -> value, or the count of a histogram."""
        told: dict[str, dict[tuple[Any, ...], Any]] = {}
        data = self._readers[which].get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found = told.setdefault(metric.name, {})
                    for point in metric.data.data_points:
                        key = tuple((point.attributes or {}).get(name) for name in by)
                        value = getattr(point, "value", None)
                        found[key] = found.get(key, 0) + (point.count if value is None else value)
        return told


@contextmanager
def _using(meter: Meter, instrumentor: Any = None, **settings: Any) -> Iterator[None]:
    one = LLMInstrumentor() if instrumentor is None else instrumentor()
    one.instrument(meter_provider=meter.provider, **settings)
    try:
        yield
    finally:
        one.uninstrument()


def test_sixteen_threads(server: FakeProvider) -> None:
    """Calls that succeed, fail, are retried, stream and are left early, priced and with helpers beside them."""
    calls = THREADS * ROUNDS
    meter = Meter()
    barrier = threading.Barrier(THREADS)
    went_wrong: list[BaseException] = []

    def work(openai: Any, anthropic: Any) -> None:
        barrier.wait()
        for _ in range(ROUNDS):
            openai.chat.completions.create(**CHAT)
            list(openai.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
            with openai.chat.completions.create(**CHAT, stream=True) as stream:
                next(iter(stream))
            anthropic.messages.create(**MESSAGE)
            with otel_llm.track("acme", "m") as call:
                call.retry(0.0, status=429)
                call.usage(10, 20, cache_read=4)
            otel_llm.cache("c").hit()
            otel_llm.circuit_breaker("b").failure()

    def run(*clients: Any) -> None:
        try:
            work(*clients)
        except BaseException as error:
            went_wrong.append(error)
            raise

    openai = client("openai", server, asynchronous=False, max_retries=0)
    anthropic = client("anthropic", server, asynchronous=False, max_retries=0)
    with openai, anthropic, _using(meter, cost=lambda op: Decimal("0.25") if op.usage else None):
        threads = [threading.Thread(target=run, args=(openai, anthropic)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert went_wrong == []
        told = meter.read()
        assert sum(told["gen_ai.client.operation.duration"].values()) == 5 * calls
        assert sum(told["gen_ai.client.token.usage"].values()) == 2 * 4 * calls
        by = meter.read("total", "otel_llm.outcome")
        assert by["otel_llm.stream.ended"] == {("completed",): calls, ("closed",): calls}
        by = meter.read("total", "otel_llm.attempt.outcome")
        assert by["otel_llm.request.attempts"] == {("retried",): calls, ("succeeded",): calls}
        assert told["otel_llm.ratelimit.rejections"] == {(): calls}
        assert told["otel_llm.usage.cache_read.input_tokens"] == {(): 4 * calls}
        assert told["otel_llm.prompt_cache.hits"] == {(): calls}
        assert told["otel_llm.cost"] == {(): calls}  # four of a quarter dollar each
        assert told["otel_llm.unpriced.calls"] == {(): calls}
        assert told["otel_llm.cache.operations"] == {(): calls}
        assert told["otel_llm.circuit_breaker.failures"] == {(): calls}
        assert _recording.open_recordings() == []


@pytest.mark.parametrize("semconv", ["1.41", "latest", "both"])
def test_two_meter_providers_and_deltas(semconv: str, make: Callable[..., Any]) -> None:
    first, second = Meter(), Meter()
    provider, seen = "gen_ai.provider.name", {}
    settings: dict[str, Any] = {"semconv": semconv, "cost": lambda _: Decimal(1)}
    with (
        _using(first, OpenAIInstrumentor, **settings),
        _using(second, AnthropicInstrumentor, **settings),
    ):
        openai, anthropic = make("openai"), make("anthropic")
        for count in (1, 2, 3):
            for _ in range(count):
                openai.chat.completions.create(**CHAT)
            anthropic.messages.create(**MESSAGE)
            for name, meter, label in (("first", first, "openai"), ("second", second, "anthropic")):
                told = meter.read("delta", provider)
                assert {key for points in told.values() for key in points} == {(label,)}
                for metric, points in told.items():
                    seen.setdefault((name, metric), []).append(points[(label,)])
        duration = "operation.duration" if semconv == "1.41" else "inference.duration"
        assert seen["first", f"gen_ai.client.{duration}"] == [1, 2, 3]
        assert seen["second", f"gen_ai.client.{duration}"] == [1, 1, 1]
        assert seen["first", "otel_llm.cost"] == [1, 2, 3]
        assert seen["second", "otel_llm.cost"] == [1, 1, 1]
        for name, meter in (("first", first), ("second", second)):
            for metric, points in meter.read("total", provider).items():
                if "last" not in metric and "ratelimit" not in metric:
                    assert sum(seen[name, metric]) == sum(points.values()), metric


def test_instrumenting_again_goes_on_counting(make: Callable[..., Any]) -> None:
    """With the same meter provider: what was counted stays, nothing counts twice, gauges tell again."""
    meter = Meter()
    openai = make("openai")
    for turn in (1, 2, 3):
        with _using(meter, cost=lambda _: Decimal(1)):
            with openai.chat.completions.create(**CHAT, stream=True) as stream:
                assert meter.read()["otel_llm.request.active"] == {(): 1}
                assert meter.read()["otel_llm.stream.active"] == {(): 1}
                list(stream)
            openai.chat.completions.create(**CHAT)
            told = meter.read()
            assert told["gen_ai.client.operation.duration"] == {(): 2 * turn}
            assert told["otel_llm.cost"] == {(): 2 * turn}
            assert told["otel_llm.request.active"] == {(): 0}
            assert told["otel_llm.stream.active"] == {(): 0}
            assert told["otel_llm.ratelimit.limit.requests"] == {(): 10_000}
        openai.chat.completions.create(**CHAT)
        assert meter.read()["gen_ai.client.operation.duration"] == {(): 2 * turn}


def _in_a_child(work: Callable[[], Any]) -> Any:
    """What `work` gives in a forked process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return json.loads(told)


def test_a_child_process_does_not_end_its_parents_calls(make: Callable[..., Any]) -> None:
    """It inherits the stream, and when it dropped it the span and the counts came a second time."""
    with instrumented() as telemetry:
        streams = [make("openai").chat.completions.create(**CHAT, stream=True)]
        next(iter(streams[0]))

        def child() -> Any:
            streams.clear()
            gc.collect()
            told = telemetry.points()
            return [len(telemetry.spans()), sorted(told)]

        assert _in_a_child(child) == [0, []]
        assert telemetry.points()["otel_llm.stream.active"][0].value == 1
        list(streams[0])
        assert telemetry.outcome() == "completed"
        assert telemetry.points()["otel_llm.stream.active"][0].value == 0


def test_a_child_process_counts_calls_of_its_own(make: Callable[..., Any], server: FakeProvider) -> None:
    with instrumented() as telemetry:
        stream = make("openai").chat.completions.create(**CHAT, stream=True)
        telemetry.points()

        def child() -> Any:
            telemetry.clear()
            with client("openai", server, asynchronous=False, max_retries=0) as own:
                own.chat.completions.create(**CHAT)
            return {name: sum(p.value or p.count or 0 for p in points) for name, points in telemetry.points().items()
                    if name.endswith((".duration", ".active"))}  # fmt: skip

        assert _in_a_child(child) == {
            "gen_ai.client.operation.duration": 1,
            "otel_llm.request.active": 0,
            "otel_llm.stream.active": 0,
        }
        list(stream)


def test_a_lock_that_was_held_at_the_fork_stops_nobody(make: Callable[..., Any]) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with _attributes._lock:
            held.set()
            go_on.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(60)
    with instrumented() as telemetry:

        def child() -> Any:
            with otel_llm.track("acme", "new at the fork"):
                pass
            return [span.name for span in telemetry.spans()]

        try:
            assert _in_a_child(child) == ["chat new at the fork"]
        finally:
            go_on.set()
            other.join()


@pytest.mark.parametrize("ending", ["read", "close", "abandon", "error", "raise"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_nothing_runs_after_any_ending(
    sdk: str, ending: str, make: Callable[..., Any], server: FakeProvider
) -> None:
    meter = Meter()
    if ending == "error":
        server.reply(Reply(die_after=1))
    with _using(meter):
        one = make(sdk)
        create = one.chat.completions.create if sdk == "openai" else one.messages.create
        stream = create(**(CHAT if sdk == "openai" else MESSAGE), stream=True)
        next(iter(stream))
        running = {"otel_llm.request.active": {(): 1}, "otel_llm.stream.active": {(): 1}}
        assert {name: points for name, points in meter.read().items() if name in running} == running
        _end(stream, ending)
        del stream
        gc.collect()
        told = meter.read()
        assert told["otel_llm.request.active"] == told["otel_llm.stream.active"] == {(): 0}
        outcomes = {
            "read": "completed",
            "close": "closed",
            "abandon": "abandoned",
            "error": "failed",
            "raise": "closed",
        }
        ended = meter.read("total", "otel_llm.outcome")["otel_llm.stream.ended"]
        assert ended == {(outcomes[ending],): 1}


def _end(stream: Any, ending: str) -> None:
    if ending == "read":
        list(stream)
    elif ending == "close":
        stream.close()
    elif ending == "error":
        with pytest.raises(Exception):  # noqa: B017, PT011 - each SDK has its own
            list(stream)
    elif ending == "raise":
        with pytest.raises(KeyError), stream:
            raise KeyError


_PROGRAM = """
import sys
import anthropic, otel_llm
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_llm.instrumentor import AnthropicInstrumentor, OpenAIInstrumentor

reader = InMemoryMetricReader()
provider = MeterProvider([reader])
metrics.set_meter_provider(provider)
OpenAIInstrumentor().instrument()
AnthropicInstrumentor().instrument(meter_provider=provider)
client = anthropic.Anthropic(api_key="none", base_url=sys.argv[1], max_retries=0)
messages = [{"role": "user", "content": "x"}]
with client.messages.create(model="m", max_tokens=9, messages=messages, stream=True) as stream:
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    print(metric.name, point.value)
    list(stream)
assert "genai_prices" not in sys.modules, "the prices were loaded, and nobody asked for them"
"""


@pytest.mark.slow
def test_the_global_provider_by_its_name_has_the_same_gauges(server: FakeProvider) -> None:
    """Given once as the global one and once as itself: the second callbacks are ignored by the SDK."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, server.anthropic_url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["otel_llm.request.active 1", "otel_llm.stream.active 1"]


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        ({"metrics": "basic"}, ("stream", "retry", "attempts", "cost", "token", "ratelimit", "active")),
        ({"metrics": "cost"}, ("stream", "retry", "attempts", "duration", "ratelimit", "active")),
        ({}, ("cost",)),
        ({"metrics": "off"}, ("",)),
    ],
    ids=["basic", "cost", "prices-off", "off"],
)
def test_what_is_switched_off_is_not_recorded(
    settings: dict[str, Any], absent: tuple[str, ...], make: Callable[..., Any], server: FakeProvider
) -> None:
    meter = Meter()
    server.script(Reply.error(429, retry_after_ms=1))
    with _using(meter, **settings):
        one = make("openai", max_retries=1)
        list(one.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
        told = meter.read()
    assert [name for name in told if any(word in name for word in absent)] == []
    assert bool(told) is (settings.get("metrics") != "off")
