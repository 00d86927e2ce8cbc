"""Odd input never raises, never loses an iterator's items, and always leaves plain JSON of the right shape."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm._content import render, settle
from otel_llm._operation import Content
from otel_llm._plain import omitted, parse, plain, record
from otel_llm.providers import _anthropic_content, _openai_content, _openai_parts, _responses_content
from support.content import conforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUESTS: list[tuple[Callable[[Any], Content], tuple[str, ...]]] = [
    (_openai_content.chat, ("messages", "tools", "functions")),
    (_openai_content.prompt, ("prompt",)),
    (_openai_content.embeddings, ("input",)),
    (_responses_content.responses, ("input", "instructions", "tools")),
    (_anthropic_content.messages, ("messages", "system", "tools")),
    (_anthropic_content.prompt, ("prompt",)),
]
OUTPUTS: list[Callable[[Any], list[dict[str, Any]]]] = [
    _openai_content.chat_output,
    _openai_content.completion_output,
    _responses_content.response_output,
    _anthropic_content.message_output,
    _anthropic_content.completion_output,
]
STREAMS: list[Callable[[], Any]] = [
    _openai_content.ChatOutput,
    _responses_content.ResponseOutput,
    _anthropic_content.MessageOutput,
    _anthropic_content.CompletionOutput,
]


class _Hostile:
    """Whatever runs of its own code raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    __iter__ = __len__ = __str__ = __repr__ = __eq__ = __getitem__ = __bool__ = None  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def _generator() -> Iterator[Any]:
    yield {"role": "user", "content": "Hi"}


class _Sub(dict[str, Any]):
    pass


ODD: list[Any] = [
    None,
    True,
    7,
    2**80,
    10**5000,
    float("nan"),
    float("-inf"),
    b"bytes",
    "text",
    "\ud800 half a pair",
    "data:image/png;base64,!!!",
    openai.NOT_GIVEN,
    openai.Omit(),
    anthropic.NOT_GIVEN,
    _Hostile(),
    _Hostile,
    object(),
    {1, 2},
    {},
    [],
    (),
    [[]],
    [{}],
    [None, 1, "a", b"b", _Hostile()],
    {1: 2, None: 3, ("a",): 4, 10**5000: 5},
    [{"role": "user"}],
    [{"role": "user", "content": _Hostile()}],
    [{"role": 5, "content": "x"}],
    [
        {
            "role": "user",
            "content": [{"type": "text"}, {"type": None}, {"type": "image_url"}, {"type": "input_audio"}],
        }
    ],
    [{"role": "user", "content": [{"type": "image"}, {"type": "document", "source": 5}, {"type": "file"}]}],
    [{"role": "assistant", "tool_calls": 5, "function_call": 5, "audio": 5, "refusal": 5}],
    [{"role": "assistant", "tool_calls": [5, {}, {"function": None}, {"custom": 5}]}],
    [{"role": "tool", "content": 5}],
    [{"type": "reasoning"}, {"type": "web_search_call"}, {"type": "mcp_call", "arguments": 5}, {"type": 5}],
    [{"type": "image_generation_call", "result": 5}, {"type": "function_call_output", "output": 5}],
    [_Sub(role="user", content=_Sub(type="text", text="x"))],
]


def _settled(content: Content) -> dict[str, Any]:
    """What is recorded of it, checked to be valid JSON of the published shapes."""
    rendered = render(settle(content), attribute_bytes=100_000, span_bytes=400_000)
    read = {name: json.loads(text.encode()) for name, text in rendered.json.items()}
    for name, value in read.items():
        conforms(name, value)
    return read


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_requests(value: Any) -> None:
    for read, names in REQUESTS:
        for name in names:
            _settled(read({name: value}))
        _settled(read(dict.fromkeys(names, value)))


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_responses_and_chunks(value: Any) -> None:
    for body in (
        value,
        {"choices": value, "output": value, "content": value, "completion": value, "stop_reason": value},
        {"choices": [{"message": value, "finish_reason": value, "text": value}], "status": value},
        {"choices": [{"message": {"content": value, "audio": value, "tool_calls": value, "refusal": value}}]},
    ):
        for read in OUTPUTS:
            _settled(Content(output=read(body)))


