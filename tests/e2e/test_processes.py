"""Programs of several processes: each reports its own calls, and none twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.programs import ours, telling

if TYPE_CHECKING:
    from support.otlp_sink import OtlpSink
    from support.programs import Runner


# gRPC itself does not allow a fork after its first use.
@pytest.mark.parametrize(("method", "transport"), [("fork", "http"), ("spawn", "http"), ("spawn", "grpc")])
def test_multiprocessing(run: Runner, sink: OtlpSink, method: str, transport: str) -> None:
    done = run("fork.py", method, env=getattr(run, transport))

    assert done.stderr == ""
    assert Counter(span.name for span in ours(sink)) == {
        "chat gpt-parent": 2,
        "chat gpt-child-0": 1,
        "chat gpt-child-1": 1,
    }
    counted = {
        point.attributes["gen_ai.request.model"]: point.count
        for point in sink.metric("gen_ai.client.operation.duration")
    }
    assert counted == {"gpt-parent": 2, "gpt-child-0": 1, "gpt-child-1": 1}


def test_a_fork_while_a_stream_is_open(run: Runner, sink: OtlpSink) -> None:
    done = run("fork_in_stream.py")

    assert done.stderr == ""
    assert sorted((span.name, span.attributes["otel_llm.outcome"]) for span in ours(sink)) == [
        ("chat gpt-child", "completed"),
        ("chat gpt-parent", "completed"),
    ]


def test_workers_that_are_forked_before_their_first_call(run: Runner, sink: OtlpSink) -> None:
    done = run("prefork.py")

    assert done.stderr == ""
    spans = ours(sink)
    assert sorted(span.name for span in spans) == ["chat gpt-worker-0", "chat gpt-worker-1"]
    assert [telling(span, "otel_llm.outcome") for span in spans] == [{"otel_llm.outcome": "completed"}] * 2
    assert len({span.trace_id for span in spans}) == 2


def test_a_process_that_is_frozen_after_a_flush(run: Runner, sink: OtlpSink) -> None:
    """Also what is known only now: a stream that was dropped is recorded by the reader of the metrics."""
    done = run("frozen.py")

    assert done.stdout == "word1 word2 word3\n"
    assert [(span.name, span.attributes["otel_llm.outcome"]) for span in ours(sink)] == [
        ("chat gpt-4o", "completed"),
        ("chat gpt-dropped", "abandoned"),
    ]
    assert {point.attributes["gen_ai.request.model"] for point in sink.metric("otel_llm.stream.ended")} == {
        "gpt-dropped"
    }
