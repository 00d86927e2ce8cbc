"""Content within a budget: valid JSON of the same shape, the longest texts cut first, parts in order."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm._blobs import replace, summary
from otel_llm._budget import _writer, check, encode, fit, level
from otel_llm._content import render, settle
from otel_llm._operation import Content
from support.content import conforms

IMAGE = bytes(range(256)) * 40_960  # 10 MiB
IMAGE_TEXT = base64.b64encode(IMAGE).decode()


def _say(*texts: str, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "parts": [{"type": "text", "content": text}]} for text in texts]


def _fit(value: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The shortened list, checked for what always holds."""
    before = copy.deepcopy(value)
    fitting = fit(encode(value), limit)
    assert value == before
    assert fitting is not None
    shortened, text = fitting
    assert json.loads(text) == shortened
    assert len(text.encode()) <= limit
    return shortened


def test_what_fits_is_left_alone() -> None:
    content = Content(input=_say("Hi"), tools=[{"type": "function", "name": "f"}])

    rendered = render(content, attribute_bytes=1000, span_bytes=1000)

    assert rendered.json == {
        "input": '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]',
        "tools": '[{"type":"function","name":"f"}]',
    }
    assert rendered.content == content
    assert rendered.dropped == ()


def test_the_longest_texts_are_cut_first_and_to_the_same_length() -> None:
    messages = _say("short", "a" * 5000, "b" * 300, "c" * 9000)

    shortened = _fit(messages, 2000)

    texts = [message["parts"][0]["content"] for message in shortened]
    assert texts[0] == "short"
    assert texts[2] == "b" * 300
    assert texts[1].startswith("aaaa")
    assert texts[1].endswith(f"... [truncated {5000 - texts[1].count('a') + 3} characters]")
    assert texts[3].endswith(f"... [truncated {9000 - texts[3].count('c') + 3} characters]")
    assert abs(len(texts[1]) - len(texts[3])) <= 1
    assert len(encode(shortened).text) > 1900, "the room there is is used"


def test_only_as_much_is_cut_as_must_be() -> None:
    messages = _say("x" * 1000)
    size = encode(messages).size

    assert render(Content(input=messages), attribute_bytes=size, span_bytes=size).content.input == messages
    (text,) = (part["content"] for part in _fit(messages, size - 1)[0]["parts"])
    assert len(text) > 950


def test_a_text_of_many_bytes_per_character() -> None:
    for text in ("ä" * 3000, "🦀" * 3000, '"' * 3000, "\x00" * 3000):
        (shortened,) = _fit(_say(text), 1000)

        cut = shortened["parts"][0]["content"]
        assert cut.startswith(text[:50])
        assert cut.endswith("characters]")


def test_nested_values_become_texts_that_are_cut_when_texts_are_not_what_is_long() -> None:
    call = {
        "type": "tool_call",
        "id": "call_1",
        "name": "f",
        "arguments": {"numbers": list(range(5000)), "to": "x"},
    }
    server = {
        "type": "server_tool_call",
        "id": "s",
        "name": "g",
        "server_tool_call": {"type": "g", "n": [0] * 5000},
    }
    small = {"type": "tool_call", "id": "call_2", "name": "h", "arguments": {"a": 1}}

    (shortened,) = _fit(
        [{"role": "assistant", "parts": [call, server, small], "finish_reason": "tool_call"}], 1500
    )

    first, second, third = shortened["parts"]
    assert first["arguments"].startswith('{"numbers":[0,1,2,3')
    assert first["arguments"].endswith("characters]")
    assert second["server_tool_call"]["type"] == "g"
    assert second["server_tool_call"]["json"].startswith('{"type":"g","n":[0,0')
    assert third == small
    conforms("output", [shortened])


def test_messages_between_the_first_and_the_last_go_when_there_are_too_many() -> None:
    messages = [*_say("Be brief.", role="system"), *_say(*(f"turn {number}" for number in range(1000)))]

    shortened = _fit(messages, 2000)

    assert shortened[0] == messages[0]
    assert shortened[-1] == messages[-1]
    assert shortened[2:] == messages[-len(shortened[2:]) :]
    gone = len(messages) - len(shortened) + 1
    assert shortened[1] == {
        "role": "system",
        "parts": [{"type": "omitted", "reason": f"{gone} left out to keep within the size budget"}],
    }
    conforms("input", shortened)


