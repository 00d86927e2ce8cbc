"""The anthropic SDK's own spans: never two, and a `traceparent` only of a span that is exported."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from doors import MESSAGE, TLS
from opentelemetry import trace
from scene import instrumented

from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

anthropic = pytest.importorskip("anthropic")
pytestmark = pytest.mark.skipif(
    not hasattr(anthropic._base_client, "start_api_call_span"), reason="this anthropic makes no spans itself"
)


@pytest.fixture(params=["replace", "adopt", "coexist"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _client(telemetry: Any, make: Callable[..., Any], *, http_client: Any = None, **option: Any) -> Any:
    option = {"tracer_provider": telemetry.tracer_provider, **option}
    given = {} if http_client is None else {"http_client": http_client}
    return make("anthropic", max_retries=2, open_telemetry=option, **given)


@pytest.fixture
def in_mode(mode: str) -> Iterator[Any]:
    with instrumented(anthropic_native=mode) as telemetry:
        yield telemetry


def _traceparent(server: Any) -> list[str | None]:
    return [request.headers.get("traceparent") for request in server.requests]


def _id(span: Any) -> str:
    return trace.format_span_id(span.context.span_id)


class TestSpans:
    def test_of_a_call(self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]) -> None:
        _client(in_mode, make).messages.create(**MESSAGE)
        names = {"replace": ["chat claude-test-1"], "adopt": ["anthropic.messages.create"]}
        spans = in_mode.spans()
        if mode == "coexist":
            assert {span.name for span in spans} == {"chat claude-test-1", "anthropic.messages.create"}
            return
        assert [span.name for span in spans] == names[mode]
        assert spans[0].attributes["gen_ai.usage.input_tokens"] == 12
        assert spans[0].attributes["otel_llm.outcome"] == "completed"

    def test_content_is_on_the_span_that_is_recorded_to(
        self, mode: str, server: Any, make: Callable[..., Any]
    ) -> None:
        with instrumented(anthropic_native=mode, capture_content="span_only") as telemetry:
            _client(telemetry, make).messages.create(**MESSAGE)
            asked = [span.attributes.get("gen_ai.input.messages") for span in telemetry.spans()]
        assert [each for each in asked if each] == [
            '[{"role":"user","parts":[{"type":"text","content":"MY-PROMPT"}]}]'
        ]

    @pytest.mark.parametrize("how", ["read", "closed"])
    def test_of_a_stream(
        self, how: str, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        server.reply(Reply(chunks=20, chunk_delay=0.002))
        with _client(in_mode, make).messages.create(**MESSAGE, stream=True) as stream:
            for _ in stream:
                if how == "closed":
                    break
        expected = "completed" if how == "read" else "closed"
        ours = [span for span in in_mode.spans() if "otel_llm.outcome" in span.attributes]
        assert [span.attributes["otel_llm.outcome"] for span in ours] == [expected]
        assert len(in_mode.spans()) == (2 if mode == "coexist" else 1)

    def test_of_an_error(self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]) -> None:
        server.reply(Reply.error(400))
        with pytest.raises(anthropic.BadRequestError):
            _client(in_mode, make).messages.create(**MESSAGE)
        assert len(in_mode.spans()) == (2 if mode == "coexist" else 1)
        for span in in_mode.spans():
            assert span.status.status_code.name == "ERROR"

    def test_a_call_that_is_no_inference_keeps_the_sdks_span(
        self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        _client(in_mode, make).messages.count_tokens(model="claude-test-1", messages=MESSAGE["messages"])
        assert [span.name for span in in_mode.spans()] == ["anthropic.messages.count_tokens"]

    def test_tracing_that_the_user_switched_off_stays_off(
        self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        one = make("anthropic", open_telemetry=False)
        one.messages.create(**MESSAGE)
        assert [span.name for span in in_mode.spans()] == ["chat claude-test-1"]
        assert _traceparent(server) == [None]


class TestBeside:
    """In `coexist` the SDK's spans and requests are those of a program without us."""

    def test_the_sdks_span_has_the_parent_that_it_had(self, server: Any, make: Callable[..., Any]) -> None:
        with instrumented(anthropic_native="coexist") as telemetry:
            with telemetry.tracer_provider.get_tracer("app").start_as_current_span("app") as app:
                _client(telemetry, make).messages.create(**MESSAGE)
                assert trace.get_current_span() is app
            parents = {span.name: span.parent and span.parent.span_id for span in telemetry.spans()}
        assert parents == {
            "app": None,
            "chat claude-test-1": app.context.span_id,
            "anthropic.messages.create": app.context.span_id,
        }

    def test_an_sdk_that_has_no_provider_sends_no_traceparent(
        self, server: Any, make: Callable[..., Any]
    ) -> None:
        with instrumented(anthropic_native="coexist") as telemetry:
            make("anthropic").messages.create(**MESSAGE)
            assert [span.name for span in telemetry.spans()] == ["chat claude-test-1"]
        assert _traceparent(server) == [None]


