"""Content end to end: what was said goes where the user decided, in the published shapes, and nowhere else."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, Door, Use
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from scene import drive, instrumented, use

import otel_llm
from otel_llm import _guard, hooks, redactors
from otel_llm._listeners import listeners
from otel_llm.instrumentor import LLMInstrumentor
from otel_llm.testing import Reply, ToolCall, capture
from support.content import conforms

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
    read = {
        field: json.loads(span.attributes[name]) for field, name in NAMES.items() if name in span.attributes
    }
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
            use(door, make, asynchronous=asynchronous)
            span = telemetry.span()
            content = on_span(span)
            assert content["input"] == ASKED
            if door.operation == "embeddings":
                assert content.keys() == {"input"}
                assert details(telemetry) == []
                return
            (event,) = details(telemetry)
            assert on_event(event) == content
            assert content.keys() == {"input", "output"}, "nothing is said of what was not given"
            expected = _expected(door)
            output = content.get("output")
            if expected is not None and door.sdk == "anthropic" and door.operation == "chat":
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


class TestWhatIsSaid:
    """One call with everything in it, per API."""

    def test_anthropic(self, make: Callable[..., Any], server: FakeProvider) -> None:
        server.reply(
            Reply(thinking="Hm.", redacted_thinking="c2VhbGVk", tool_calls=[ToolCall(name="f", id="toolu_1")])
        )
        with instrumented(capture_content="span_only") as telemetry:
            make("anthropic").messages.create(
                model="claude-test-1",
                max_tokens=64,
                system="Be brief.",
                messages=[
                    {"role": "user", "content": [{"type": "text", "text": "Look:"}, IMAGE]},
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
                    },
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}],
                    },
                ],
                tools=[{"name": "f", "description": "Does.", "input_schema": {"type": "object"}}],
            )
            content = on_span(telemetry.span())
            assert details(telemetry) == []
        assert content["system"] == [{"type": "text", "content": "Be brief."}]
        assert content["input"] == [
            {"role": "user", "parts": [{"type": "text", "content": "Look:"}, SUMMED_UP]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "t", "name": "f", "arguments": {"a": 1}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t", "response": "1"}]},
        ]
        assert content["tools"] == [
            {"type": "function", "name": "f", "description": "Does.", "parameters": {"type": "object"}}
        ]
        (answer,) = content["output"]
        assert [part["type"] for part in answer["parts"]] == ["reasoning", "reasoning", "tool_call"]
        assert answer["parts"][1] == {
            "type": "reasoning",
            "content": "",
            "data": "c2VhbGVk",
            "redacted": True,
        }

    def test_openai_choices_are_messages_in_order(
        self, make: Callable[..., Any], server: FakeProvider
    ) -> None:
        server.reply(Reply(text="Yes.", n=2))
        outputs = []
        for stream in (False, True):
            with instrumented(capture_content="span_only") as telemetry:
                answer = make("openai").chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "Q"}], n=2, stream=stream
                )
                if stream:
                    list(answer)
                outputs.append(on_span(telemetry.span())["output"])
        said = {"role": "assistant", "parts": [{"type": "text", "content": "Yes."}], "finish_reason": "stop"}
        assert outputs == [[said, said], [said, said]]

    def test_what_was_sent_is_recorded_also_when_the_application_changes_it_meanwhile(
        self, telemetry_with_content: Any, make: Callable[..., Any]
    ) -> None:
        messages: list[Any] = [{"role": "user", "content": "first"}]
        stream = make("openai").chat.completions.create(model="gpt-4o", messages=messages, stream=True)
        messages[0]["content"] = "changed"
        messages.append({"role": "user", "content": "second"})
        list(stream)
        assert on_span(telemetry_with_content.span())["input"] == [
            {"role": "user", "parts": [{"type": "text", "content": "first"}]}
        ]

    def test_a_stream_that_is_closed_early_keeps_what_came(
        self, telemetry_with_content: Any, make: Callable[..., Any]
    ) -> None:
        stream = make("openai").chat.completions.create(**CHAT, stream=True)
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        stream.close()
        (said,) = on_span(telemetry_with_content.span())["output"]
        assert said == {
            "role": "assistant",
            "parts": [{"type": "text", "content": "word1"}],
            "finish_reason": "error",
        }

    def test_a_generator_of_messages_reaches_the_provider(
        self, telemetry_with_content: Any, make: Callable[..., Any], server: FakeProvider
    ) -> None:
        make("openai").chat.completions.create(
            model="gpt-4o", messages=({"role": "user", "content": text} for text in ("a", "b"))
        )
        assert [each["content"] for each in server.requests[-1].json["messages"]] == ["a", "b"]
        assert telemetry_with_content.span().attributes["gen_ai.input.messages"]

    def test_blobs_are_recorded_when_asked_for(self, make: Callable[..., Any]) -> None:
        with instrumented(capture_content="span_and_event", capture_blobs=True) as telemetry:
            make("anthropic").messages.create(
                model="claude-test-1", max_tokens=9, messages=[{"role": "user", "content": [IMAGE]}]
            )
            (part,) = on_span(telemetry.span())["input"][0]["parts"]
        assert part == {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aW1hZ2U="}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aW1hZ2U="}}
SUMMED_UP = {
    "type": "blob",
    "modality": "image",
    "mime_type": "image/png",
    "content": "",
    "byte_count": 5,
    "sha256": "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d",
}


@pytest.fixture
def telemetry_with_content() -> Iterator[Any]:
    with instrumented(capture_content="span_only") as captured:
        yield captured


class TestPolicy:
    @pytest.mark.parametrize(
        ("mode", "span", "event"),
        [
            ("no_content", False, False),
            ("span_only", True, False),
            ("EVENT_ONLY", False, True),
            ("Span_And_Event", True, True),
            (True, True, False),
            (False, False, False),
        ],
    )
    def test_modes(self, make: Callable[..., Any], mode: Any, span: bool, event: bool) -> None:
        with instrumented(capture_content=mode) as telemetry:
            make("openai").chat.completions.create(**CHAT)
            assert bool(on_span(telemetry.span())) is span
            assert bool(details(telemetry)) is event

    @pytest.mark.parametrize("value", ["span_only", "SPAN_ONLY", "true"])
    def test_the_variable(
        self,
        make: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        value: str,
    ) -> None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
        with instrumented() as telemetry:
            make("openai").chat.completions.create(**CHAT)
            assert on_span(telemetry.span())["input"] == ASKED
        warnings = [record.getMessage() for record in caplog.records if record.name == "otel_llm"]
        expected = "The content capture mode 'true' means span_only; say so to silence this warning"
        assert warnings == ([expected] if value == "true" else [])

    def test_a_block_decides_for_its_calls(self, make: Callable[..., Any]) -> None:
        client = make("openai")
        with instrumented() as telemetry:
            with otel_llm.options(capture_content="span_and_event"):
                client.chat.completions.create(**CHAT)
            client.chat.completions.create(**CHAT)
            assert [bool(on_span(span)) for span in telemetry.spans()] == [True, False]
            assert len(details(telemetry)) == 1
        with instrumented(capture_content="span_only") as telemetry:
            with otel_llm.options(capture_content=False):
                client.chat.completions.create(**CHAT)
            assert on_span(telemetry.span()) == {}

    def test_nothing_lifts_the_hard_off(
        self, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = make("openai")
        with instrumented(capture_content="span_and_event", content_off=True) as telemetry:
            with otel_llm.options(capture_content=True):
                client.chat.completions.create(**CHAT)
            assert on_span(telemetry.span()) == {}
            assert details(telemetry) == []
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_CONTENT_OFF", "true")
        with instrumented(capture_content="span_and_event", content_off=False) as telemetry:
            with otel_llm.options(capture_content=True):
                client.chat.completions.create(**CHAT)
            assert on_span(telemetry.span()) == {}


CONTENT_MODULES = (
    "_capture",
    "_content",
    "_budget",
    "_blobs",
    "_redact",
    "_parts",
    "_upload",
    "_secrets",
)


@contextmanager
def _profiled() -> Iterator[set[str]]:
    """The functions of the package's content modules that ran, as `module.function`."""
    ran: set[str] = set()
    root = str(Path(otel_llm.__file__).parent)

    def saw(frame: Any, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(root):
            module = Path(file).stem
            if module in CONTENT_MODULES or module.endswith("_content"):
                ran.add(f"{module}.{frame.f_code.co_name}")

    sys.setprofile(saw)
    try:
        yield ran
    finally:
        sys.setprofile(None)


class TestNothingForNothing:
    def test_without_capture_nothing_of_content_runs(self, door: Door, make: Callable[..., Any]) -> None:
        client = make(door.sdk)
        with instrumented() as telemetry:
            with _profiled() as ran:
                drive(Use(door, client).result())
            assert telemetry.span()
        assert ran == set()

    def test_a_call_that_is_not_sampled_does_nothing_for_its_content(
        self, door: Door, make: Callable[..., Any]
    ) -> None:
        client = make(door.sdk)
        with capture(sampler=ALWAYS_OFF) as telemetry:
            telemetry.instrument(capture_content="span_and_event")
            with _profiled() as ran:
                drive(Use(door, client).result())
            assert telemetry.spans() == []
            assert telemetry.logs() == []
            assert telemetry.points()["gen_ai.client.operation.duration"]
        assert ran == set()


SECRET = "sk-CANARY-key"


@contextmanager
def _everything_heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What hooks and log lines get to know, at DEBUG, as text."""
    heard: list[str] = []

    def hear(*arguments: Any) -> None:
        heard.extend(repr(getattr(each, "to_dict", lambda: "")()) for each in arguments)

    def told(*arguments: Any) -> None:
        heard.append(repr(arguments))

    for phase in ("start", "attempt", "end"):
        listeners.add(phase, hear)
    names = [event for event in hooks.EVENTS if event.startswith("llm.") and "chunk" not in event]
    for event in names:
        hooks.attach(f"canary-{event}", event, told)
    try:
        with caplog.at_level(logging.DEBUG, logger="otel_llm"):
            yield heard
    finally:
        for phase in ("start", "attempt", "end"):
            listeners.remove(phase, hear)
        for event in names:
            hooks.detach(f"canary-{event}")
        heard += [record.getMessage() for record in caplog.records if record.name.startswith("otel_llm")]


def _everything_exported(telemetry: Any) -> str:
    return "\n".join(
        [
            *(span.to_json() for span in telemetry.spans()),
            *(repr(link.attributes for link in span.links) for span in telemetry.spans()),
            *(repr(record.log_record) for record in telemetry.logs()),
            repr(telemetry.points()),
        ]
    )


EXTRA = {
    "extra_headers": {"X-CANARY": "CANARY"},
    "extra_body": {"unknown_field": "CANARY", "metadata": {"user_id": "CANARY"}},
}


def _messages(client: Any, stream: bool) -> Any:
    return client.messages.create(
        model="claude-test-1",
        max_tokens=9,
        system="CANARY",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "CANARY"},
                    {
                        "type": "document",
                        "title": "CANARY.txt",
                        "source": {"type": "text", "media_type": "text/plain", "data": "CANARY"},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": "CANARY"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "CANARY"}],
            },
        ],
        tools=[{"name": "f", "description": "CANARY", "input_schema": {"type": "object", "title": "CANARY"}}],
        stream=stream,
        **EXTRA,
    )


def _chat(client: Any, stream: bool) -> Any:
    return client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": "CANARY"},
            {
                "role": "user",
                "name": "CANARY",
                "content": [
                    {"type": "text", "text": "CANARY"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/CANARY.png"}},
                    {
                        "type": "file",
                        "file": {"filename": "CANARY.pdf", "file_data": "data:text/plain,CANARY"},
                    },
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": "CANARY"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "CANARY"},
        ],
        tools=[{"type": "function", "function": {"name": "f", "description": "CANARY", "parameters": {}}}],
        user="CANARY",
        stream=stream,
        **EXTRA,
    )


def _responses(client: Any, stream: bool) -> Any:
    return client.responses.create(
        model="gpt-4o",
        instructions="CANARY",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "CANARY"},
                    {"type": "input_image", "detail": "auto", "image_url": "https://example.org/CANARY.png"},
                    {"type": "input_file", "filename": "CANARY.pdf", "file_data": "data:text/plain,CANARY"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": "CANARY"}'},
            {"type": "function_call_output", "call_id": "c", "output": "CANARY"},
        ],
        tools=[
            {"type": "function", "name": "f", "description": "CANARY", "parameters": {}, "strict": None},
            {
                "type": "mcp",
                "server_label": "crm",
                "server_url": "https://CANARY",
                "authorization": "sk-CANARY",
            },
        ],
        user="CANARY",
        safety_identifier="CANARY",
        prompt_cache_key="CANARY",
        stream=stream,
        **EXTRA,
    )


def _completions(client: Any, stream: bool) -> Any:
    return client.completions.create(
        model="gpt-3.5-turbo-instruct",
        prompt=["CANARY"],
        suffix="CANARY",
        user="CANARY",
        stream=stream,
        **EXTRA,
    )


SPEAKERS = {
    "chat": ("openai", _chat),
    "responses": ("openai", _responses),
    "completions": ("openai", _completions),
    "messages": ("anthropic", _messages),
}
"""Per API its SDK, and a call with the canary wherever an application can put content."""


def _speak(make: Callable[..., Any], api: str, *, stream: bool, **options: Any) -> None:
    sdk, speak = SPEAKERS[api]
    client = make(sdk, **options)
    if not hasattr(client, api):
        pytest.skip(f"this {sdk} has no {api}")
    answer = speak(client, stream)
    if stream:
        list(answer)


SAID = Reply(
    text="CANARY",
    thinking="CANARY",
    tool_calls=[ToolCall(name="g", arguments={"a": "CANARY"}, id="call_1")],
    headers={"x-note": "CANARY"},
)
ECHO = Reply.error(
    401, code="invalid_api_key", message=f"Incorrect API key provided: {SECRET}. CANARY", type="auth"
)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", SPEAKERS)
class TestCanary:
    """The canary stands in every place that holds content; where it may not be, it is nowhere."""

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"capture_content": "span_and_event", "content_off": True},
            {"capture_content": "span_and_event", "redact": redactors.pattern("(?i)canary")},
        ],
        ids=["off", "hard off", "redactor"],
    )
    @pytest.mark.parametrize(
        "reply", [SAID, ECHO, Reply(error_after=1, error_message="CANARY", text="CANARY")]
    )
    def test_it_is_nowhere(
        self,
        make: Callable[..., Any],
        server: FakeProvider,
        caplog: pytest.LogCaptureFixture,
        api: str,
        stream: bool,
        settings: Mapping[str, Any],
        reply: Reply,
    ) -> None:
        server.reply(reply)
        failure = "CANARY"
        with _everything_heard(caplog) as heard, instrumented(**settings) as telemetry:
            try:
                _speak(make, api, stream=stream)
            except Exception as error:
                failure = str(error)
            telemetry.span()
            exported = _everything_exported(telemetry)
        assert "CANARY" in failure
        assert "CANARY" not in exported.upper()
        assert "CANARY" not in "\n".join(heard).upper()

    @pytest.mark.parametrize(
        "reply",
        [
            Reply.error(401, code=SECRET, message="CANARY", type="CANARY, you said"),
            Reply(error_after=1, error_message="CANARY", error_code="CANARY, you said", text="CANARY"),
        ],
        ids=["key", "sentence"],
    )
    def test_it_is_no_code_of_an_error(
        self,
        make: Callable[..., Any],
        server: FakeProvider,
        caplog: pytest.LogCaptureFixture,
        api: str,
        stream: bool,
        reply: Reply,
    ) -> None:
        self.test_it_is_nowhere(make, server, caplog, api, stream, {}, reply)

    def test_it_is_found_with_capture_on(
        self,
        make: Callable[..., Any],
        server: FakeProvider,
        caplog: pytest.LogCaptureFixture,
        api: str,
        stream: bool,
    ) -> None:
        """Or the tests above would prove nothing."""
        server.reply(SAID)
        with _everything_heard(caplog) as heard, instrumented(capture_content="span_and_event") as telemetry:
            _speak(make, api, stream=stream)
            content = on_span(telemetry.span())
            (event,) = details(telemetry)
            assert on_event(event) == content
        assert all("CANARY" in json.dumps(value) for value in content.values())
        assert content.keys() >= (
            {"input", "output"} if api == "completions" else {"input", "output", "tools"}
        )
        assert "CANARY" in "\n".join(heard)

    def test_a_key_that_the_provider_echoes_is_nowhere_even_with_capture_on(
        self,
        make: Callable[..., Any],
        server: FakeProvider,
        caplog: pytest.LogCaptureFixture,
        api: str,
        stream: bool,
    ) -> None:
        server.reply(
            Reply.error(401, message="Incorrect API key provided: sk-CANARY. hunter2hunter2 is no key.")
        )
        headers = (
            {"Authorization": "Bearer hunter2hunter2"}
            if SPEAKERS[api][0] == "openai"
            else {"X-Api-Key": "hunter2hunter2"}
        )
        with _everything_heard(caplog) as heard, instrumented(capture_content="span_and_event") as telemetry:
            with pytest.raises(Exception, match="hunter2hunter2"):
                _speak(make, api, stream=stream, default_headers=headers)
            exported = _everything_exported(telemetry)
            described = telemetry.span().status.description
        everything = exported + "\n".join(heard)
        assert "Incorrect API key provided" in described
        assert "hunter2hunter2" not in everything
        assert "sk-CANARY" not in everything
        assert "sk-SECRET" not in everything
        assert "sk-ant-SECRET" not in everything


class TestRedaction:
    def test_every_copy_holds_the_same_result_and_each_part_is_seen_once(
        self, make: Callable[..., Any]
    ) -> None:
        seen: list[str] = []

        def redact(part: redactors.Part) -> redactors.Part:
            seen.append(f"{part.role}:{part['content']}")
            part["content"] = part["content"].upper()
            return part

        records: list[Any] = []
        listeners.add("end", records.append)
        try:
            with instrumented(capture_content="span_and_event", redact=redact) as telemetry:
                make("openai").chat.completions.create(**CHAT)
                content = on_span(telemetry.span())
                (event,) = details(telemetry)
        finally:
            listeners.remove("end", records.append)
        assert seen == ["user:MY-PROMPT", "assistant:word1 word2 word3"]
        assert content["output"][0]["parts"] == [{"type": "text", "content": "WORD1 WORD2 WORD3"}]
        assert on_event(event) == content

    def test_a_redactor_that_raises_costs_the_content_and_nothing_else(
        self, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(_guard, "strict", False)

        def redact(part: Any) -> Any:
            raise ValueError(f"cannot redact {part['content']}")

        with instrumented(capture_content="span_and_event", redact=redact) as telemetry:
            answer = make("openai").chat.completions.create(**CHAT)
            span = telemetry.span()
            assert on_span(span) == {}
            assert details(telemetry) == []
            assert span.attributes["gen_ai.usage.output_tokens"] == 8
        assert answer.choices[0].message.content == "word1 word2 word3"
        (warning,) = [record.getMessage() for record in caplog.records if record.name == "otel_llm"]
        assert "a redactor" in warning
        assert "MY-PROMPT" not in warning

    def test_exception_texts_are_redacted_too(self, make: Callable[..., Any], server: FakeProvider) -> None:
        server.reply(Reply.error(400, message="Bad prompt: CANARY", code="bad"))
        with instrumented(capture_content="span_only", redact=redactors.pattern("CANARY", "*")) as telemetry:
            with pytest.raises(Exception, match="CANARY"):
                make("openai").chat.completions.create(**CHAT)
            assert "Bad prompt: *" in telemetry.span().status.description
            (event,) = telemetry.logs()
            assert "Bad prompt: *" in event.log_record.attributes["exception.message"]
            assert "Bad prompt: *" in event.log_record.attributes["exception.stacktrace"]


class TestBudget:
    def test_two_hundred_turns_with_an_image_of_ten_megabytes(self, make: Callable[..., Any]) -> None:
        otlp = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
        data = "iVBORw0K" * (10 * 1024 * 1024 // 8)
        messages: list[Any] = [
            {"role": "user" if turn % 2 == 0 else "assistant", "content": f"turn {turn} " * 400}
            for turn in range(200)
        ]
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        messages[100]["content"] = [{"type": "text", "text": "See:"}, image]
        with instrumented(capture_content="span_only") as telemetry:
            client = make("openai")
            with otel_llm.session(conversation_id="conv-1"):
                client.chat.completions.create(model="gpt-4o", messages=messages)
            client.chat.completions.create(**CHAT)
            big, sibling = telemetry.spans()
            exported = otlp.encode_spans([big, sibling]).SerializeToString()
            content = on_span(big)
        assert len(exported) < 4 * 1024 * 1024
        assert len(big.attributes["gen_ai.input.messages"].encode()) <= 256 * 1024
        assert len(content["input"]) == 200
        blob = content["input"][100]["parts"][1]
        assert (blob["mime_type"], blob["byte_count"], blob["content"]) == ("image/png", 7_864_320, "")
        assert big.attributes["gen_ai.conversation.id"] == "conv-1"
        assert big.attributes["gen_ai.usage.input_tokens"] == 12
        assert big.attributes["gen_ai.response.model"] == "gpt-4o"
        assert on_span(sibling)["input"] == ASKED

    @pytest.mark.parametrize("limits", [{"max_attribute_length": 300}, {"max_span_attribute_length": 200}])
    def test_the_sdk_limit_of_values_leaves_valid_json(self, make: Callable[..., Any], limits: Any) -> None:
        with capture() as telemetry:
            provider = TracerProvider(span_limits=SpanLimits(**limits), shutdown_on_exit=False)
            provider.add_span_processor(telemetry._sdk.spans)
            LLMInstrumentor().instrument(tracer_provider=provider, capture_content="span_only")
            try:
                make("openai").chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "long " * 1000}]
                )
            finally:
                LLMInstrumentor().uninstrument()
            (span,) = telemetry.spans()
        (message,) = on_span(span)["input"]
        assert message["parts"][0]["content"].endswith("characters]")
        assert len(span.attributes["gen_ai.input.messages"]) <= next(iter(limits.values()))

    def test_the_sdk_limit_of_attributes_costs_content_before_anything_else(
        self, make: Callable[..., Any]
    ) -> None:
        names = []
        for most in (128, 16, 12):
            with capture() as telemetry:
                limits = SpanLimits(max_span_attributes=most)
                provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
                provider.add_span_processor(telemetry._sdk.spans)
                LLMInstrumentor().instrument(tracer_provider=provider, capture_content="span_only")
                try:
                    make("openai").chat.completions.create(**CHAT)
                finally:
                    LLMInstrumentor().uninstrument()
                (span,) = telemetry.spans()
                names.append(set(span.attributes))
        everything, some, few = names
        assert "gen_ai.input.messages" in everything
        assert "gen_ai.input.messages" not in some
        for name in (
            "gen_ai.operation.name",
            "gen_ai.request.model",
            "gen_ai.response.id",
            "gen_ai.response.model",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
        ):
            assert name in few

    def test_the_sdk_limit_of_attributes_costs_neither_user_nor_conversation(
        self, make: Callable[..., Any]
    ) -> None:
        with capture() as telemetry:
            provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=30), shutdown_on_exit=False)
            provider.add_span_processor(telemetry._sdk.spans)
            LLMInstrumentor().instrument(tracer_provider=provider)
            try:
                with otel_llm.session(
                    "conv-1", user_id="ada", **{f"app.{number}": 1 for number in range(60)}
                ):
                    make("openai").chat.completions.create(**CHAT)
            finally:
                LLMInstrumentor().uninstrument()
            (span,) = telemetry.spans()
        assert len(span.attributes) == 30
        assert span.attributes["user.id"] == "ada"
        assert span.attributes["gen_ai.conversation.id"] == "conv-1"
        assert span.attributes["gen_ai.usage.output_tokens"] == 8

    def test_limits_of_our_own(self, make: Callable[..., Any]) -> None:
        settings = {"capture_content": "span_and_event", "max_attribute_bytes": 500, "max_span_bytes": 700}
        with instrumented(**settings) as telemetry:
            make("openai").chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": "é" * 5000}],
                tools=[{"type": "function", "function": {"name": "f", "description": "d" * 5000}}],
            )
            span = telemetry.span()
            content = on_span(span)
            (event,) = details(telemetry)
            assert on_event(event) == content
        sizes = {
            field: len(span.attributes[name].encode()) for field, name in NAMES.items() if field in content
        }
        assert all(size <= 500 for size in sizes.values())
        assert 600 < sum(sizes.values()) <= 700