@pytest.mark.parametrize("field", ["input", "tools"])
def test_of_many_entries_only_those_that_can_have_room_are_turned_into_json(field: str) -> None:
    entries: list[dict[str, Any]] = (
        _say(*(str(number) for number in range(200_000)))
        if field == "input"
        else [{"type": "function", "name": f"f{number}"} for number in range(200_000)]
    )
    ran = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal ran
        ran += event == "call" and frame.f_code.co_name == "encode"

    sys.setprofile(count)
    try:
        rendered = render(Content(**{field: entries}), attribute_bytes=10_000, span_bytes=20_000)
    finally:
        sys.setprofile(None)

    first, mark, *last = getattr(rendered.content, field)
    assert ran < 5000
    assert [first, *last] == [entries[0], *entries[-len(last) :]]
    reason = (mark["parts"][0] if field == "input" else mark)["reason"]
    assert reason == f"{200_000 - 1 - len(last)} left out to keep within the size budget"
    assert 9900 < len(rendered.json[field].encode()) <= 10_000
    conforms(field, getattr(rendered.content, field))


def test_parts_of_one_message_go_when_there_are_too_many() -> None:
    parts = [{"type": "text", "content": f"part {number}"} for number in range(1000)]

    (shortened,) = _fit([{"role": "assistant", "parts": parts, "finish_reason": "stop"}], 2000)

    assert shortened["parts"][0] == parts[0]
    assert shortened["parts"][-1] == parts[-1]
    assert shortened["parts"][1]["type"] == "omitted"
    conforms("output", [shortened])


def test_tools_go_when_there_are_too_many() -> None:
    tools = [{"type": "function", "name": f"tool {number}"} for number in range(1000)]

    shortened = _fit(tools, 1000)

    assert shortened[0] == tools[0]
    assert shortened[-1] == tools[-1]
    conforms("tools", shortened)


def test_a_limit_that_holds_nothing_drops_the_field_and_says_so() -> None:
    content = Content(input=_say("x" * 1000), tools=[{"type": "function", "name": "f"}])

    rendered = render(content, attribute_bytes=40, span_bytes=10_000)

    assert rendered.json == {"tools": '[{"type":"function","name":"f"}]'}
    assert rendered.dropped == ("input",)
    assert rendered.content == Content(tools=content.tools)


def test_the_largest_attributes_are_cut_for_the_span() -> None:
    content = Content(
        system=[{"type": "text", "content": "s" * 100}], input=_say("i" * 9000), output=_say("o" * 7000)
    )

    rendered = render(content, attribute_bytes=8000, span_bytes=10_000)

    sizes = {name: len(text) for name, text in rendered.json.items()}
    assert sizes["system"] < 150
    assert sizes["input"] <= 8000
    assert 9500 < sum(sizes.values()) <= 10_000
    assert abs(sizes["input"] - sizes["output"]) < 50


def test_half_surrogate_pairs_reach_neither_spans_nor_events() -> None:
    rendered = render(Content(input=_say("a\ud83dz")), attribute_bytes=1000, span_bytes=1000)

    assert rendered.content.input == _say("a?z")
    assert json.loads(rendered.json["input"].encode()) == _say("a?z")


def test_blobs_become_type_size_and_hash() -> None:
    part = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": IMAGE_TEXT}
    expected = {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "content": "",
        "byte_count": len(IMAGE),
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
    }

    assert summary(part) == expected
    assert summary({**part, "content": IMAGE}) == expected
    assert summary({**part, "content": "no base64 €"})["byte_count"] == len("no base64 €".encode())
    assert replace([part], keep=True) == [part]
    assert replace([{**part, "content": IMAGE}], keep=True) == [part]
    nested = {"type": "tool_call_response", "id": "1", "response": [{"type": "text", "content": "see"}, part]}
    assert replace([nested], keep=False) == [
        {**nested, "response": [{"type": "text", "content": "see"}, expected]}
    ]
    assert settle(Content(input=[{"role": "user", "parts": [part]}])).input == [
        {"role": "user", "parts": [expected]}
    ]
    assert part["content"] is IMAGE_TEXT


def test_a_blob_that_was_asked_for_but_does_not_fit_is_summed_up_instead_of_cut() -> None:
    part = {"type": "blob", "modality": "image", "content": IMAGE_TEXT[:80_000]}

    (shortened,) = _fit([{"role": "user", "parts": [part, *_say("hello")[0]["parts"]]}], 4000)

    assert shortened["parts"] == [summary(part), {"type": "text", "content": "hello"}]
    conforms("input", [shortened])


def test_two_hundred_turns_with_an_image_of_ten_megabytes() -> None:
    image = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": IMAGE_TEXT}
    messages = _say(*(f"turn {number} " * 200 for number in range(200)))
    messages[100]["parts"].append(image)

    rendered = render(settle(Content(input=messages)), attribute_bytes=256 * 1024, span_bytes=1024 * 1024)

    read = json.loads(rendered.json["input"])
    assert len(rendered.json["input"]) <= 256 * 1024
    assert len(read) == 200
    assert read[100]["parts"][1] == summary(image)
    assert read == rendered.content.input
    conforms("input", read)