class TestInsideACall:
    """A call made while another one is sent is none of its business, and is not recorded itself."""

    def test_each_call_keeps_its_own_span(
        self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        inner = _client(in_mode, make)
        http = anthropic.DefaultHttpxClient(
            verify=TLS, event_hooks={"request": [lambda _: inner.messages.create(**MESSAGE)]}
        )
        outer = _client(in_mode, make, http_client=http)
        outer.messages.create(**{**MESSAGE, "model": "claude-test-2"})
        assert in_mode.open_spans() == []
        ours = [span for span in in_mode.spans() if "otel_llm.outcome" in span.attributes]
        assert [span.attributes["gen_ai.request.model"] for span in ours] == ["claude-test-2"]
        assert len(in_mode.spans()) == {"replace": 1, "adopt": 2, "coexist": 3}[mode]


class TestAdoptedWithoutASpan:
    """The SDK starts no span where nobody gave it a provider; the call is recorded by one of ours all the same."""

    @pytest.mark.parametrize("inside", [False, True], ids=["root", "child"])
    @pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])
    def test_ours_is_started(self, inside: bool, stream: bool, server: Any, make: Callable[..., Any]) -> None:
        with instrumented(anthropic_native="adopt") as telemetry:
            asked = {**MESSAGE, "stream": True} if stream else MESSAGE
            with (
                telemetry.tracer_provider.get_tracer("app").start_as_current_span("app")
                if inside
                else (nullcontext()) as app
            ):
                got = make("anthropic").messages.create(**asked)
                if stream:
                    list(got)
                current = trace.get_current_span()
                assert current is (app if inside else trace.INVALID_SPAN)
            ours = [span for span in telemetry.spans() if span.name != "app"]
        assert [(span.name, span.attributes["otel_llm.outcome"]) for span in ours] == [
            ("chat claude-test-1", "completed")
        ]
        parent = ours[0].parent
        assert (parent.span_id if parent else None) == (app.context.span_id if inside else None)
        (sent,) = _traceparent(server)
        assert sent is not None
        assert sent.split("-")[2] == _id(ours[0])

    def test_ours_is_started_for_a_call_that_fails_before_the_sdk_starts_its_own(
        self, server: Any, make: Callable[..., Any]
    ) -> None:
        def refuse(options: Any) -> None:
            raise LookupError

        with instrumented(anthropic_native="adopt") as telemetry:
            client = _client(telemetry, make)
            client._copy_and_prepare = refuse
            with pytest.raises(LookupError):
                client.messages.create(**MESSAGE)
            assert [(span.name, span.attributes["otel_llm.outcome"]) for span in telemetry.spans()] == [
                ("chat claude-test-1", "failed")
            ]


class TestPropagation:
    def test_the_clients_setting_decides_and_it_carries_the_exported_span(
        self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        server.script(Reply.error(429, retry_after_ms=10))
        _client(in_mode, make).messages.create(**MESSAGE)
        exported = {_id(span) for span in in_mode.spans()}
        sent = _traceparent(server)
        assert len(sent) == 2
        assert {value.split("-")[2] for value in sent if value} <= exported
        assert all(sent)

    def test_switched_off_nothing_is_sent(
        self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        _client(in_mode, make, propagation=False).messages.create(**MESSAGE)
        assert _traceparent(server) == [None]

    def test_a_request_that_no_method_of_the_sdk_made_carries_none(
        self, mode: str, in_mode: Any, server: Any, make: Callable[..., Any]
    ) -> None:
        _client(in_mode, make).post("/v1/messages", cast_to=object, body=MESSAGE)
        assert _traceparent(server) == [None]
        assert [span.name for span in in_mode.spans()] == ["chat claude-test-1"]

    def test_openai_sends_none_unless_the_host_is_allowed(
        self, server: Any, make: Callable[..., Any]
    ) -> None:
        with instrumented():
            make("openai").chat.completions.create(model="m", messages=[])
        with instrumented(propagate_hosts=["127.0.0.1"]) as telemetry:
            make("openai").chat.completions.create(model="m", messages=[])
            span = telemetry.span()
        first, second = _traceparent(server)
        assert first is None
        assert second is not None
        assert second.split("-")[2] == _id(span)
