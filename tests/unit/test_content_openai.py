"""Chat completions, legacy completions and embeddings as message parts; streamed and not give the same output."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from otel_llm._content import settle
from otel_llm._operation import Content
from otel_llm.providers import _openai_content as content
from otel_llm.providers._openai_parts import tool_definitions
from support.content import conforms, openai

PNG = base64.b64encode(b"\x89PNG....").decode()


def test_a_history_with_every_kind_of_part() -> None:
    body = {
        "model": "gpt-4o",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "name": "ada",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
                    },
                    {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
                    {"type": "hologram", "beam": 3},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "audio": {"id": "audio-1"},
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Paris", "days": [1, 2]}'},
                    },
                    {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "123"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "rainy"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "done"}]},
            {
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "No."}],
                "reasoning_content": "Hm.",
            },
            {"role": "assistant", "content": None, "function_call": {"name": "old", "arguments": "{}"}},
            {"role": "function", "name": "old", "content": "1"},
        ],
    }

    read = content.chat(body)

    assert read.input == [
        {"role": "developer", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PNG},
                {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": PNG},
                {"type": "file", "modality": "document", "file_id": "file-1"},
                {
                    "type": "blob",
                    "modality": "document",
                    "mime_type": "application/pdf",
                    "content": PNG,
                    "filename": "a.pdf",
                },
                {"type": "uri", "modality": "video", "uri": "https://example.org/a.mp4"},
                {"type": "hologram", "beam": 3},
            ],
            "name": "ada",
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "file", "modality": "audio", "file_id": "audio-1"},
                {
                    "type": "tool_call",
                    "id": "call_1",
                    "name": "weather",
                    "arguments": {"city": "Paris", "days": [1, 2]},
                },
                {"type": "tool_call", "id": "call_2", "name": "shell", "arguments": "123"},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rainy"}]},
        {
            "role": "tool",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "call_2",
                    "response": [{"type": "text", "content": "done"}],
                }
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "Hm."}, {"type": "refusal", "content": "No."}],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": None, "name": "old", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": None, "response": "1"}]},
    ]
    conforms("input", read.input)
    assert read.system is None
    assert read.tools is None


def test_a_response_given_back_as_the_sdk_made_it() -> None:
    answer = openai(
        "chat.ChatCompletionMessage",
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}],
            "reasoning": "Ponder.",
        },
    )

    assert content.messages([answer]) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Ponder."},
                {"type": "text", "content": "Let me see."},
                {"type": "tool_call", "id": "c", "name": "f", "arguments": "{"},
            ],
        }
    ]


def test_tool_definitions_hold_no_credentials() -> None:
    tools = tool_definitions(
        [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "description": "does",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
            },
            {"type": "custom", "custom": {"name": "c", "description": "free"}},
            {"type": "function", "name": "flat", "parameters": {"type": "object"}},
            {"type": "web_search"},
            {
                "type": "mcp",
                "server_label": "crm",
                "server_url": "https://u:SECRET@crm",
                "authorization": "SECRET",
                "headers": {"X": "SECRET"},
            },
        ],
        [{"name": "legacy", "parameters": {}}],
    )

    assert tools == [
        {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}},
        {"type": "custom", "name": "c", "description": "free"},
        {"type": "function", "name": "flat", "parameters": {"type": "object"}},
        {"type": "web_search", "name": "web_search"},
        {"type": "mcp", "name": "crm"},
        {"type": "function", "name": "legacy", "parameters": {}},
    ]
    conforms("tools", tools)


def _chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": index, "delta": delta, "finish_reason": reason}],
    }


def _call(index: int | None, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    call: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        call["index"] = index
    if call_id:
        call |= {"id": call_id, "type": "function"}
    if name:
        call["function"]["name"] = name
    return {"tool_calls": [call]}


RESPONSE: dict[str, Any] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": "I need two.",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
                ],
            },
        },
        {
            "index": 1,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hi there", "refusal": None},
        },
        {
            "index": 2,
            "finish_reason": "length",
            "message": {"role": "assistant", "content": None, "refusal": "No way"},
        },
        {
            "index": 3,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": None,
                "audio": {"id": "au", "data": "QUJDREVG", "transcript": "hello", "expires_at": 1},
            },
        },
    ],
}
CHUNKS = [
    _chunk(1, {"role": "assistant", "content": "", "refusal": None}),
    _chunk(0, {"role": "assistant", "content": None, "reasoning_content": "I need"}),
    _chunk(0, {"reasoning_content": " two."}),
    _chunk(0, _call(0, "a", "f", "")),
    _chunk(1, {"content": "Hi "}),
    _chunk(0, _call(0, None, None, '{"x"')),
    _chunk(3, {"role": "assistant", "audio": {"id": "au", "data": "QUJD"}}),
    _chunk(0, _call(0, None, None, ": 1}")),
    _chunk(0, _call(1, "b", "g", "")),
    _chunk(1, {"content": "there"}),
    _chunk(2, {"role": "assistant", "refusal": "No "}),
    _chunk(3, {"audio": {"data": "REVG", "transcript": "hel"}}),
    _chunk(3, {"audio": {"transcript": "lo", "expires_at": 1}}),
    _chunk(2, {"refusal": "way"}, "length"),
    _chunk(1, {}, "stop"),
    _chunk(3, {}, "stop"),
    _chunk(0, {}, "tool_calls"),
    {"id": "1", "choices": [], "usage": {"prompt_tokens": 1}},
]


@pytest.mark.parametrize("objects", [False, True], ids=["dicts", "models"])
def test_streamed_and_not_give_the_same_output(objects: bool) -> None:
    response: Any = openai("chat.ChatCompletion", RESPONSE) if objects else RESPONSE
    chunks = [openai("chat.ChatCompletionChunk", chunk) for chunk in CHUNKS] if objects else CHUNKS
    accumulator = content.ChatOutput()
    for chunk in chunks:
        accumulator.add(chunk)

    whole = content.chat_output(response)

    assert whole == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "I need two."},
                {"type": "tool_call", "id": "a", "name": "f", "arguments": {"x": 1}},
                {"type": "tool_call", "id": "b", "name": "g", "arguments": ""},
            ],
            "finish_reason": "tool_call",
        },
        {"role": "assistant", "parts": [{"type": "text", "content": "Hi there"}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "refusal", "content": "No way"}], "finish_reason": "length"},
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "hello"},
                {"type": "blob", "modality": "audio", "content": "QUJDREVG"},
            ],
            "finish_reason": "stop",
        },
    ]
    assert accumulator.output() == whole
    assert accumulator.output() == whole
    conforms("output", whole)


def test_sound_in_pieces_that_are_base64_each_for_itself() -> None:
    sound = bytes(range(256)) * 3
    pieces = [base64.b64encode(sound[at : at + 100]).decode() for at in range(0, len(sound), 100)]
    assert "=" in pieces[0]
    accumulator = content.ChatOutput()
    for piece in pieces:
        accumulator.add(_chunk(0, {"audio": {"id": "au", "data": piece}}))
    whole = content.chat_output(
        {"choices": [{"message": {"audio": {"id": "au", "data": base64.b64encode(sound).decode()}}}]}
    )

    streamed = accumulator.output()

    assert settle(Content(output=streamed)) == settle(Content(output=whole))
    assert settle(Content(output=streamed), blobs=True) == settle(Content(output=whole), blobs=True)


def test_calls_of_hosts_that_give_no_index_or_always_the_same() -> None:
    for index in (None, 0):
        accumulator = content.ChatOutput()
        for delta in (
            _call(index, "a", "f", "{}"),
            _call(index, "b", "f", '{"y"'),
            _call(index, "b", None, ":2}"),
        ):
            accumulator.add(_chunk(0, delta))

        assert accumulator.output()[0]["parts"] == [
            {"type": "tool_call", "id": "a", "name": "f", "arguments": {}},
            {"type": "tool_call", "id": "b", "name": "f", "arguments": {"y": 2}},
        ]


def test_a_stream_that_was_cut_off_and_one_that_never_began() -> None:
    accumulator = content.ChatOutput()
    assert accumulator.output() == []
    accumulator.add(_chunk(0, {"role": "assistant", "content": "Once upon"}))
    accumulator.add(_chunk(0, _call(0, "a", "f", '{"half')))

    assert accumulator.output() == [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Once upon"},
                {"type": "tool_call", "id": "a", "name": "f", "arguments": '{"half'},
            ],
            "finish_reason": "error",
        }
    ]
    conforms("output", accumulator.output())


def test_legacy_functions_and_unknown_finish_reasons() -> None:
    chunks = [
        _chunk(0, {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a"'}}),
        _chunk(0, {"function_call": {"arguments": ":1}"}}, "function_call"),
    ]
    accumulator = content.ChatOutput()
    for chunk in chunks:
        accumulator.add(openai("chat.ChatCompletionChunk", chunk))
    message = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
    whole = content.chat_output({"choices": [{"finish_reason": "function_call", "message": message}]})

    assert whole == accumulator.output()
    assert whole[0]["finish_reason"] == "tool_call"
    assert content.chat_output({"choices": [{"finish_reason": "insufficient", "message": {}}]}) == [
        {"role": "assistant", "parts": [], "finish_reason": "insufficient"}
    ]


def test_legacy_completions() -> None:
    assert content.prompt({"prompt": ["a", "b"]}).input == [
        {"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]}
    ]
    accumulator = content.ChatOutput()
    for text, reason in (("Hel", None), ("lo", None), ("", "stop")):
        accumulator.add({"choices": [{"index": 0, "text": text, "finish_reason": reason}]})
    whole = content.completion_output({"choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]})

    assert whole == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}
    ]
    assert accumulator.output() == whole


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("one", [{"type": "text", "content": "one"}]),
        (["one", "two"], [{"type": "text", "content": "one"}, {"type": "text", "content": "two"}]),
        ([1, 2, 3], [{"type": "tokens", "count": 3}]),
        ([[1, 2], [3]], [{"type": "tokens", "count": 2}, {"type": "tokens", "count": 1}]),
        ([], []),
        ((item for item in "ab"), [{"type": "omitted", "reason": "generator"}]),
    ],
)
def test_embeddings_record_what_was_asked(asked: Any, parts: list[dict[str, Any]]) -> None:
    read = content.embeddings({"input": asked})

    assert read == Content(input=[{"role": "user", "parts": parts}])
    conforms("input", read.input)
