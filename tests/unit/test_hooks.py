"""What is told when, to whom, and with which facts."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_llm import _dispatch, _events, hooks
from otel_llm._listeners import listeners
from otel_llm._operation import Content, ErrorInfo, Outcome, RateLimit, Server, Usage
from support import operations
from support.hooking import PHASES

if TYPE_CHECKING:
    from support.hooking import Seen

pytestmark = pytest.mark.usefixtures("nothing_attached")

CALL = tuple(f"llm.chat.{phase}" for phase in ("start", "stop", "exception"))
REQUEST = tuple(f"llm.provider.request.{phase}" for phase in ("start", "stop", "exception"))


def test_a_call_tells_its_start_and_its_end(seen: Seen) -> None:
    hooks.attach("mine", CALL, seen, {"tag": "x"})
    op = operations.ended(
        response_model="gpt-4o-2024-08-06", response_id="c1", finish_reasons=("stop",), duration=0.5
    )
    at_start = hooks.CallMetadata(
        id=op.id,
        provider="openai",
        operation="chat",
        model="gpt-4o",
        endpoint="/v1/chat/completions",
        sdk="openai",
        stream=False,
        conversation_id=None,
        trace_id="00000000000000000000000000000abc",
        span_id="0000000000000def",
        attempts=1,
        outcome=None,
        response_model="gpt-4o-2024-08-06",
        response_id="c1",
        finish_reasons=("stop",),
        tool_calls=(),
        error=None,
    )
    measured = hooks.CallMeasurements(
        duration=0.5,
        input_tokens=10,
        output_tokens=20,
        total_tokens=30,
        cache_read_tokens=4,
        cache_write_tokens=None,
        reasoning_tokens=None,
        cost=Decimal("0.000063"),
        first_chunk=None,
        chunks=None,
        bytes=None,
    )
    assert seen.told == [
        ("llm.chat.start", hooks.StartMeasurements(op.start_time), at_start, {"tag": "x"}),
        ("llm.chat.stop", measured, at_start._replace(outcome="completed"), {"tag": "x"}),
    ]


def test_a_failed_call_says_why(seen: Seen) -> None:
    hooks.attach("mine", CALL, seen)
    op = operations.failed(duration=0.25)
    (_, began, ended) = (None, *seen.told)
    assert [began[0], ended[0]] == ["llm.chat.start", "llm.chat.exception"]
    assert began[2].id == ended[2].id == op.id
    assert ended[1].duration == 0.25
    assert ended[2].outcome == "failed"
    assert ended[2].error == hooks.CallError(
        type="rate_limit_exceeded",
        exception="openai.RateLimitError",
        code="rate_limit_exceeded",
        status=429,
        category="rate_limit",
        retryable=True,
    )


@pytest.mark.parametrize(
    "outcome", [Outcome.COMPLETED, Outcome.CANCELLED, Outcome.CLOSED, Outcome.ABANDONED], ids=str
)
def test_only_a_failure_is_an_exception(seen: Seen, outcome: Outcome) -> None:
    hooks.attach("mine", hooks.EVENTS, seen)
    operations.ended(outcome=outcome, stream=True, cost=None)
    assert seen.events == [
        "llm.chat.start",
        "llm.stream.start",
        "llm.provider.request.start",
        "llm.chat.stop",
        "llm.stream.stop",
        "llm.provider.request.stop",
    ]
    assert seen.told[3][2].outcome == outcome.value


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("chat", "chat"),
        ("embeddings", "embeddings"),
        ("text_completion", "text_completion"),
        ("rerank", "operation"),
    ],
)
def test_each_operation_has_its_component(seen: Seen, name: str, component: str) -> None:
    hooks.attach("mine", [e for e in hooks.EVENTS if hooks.PAYLOADS[e][1] is hooks.CallMetadata], seen)
    operations.ended(name=name)
    operations.failed(name=name)
    assert seen.events == [
        f"llm.{component}.start",
        f"llm.{component}.stop",
        f"llm.{component}.start",
        f"llm.{component}.exception",
    ]
    assert {told[2].operation for told in seen.told} == {name}


def test_each_attempt_is_told(seen: Seen) -> None:
    hooks.attach("mine", (*REQUEST, "llm.provider.rate_limit"), seen)
    op = operations.start(server=Server(rate_limit=RateLimit(7, 10, 1.5, 900, 1000, 2.5)))
    operations.attempt(op, status=429, wait=0.25, error="slow")
    operations.attempt(op, status=None, wait=0.5, error="ConnectError")
    operations.end(op, duration=2.0, server=Server(status=200))

    def about(number: int, status: int | None, error: str | None) -> hooks.AttemptMetadata:
        return hooks.AttemptMetadata(op.id, "openai", "chat", "gpt-4o", number, status, error)

    assert [(event, metadata) for event, _, metadata, _ in seen.told] == [
        (REQUEST[0], about(1, None, None)),
        (REQUEST[2], about(1, 429, "slow")),
        ("llm.provider.rate_limit", about(1, 429, "slow")),
        (REQUEST[0], about(2, None, None)),
        (REQUEST[2], about(2, None, "ConnectError")),
        (REQUEST[0], about(3, None, None)),
        (REQUEST[1], about(3, 200, None)),
    ]
    assert seen.told[1][1] == hooks.AttemptMeasurements(0.125, 0.25)
    assert seen.told[2][1] == hooks.RateLimitMeasurements(0.25, 7, 900, 1.5, 2.5)
    assert seen.told[6][1] == hooks.AttemptMeasurements(2.0 - 0.125 - 0.25 - 0.125 - 0.5, None)


def test_an_attempt_that_nothing_follows_is_told_at_the_end(seen: Seen) -> None:
    hooks.attach("mine", ("llm.provider.request.exception", "llm.provider.rate_limit"), seen)
    op = operations.failed()
    about = hooks.AttemptMetadata(op.id, "openai", "chat", "gpt-4o", 1, 429, "rate_limit_exceeded")
    assert [(event, metadata) for event, _, metadata, _ in seen.told] == [
        ("llm.provider.request.exception", about),
        ("llm.provider.rate_limit", about),
    ]


def test_chunks_are_told_by_count_and_size_and_not_by_content(seen: Seen) -> None:
    hooks.attach("mine", "llm.stream.chunk", seen)
    op = operations.start(stream=True)
    operations.chunk(op, 6, "hello ")
    operations.chunk(op, 4)
    operations.end(op)
    brief = hooks.StreamMetadata(op.id, "openai", "chat", "gpt-4o")
    assert [(m.chunks, m.bytes, metadata) for _, m, metadata, _ in seen.told] == [
        (1, 6, brief),
        (2, 10, brief),
    ]
    assert 0 <= seen.told[0][1].elapsed <= seen.told[1][1].elapsed


def test_what_a_call_adds_to_its_session(seen: Seen) -> None:
    hooks.attach("mine", [event for event in hooks.EVENTS if event.startswith("llm.session")], seen)
    said: list[dict[str, Any]] = [{"role": "user", "parts": []}, {"role": "user", "parts": []}]
    op = operations.ended(
        conversation_id="c-7",
        attributes={"user.id": "ada"},
        finish_reasons=("length",),
        content=Content(input=[{"role": "system", "parts": []}, *said]),
        duration=0.5,
    )
    about = hooks.SessionMetadata("c-7", "ada", op.id)
    assert [told[:3] for told in seen.told] == [
        ("llm.session.message", hooks.CountMeasurements(1), hooks.MessageMetadata("c-7", "system", op.id)),
        ("llm.session.message", hooks.CountMeasurements(2), hooks.MessageMetadata("c-7", "user", op.id)),
        ("llm.session.usage", hooks.UsageMeasurements(10, 20, 30, Decimal("0.000063"), 0.5), about),
        ("llm.session.truncated", hooks.CountMeasurements(1), about),
    ]


def test_a_refusal_for_length_truncates_a_session_too(seen: Seen) -> None:
    hooks.attach("mine", "llm.session.truncated", seen)
    error = ErrorInfo("context_length_exceeded", "openai.BadRequestError", category="context_length")
    operations.failed(conversation_id="c-7", error=error)
    operations.failed(conversation_id="c-7")
    operations.failed(error=error)
    assert seen.events == ["llm.session.truncated"]


def test_cost_is_told_exactly(seen: Seen) -> None:
    hooks.attach("mine", "llm.cost.calculated", seen)
    op = operations.ended(cost=Decimal("0.003"))
    operations.ended(cost=None)
    brief = hooks.StreamMetadata(op.id, "openai", "chat", "gpt-4o")
    assert seen.told == [("llm.cost.calculated", hooks.CostMeasurements(Decimal("0.003")), brief, None)]


@pytest.mark.parametrize("event", hooks.EVENTS)
def test_an_event_listens_to_nothing_else_than_it_needs(event: str) -> None:
    before = {phase: getattr(listeners, phase) for phase in PHASES}
    hooks.attach("mine", event, lambda *_: None)
    added = {phase for phase in PHASES if getattr(listeners, phase) != before[phase]}
    if event != "llm.stream.progress":
        assert added == set(_events._PHASES.get(event, ()))
    hooks.detach("mine")
    assert {phase: getattr(listeners, phase) for phase in PHASES} == before


def test_an_id_is_attached_once(seen: Seen) -> None:
    hooks.attach("mine", "llm.chat.stop", seen)
    with pytest.raises(ValueError, match="'mine' is attached already"):
        hooks.attach("mine", "llm.chat.start", seen)
    assert hooks.detach("mine") is True
    assert hooks.detach("mine") is False
    hooks.attach("mine", "llm.chat.start", seen)
    operations.ended()
    assert seen.events == ["llm.chat.start"]


def test_an_event_that_does_not_exist_is_refused(seen: Seen) -> None:
    with pytest.raises(ValueError, match=r"no event 'llm\.chat\.end'"):
        hooks.attach("mine", ["llm.chat.stop", "llm.chat.end"], seen)
    assert hooks.list() == []


def test_handlers_come_in_the_order_in_which_they_were_attached() -> None:
    order: list[str] = []
    for name in ("b", "a", "c"):
        hooks.attach(name, "llm.chat.stop", lambda *told: order.append(told[3]), name)
    operations.ended()
    assert order == ["b", "a", "c"]


def test_one_id_for_several_functions() -> None:
    order: list[str] = []
    hooks.attach_many(
        "pair",
        {
            "llm.chat.start": lambda *_: order.append("start"),
            "llm.chat.stop": lambda *_: order.append("stop"),
        },
    )
    operations.ended()
    assert hooks.list("llm.chat") == ["pair"]
    hooks.detach("pair")
    operations.ended()
    assert order == ["start", "stop"]


def test_handlers_are_listed_by_prefix(seen: Seen) -> None:
    hooks.attach("chat", CALL, seen)
    hooks.attach("stream", "llm.stream.chunk", seen)
    hooks.attach("own", "myapp.step.stop", seen)
    assert hooks.list() == ["chat", "stream", "own"]
    assert hooks.list("llm.chat") == ["chat"]
    assert hooks.list("llm.") == ["chat", "stream"]
    hooks.detach("chat")
    assert hooks.list("llm.chat") == []


def test_a_block_of_the_application(seen: Seen) -> None:
    events = [f"myapp.step.{phase}" for phase in ("start", "stop", "exception")]
    hooks.attach("mine", events, seen)
    with hooks.span("myapp.step", text_length=5):
        pass
    (start, stop) = seen.told
    assert (start[0], stop[0]) == ("myapp.step.start", "myapp.step.stop")
    assert start[2] == stop[2] == hooks.SpanMetadata(start[2].id, "myapp.step", {"text_length": 5}, None)
    assert isinstance(start[1], hooks.StartMeasurements)
    assert stop[1].duration >= 0


def test_a_block_that_raises_lets_the_exception_through(seen: Seen) -> None:
    hooks.attach("mine", ["myapp.step.stop", "myapp.step.exception"], seen)
    error = KeyError("k")
    with pytest.raises(KeyError) as caught, hooks.span("myapp.step"):
        raise error
    assert caught.value is error
    assert [entry.name for entry in caught.traceback] == [
        "test_a_block_that_raises_lets_the_exception_through"
    ]
    ((event, _, metadata, _),) = seen.told
    assert (event, metadata.error) == ("myapp.step.exception", "KeyError")


def test_our_own_namespace_is_not_for_blocks() -> None:
    with pytest.raises(ValueError, match="namespace of this package"):
        hooks.span("llm.chat")


def test_execute_calls_handlers_by_hand(seen: Seen) -> None:
    hooks.attach("mine", "llm.provider.auth_refresh", seen, "c")
    assert hooks.wanted("llm.provider.auth_refresh")
    assert not hooks.wanted("llm.chat.stop")
    hooks.execute("llm.provider.auth_refresh", hooks.CountMeasurements(1), hooks.AuthMetadata("openai"))
    assert seen.told == [
        ("llm.provider.auth_refresh", hooks.CountMeasurements(1), hooks.AuthMetadata("openai"), "c")
    ]


def test_a_fresh_key_is_told_without_the_key(seen: Seen) -> None:
    _dispatch.refreshed("openai")
    hooks.attach("mine", "llm.provider.auth_refresh", seen)
    _dispatch.refreshed("openai")
    assert [told[:3] for told in seen.told] == [
        ("llm.provider.auth_refresh", hooks.CountMeasurements(1), hooks.AuthMetadata("openai"))
    ]


def test_payloads_are_frozen_plain_and_named_by_the_events() -> None:
    assert tuple(hooks.PAYLOADS) == hooks.EVENTS
    assert all(re.fullmatch(r"llm(\.[a-z_]+){2,3}", event) for event in hooks.EVENTS)
    plain = {
        "str",
        "str | None",
        "int",
        "int | None",
        "float",
        "float | None",
        "bool",
        "Decimal",
        "Decimal | None",
        "tuple[str, ...]",
        "tuple[_Bytes, ...] | None",
        "CallError | None",
        "LastError | None",
        "Mapping[str, Any]",
    }
    classes = {cls for pair in hooks.PAYLOADS.values() for cls in pair}
    for cls in classes:
        assert {getattr(item, "__forward_arg__", item) for item in cls.__annotations__.values()} <= plain
        one = cls(*[None] * len(cls._fields))
        with pytest.raises(AttributeError):
            setattr(one, cls._fields[0], 1)


def test_the_documentation_lists_every_event_with_its_payloads() -> None:
    text = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()
    rows = re.findall(r"^\| `(llm\.[a-z_.]+)` \|.*\| `(\w+)` \| `(\w+)` \|$", text, re.MULTILINE)
    assert {event: (one, two) for event, one, two in rows} == {
        event: (one.__name__, two.__name__) for event, (one, two) in hooks.PAYLOADS.items()
    }
    assert len(rows) == len(hooks.EVENTS)


def test_usage_that_nobody_gave_is_none(seen: Seen) -> None:
    hooks.attach("mine", "llm.chat.stop", seen)
    operations.ended(usage=None, cost=None)
    operations.ended(usage=Usage(0, None))
    assert [(m.input_tokens, m.output_tokens, m.total_tokens) for _, m, _, _ in seen.told] == [
        (None, None, None),
        (0, None, 0),
    ]
