"""A redactor sees each typed part once, and what it returns is all that is left."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from otel_llm import redactors
from otel_llm._content import render, settle
from otel_llm._operation import Content
from otel_llm._redact import Part, redact_text
from otel_llm.redactors import MASK
from support.content import conforms


def _content() -> Content:
    return Content(
        system=[{"type": "text", "content": "You are CANARY."}],
        input=[
            {
                "role": "user",
                "name": "CANARY",
                "parts": [{"type": "text", "content": "My card is 4111111111111111"}],
            },
            {
                "role": "assistant",
                "parts": [
                    {
                        "type": "tool_call",
                        "id": "call_1",
                        "name": "pay",
                        "arguments": {
                            "card": "4111111111111111",
                            "to": [{"Email": "ada@example.org"}],
                            "n": 4,
                        },
                    }
                ],
            },
            {
                "role": "tool",
                "parts": [
                    {
                        "type": "tool_call_response",
                        "id": "call_1",
                        "response": '{"email": "ada@example.org", "ok": true}',
                    }
                ],
            },
        ],
        output=[
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Bearer abcdefgh"},
                    {
                        "type": "server_tool_call",
                        "id": "s",
                        "name": "search",
                        "server_tool_call": {"type": "search", "query": "CANARY"},
                    },
                    {"type": "blob", "modality": "image", "content": "Q0FOQVJZ", "filename": "CANARY.png"},
                ],
                "finish_reason": "stop",
            }
        ],
        tools=[
            {
                "type": "function",
                "name": "pay",
                "description": "Pays.",
                "parameters": {"properties": {"card": {}}},
            }
        ],
    )


def test_each_part_is_seen_once_with_its_role_before_blobs_are_summed_up() -> None:
    seen: list[tuple[str, str]] = []
    blobs: list[Any] = []

    def redact(part: Part) -> Part:
        seen.append((part.role, part["type"]))
        if part["type"] == "blob":
            blobs.append(part["content"])
        return part

    content = _content()
    settled = settle(content, redact=redact)

    assert seen == [
        ("system", "text"),
        ("user", "text"),
        ("user", "name"),
        ("assistant", "tool_call"),
        ("tool", "tool_call_response"),
        ("assistant", "reasoning"),
        ("assistant", "server_tool_call"),
        ("assistant", "blob"),
        ("tools", "function"),
    ]
    assert blobs == ["Q0FOQVJZ"]
    assert settled == settle(content)
    assert content == _content()


def test_what_a_redactor_returns_is_recorded_and_what_it_drops_is_gone() -> None:
    def redact(part: Part) -> dict[str, Any] | None:
        if part.role == "tool":
            return None
        if part["type"] == "name":
            return {"type": "name", "content": "somebody"}
        part.clear()
        part.update(type="text", content="-")
        return part

    settled = settle(_content(), redact=redact)

    dash = {"type": "text", "content": "-"}
    assert settled == Content(
        system=[dash],
        input=[
            {"role": "user", "name": "somebody", "parts": [dash]},
            {"role": "assistant", "parts": [dash]},
            {"role": "tool", "parts": []},
        ],
        output=[{"role": "assistant", "parts": [dash, dash, dash], "finish_reason": "stop"}],
        tools=[dash],
    )


def test_a_redactor_that_raises_or_returns_nonsense_is_not_survived() -> None:
    def raises(part: Part) -> Part:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        settle(_content(), redact=raises)
    for nonsense in ("text", 5, [], {"content": "no type"}, {"type": 5}):
        with pytest.raises(TypeError, match="a redactor returns a part or None"):
            settle(_content(), redact=lambda _, given=nonsense: given)
    for unprintable in ({1, 2}, b"bytes", datetime.now(tz=UTC), object()):
        with pytest.raises(TypeError):
            settle(_content(), redact=lambda _, given=unprintable: {"type": "text", "content": given})
    with pytest.raises(ValueError, match="JSON"):
        settle(_content(), redact=lambda _: {"type": "text", "content": float("nan")})


def test_texts_that_are_no_part() -> None:
    assert (
        redact_text("a CANARY", redactors.pattern("CANARY"), kind="exception", role="exception")
        == f"a {MASK}"
    )
    assert redact_text("a", lambda _: None, kind="exception", role="exception") is None
    assert redact_text("a", lambda _: {"type": "exception"}, kind="exception", role="exception") is None


def _redacted(redactor: redactors.Redactor) -> dict[str, Any]:
    """What is left of the content, as JSON, checked against the published shapes."""
    rendered = render(settle(_content(), redact=redactor), attribute_bytes=10_000, span_bytes=40_000)
    read = {name: json.loads(text) for name, text in rendered.json.items()}
    for name, value in read.items():
        conforms(name, value)
    return read


def test_by_regular_expression() -> None:
    read = _redacted(redactors.pattern(r"CANARY|\d{16}"))

    text = json.dumps(read)
    assert "CANARY" not in text
    assert "4111" not in text
    assert read["input"][0]["parts"] == [{"type": "text", "content": f"My card is {MASK}"}]
    assert read["input"][0]["name"] == MASK
    assert read["input"][1]["parts"][0]["arguments"]["n"] == 4
    blob = read["output"][0]["parts"][2]
    assert (blob["filename"], blob["byte_count"]) == (f"{MASK}.png", 6)


def test_by_key() -> None:
    read = _redacted(redactors.keys("EMAIL", "card"))

    assert read["input"][1]["parts"][0]["arguments"] == {"card": MASK, "to": [{"Email": MASK}], "n": 4}
    assert json.loads(read["input"][2]["parts"][0]["response"]) == {"email": MASK, "ok": True}
    assert read["input"][0]["parts"] == _content().input[0]["parts"]  # type: ignore[index]
    assert read["tools"] == _content().tools
    assert (
        redactors.keys("a")(Part({"type": "tool_call_response", "response": "[" * 100_000}, "tool"))
        is not None
    )


def test_by_role() -> None:
    read = _redacted(redactors.roles("user", "tool", "system"))

    assert read["system"] == [{"type": "text", "content": MASK}]
    assert read["input"][0] == {"role": "user", "name": MASK, "parts": [{"type": "text", "content": MASK}]}
    assert read["input"][2]["parts"] == [{"type": "tool_call_response", "id": "call_1", "response": MASK}]
    assert read["output"][0]["parts"][0] == {"type": "reasoning", "content": "Bearer abcdefgh"}


def test_tools_only() -> None:
    read = _redacted(redactors.tools())

    assert read["input"][1]["parts"] == [
        {"type": "tool_call", "id": "call_1", "name": "pay", "arguments": MASK}
    ]
    assert read["input"][2]["parts"] == [{"type": "tool_call_response", "id": "call_1", "response": MASK}]
    assert read["output"][0]["parts"][1] == {
        "type": "server_tool_call",
        "id": "s",
        "name": "search",
        "server_tool_call": {"type": "search", "content": MASK},
    }
    assert read["input"][0]["parts"] == _content().input[0]["parts"]  # type: ignore[index]
    assert read["tools"] == _content().tools


def _call(arguments: Any) -> Part:
    return Part({"type": "tool_call", "id": "c", "name": "pay", "arguments": arguments}, "assistant")


def test_a_field_called_type_is_no_hiding_place() -> None:
    hiding = {"type": "CANARY", "in": [{"type": "CANARY"}]}

    for redactor in (redactors.pattern("CANARY"), redactors.tools(), redactors.roles("assistant")):
        part = redactor(_call(hiding))
        assert part is not None
        assert part["type"] == "tool_call"
        assert "CANARY" not in json.dumps(part)


def test_by_regular_expression_also_in_the_keys_of_arguments_and_not_in_the_data_of_nested_blobs() -> None:
    blob = {"type": "blob", "modality": "image", "content": "CANARY00", "filename": "CANARY.png"}
    part = redactors.pattern("CANARY")(_call({"CANARY": 5, "shot": [blob]}))

    assert part is not None
    assert part["arguments"] == {MASK: 5, "shot": [{**blob, "filename": f"{MASK}.png"}]}


@pytest.mark.parametrize(
    "arguments",
    [
        '{"n": 1, "Email": "ada@exam',
        '[{"email": ["ada@exam',
        '{"email":"ada',
        '{"data": "{\\"email\\": \\"ada',
        "{'email': 'ada'}",
    ],
)
def test_by_key_in_arguments_that_were_cut_off(arguments: str) -> None:
    redactor = redactors.keys("EMAIL")

    assert redactor(_call(arguments)) == _call(MASK)
    assert redactor(_call('{"to": "ada')) == _call('{"to": "ada')
    assert redactor(_call("[Note] email me")) == _call("[Note] email me")


def test_secrets_and_several_redactors_in_a_row() -> None:
    redactor = redactors.chain(
        redactors.secrets(), redactors.roles("system"), redactors.pattern("CANARY", "*")
    )
    read = _redacted(redactor)

    assert read["output"][0]["parts"][0]["content"] == "Bearer [secret]"
    assert read["system"] == [{"type": "text", "content": MASK}]
    assert read["input"][0]["name"] == "*"
    dropped = redactors.chain(lambda _: None, lambda _: pytest.fail("is not called"))
    assert dropped(Part({"type": "text", "content": "x"}, "user")) is None
