"""A line per call in the standard log."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import otel_llm
from otel_llm._operation import ErrorInfo, Outcome, RateLimit, Server, StreamStats
from support import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_attached")


@pytest.fixture(autouse=True)
def _detached() -> Iterator[None]:
    yield
    otel_llm.logger.detach()
    assert logging.getLogger(otel_llm.logger.NAME).handlers == []


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text of our lines, ids and times replaced."""
    return [
        (
            record.levelname,
            re.sub(r"\b(id|elapsed|first_chunk)=[\w.-]+", r"\1=*", record.getMessage()),
        )
        for record in caplog.records
        if record.name == otel_llm.logger.NAME
    ]


REASON = "error=rate_limit_exceeded category=rate_limit status=429"
TRACE = "trace_id=00000000000000000000000000000abc"


def test_a_line_at_the_start_and_one_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach()
    operations.ended(duration=0.4123, response_id="c1")
    assert lines(caplog) == [
        ("INFO", f"LLM request started: openai:gpt-4o id=* {TRACE}"),
        (
            "INFO",
            f"LLM request completed: openai:gpt-4o duration=412.3ms tokens=30 cost=$0.000063 id=* {TRACE} response_id=c1",
        ),
    ]


def test_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach("error")
    operations.ended()
    operations.failed(duration=0.02, name="embeddings")
    assert lines(caplog) == [
        (
            "ERROR",
            f"LLM request failed: openai:gpt-4o duration=20.0ms {REASON} id=* {TRACE}",
        )
    ]


def test_chunks_at_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    for level, chunks in (("info", 0), ("DEBUG", 2), (logging.DEBUG, 2)):
        caplog.clear()
        otel_llm.logger.attach(level)
        op = operations.start(stream=True)
        operations.chunk(op, 6, "MY-PROMPT")
        operations.chunk(op, 4, "MY-PROMPT")
        operations.end(op, Outcome.CLOSED, duration=1.0, attempts=(), stream_stats=StreamStats(2, 10, 0.25))
        assert (
            lines(caplog)[1:-1]
            == [
                ("DEBUG", f"LLM stream chunk: openai:gpt-4o chunks={count} bytes={size} elapsed=* id=*")
                for count, size in ((1, 6), (2, 10))
            ][:chunks]
        )
        assert lines(caplog)[-1] == (
            "INFO",
            f"LLM request closed: openai:gpt-4o duration=1000.0ms first_chunk=* id=* {TRACE}",
        )
        assert "MY-PROMPT" not in caplog.text


def test_retries_are_said(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach()
    op = operations.start()
    operations.attempt(op)
    operations.end(op, duration=1.0)
    assert lines(caplog)[-1][1].startswith(
        "LLM request completed: openai:gpt-4o duration=1000.0ms attempts=2 id="
    )


def test_facts_are_attributes_of_the_record(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach()
    op = operations.failed(response_id="c1")
    record = caplog.records[-1]
    assert {
        name: value for name, value in vars(record).items() if "." in name or name.startswith("otel_llm")
    } == {
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "c1",
        "error.type": "rate_limit_exceeded",
        "otel_llm.call.id": op.id,
        "otel_llm.trace_id": "00000000000000000000000000000abc",
        "otel_llm.span_id": "0000000000000def",
    }


def test_neither_content_nor_headers_nor_texts_of_errors(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach("debug")
    operations.failed(
        error=ErrorInfo("x", "X", message="MY-PROMPT sk-SECRET", stacktrace="MY-PROMPT"),
        content={"input": "MY-PROMPT"},
        attributes={"header": "sk-SECRET"},
        server=Server(rate_limit=RateLimit(1)),
    )
    told = caplog.text + repr([vars(record) for record in caplog.records])
    assert "MY-PROMPT" not in told
    assert "sk-SECRET" not in told


def test_a_name_from_outside_cannot_begin_a_line(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach()
    operations.ended(request_model="m\nERROR forged", response_id="r\x1b[2J")
    assert all(message.isprintable() for message in caplog.messages)


def test_detached_it_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach()
    otel_llm.logger.attach("warning")
    otel_llm.logger.detach()
    operations.failed()
    assert lines(caplog) == []
    assert logging.getLogger(otel_llm.logger.NAME).level == logging.NOTSET


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        otel_llm.logger.attach("loud")


def test_a_small_cost_is_written_out(caplog: pytest.LogCaptureFixture) -> None:
    otel_llm.logger.attach()
    operations.ended(cost=Decimal("0.00000063"))
    assert " cost=$0.00000063 " in caplog.messages[-1]


@pytest.mark.parametrize(
    ("setup", "times"),
    [
        ("", 1),
        ("logging.basicConfig(level='INFO')", 1),
        ("logging.getLogger('otel_llm').addHandler(logging.StreamHandler())", 1),
        ("logging.getLogger('otel_llm.calls').addHandler(logging.StreamHandler())", 1),
        ("logging.basicConfig(); logging.getLogger('otel_llm').propagate = False", 1),
        ("logging.getLogger('otel_llm.calls').addHandler(logging.NullHandler())", 0),
    ],
)
def test_a_program_without_logging_sees_the_lines_once(setup: str, times: int) -> None:
    program = (
        "import logging, otel_llm\n"
        f"{setup}\n"
        "otel_llm.logger.attach()\n"
        "with otel_llm.track('acme', 'm1') as call: call.usage(1, 2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.count("LLM request completed: acme:m1") == times
