"""Anthropic messages as message parts; streamed and not give the same output."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from otel_llm.providers import _anthropic_content as content
from support.content import anthropic, conforms

PDF = base64.b64encode(b"%PDF....").decode()
SEARCH = [
    {"type": "web_search_result", "title": "Rain", "url": "https://example.org", "encrypted_content": "abc"}
]
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "ZW5j"},
    {"type": "text", "text": "I will look."},
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "rain"}},
    {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": SEARCH},
    {"type": "mcp_tool_use", "id": "mcp_1", "name": "lookup", "server_name": "crm", "input": {"id": 7}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "mcp_1",
        "is_error": False,
        "content": [{"type": "text", "text": "Ada"}],
    },
    {"type": "container_upload", "file_id": "file_1"},
    {"type": "compaction", "content": "What was said."},
    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris", "days": [1, 2]}},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
]
PARTS: list[dict[str, Any]] = [
    {"type": "reasoning", "content": "Let me think.", "signature": "c2ln"},
    {"type": "reasoning", "content": "", "data": "ZW5j", "redacted": True},
    {"type": "text", "content": "I will look."},
    {
        "type": "server_tool_call",
        "id": "srv_1",
        "name": "web_search",
        "server_tool_call": {"query": "rain", "type": "web_search"},
    },
    {
        "type": "server_tool_call_response",
        "id": "srv_1",
        "server_tool_call_response": {"content": SEARCH, "type": "web_search"},
    },
    {
        "type": "server_tool_call",
        "id": "mcp_1",
        "name": "lookup",
        "server_tool_call": {"server_name": "crm", "arguments": {"id": 7}, "type": "mcp"},
    },
    {
        "type": "server_tool_call_response",
        "id": "mcp_1",
        "server_tool_call_response": {"content": [{"type": "text", "text": "Ada"}], "type": "mcp"},
    },
    {"type": "file", "modality": "document", "file_id": "file_1"},
    {"type": "compaction", "content": "What was said."},
    {"type": "tool_call", "id": "toolu_1", "name": "weather", "arguments": {"city": "Paris", "days": [1, 2]}},
    {"type": "tool_call", "id": "toolu_2", "name": "now", "arguments": {}},
]
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": BLOCKS,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
_DELTAS = {
    "thinking": ("thinking", "thinking_delta", "thinking"),
    "text": ("text", "text_delta", "text"),
    "compaction": ("content", "compaction_delta", "content"),
}


def _events() -> list[dict[str, Any]]:
    """What the API sends for `MESSAGE`: blocks start empty, their texts and arguments come in pieces."""
    start = {**MESSAGE, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(BLOCKS):
        begun = dict(block)
        deltas: list[dict[str, Any]] = []
        if block["type"] in _DELTAS:
            field, kind, name = _DELTAS[block["type"]]
            begun[field] = None if kind == "compaction_delta" else ""
            deltas += [{"type": kind, name: piece} for piece in (block[field][:3], block[field][3:])]
        if "signature" in block:
            begun["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        if "input" in block:
            begun["input"] = {}
            text = json.dumps(block["input"]) if block["input"] else ""  # of no arguments nothing is said
            deltas += [
                {"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:5], text[5:])
            ]
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}
    )
    events.append({"type": "message_stop"})
    return events


@pytest.mark.parametrize("objects", [False, True], ids=["dicts", "models"])
def test_streamed_and_not_give_the_same_output(objects: bool) -> None:
    accumulator = content.MessageOutput()
    for event in _events():
        accumulator.add(anthropic("beta.BetaRawMessageStreamEvent", event) if objects else event)

    whole = content.message_output(anthropic("beta.BetaMessage", MESSAGE) if objects else MESSAGE)

    assert whole == [{"role": "assistant", "parts": PARTS, "finish_reason": "tool_call"}]
    assert accumulator.output() == whole
    assert accumulator.output() == whole
    conforms("output", whole)


def test_a_stream_that_was_cut_off_and_one_that_never_began() -> None:
    accumulator = content.MessageOutput()
    assert accumulator.output() == []
    for event in _events()[:-9]:
        accumulator.add(event)
    accumulator.add({"type": "content_block_start", "index": 20, "content_block": dict(BLOCKS[-2], input={})})
    accumulator.add(
        {
            "type": "content_block_delta",
            "index": 20,
            "delta": {"type": "input_json_delta", "partial_json": '{"ci'},
        }
    )

    (message,) = accumulator.output()

    assert message["finish_reason"] == "error"
    assert message["parts"][-1] == {
        "type": "tool_call",
        "id": "toolu_1",
        "name": "weather",
        "arguments": '{"ci',
    }
    conforms("output", [message])


@pytest.mark.parametrize(
    ("reason", "recorded"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("something_new", "something_new"),
        (None, "error"),
    ],
)
def test_finish_reasons(reason: str | None, recorded: str) -> None:
    assert content.message_output({**MESSAGE, "content": [], "stop_reason": reason}) == [
        {"role": "assistant", "parts": [], "finish_reason": recorded}
    ]


def test_a_request_with_every_kind_of_block() -> None:
    body = {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Read:"},
                    {
                        "type": "document",
                        "title": "A",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                    {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
                    },
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
                    },
                    {"type": "document", "source": {"type": "hologram"}},
                    {
                        "type": "search_result",
                        "source": "s",
                        "title": "t",
                        "content": [{"type": "text", "text": "r"}],
                    },
                ],
            },
            {"role": "assistant", "content": BLOCKS},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "rain"},
                            {
                                "type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": PDF},
                            },
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "noon"},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "1"},
                    {"type": "text", "text": "?"},
                ],
            },
        ],
        "tools": [
            {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}},
            {"type": "custom", "name": "now", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "mcp_toolset", "mcp_server_name": "crm"},
        ],
        "mcp_servers": [
            {"type": "url", "url": "https://crm", "name": "crm", "authorization_token": "SECRET"}
        ],
    }

    read = content.messages(body)

    assert read.system == [{"type": "text", "content": "Be brief."}]
    assert read.tools == [
        {"type": "function", "name": "weather", "description": "Tells it.", "parameters": {"type": "object"}},
        {"type": "function", "name": "now", "parameters": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "mcp_toolset", "name": "crm"},
    ]
    assert read.input == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "Read:"},
                {
                    "type": "blob",
                    "modality": "document",
                    "mime_type": "application/pdf",
                    "content": PDF,
                    "title": "A",
                },
                {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
                {"type": "file", "modality": "image", "file_id": "file_2"},
                {"type": "text", "content": "plain"},
                {"type": "document", "content": [{"type": "text", "content": "x"}]},
                {"type": "omitted", "reason": "a source of type hologram"},
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "r"}],
                },
            ],
        },
        {"role": "assistant", "parts": PARTS},
        {
            "role": "tool",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "toolu_1",
                    "response": [
                        {"type": "text", "content": "rain"},
                        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PDF},
                    ],
                    "is_error": True,
                },
                {"type": "tool_call_response", "id": "toolu_2", "response": "noon"},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"type": "tool_call_response", "id": "t", "response": "1"},
                {"type": "text", "content": "?"},
            ],
        },
    ]
    for field in ("system", "input", "tools"):
        conforms(field, getattr(read, field))


def test_a_message_given_back_as_the_sdk_made_it() -> None:
    message = anthropic("beta.BetaMessage", MESSAGE)

    assert content.messages({"messages": [{"role": "assistant", "content": message.content}]}).input == [
        {"role": "assistant", "parts": PARTS}
    ]
    assert content.messages({"messages": [message]}).input == [{"role": "assistant", "parts": PARTS}]


def test_legacy_completions() -> None:
    accumulator = content.CompletionOutput()
    for piece, reason in ((" Hel", None), ("lo", None), ("", "stop_sequence")):
        accumulator.add({"type": "completion", "completion": piece, "stop_reason": reason})
    whole = content.completion_output({"completion": " Hello", "stop_reason": "stop_sequence"})

    assert whole == [
        {"role": "assistant", "parts": [{"type": "text", "content": " Hello"}], "finish_reason": "stop"}
    ]
    assert accumulator.output() == whole
    assert content.prompt({"prompt": "Human: Hi"}).input == [
        {"role": "user", "parts": [{"type": "text", "content": "Human: Hi"}]}
    ]
