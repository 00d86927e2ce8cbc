"""The Responses API as message parts; streamed and not give the same output."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from otel_llm.providers import _responses_content as content
from support.content import conforms, openai

PNG = base64.b64encode(b"\x89PNG....").decode()
ITEMS: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "First,"}, {"type": "summary_text", "text": "then."}],
        "encrypted_content": "c2VhbGVk",
    },
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "rain", "queries": ["rain"]},
    },
    {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "code": "print(1)",
        "container_id": "cntr_1",
        "outputs": [
            {"type": "logs", "logs": "1\n"},
            {"type": "image", "url": f"data:image/png;base64,{PNG}"},
        ],
    },
    {
        "type": "image_generation_call",
        "id": "ig_1",
        "status": "completed",
        "result": PNG,
        "output_format": "webp",
        "revised_prompt": "a cat",
    },
    {
        "type": "mcp_call",
        "id": "mcp_1",
        "name": "lookup",
        "server_label": "crm",
        "arguments": '{"id": 7}',
        "output": "Ada",
        "error": None,
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "It rains.", "annotations": []},
            {"type": "refusal", "refusal": "No more."},
        ],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'},
    {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_2", "name": "g", "input": '{"raw"'},
    {
        "type": "computer_call",
        "id": "cc_1",
        "call_id": "call_3",
        "status": "completed",
        "pending_safety_checks": [],
        "action": {"type": "click", "x": 1, "y": 2, "button": "left"},
    },
]
PARTS: list[dict[str, Any]] = [
    {"type": "reasoning", "content": "First,"},
    {"type": "reasoning", "content": "then.", "encrypted_content": "c2VhbGVk"},
    {
        "type": "server_tool_call",
        "id": "ws_1",
        "name": "web_search",
        "server_tool_call": {
            "action": {"type": "search", "query": "rain", "queries": ["rain"]},
            "type": "web_search",
        },
    },
    {
        "type": "server_tool_call",
        "id": "ci_1",
        "name": "code_interpreter",
        "server_tool_call": {"code": "print(1)", "container_id": "cntr_1", "type": "code_interpreter"},
    },
    {
        "type": "server_tool_call_response",
        "id": "ci_1",
        "server_tool_call_response": {
            "outputs": [
                {"type": "logs", "logs": "1\n"},
                {
                    "type": "image",
                    "url": {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PNG},
                },
            ],
            "type": "code_interpreter",
        },
    },
    {
        "type": "server_tool_call",
        "id": "ig_1",
        "name": "image_generation",
        "server_tool_call": {"output_format": "webp", "revised_prompt": "a cat", "type": "image_generation"},
    },
    {
        "type": "server_tool_call_response",
        "id": "ig_1",
        "server_tool_call_response": {
            "result": {"type": "blob", "modality": "image", "mime_type": "image/webp", "content": PNG},
            "type": "image_generation",
        },
    },
    {
        "type": "server_tool_call",
        "id": "mcp_1",
        "name": "lookup",
        "server_tool_call": {"server_label": "crm", "arguments": {"id": 7}, "type": "mcp"},
    },
    {
        "type": "server_tool_call_response",
        "id": "mcp_1",
        "server_tool_call_response": {"output": "Ada", "type": "mcp"},
    },
    {"type": "text", "content": "It rains."},
    {"type": "refusal", "content": "No more."},
    {"type": "tool_call", "id": "call_1", "name": "f", "arguments": {"a": 1}},
    {"type": "tool_call", "id": "call_2", "name": "g", "arguments": '{"raw"'},
    {
        "type": "tool_call",
        "id": "call_3",
        "name": "computer",
        "arguments": {
            "pending_safety_checks": [],
            "action": {"type": "click", "x": 1, "y": 2, "button": "left"},
        },
    },
]


def _response(items: list[dict[str, Any]], status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": status, "output": items, "model": "m", **more}


def _event(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 1, **data}


def _events() -> list[dict[str, Any]]:
    """What a server sends for `ITEMS`, without the end: each item added bare, its texts in pieces, then done."""
    events = [_event("created", response=_response([], "in_progress"))]
    for index, item in enumerate(ITEMS):
        bare = {key: value for key, value in item.items() if key not in ("arguments", "input", "code")}
        bare |= {key: "" for key in ("arguments", "input", "code") if key in item}
        for name in ("content", "summary"):
            if name in item:
                bare[name] = []
        place = {"output_index": index, "item_id": item["id"]}
        events.append(_event("output_item.added", item=bare, **place))
        for at, part in enumerate(item.get("summary", [])):
            events += [
                _event("reasoning_summary_text.delta", delta=piece, summary_index=at, **place)
                for piece in part["text"]
            ]
        for at, part in enumerate(item.get("content", [])):
            kind = "refusal" if "refusal" in part else "output_text"
            events += [
                _event(f"{kind}.delta", delta=piece, content_index=at, logprobs=[], **place)
                for piece in part.get("text") or part["refusal"]
            ]
        for name, kind in (
            ("arguments", "mcp_call_arguments" if item["type"] == "mcp_call" else "function_call_arguments"),
            ("input", "custom_tool_call_input"),
            ("code", "code_interpreter_call_code"),
        ):
            events += [_event(f"{kind}.delta", delta=piece, **place) for piece in item.get(name, "")]
        events.append(_event("output_item.done", item=item, **place))
    return events


def _streamed(events: list[dict[str, Any]], *, objects: bool) -> list[dict[str, Any]]:
    accumulator = content.ResponseOutput()
    for event in events:
        accumulator.add(openai("responses.ResponseStreamEvent", event) if objects else event)
    assert accumulator.output() == accumulator.output()
    return accumulator.output()


@pytest.mark.parametrize("objects", [False, True], ids=["dicts", "models"])
def test_streamed_and_not_give_the_same_output(objects: bool) -> None:
    data = _response(ITEMS)
    whole = content.response_output(openai("responses.Response", data) if objects else data)

    assert whole == [{"role": "assistant", "parts": PARTS, "finish_reason": "tool_call"}]
    conforms("output", whole)
    end = _event("completed", response=data)
    assert _streamed([*_events(), end], objects=objects) == whole
    # Some servers send the last event without the items, and some send no item as done.
    bare = _event("completed", response=_response([]))
    assert _streamed([*_events(), bare], objects=objects) == whole
    undone = [event for event in _events() if event["type"] != "response.output_item.done"]
    assert _streamed([*undone, bare], objects=objects) == whole


def test_a_stream_that_was_cut_off() -> None:
    events = [
        _event(
            "output_item.added", item={"type": "message", "role": "assistant", "content": []}, output_index=0
        ),
        _event("output_text.delta", delta="Once upon", output_index=0, content_index=0),
    ]

    assert _streamed(events, objects=False) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Once upon"}], "finish_reason": "error"}
    ]
    assert content.ResponseOutput().output() == []
    assert _streamed(events[1:], objects=False) == _streamed(events, objects=False)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (_response([], "completed"), "stop"),
        (_response([], "incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (_response([], "incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (_response([], "incomplete", incomplete_details={"reason": "steered"}), "steered"),
        (_response([], "incomplete"), "error"),
        (_response([], "failed"), "error"),
        (_response([], "cancelled"), "error"),
        (_response([], "in_progress"), "error"),
    ],
)
def test_finish_reasons(response: dict[str, Any], reason: str) -> None:
    whole = content.response_output(response)

    assert [message["finish_reason"] for message in whole] == [reason]
    accumulator = content.ResponseOutput()
    accumulator.add({"type": f"response.{response['status']}", "response": response})
    if response["status"] != "in_progress":
        assert accumulator.output() == whole


def test_the_items_of_a_request_in_the_order_sent() -> None:
    body = {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "Hi"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look:"},
                    {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"},
                    {"type": "input_image", "detail": "auto", "file_id": "file-9"},
                    {"type": "input_file", "file_url": "https://example.org/a.pdf", "filename": "a.pdf"},
                    {"type": "input_file", "file_id": "file-8"},
                ],
            },
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "42"},
            {
                "type": "function_call_output",
                "call_id": "call_2",
                "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            },
            {
                "type": "computer_call_output",
                "call_id": "call_3",
                "output": {"type": "computer_screenshot", "image_url": "https://example.org/s.png"},
            },
            {"type": "item_reference", "id": "msg_0"},
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
            {
                "type": "additional_tools",
                "role": "developer",
                "tools": [{"type": "mcp", "server_label": "crm", "authorization": "SECRET"}],
            },
        ],
        "tools": [{"type": "function", "name": "f", "parameters": None}],
    }

    read = content.responses(body)

    assert read.system == [{"type": "text", "content": "Be brief."}]
    assert read.tools == [{"type": "function", "name": "f"}]
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PNG}
    assert read.input == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "Look:"},
                blob,
                {"type": "file", "modality": "image", "file_id": "file-9"},
                {
                    "type": "uri",
                    "modality": "document",
                    "uri": "https://example.org/a.pdf",
                    "filename": "a.pdf",
                },
                {"type": "file", "modality": "document", "file_id": "file-8"},
            ],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "call_1", "name": "f", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "42"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_2", "response": [blob]}]},
        {
            "role": "tool",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "call_3",
                    "response": [{"type": "uri", "modality": "image", "uri": "https://example.org/s.png"}],
                }
            ],
        },
        {"role": "assistant", "parts": [{"type": "item_reference", "id": "msg_0"}]},
        {
            "role": "user",
            "parts": [{"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}],
        },
        {
            "role": "developer",
            "parts": [{"type": "additional_tools", "tools": [{"type": "mcp", "name": "crm"}]}],
        },
    ]
    for field in ("system", "input", "tools"):
        conforms(field, getattr(read, field))


def test_the_output_of_one_response_is_the_input_of_the_next() -> None:
    response = openai("responses.Response", _response(ITEMS))

    read = content.responses({"input": response.output})

    assert read.input is not None
    assert [part for message in read.input for part in message["parts"]] == PARTS
    assert {message["role"] for message in read.input} == {"assistant"}


def test_a_text_as_input_and_none() -> None:
    assert content.responses({"input": "Hi"}).input == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    assert content.responses({"prompt": {"id": "pmpt_1"}}).input == []