CHUNKS: list[Callable[[Any], Any]] = [
    lambda value: value,
    lambda value: {"choices": value, "type": value},
    lambda value: {"choices": [{"delta": value, "index": value, "text": value, "finish_reason": value}]},
    lambda value: {"choices": [{"delta": {"tool_calls": value, "content": value, "audio": value}}]},
    lambda value: {
        "choices": [{"delta": {"tool_calls": [{"index": value, "id": value, "function": value}]}}]
    },
    lambda value: {"type": "content_block_start", "index": value, "content_block": value},
    lambda value: {"type": "content_block_delta", "index": value, "delta": value},
    lambda value: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": value}},
    lambda value: {"type": "message_start", "message": value},
    lambda value: {"type": "message_delta", "delta": value},
    lambda value: {"type": "response.output_item.added", "output_index": value, "item": value},
    lambda value: {"type": "response.output_text.delta", "content_index": value, "delta": value},
    lambda value: {"type": "response.output_item.done", "item": value},
    lambda value: {"type": "response.completed", "response": value},
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_streams(value: Any) -> None:
    for make in STREAMS:
        every = make()
        for chunk in CHUNKS:
            one = make()
            one.add(chunk(value))
            every.add(chunk(value))
            _settled(Content(output=one.output()))
        _settled(Content(output=every.output()))


def test_an_iterator_is_left_to_the_sdk() -> None:
    for read, names in REQUESTS:
        for name in names:
            given = _generator()
            marked = read({name: given})

            assert "generator" in json.dumps([marked.system, marked.input, marked.tools])
            assert list(given) == [{"role": "user", "content": "Hi"}]
    inner = _generator()
    parts = _openai_content.chat({"messages": [{"role": "user", "content": inner}]}).input
    assert parts == [{"role": "user", "parts": [omitted("generator")]}]
    assert len(list(inner)) == 1


class _Colour(StrEnum):
    RED = "red"


class _Number(Enum):
    ONE = 1


def test_values_of_other_classes_become_plain() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert plain(cycle) == [1, omitted("a cycle, or nested too deeply")]
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"d": deep}
    assert "nested too deeply" in json.dumps(plain(deep))
    assert plain([_Colour.RED, _Number.ONE, Decimal("1.5"), date(2026, 1, 2), Path("/tmp/x")]) == [
        "red",
        1,
        "1.5",
        "2026-01-02",
        "/tmp/x",
    ]
    assert plain({"big": 2**70, "nan": float("nan")}) == {"big": str(2**70), "nan": "nan"}
    assert plain([b"ab"]) == [
        {"type": "blob", "modality": "document", "mime_type": "application/octet-stream", "content": b"ab"}
    ]
    assert plain("data: what I found") == "data: what I found"
    assert plain("data:text/plain,a%20b")["content"] == b"a b"
    assert type(plain(_Colour.RED)) is str


def test_arguments_that_are_no_json_stay_text() -> None:
    assert parse('{"a": 1}') == {"a": 1}
    assert parse('{"a": 1') == '{"a": 1'
    assert parse("") == ""
    assert parse("[" * 100_000) == "[" * 100_000
    assert parse('{"a": 1e999, "b": NaN}') == {"a": "inf", "b": "nan"}
    assert parse(None) is None


def test_a_model_is_read_without_running_it() -> None:
    message = openai.types.chat.ChatCompletionMessage(role="assistant", content="Hi")
    assert record(message) == {"role": "assistant", "content": "Hi"}
    assert record(_Hostile()) == {}
    assert record(openai.NOT_GIVEN) == {}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
_typed = st.sampled_from(
    [
        *_openai_parts.PARTS,
        *_anthropic_content._BLOCKS,
        *_responses_content._ITEMS,
        "message",
        "x_tool_result",
    ]
)
_part = st.builds(
    lambda kind, more: {**more, "type": kind},
    _typed,
    st.dictionaries(
        st.sampled_from(
            ["text", "source", "content", "input", "output", "result", "url", "image_url", "file", "id"]
        ),
        _json,
        max_size=4,
    ),
)
_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={
        "content": _json | st.lists(_part, max_size=3),
        "tool_calls": _json,
        "type": _typed,
        "name": _json,
    },
)


@settings(deadline=None, max_examples=60)
@given(st.lists(_message | _part | _json, max_size=4) | _json)
def test_whatever_is_sent(value: Any) -> None:
    for read, names in REQUESTS:
        _settled(read(dict.fromkeys(names, value)))
