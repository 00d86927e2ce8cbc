"""Which spans are kept, by kind of call and by what became of it."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, TraceIdRatioBased
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

import otel_llm
from otel_llm.sampling import KindSampler, draw
from otel_llm.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_llm.testing import Capture

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "acme"}
STREAM = {**CHAT, "gen_ai.request.stream": True}


class World:
    """A tracer provider with a sampler, what it exports, and metrics of everything."""

    def __init__(self, telemetry: Capture, sampler: KindSampler) -> None:
        self.telemetry = telemetry
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(sampler.processor(SimpleSpanProcessor(self.exporter)))
        otel_llm.LLMInstrumentor().instrument(
            tracer_provider=self.provider, meter_provider=telemetry.meter_provider
        )

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    @property
    def calls(self) -> int:
        points = self.telemetry.points()["gen_ai.client.operation.duration"]
        return sum(point.count or 0 for point in points)


@pytest.fixture
def world() -> Iterator[Any]:
    with capture() as telemetry:
        yield lambda **rates: World(telemetry, KindSampler(**rates))
        otel_llm.LLMInstrumentor().uninstrument()


def call(*, fail: bool = False, stream: bool = False) -> None:
    """A call that no SDK makes."""
    with contextlib.suppress(LookupError), otel_llm.track("acme", "m1", stream=stream):
        if fail:
            raise LookupError("MY-PROMPT")


def test_failed_calls_are_kept_and_metrics_are_complete(world: Any) -> None:
    made = world(request=0, streaming=0, error=1)
    for _ in range(100):
        call()
    for _ in range(5):
        call(fail=True)
    assert [span.status.status_code.name for span in made.spans] == ["ERROR"] * 5
    assert all(span.context.trace_flags.sampled for span in made.spans)
    assert made.calls == 105


def test_a_kept_failure_is_the_whole_span(world: Any) -> None:
    made = world(request=0, error=1)
    call(fail=True)
    (span,) = made.spans
    assert (span.name, span.kind) == ("chat m1", SpanKind.CLIENT)
    assert span.attributes["gen_ai.provider.name"] == "acme"
    assert span.attributes["error.type"] == "LookupError"
    assert span.instrumentation_scope.name == "otel_llm"
    assert span.resource is made.provider.resource
    assert span.start_time <= span.end_time


def test_a_batch_processor_exports_a_kept_failure(world: Any) -> None:
    made = world(request=0, error=1)
    exporter = InMemorySpanExporter()
    sampler = KindSampler(request=0, error=1)
    batch = BatchSpanProcessor(exporter)
    made.provider.add_span_processor(sampler.processor(batch))
    call(fail=True)
    call()
    assert made.provider.force_flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["chat m1"]
    made.provider.shutdown()


def test_without_error_rate_an_unsampled_failure_is_not_even_recorded(world: Any) -> None:
    made = world(request=0, streaming=0, error=0)
    call(fail=True)
    assert made.spans == []
    assert made.calls == 1


def test_streams_have_a_rate_of_their_own(world: Any) -> None:
    made = world(request=1, streaming=0, error=0)
    call()
    call(stream=True)
    assert len(made.spans) == 1
    assert "gen_ai.request.stream" not in made.spans[0].attributes


def test_a_tenth_of_the_streams(world: Any) -> None:
    made = world(streaming=0.1, error=0)
    for _ in range(1000):
        call(stream=True)
    # Binomial with n=1000 and p=0.1: six standard deviations.
    assert abs(len(made.spans) - 100) < 6 * math.sqrt(1000 * 0.1 * 0.9)
    assert made.calls == 1000


def test_all_calls_of_a_trace_share_one_decision(world: Any) -> None:
    made = world(request=0.5, error=0)
    tracer = made.provider.get_tracer("app")
    for _ in range(200):
        with tracer.start_as_current_span("handler"):
            call()
            call()
    kept: dict[int, int] = {}
    for span in made.spans:
        kept[span.context.trace_id] = kept.get(span.context.trace_id, 0) + (span.name == "chat m1")
    assert set(kept.values()) == {0, 2}
    assert len(kept) == 200


def test_nothing_is_kept_below_a_call_that_is_not(world: Any) -> None:
    made = world(request=0, error=1)
    tracer = made.provider.get_tracer("app")
    with otel_llm.track("acme", "m1"), tracer.start_as_current_span("POST", kind=SpanKind.CLIENT):
        pass
    assert made.spans == []


def _sample(
    sampler: KindSampler, trace_id: int, attributes: dict[str, Any], parent: bool | None = None
) -> Decision:
    context = None
    if parent is not None:
        flags = TraceFlags(TraceFlags.SAMPLED if parent else TraceFlags.DEFAULT)
        parent_span = trace.NonRecordingSpan(SpanContext(trace_id, 1, is_remote=True, trace_flags=flags))
        context = trace.set_span_in_context(parent_span)
    result = sampler.should_sample(context, trace_id, "chat m1", SpanKind.CLIENT, attributes)
    assert dict(result.attributes) == attributes
    return result.decision


IDS = st.integers(1, 2**128 - 1)
RATES = st.floats(0, 1)


@given(IDS, RATES, RATES, st.sampled_from([None, True, False]), st.booleans())
def test_the_decision_follows_the_draw_the_kind_and_the_parent(
    trace_id: int, rate: float, error: float, parent: bool | None, stream: bool
) -> None:
    rates = {"streaming": rate, "request": 1 - rate} if stream else {"request": rate, "streaming": 1 - rate}
    decision = _sample(KindSampler(error=error, **rates), trace_id, STREAM if stream else CHAT, parent)
    if parent is not False and draw(trace_id) < rate:
        assert decision is Decision.RECORD_AND_SAMPLE
    elif draw(trace_id) < error:
        assert decision is Decision.RECORD_ONLY
    else:
        assert decision is Decision.DROP


@given(IDS, st.integers(0, 1000))
def test_the_draw_is_that_of_the_sdks_own_sampler(trace_id: int, thousandths: int) -> None:
    rate = thousandths / 1000
    theirs = TraceIdRatioBased(rate).should_sample(None, trace_id, "x").decision.is_sampled()
    # They round the rate to 64 bits, we the draw to 53.
    assert (draw(trace_id) < rate) == theirs or math.isclose(draw(trace_id), rate, abs_tol=1e-9)


def test_rates_of_nothing_and_everything_are_exact() -> None:
    for trace_id in (1, 2**64 - 1, 2**128 - 1):
        assert _sample(KindSampler(request=1), trace_id, CHAT) is Decision.RECORD_AND_SAMPLE
        assert _sample(KindSampler(request=0, error=0), trace_id, CHAT) is Decision.DROP


def test_other_spans_are_left_to_another_sampler() -> None:
    sampler = KindSampler(request=1, others=ALWAYS_OFF)
    for kind, attributes in ((SpanKind.CLIENT, None), (SpanKind.CLIENT, {"a": 1}), (SpanKind.INTERNAL, CHAT)):
        assert sampler.should_sample(None, 1, "x", kind, attributes).decision is Decision.DROP


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name", ["request", "streaming", "error"])
def test_a_rate_is_from_nothing_to_one(name: str, rate: float) -> None:
    with pytest.raises(ValueError, match=f"KindSampler\\({name}="):
        KindSampler(**{name: rate})


def test_it_describes_itself() -> None:
    described = KindSampler(request=0.5, streaming=0.1, error=1.0).get_description()
    assert described == "KindSampler{request=0.5,streaming=0.1,error=1.0}"
