"""Random programs see the same with instrumentation as without, and leave true spans.

`OTEL_LLM_FUZZ=100000` sets the number of examples, `OTEL_LLM_FUZZ_SEED` repeats a run.
"""

from __future__ import annotations

import gc
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("hypothesis")

from fuzz import Bench, Plan, plans
from hypothesis import HealthCheck, given, seed, settings
from opentelemetry.sdk.trace import TracerProvider

from otel_llm import _recording
from otel_llm.testing._capture import capture
from support.conformance import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    "OTEL_LLM_FUZZ" not in os.environ, reason="random programs run on request: OTEL_LLM_FUZZ=2000"
)

EXAMPLES = int(os.environ.get("OTEL_LLM_FUZZ", "200"))
SEED = int(os.environ.get("OTEL_LLM_FUZZ_SEED") or random.SystemRandom().randrange(2**32))
SHARDS = 2
UNWATCHED = TracerProvider(shutdown_on_exit=False)
"""The program has spans of its own in both runs: the anthropic SDK sends their ids."""


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
def test_the_program_sees_the_same(shard: int, bench: Bench) -> None:
    number = SEED + shard
    print(f"OTEL_LLM_FUZZ={EXAMPLES} OTEL_LLM_FUZZ_SEED={SEED} (shard {shard})", file=sys.stderr)

    @seed(number)
    @settings(
        max_examples=max(1, EXAMPLES // SHARDS),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(plan=plans)
    def check(plan: Plan) -> None:
        compare(bench, plan)

    check()


def compare(bench: Bench, plan: Plan) -> None:
    """What an instrumented run shows must be what one without instrumentation shows.

    Some programs see what depends on the moment, as how much of a broken stream had arrived.
    So on a difference the plan runs a few more times both ways, before it counts.
    """
    plain = [bench.run(plan, UNWATCHED.get_tracer("app"))]
    for _ in range(3):
        watched = _watched(bench, plan)
        if watched in plain:
            return
        plain += (bench.run(plan, UNWATCHED.get_tracer("app")) for _ in range(3))
        if watched in plain:
            return
    assert watched[1] == plain[0][1]  # the requests
    assert watched[0] == plain[0][0]  # what the program saw


def _watched(bench: Bench, plan: Plan) -> Any:
    """An instrumented run, whose spans are true."""
    with capture() as captured:
        captured.instrument(**plan.settings)
        seen = bench.run(plan, captured.tracer_provider.get_tracer("app"))
        if _recording.open_recordings():
            gc.collect()
        _recording.drain()
        assert list(_recording.open_recordings()) == []
        assert captured.open_spans() == []
        _true_spans(bench, plan, captured)
        found = violations(
            spans=captured.spans(),
            metrics=captured._sdk.reader.get_metrics_data(),
            logs=captured.logs(),
            setting=plan.settings.get("semconv", "1.41"),
        )
        assert not found, "\n".join(found)
    return seen


def _true_spans(bench: Bench, plan: Plan, captured: Any) -> None:
    """One span for each call that was sent, under the span of the step that made it, in its time."""
    spans = captured.spans()
    steps = {span.context.span_id: span for span in spans if span.name.startswith("step-")}
    calls: dict[str, list[Any]] = {span.name: [] for span in steps.values()}
    for span in spans:
        if span.context.span_id not in steps:
            assert span.parent is not None, span.name
            step = steps[span.parent.span_id]
            assert span.context.trace_id == step.context.trace_id
            assert step.start_time <= span.start_time <= span.end_time
            calls[step.name].append(span)
    for number, step in enumerate(plan.steps):
        mine = calls[f"step-{number}"]
        assert len(mine) == 1 if bench.asked(number) else len(mine) <= 1, [span.name for span in mine]
        for span in mine:
            outcome = span.attributes["otel_llm.outcome"]
            if step.how.startswith("cancel") and step.door.sdk:
                assert outcome in ("cancelled", "completed", "closed", "abandoned", "failed")
            assert (outcome == "failed") == (span.status.status_code.name == "ERROR"), outcome
