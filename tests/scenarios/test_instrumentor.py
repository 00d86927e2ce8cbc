"""On and off, in any order, any number of times."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE
from opentelemetry.instrumentation.utils import suppress_instrumentation
from scene import instrumented

from otel_llm.instrumentor import (
    AnthropicInstrumentor,
    LLMInstrumentor,
    OpenAIInstrumentor,
    instrument_client,
    uninstrument_client,
)
from otel_llm.testing._capture import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Telemetry

SEAMS = (
    ("_base_client", "SyncAPIClient", "request"),
    ("_base_client", "AsyncAPIClient", "request"),
    ("_base_client", "SyncAPIClient", "_process_response"),
    ("_base_client", "AsyncAPIClient", "_process_response"),
    ("_base_client", "BaseClient", "_build_request"),
    ("_base_client", "BaseClient", "_should_retry"),
    ("_base_client", "BaseClient", "_calculate_retry_timeout"),
    ("_streaming", "Stream", "__stream__"),
    ("_streaming", "AsyncStream", "__stream__"),
    ("_response", "APIResponse", "close"),
    ("_response", "AsyncAPIResponse", "close"),
)


def _functions() -> dict[str, Any]:
    import anthropic
    import openai

    found: dict[str, Any] = {}
    for sdk in (openai, anthropic):
        for module, cls, name in SEAMS:
            owner = getattr(sys.modules[f"{sdk.__name__}.{module}"], cls)
            found[f"{sdk.__name__}.{cls}.{name}"] = owner.__dict__[name]
    native = sys.modules["anthropic._base_client"].__dict__.get("start_api_call_span")
    found["anthropic.start_api_call_span"] = native
    return found


class TestOnAndOff:
    def test_uninstrument_restores_the_identical_functions(self) -> None:
        before = _functions()
        with instrumented():
            during = _functions()
            assert all(during[name] is not before[name] for name in before if before[name] is not None)
        assert all(after is before[name] for name, after in _functions().items())

    def test_double_instrument_is_harmless_and_re_instrumenting_works(self, make: Callable[..., Any]) -> None:
        client = make("openai")
        for _ in range(2):
            with instrumented() as telemetry:
                LLMInstrumentor().instrument()
                OpenAIInstrumentor().instrument()
                client.chat.completions.create(**CHAT)
                assert len(telemetry.spans()) == 1
                OpenAIInstrumentor().uninstrument()
                client.chat.completions.create(**CHAT)
                assert len(telemetry.spans()) == 2
        client.chat.completions.create(**CHAT)
        assert len(telemetry.spans()) == 2

    def test_one_provider_alone(self, make: Callable[..., Any]) -> None:
        with capture() as captured:
            AnthropicInstrumentor().instrument(**captured.providers)
            make("openai").chat.completions.create(**CHAT)
            make("anthropic").messages.create(**MESSAGE)
            AnthropicInstrumentor().uninstrument()
            assert [span.name for span in captured.spans()] == ["chat claude-test-1"]

    def test_a_stream_open_at_uninstrument_still_ends(self, make: Callable[..., Any]) -> None:
        with capture() as captured:
            captured.instrument()
            stream = make("openai").chat.completions.create(**CHAT, stream=True)
            next(stream)
            LLMInstrumentor().uninstrument()
            for _ in stream:
                pass
            [span] = captured.spans()
            assert span.attributes["otel_llm.outcome"] == "completed"
            captured._undo.clear()

    def test_unknown_and_bad_settings_say_so(self) -> None:
        with pytest.raises(TypeError, match="unknown options"):
            LLMInstrumentor().instrument(capture="yes")
        with pytest.raises(ValueError, match="semconv"):
            LLMInstrumentor().instrument(semconv="1.0")
        assert not LLMInstrumentor().is_instrumented_by_opentelemetry


class TestImportOrder:
    @pytest.mark.parametrize("first", ["sdk", "package"])
    def test_either_works_and_no_sdk_is_imported_by_us(self, first: str, server: Any) -> None:
        instrument = (
            "from otel_llm.testing import capture\nc = capture()\nc.instrument()\n"
            "import sys; assert ('openai' in sys.modules) is %s\n" % (first == "sdk")
        )
        parts = ["import openai\n", instrument] if first == "sdk" else [instrument, "import openai\n"]
        program = "".join(parts) + (
            f"client = openai.OpenAI(api_key='none', base_url={server.openai_url!r})\n"
            "client.chat.completions.create(model='gpt-4o', messages=[])\n"
            "print([span.name for span in c.spans()])\n"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (run.stdout.strip(), run.stderr) == ("['chat gpt-4o']", "")


class TestSuppression:
    def test_no_span_and_no_metric(self, telemetry: Telemetry, make: Callable[..., Any]) -> None:
        with suppress_instrumentation():
            make("openai").chat.completions.create(**CHAT)
            list(make("openai").chat.completions.create(**CHAT, stream=True))
            make("anthropic").messages.create(**MESSAGE)
        assert telemetry.spans() == []
        assert telemetry.points() == {}

    @pytest.mark.parametrize(
        "key", ["opentelemetry.genai.client.inference.context", "opentelemetry.genai.inference_span"]
    )
    def test_a_framework_that_marks_its_own_span_gets_no_second_one(
        self, key: str, telemetry: Telemetry, make: Callable[..., Any]
    ) -> None:
        from opentelemetry import context

        token = context.attach(context.set_value(key, object()))
        try:
            make("openai").chat.completions.create(**CHAT)
            make("anthropic").messages.create(**MESSAGE)
        finally:
            context.detach(token)
        assert telemetry.spans() == []


class TestSampling:
    def test_metrics_of_calls_whose_span_is_dropped(self, make: Callable[..., Any]) -> None:
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

        with capture(sampler=ALWAYS_OFF) as captured:
            captured.instrument()
            client = make("openai")
            client.chat.completions.create(**CHAT)
            list(client.chat.completions.create(**CHAT, stream=True))
            points = captured.points()
        assert captured.spans() == []
        assert sum(point.count for point in points["gen_ai.client.operation.duration"]) == 2
        assert "gen_ai.client.token.usage" in points
        assert "gen_ai.client.operation.time_to_first_chunk" in points

    def test_the_sampler_sees_what_is_known_at_the_start(self, make: Callable[..., Any]) -> None:
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

        seen: list[dict[str, Any]] = []

        class Watching(Sampler):
            def should_sample(self, parent: Any, trace_id: int, name: str, *rest: Any, **more: Any) -> Any:
                seen.append(dict(more.get("attributes") or rest[1]))
                return ALWAYS_ON.should_sample(parent, trace_id, name, *rest, **more)

            def get_description(self) -> str:
                return "watching"

        with capture(sampler=Watching()) as captured:
            captured.instrument()
            make("anthropic").messages.create(**MESSAGE)
        assert set(seen[0]) == {
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "server.address",
            "server.port",
        }


class TestTenants:
    def test_two_clients_with_two_providers_never_cross(self, make: Callable[..., Any]) -> None:
        with capture() as first, capture() as second:
            one, two, third = make("openai"), make("openai"), make("openai")
            instrument_client(one, **first.providers)
            instrument_client(two, **second.providers)
            for client in (one, two, two, third):
                client.chat.completions.create(**CHAT)
            assert (len(first.spans()), len(second.spans())) == (1, 2)
            uninstrument_client(one)
            uninstrument_client(two)
            one.chat.completions.create(**CHAT)
            assert len(first.spans()) == 1

    @pytest.mark.parametrize("sdk", ["openai", "anthropic"])
    def test_a_copy_of_a_client_is_the_same_tenants(self, make: Callable[..., Any], sdk: str) -> None:
        calls: dict[str, Any] = {
            "openai": lambda client: client.chat.completions.create(**CHAT),
            "anthropic": lambda client: client.messages.create(**MESSAGE),
        }
        call = calls[sdk]
        with instrumented() as everybody, capture() as tenant:
            one = make(sdk)
            other = make(sdk, http_client=one._client)
            other.api_key = "another tenant's"
            instrument_client(one, **tenant.providers)
            for client in (one, one.with_options(timeout=7), one.copy().with_options(max_retries=1)):
                call(client)
            assert (len(tenant.spans()), len(everybody.spans())) == (3, 0)
            for client in (other, one.with_options(api_key="another tenant's")):
                call(client)
            assert (len(tenant.spans()), len(everybody.spans())) == (3, 2)
            copy = one.copy()
            call(copy)
            uninstrument_client(one)
            call(copy)
            assert (len(tenant.spans()), len(everybody.spans())) == (4, 3)

    def test_something_else_is_no_client(self) -> None:
        with pytest.raises(TypeError, match="no client"):
            instrument_client(object())


class TestPeers:
    def test_one_warning_when_another_package_wraps_the_same_seam(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        import openai
        import wrapt
        from openai import _base_client

        original = _base_client.SyncAPIClient.__dict__["request"]
        wrapt.wrap_function_wrapper(_base_client, "SyncAPIClient.request", lambda w, i, a, k: w(*a, **k))
        try:
            with caplog.at_level(logging.WARNING, logger="otel_llm"), instrumented():
                assert openai
        finally:
            _base_client.SyncAPIClient.request = original
        assert [record.getMessage()[:31] for record in caplog.records if record.name == "otel_llm"] == [
            "openai is already instrumented "
        ]


class TestVersions:
    def test_a_missing_seam_costs_its_facts_and_one_info_line(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]
    ) -> None:
        from openai._base_client import BaseClient

        client = make("openai")
        monkeypatch.delattr(BaseClient, "_calculate_retry_timeout")
        with caplog.at_level(logging.INFO, logger="otel_llm"), instrumented() as telemetry:
            client.chat.completions.create(**CHAT)
            assert telemetry.outcome() == "completed"
        [line] = [record.getMessage() for record in caplog.records if record.name == "otel_llm"]
        assert "not found: BaseClient._calculate_retry_timeout" in line
