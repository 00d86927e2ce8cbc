"""Content end to end: what was said goes where the user decided, in the published shapes, and nowhere else."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import otel_llm
import pytest
from doors import DOORS, Door
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from otel_llm import _guard, hooks, redactors
from otel_llm._listeners import listeners
from otel_llm.instrumentor import LLMInstrumentor
from otel_llm.testing import Reply, ToolCall, capture
from scene import instrumented, run
from support.content import conforms
from test_doors import use, use_async_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_llm.testing import FakeProvider

NAMES = {
    "system": "gen_ai.system_instructions",
    "input": "gen_ai.input.messages",
    "output": "gen_ai.output.messages",
    "tools": "gen_ai.tool.definitions",
}
DETAILS = "gen_ai.client.inference.operation.details"
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "MY-PROMPT"}]}]


def on_span(span: Any) -> dict[str, Any]:
    """The content on a span, parsed and held against the published shapes."""
    read = {field: json.loads(span.attributes[name]) for field, name in NAMES.items() if name in span.attributes}
    for field, value in read.items():
        conforms(field, value)
    return read


def on_event(record: Any) -> dict[str, Any]:
    """The content of an event, as plain lists, held against the published shapes."""
    attributes = record.log_record.attributes
    read = {field: _plain(attributes[name]) for field, name in NAMES.items() if name in attributes}
    for field, value in read.items():
        conforms(field, value)
    return read


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if hasattr(value, "items") else value


def details(telemetry: Any) -> list[Any]:
    return [record for record in telemetry.logs() if record.log_record.event_name == DETAILS]


def _expected(door: Door) -> list[dict[str, Any]] | None:
    """The output of the reply below, which is the same through every door of an API."""
    text = {"type": "text", "content": "It rains."}
    if door.operation == "embeddings":
        return None
    if door.operation == "text_completion":
        return [{"role": "assistant", "parts": [text], "finish_reason": "tool_call"}]
    thought: dict[str, Any] = {"type": "reasoning", "content": "Let me see."}
    called = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Paris"}}
    return [{"role": "assistant", "parts": [thought, text, called], "finish_reason": "tool_call"}]


class TestEveryDoor:
    def test_the_same_content_on_span_and_event(
        self, door: Door, asynchronous: bool, make: Callable[..., Any], server: FakeProvider
    ) -> None:
        server.reply(
            Reply(
                text="It rains.",
                thinking="Let me see.",
                tool_calls=[ToolCall(name="weather", arguments={"city": "Paris"}, id="call_1")],
            )
        )
        with instrumented(capture_content="span_and_event") as telemetry:
            if asynchronous:
                run(use_async_once(door, make(door.sdk, asynchronous=True)))
            else:
                use(door, make(door.sdk))
            span = telemetry.span()
            content = on_span(span)
            assert content["input"] == ASKED
            if door.operation == "embeddings":
                assert content.keys() == {"input"}
                assert details(telemetry) == []
                return
            (event,) = details(telemetry)
            assert on_event(event) == content
            expected = _expected(door)
            output = content.get("output")
            if expected is not None and door.sdk == "anthropic":
                assert output is not None
                signature = output[0]["parts"][0].pop("signature")
                assert isinstance(signature, str)
            if door.operation == "text_completion":
                assert output is not None
                output[0]["finish_reason"] = "tool_call"
            assert output == expected
            record = event.log_record
            assert (record.severity_number.value, record.severity_text) == (5, "DEBUG")
            assert record.span_id == span.context.span_id
            others = {name: value for name, value in span.attributes.items() if name not in NAMES.values()}
            assert {name: record.attributes[name] for name in others} == others
