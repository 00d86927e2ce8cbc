"""The parents of our spans and of what is below them, in a program with HTTP and thread instrumentation beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.programs import ours

if TYPE_CHECKING:
    from support.otlp_sink import OtlpSink
    from support.programs import Runner


def test_every_parent_is_right(run: Runner, sink: OtlpSink) -> None:
    assert run("context.py").stderr == ""

    by_id = {span.span_id: span for span in sink.spans}
    tree = {
        span.name: by_id[span.parent_id].name if span.parent_id else None
        for span in sink.spans
        if span.scope in ("otel_llm", "program")
    }
    # `in thread-N` is made in a thread: instrumentation-threading gives it its submitter's span as parent.
    asked = ["line", *(f"thread-{n}" for n in range(5)), *(f"task-{n}" for n in range(5)), "to-thread"]
    assert tree == {
        "main": None,
        **{f"in {name}": "main" for name in asked},
        **{f"chat gpt-{name}": f"in {name}" for name in asked},
        "embeddings text-embedding-3-small": "main",
        "chat claude-haiku-5-5": "main",
    }
    assert len({span.trace_id for span in sink.spans}) == 1

    requests = [span for span in sink.spans if "httpx" in span.scope]
    calls = {span.span_id for span in ours(sink)}
    assert len(requests) == len(calls) == 14
    assert {span.parent_id for span in requests} == calls
    for request in requests:
        call = by_id[str(request.parent_id)]
        assert call.start <= request.start <= request.end <= call.end
