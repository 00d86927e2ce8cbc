"""What one event costs the live view's aggregation, from nothing to a million events: `python -m benchmarks.live_events`.

Processor time, so that other work of the machine does not count; the median of five runs each.
"""

from __future__ import annotations

import statistics
import time
from decimal import Decimal

from otel_llm.live._aggregate import Aggregator
from otel_llm.live._calls import Call
from otel_llm.live._frames import SubscriptionFilter
from otel_llm.live._snapshot import Snapshots

COUNT = 20_000


def make_call() -> Call:
    now = time.time()
    return Call(
        id="c", trace_id="", span_id="", parent_id=None, service=None, source="otel_llm", start=now - 1, end=now, duration_ms=1000.0,
        ttft_ms=100.0, provider="openai", operation="chat", endpoint="/v1/chat/completions", request_model="gpt-4o",
        response_model=None, stream=True, outcome="completed", error=None, finish_reasons=(), input_tokens=10, output_tokens=20,
        cache_read_tokens=4, cache_write_tokens=None, reasoning_tokens=None, usage_source="provider", cost=Decimal("0.000063"),
        attempts=1, chunks=7, conversation_id=None, has_content=False, preview=None,
    )  # fmt: skip


def one_call(aggregator: Aggregator, call: Call, count: int) -> float:
    """Microseconds of processor time for an event; a call is two events, its beginning and its end."""
    series = aggregator.series(call.endpoint, call.model, call.provider)
    began, ended = aggregator.began, aggregator.ended
    start = time.process_time()
    for _ in range(count):
        began(series, stream=True)
        ended(series, call, counted=True)
    return (time.process_time() - start) / (2 * count) * 1e6


def main() -> None:
    aggregator = Aggregator()
    snapshots = Snapshots(aggregator)
    print("events so far   us per event (target: 3 at most, flat)   ms per snapshot")
    done = 0
    for goal in (0, 1_000, 10_000, 100_000, 1_000_000):
        call = make_call()
        if goal > done:
            one_call(aggregator, call, (goal - done) // 2)
            done = goal
        runs = [one_call(aggregator, make_call(), COUNT // 5) for _ in range(5)]
        done += 2 * COUNT
        made = []
        for _ in range(20):
            snapshots._cached.clear()
            start = time.process_time()
            snapshots.get(SubscriptionFilter())
            made.append((time.process_time() - start) * 1e3)
        print(
            f"{goal:>13,}   {statistics.median(runs):8.2f} ({min(runs):.2f} to {max(runs):.2f})              {statistics.median(made):8.2f}"
        )


if __name__ == "__main__":
    main()
