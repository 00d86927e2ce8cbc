"""The request log and the log, fed by the real SDKs."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import pytest
from doors import CHAT
from scene import instrumented

import otel_llm
from otel_llm import hooks
from otel_llm.testing import Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm.testing import FakeProvider

PRICE = Decimal("0.000063")


def test_the_log_has_what_a_call_was(server: FakeProvider, make: Callable[..., Any]) -> None:
    server.script(
        Reply(
            input_tokens=10,
            output_tokens=20,
            cached_tokens=4,
            tool_calls=[ToolCall("f"), ToolCall("g")],
            headers={"openai-processing-ms": "250", "x-request-id": "req_1"},
        ),
        Reply.error(500),
    )
    client = make("openai")
    with instrumented(cost=lambda _: PRICE), otel_llm.RequestLog() as log:
        client.chat.completions.create(**CHAT, response_format={"type": "json_object"})
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**CHAT)
    good, bad = log.query()
    assert (good.input_tokens, good.output_tokens, good.total_tokens, good.cache_read_tokens) == (
        10,
        20,
        30,
        4,
    )
    assert (good.output_type, good.tool_calls, good.processing, good.cost) == (
        "json",
        ("f", "g"),
        0.25,
        PRICE,
    )
    assert log.query(id="req_1") == [good]
    assert (bad.failed, bad.status, bad.duration > 0) == (True, 500, True)
    json.dumps([record.to_dict() for record in log.query()])
    assert (log.stats().calls, log.summary().error_rate) == (2, 0.5)


def test_what_a_conversation_used(server: FakeProvider, make: Callable[..., Any]) -> None:
    client = make("openai")
    server.reply(Reply(input_tokens=10, output_tokens=20))
    try:
        with instrumented() as telemetry, otel_llm.RequestLog() as log:
            with otel_llm.session("c1", user_id="ada"):
                for _ in range(2):
                    client.chat.completions.create(**CHAT)
            client.chat.completions.create(**CHAT)
            carried = [(span.attributes or {}).get("gen_ai.conversation.id") for span in telemetry.spans()]
            attributes = {
                name
                for points in telemetry.points().values()
                for point in points
                for name in point.attributes
            }
    finally:
        server.reply(Reply())
    assert carried == ["c1", "c1", None]
    assert attributes & {"gen_ai.conversation.id", "user.id"} == set()
    assert log.usage(session="c1").total.total_tokens == 60


def test_sixteen_threads_of_calls(server: FakeProvider, make: Callable[..., Any]) -> None:
    lock = threading.Lock()
    counts: Counter[str] = Counter()

    def count(event: str, *_: Any) -> None:
        with lock:
            counts[event] += 1

    client = make("openai")
    hooks.attach("count", ("llm.chat.start", "llm.chat.stop"), count)
    try:
        with instrumented() as telemetry, otel_llm.RequestLog(max_size=10) as log:

            def work() -> None:
                for _ in range(10):
                    client.chat.completions.create(**CHAT)

            threads = [threading.Thread(target=work) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            points = telemetry.points()["gen_ai.client.operation.duration"]
    finally:
        hooks.detach("count")
    assert counts == {"llm.chat.start": 160, "llm.chat.stop": 160}
    assert sum(point.count or 0 for point in points) == 160
    assert (log.stats().calls, log.stats().total_tokens, len(log)) == (160, 3200, 10)


def test_the_log_by_setting(
    server: FakeProvider, make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = make("openai")
    with instrumented(log="info"), caplog.at_level(logging.INFO):
        client.chat.completions.create(**CHAT)
    client.chat.completions.create(**CHAT)
    lines = [record.getMessage() for record in caplog.records if record.name == "otel_llm.calls"]
    assert [line.partition(" id=")[0].partition(" duration=")[0] for line in lines] == [
        "LLM request started: openai:gpt-4o",
        "LLM request completed: openai:gpt-4o",
    ]
    assert "tokens=20" in lines[1]
