"""What the fuzzer found, and users could meet, one test each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE, MESSAGES, RESPONSE
from scene import instrumented

from otel_llm.testing import Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry


def test_an_event_that_is_no_json_is_read_as_a_line(
    telemetry: Telemetry, make: Callable[..., Any], server: Any
) -> None:
    server.reply(Reply(chunks=3, malformed_after=1))
    create = make("openai").chat.completions.with_streaming_response.create
    with create(**CHAT, stream=True) as response:
        lines = list(response.iter_lines())
    assert any("cut of" in line for line in lines)
    assert telemetry.outcome() == "completed"
    assert telemetry.span().attributes["otel_llm.stream.chunks"] == 2  # the role, and a word


@pytest.mark.parametrize("choices", ["1", "true", '"text"', '{"a": 1}', "[1, null, []]"])
def test_choices_that_are_none(make: Callable[..., Any], server: Any, choices: str) -> None:
    """They are read by the application alone; our own mistakes raise here."""
    server.reply(
        Reply(
            headers={"content-type": "text/event-stream"},
            body=[
                f'data: {{"id": "c", "model": "m", "choices": {choices}}}\n\n'.encode(),
                b"data: [DONE]\n\n",
            ],
        )
    )
    with instrumented(capture_content="span_and_event") as telemetry:
        chunks = list(make("openai").chat.completions.create(**CHAT, stream=True))
        assert [chunk.id for chunk in chunks] == ["c"]
        assert telemetry.outcome() == "completed"
        assert telemetry.span().attributes["gen_ai.response.model"] == "m"


def test_an_empty_model_is_no_attribute(telemetry: Telemetry, make: Callable[..., Any]) -> None:
    make("openai").chat.completions.create(model="", messages=MESSAGES)
    attributes = telemetry.span().attributes
    assert telemetry.span().name == "chat"
    assert "gen_ai.request.model" not in attributes
    assert "gen_ai.response.model" not in attributes


def test_a_model_that_utf8_has_no_bytes_for_costs_no_export(
    telemetry: Telemetry, make: Callable[..., Any]
) -> None:
    """A gateway hands on what it is asked for; the SDK refuses it, and cumulative metrics would keep it for ever."""
    metrics = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.metrics_encoder")
    traces = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    with pytest.raises(UnicodeEncodeError):
        make("openai").chat.completions.create(model="gpt-\ud800", messages=MESSAGES)
    assert traces.encode_spans([telemetry.span()]).SerializeToString()
    assert metrics.encode_metrics(telemetry.captured._sdk.reader.get_metrics_data()).SerializeToString()
    assert telemetry.span().name == "chat gpt-?"


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_answer_that_utf8_has_no_bytes_for_costs_no_export(
    telemetry: Telemetry, make: Callable[..., Any], server: Any, sdk: str
) -> None:
    """JSON can say half a surrogate pair, and the model itself writes the names of tools."""
    metrics = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.metrics_encoder")
    traces = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    half = "é\ud800"
    server.reply(Reply(model=half, tool_calls=(ToolCall(half, "{}"),), finish_reason=half, service_tier=half))
    if sdk == "openai":
        make(sdk).chat.completions.create(**CHAT)
    else:
        make(sdk).messages.create(**MESSAGE)
    span = telemetry.span()
    assert traces.encode_spans([span]).SerializeToString()
    assert metrics.encode_metrics(telemetry.captured._sdk.reader.get_metrics_data()).SerializeToString()
    assert span.attributes["gen_ai.response.model"] == "é?"
    assert span.attributes["otel_llm.response.tool_calls"] == ("é?",)


def test_a_key_without_a_name_is_not_given_to_the_sdk_that_would_complain(
    make: Callable[..., Any], server: Any
) -> None:
    server.reply(Reply(tool_calls=(ToolCall("weather", '{"": 1, "in": [{"": 2, "city": "Paris"}]}'),)))
    with instrumented(capture_content="span_and_event") as telemetry:
        make("anthropic").messages.create(**MESSAGE)
        [said] = (log for log in telemetry.logs() if "gen_ai.output.messages" in log.log_record.attributes)
        [message] = said.log_record.attributes["gen_ai.output.messages"]
        assert message["parts"][0]["arguments"] == {"in": ({"city": "Paris"},)}
        assert '"arguments":{"":1,' in telemetry.span().attributes["gen_ai.output.messages"]


@pytest.mark.parametrize("capture", ["no_content", "span_only"])
@pytest.mark.parametrize(
    "event",
    [
        '{"type": []}',
        '{"type": {}, "delta": "x", "output_index": []}',
        '{"type": "response.output_item.done", "item": {"type": []}, "output_index": 0}',
        '{"type": "response.completed", "response": {"output": [{"type": []}], "status": [], "usage": []}}',
        '{"type": "message_start", "message": {"type": [], "content": [{"type": []}], "usage": []}}',
        '{"type": "content_block_start", "index": [], "content_block": {"type": []}}',
        '{"type": "content_block_delta", "index": [], "delta": {"type": []}}',
        '{"type": "message_delta", "delta": {"stop_reason": []}, "usage": []}',
        '{"choices": [{"index": [], "delta": {"role": [], "tool_calls": [{"index": [], "type": []}]}}]}',
        '{"choices": [{"finish_reason": [], "delta": []}], "usage": []}',
    ],
)
def test_an_event_whose_type_is_no_text_is_the_applications_to_read(
    event: str, capture: str, make: Callable[..., Any], server: Any
) -> None:
    head = "event: message_start\n"  # the anthropic SDK goes by it
    server.reply(
        Reply(body=(f"{head}data: {event}\n\n".encode(),), headers={"content-type": "text/event-stream"})
    )
    openai, anthropic = make("openai"), make("anthropic")
    responses = getattr(openai, "responses", None)  # the oldest SDKs have none
    for create, asked in (
        *([] if responses is None else [(responses.create, RESPONSE)]),
        (openai.chat.completions.create, CHAT),
        (anthropic.messages.create, MESSAGE),
    ):
        plain = [repr(read) for read in create(**asked, stream=True)]
        with instrumented(capture_content=capture):
            assert [repr(read) for read in create(**asked, stream=True)] == plain
