"""The request log under load: exact totals, flat memory."""

from __future__ import annotations

import gc
import sys
import threading
import time
from decimal import Decimal

import pytest

from otel_llm.request_log import Group, RequestLog, RequestRecord
from support import operations

pytestmark = pytest.mark.usefixtures("nothing_attached")


def test_a_million_small_costs_sum_exactly() -> None:
    group = Group()
    record = RequestRecord(*[None] * len(RequestRecord._fields))._replace(  # type: ignore[arg-type]
        cost=Decimal("0.000063"), duration=0.0
    )
    for _ in range(1_000_000):
        group.add(record)
    assert group.cost == Decimal(63)


def test_sixteen_threads_of_ten_thousand_calls() -> None:
    op = operations.ended()
    log = RequestLog(max_size=1000)

    def work() -> None:
        for _ in range(10_000):
            log.record(op)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        log.summary()
        log.daily()
        time.sleep(0.05)
    stats = log.stats()
    assert (stats.calls, stats.total_tokens, stats.cost) == (160_000, 4_800_000, Decimal("10.08"))
    assert (stats.held, len(log.query())) == (1000, 1000)
    assert [row.calls for row in log.daily()] == [160_000]


def test_a_hundred_thousand_records_leave_memory_flat() -> None:
    op = operations.ended()
    log = RequestLog(max_size=1000)
    for _ in range(2000):
        log.record(op)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(100_000):
        log.record(op)
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000
    assert len(log) == 1000
