"""Random programs see the same with instrumentation as without, and leave true spans.

`OTEL_LLM_FUZZ=100000` sets the number of examples; `OTEL_LLM_FUZZ_SEED`, which the end of the report shows, repeats
a run. A failure tells the seed of its own round: with that one and `-k "[0]"` the round runs alone.
"""

from __future__ import annotations

import gc
import logging
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("hypothesis")

from fuzz import Plan, plans
from fuzz_bench import Bench, Run
from hypothesis import HealthCheck, given, note, seed, settings

from otel_llm import _recording
from otel_llm.instrumentor import LLMInstrumentor
from otel_llm.testing._capture import capture
from support.conformance import SCOPE, violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_llm.testing._capture import Capture

pytestmark = pytest.mark.skipif(
    "OTEL_LLM_FUZZ" not in os.environ, reason="random programs run on request: OTEL_LLM_FUZZ=2000"
)

EXAMPLES = int(os.environ.get("OTEL_LLM_FUZZ", "0"))
SEED = int(os.environ.get("OTEL_LLM_FUZZ_SEED", "0"))
ROUND = 500
"""Examples of one seed: hypothesis remembers all of them, and gets slow."""
SHARDS = 4 if EXAMPLES >= 8 * ROUND else 2
"""Each spends more than half of its time waiting, but needs a thousand programs to meet every outcome."""
OURS = "otel_llm.outcome"
"""The attribute that a span which we record to has."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        for sdk in ("openai", "anthropic"):
            base = pytest.importorskip(f"{sdk}._base_client")
            patch.setattr(base, "INITIAL_RETRY_DELAY", 0.001)
            patch.setattr(base, "MAX_RETRY_DELAY", 0.002)
        made = Bench()
        gc.collect()
        gc.freeze()  # each example collects what it dropped, which must not take long
        yield made
        gc.unfreeze()
        made.close()


@pytest.mark.timeout(0)
@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # the SDK's own, of answers that are odd
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_program_sees_the_same(shard: int, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    outcomes: Counter[str] = Counter()
    left = EXAMPLES // SHARDS
    for number in range(SEED + shard, SEED + shard + left, SHARDS):
        if left <= 0:
            break

        @seed(number)
        @settings(
            max_examples=min(left, ROUND),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(plan=plans)
        def check(plan: Plan) -> None:
            note(f"OTEL_LLM_FUZZ_SEED={number}: {plan}")  # noqa: B023 - called in this turn of the loop
            caplog.clear()
            compare(bench, plan, outcomes)
            said = [
                record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")
            ]
            assert [text for text in said if "while already" not in text] == []

        with caplog.at_level(logging.WARNING):
            check()
        left -= ROUND
    if EXAMPLES // SHARDS >= ROUND:  # programs that do nothing see the same too
        assert outcomes.total() > EXAMPLES // SHARDS
        assert set(outcomes) == {"completed", "failed", "cancelled", "closed", "abandoned"}


def compare(bench: Bench, plan: Plan, outcomes: Counter[str]) -> None:
    """What an instrumented run shows must be what one without instrumentation shows.

    Some programs see what depends on the moment, as how much of a broken stream had arrived.
    So on a difference the plan runs a few more times both ways, before it counts; more often where a client is closed
    under its stream, of which every sixth read fails and the others find what had arrived.
    `outcomes` counts those of the calls that were recorded.
    """
    plain = [bench.run(plan).comparable]
    for _ in range(12 if any(step.timed for step in plan.steps) else 3):
        watched = _watched(bench, plan, outcomes)
        if watched in plain:
            return
        plain += (bench.run(plan).comparable for _ in range(3))
        if watched in plain:
            return
    requests, seen = plain[0]
    assert watched[0] == requests
    assert watched[1] == seen


def _watched(bench: Bench, plan: Plan, outcomes: Counter[str]) -> Any:
    """An instrumented run, whose spans and points are true."""
    with capture() as captured:
        captured.instrument(**plan.settings)
        done = bench.run(plan, captured.tracer_provider, LLMInstrumentor().uninstrument)
        if _recording.open_recordings() or captured.open_spans():
            bench.settle()
        _recording.drain()
        assert done.wrong == []
        assert list(_recording.open_recordings()) == []
        assert captured.open_spans() == []
        calls = _true_spans(bench, plan, captured, done)
        metrics = captured._sdk.reader.get_metrics_data()
        found = violations(
            spans=captured.spans(),
            metrics=metrics,
            logs=captured.logs(),
            setting=plan.settings.get("semconv", "1.41"),
        )
        assert not found, "\n".join(found)
        _true_points(plan, metrics, len(calls))
        outcomes.update(calls)
    return done.comparable


def _true_spans(bench: Bench, plan: Plan, captured: Capture, done: Run) -> list[str]:
    """One span for each call that was sent, under the span of the step that made it, in its time; the outcomes."""
    spans = captured.spans()
    assert len({span.context.span_id for span in spans}) == len(spans)
    steps = {span.context.span_id: span for span in spans if span.name.startswith("step-")}
    assert len(steps) == len(plan.steps)
    calls: dict[str, list[Any]] = {span.name: [] for span in steps.values()}
    for span in spans:
        if OURS in span.attributes:
            step = steps[span.parent.span_id]
            assert span.context.trace_id == step.context.trace_id
            assert step.start_time <= span.start_time <= span.end_time
            calls[step.name].append(span)
    for number in range(len(plan.steps)):
        mine = calls[f"step-{number}"]
        expected = 0 if number in done.unwatched else 1
        assert len(mine) == expected or (len(mine) == 0 and not bench.asked(number)), [
            span.name for span in mine
        ]
        for span in mine:
            outcome = span.attributes[OURS]
            failed = span.status.status_code.name == "ERROR"
            if span.instrumentation_scope.name == SCOPE:
                assert (outcome == "failed") == failed, outcome
            else:  # an adopted one, which the SDK may take for failed where we do not
                assert failed or outcome != "failed", outcome
    native = sum(span.context.span_id not in steps and OURS not in span.attributes for span in spans)
    if plan.settings["anthropic_native"] == "replace" and not done.unwatched:
        assert native == 0
    return [str(span.attributes[OURS]) for mine in calls.values() for span in mine]


def _true_points(plan: Plan, metrics: Any, calls: int) -> None:
    """Nothing runs any more, and each call was measured once."""
    points: dict[str, list[Any]] = {}
    for resource in metrics.resource_metrics if metrics else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points.setdefault(metric.name, []).extend(metric.data.data_points)
    for name in ("otel_llm.request.active", "otel_llm.stream.active"):
        assert [point.value for point in points.get(name, ()) if point.value] == []
    if plan.settings.get("metrics", "all") in ("all", "basic"):
        names = ["gen_ai.client.operation.duration"]
        if plan.settings.get("semconv") == "latest":  # which has two, one for inference alone
            names.append("gen_ai.client.inference.duration")
        assert sum(point.count for name in names for point in points.get(name, ())) == calls