@given(
    st.lists(st.integers(min_value=0, max_value=10**6), max_size=30),
    st.integers(min_value=0, max_value=10**7),
)
def test_level_uses_the_room_there_is(sizes: list[int], total: int) -> None:
    bound = level(sizes, total)

    assert sum(min(size, bound) for size in sizes) <= total
    if any(size > bound for size in sizes):
        assert sum(min(size, bound + 1) for size in sizes) > total


_text = st.builds(lambda text, times: text * times, st.text(max_size=6), st.sampled_from([1, 1, 1, 20, 200]))
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
_parts = st.one_of(
    st.builds(lambda content: {"type": "text", "content": content}, _text),
    st.builds(lambda content: {"type": "reasoning", "content": content}, _text),
    st.builds(lambda value: {"type": "tool_call", "id": "c", "name": "f", "arguments": value}, _values),
    st.builds(lambda value: {"type": "tool_call_response", "id": "c", "response": value}, _values),
    st.builds(
        lambda value: {
            "type": "server_tool_call",
            "id": "c",
            "name": "g",
            "server_tool_call": {"v": value, "type": "g"},
        },
        _values,
    ),
    st.builds(lambda data: {"type": "blob", "modality": "image", "content": data}, st.binary(max_size=2000)),
    st.builds(lambda uri: {"type": "uri", "modality": "image", "uri": uri}, _text),
)
_conversations = st.lists(
    st.builds(
        lambda role, parts: {"role": role, "parts": parts},
        st.sampled_from(["system", "user", "assistant", "tool"]),
        st.lists(_parts, max_size=3),
    ),
    max_size=10,
)


def _subsequence(kept: list[Any], given: list[Any]) -> bool:
    """Whether `kept` are entries of `given` in their order."""
    remaining = iter(given)
    return all(any(entry == other for other in remaining) for entry in kept)


@settings(deadline=None, max_examples=60)
@given(_conversations)
def test_the_quick_way_to_json_says_the_same(messages: list[dict[str, Any]]) -> None:
    settled = settle(Content(input=messages)).input
    check(settled)
    encoded = encode(settled)
    assert json.loads(encoded.text) == settled
    assert (encoded.size, encoded.repaired) == (len(encoded.text.encode()), False)


def test_without_pydantic_json_is_written_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = _say('Grüße \x00\x1f\x7f "\\\u2028 🦀', "half a pair: \ud83e")
    quick = encode(messages[:1]), encode(messages)
    monkeypatch.setitem(sys.modules, "pydantic_core", None)
    _writer.cache_clear()
    try:
        assert (encode(messages[:1]), encode(messages)) == quick
    finally:
        monkeypatch.undo()
        _writer.cache_clear()


@settings(deadline=None, max_examples=100)
@given(_conversations, st.integers(min_value=0, max_value=6000), st.booleans())
def test_random_conversations(messages: list[dict[str, Any]], limit: int, blobs: bool) -> None:
    content = Content(input=messages, system=[part for message in messages[:2] for part in message["parts"]])

    rendered = render(settle(content, blobs=blobs), attribute_bytes=limit, span_bytes=limit * 3 // 2)

    sizes = [len(text.encode()) for text in rendered.json.values()]
    assert all(size <= limit for size in sizes)
    assert sum(sizes) <= limit * 3 // 2
    for field, text in rendered.json.items():
        read = json.loads(text)
        assert read == getattr(rendered.content, field)
        conforms(field, read)
    kept = [message for message in rendered.content.input or [] if not _is_mark(message["parts"])]
    assert _subsequence([message["role"] for message in kept], [message["role"] for message in messages])
    if len(kept) == len(messages):
        for message, before in zip(kept, messages, strict=True):
            types = [part["type"] for part in message["parts"] if part["type"] != "omitted"]
            assert _subsequence(types, [part["type"] for part in before["parts"]])


def _is_mark(parts: list[dict[str, Any]]) -> bool:
    return [part["type"] for part in parts] == ["omitted"]


@pytest.mark.parametrize("limit", [150, 400, 1000, 5000])
def test_every_combination_of_sizes_keeps_within_the_limit(limit: int) -> None:
    for count in (1, 2, 10, 200):
        for length in (0, 10, 64, 65, 100, 1000):
            value = _say(*("é" * length for _ in range(count)))
            encoded = encode(value)
            if encoded.size > limit:
                _fit(value, limit)
