"""Completion hooks of opentelemetry-util-genai: redacted content goes to them, references come back to the span."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from scene import instrumented
from test_content import ASKED, IMAGE, SUMMED_UP, details, on_event, on_span

import otel_llm
from otel_llm import _guard, _upload, redactors
from otel_llm._operation import Content
from otel_llm.testing import Reply, ToolCall, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_llm.testing import FakeProvider

types = pytest.importorskip("opentelemetry.util.genai.types")


class Hook:
    """A hook that keeps what it is given, and may change it."""

    calls: list[dict[str, Any]]
    change: Callable[[dict[str, Any]], None] | None = None

    def __init__(self) -> None:
        type(self).calls = []

    def on_completion(self, **given: Any) -> None:
        self.calls.append(given)
        if self.change is not None:
            self.change(given)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    """A hook that is found under the name `mine`."""

    class Mine(Hook):
        pass

    entry = EntryPoint("mine", "nowhere:Mine", "opentelemetry_genai_completion_hook")
    monkeypatch.setattr(EntryPoint, "load", lambda _: Mine)
    monkeypatch.setattr(
        _upload, "entry_points", lambda **wanted: [entry] if wanted.get("name", "mine") == "mine" else []
    )
    return Mine


def test_a_hook_is_given_everything_as_the_dataclasses_it_expects(
    hook: type[Hook], make: Callable[..., Any], server: FakeProvider
) -> None:
    server.reply(Reply(thinking="Hm.", text="Yes.", tool_calls=[ToolCall(name="f", id="toolu_1")]))
    with instrumented(completion_hook="mine") as telemetry:
        make("anthropic").messages.create(
            model="claude-test-1",
            max_tokens=9,
            system="Be brief.",
            messages=[{"role": "user", "content": [{"type": "text", "text": "Look:"}, IMAGE]}],
            tools=[{"name": "f", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}],
        )
        span = telemetry.span()
    (given,) = hook.calls

    assert on_span(span) == {}, "the mode is no_content: the hook is all there is"
    assert given["span"].get_span_context() == span.context
    assert given["system_instruction"] == [types.TextPart("Be brief.")]
    (asked,) = given["inputs"]
    assert type(asked) is types.InputMessage
    assert asked.parts[0] == types.TextPart("Look:")
    assert isinstance(asked.parts[1], types.BlobPart)
    assert {**asdict(asked.parts[1]), "content": ""} == SUMMED_UP
    assert asked.parts[1].content == b""
    (said,) = given["outputs"]
    assert type(said) is types.OutputMessage
    assert said.finish_reason == "tool_call"
    thought, text, called = said.parts
    assert isinstance(thought, types.ReasoningPart)
    assert thought.signature
    assert text == types.TextPart("Yes.")
    assert called == types.ToolCallRequestPart(arguments={}, name="f", id="toolu_1")
    assert given["tool_definitions"] == [
        types.FunctionToolDefinition(name="f", description=None, parameters={}),
        types.GenericToolDefinition(name="web_search", type="web_search_20250305"),
    ]


def test_redaction_runs_before_the_hook(hook: type[Hook], make: Callable[..., Any]) -> None:
    with instrumented(completion_hook="mine", redact=redactors.pattern("MY-PROMPT", "*")):
        make("openai").chat.completions.create(**CHAT)
    assert hook.calls[0]["inputs"] == [types.InputMessage("user", [types.TextPart("*")])]


def test_what_a_hook_leaves_is_recorded(hook: type[Hook], make: Callable[..., Any]) -> None:
    def change(self: Any, given: dict[str, Any]) -> None:
        given["inputs"][0].parts.append(types.BlobPart(mime_type="image/png", modality="image", content=b"x"))
        del given["outputs"][:]
        given["span"].set_attribute("gen_ai.input.messages_ref", "memory://1")

    hook.change = change  # type: ignore[assignment]
    with capture() as telemetry:
        telemetry.instrument(completion_hook="mine", capture_content="span_and_event")
        make("openai").chat.completions.create(**CHAT)
        (span,) = telemetry.spans()
        (event,) = details(telemetry)
    parts = [
        *ASKED[0]["parts"],
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "eA=="},
    ]
    assert on_span(span) == {"input": [{"role": "user", "parts": parts}]}
    assert on_event(event) == on_span(span)
    assert span.attributes["gen_ai.input.messages_ref"] == "memory://1"


def test_it_hears_of_calls_that_are_not_sampled(hook: type[Hook], make: Callable[..., Any]) -> None:
    with capture(sampler=ALWAYS_OFF) as telemetry:
        telemetry.instrument(completion_hook="mine")
        make("openai").chat.completions.create(**CHAT)
    assert len(hook.calls) == 1


def test_the_hard_off_and_a_block_that_forbids_content_hold_for_hooks(
    hook: type[Hook], make: Callable[..., Any]
) -> None:
    client = make("openai")
    hook.calls = []
    with instrumented(completion_hook="mine", content_off=True):
        client.chat.completions.create(**CHAT)
    with instrumented(completion_hook="mine"), otel_llm.options(capture_content=False):
        client.chat.completions.create(**CHAT)
    assert hook.calls == []


def test_a_hook_that_raises_costs_nothing(
    hook: type[Hook],
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(self: Any, given: dict[str, Any]) -> None:
        raise ValueError("MY-PROMPT")

    hook.change = fail  # type: ignore[assignment]
    monkeypatch.setattr(_guard, "strict", False)
    with instrumented(completion_hook="mine", capture_content="span_only") as telemetry:
        make("openai").chat.completions.create(**CHAT)
        assert on_span(telemetry.span())["input"] == ASKED
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "otel_llm"]
    assert "a completion hook" in warning
    assert "MY-PROMPT" not in warning


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_upload_writes_files_and_puts_references_on_the_span(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "upload")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH", str(tmp_path))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_UPLOAD_FORMAT", form)
    made: list[Any] = []
    load = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda entry: lambda: made.append(load(entry)()) or made[-1])
    with capture() as telemetry:
        telemetry.instrument()
        make("openai").chat.completions.create(**CHAT)
        (span,) = telemetry.spans()
    made[0].shutdown()
    read = {}
    for field in ("input", "output"):
        path = span.attributes[f"gen_ai.{field}.messages_ref"].removeprefix("file://")
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - fsspec's path
            text = file.read()
        read[field] = json.loads(text)[0] if form == "json" else json.loads(text.splitlines()[0])
    assert read["input"]["parts"] == [{"content": "MY-PROMPT", "type": "text"}]
    assert read["output"]["parts"][0]["content"] == "word1 word2 word3"
    assert on_span(span) == {}


def test_a_hook_that_is_not_there_is_named_once(
    make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with instrumented(completion_hook="nobody") as telemetry:
        make("openai").chat.completions.create(**CHAT)
        assert telemetry.span()
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "otel_llm"]
    assert "'nobody'" in warning
    assert "upload" in warning


def test_without_its_package_a_hook_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Any:
        raise ImportError

    monkeypatch.setattr(_upload, "_types", missing)
    assert _upload.load("upload") is None
    assert "pip install 'opentelemetry-util-genai[upload]>=1.2b0'" in caplog.text


def test_a_hook_that_cannot_be_made_is_not_used(
    hook: type[Hook], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: 1 / 0)
    assert _upload.load("mine") is None
    assert "ZeroDivisionError" in caplog.text


def test_parts_with_keys_that_no_field_can_have() -> None:
    odd = {"type": "hologram", "from": "a", "two words": {"x": None}, "beam": 3}
    seen: list[Any] = []

    class Sees:
        def on_completion(self, **given: Any) -> None:
            seen.extend(given["inputs"][0].parts)

    content = Content(
        input=[{"role": "user", "parts": [odd, {"type": "blob", "modality": "image", "content": "eA=="}]}]
    )
    assert _upload._run(Sees(), content, None) == content
    assert (seen[0].type, seen[0].beam, seen[0].more) == (
        "hologram",
        3,
        {"from": "a", "two words": {"x": None}},
    )
    assert seen[1].content == b"x"
