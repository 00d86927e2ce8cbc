"""The clients for platforms (Azure, Bedrock, Vertex, Foundry, ...): who answered, and the facts, as elsewhere."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, DOORS, MESSAGE, RESPONSE, TLS, USAGE, WAYS, lacking, lacks
from scene import run, use

from otel_llm.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scene import Telemetry

    from otel_llm.testing import FakeProvider

AWS = {"aws_access_key": "AKIASECRET", "aws_secret_key": "SECRET", "aws_region": "us-east-1"}


def _is_installed(module: str) -> bool:
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def _has_provider(name: str) -> bool:
    return _is_installed("openai.providers") and hasattr(importlib.import_module("openai.providers"), name)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One way to a model through somebody else's cloud."""

    name: str
    cls: str
    """Of the sync client, `SDK.Class`; the async one has `Async` before it."""
    options: Callable[[str], Mapping[str, Any]]
    """What the client needs, given the server's URL."""
    label: str
    path: str
    """The end of the path that is asked, of a stream if it differs."""
    streamed_path: str | None = None
    call: Callable[..., Any] = lambda client, **more: client.messages.create(**MESSAGE, **more)
    needs: str | None = None
    """The package with which the platform's requests are signed."""
    openai: bool = False
    """Whether the attributes of the conventions' OpenAI page apply."""

    @property
    def sdk(self) -> str:
        return self.cls.partition(".")[0]

    @property
    def api(self) -> str:
        """The name of the doors that its call goes through."""
        if self.sdk == "anthropic":
            return "messages"
        return "responses" if self.call is _responses else "chat"

    @property
    def model(self) -> str:
        return str((MESSAGE if self.sdk == "anthropic" else CHAT)["model"])

    def client(self, server: FakeProvider, *, asynchronous: bool, **more: Any) -> Any:
        module = importlib.import_module(self.sdk)
        http = module.DefaultAsyncHttpxClient if asynchronous else module.DefaultHttpxClient
        name = ("Async" if asynchronous else "") + self.cls.rpartition(".")[2]
        options = {"max_retries": 0, "http_client": http(verify=TLS), **self.options(server.url), **more}
        return getattr(module, name)(**options)

    def lacking(self) -> str | None:
        """Why the platform cannot be run here."""
        module = importlib.import_module(self.sdk)
        if getattr(module, self.cls.rpartition(".")[2], None) is None:
            return f"{self.sdk} {module.__version__} has no {self.cls}"
        if self.name.startswith("provider-") and not _has_provider(self.name.removeprefix("provider-")):
            return f"{self.sdk} {module.__version__} has no {self.name}"
        if self.needs is not None and not _is_installed(self.needs):
            return f"{self.needs} is not installed"
        return None


def _chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**CHAT, **more, **({"stream_options": USAGE} if more else {}))


def _responses(client: Any, **more: Any) -> Any:
    return client.responses.create(**RESPONSE, **more)


def _provider(name: str, **options: Any) -> Any:
    return getattr(importlib.import_module("openai.providers"), name)(**options)


PLATFORMS = (
    Platform(
        name="azure",
        cls="openai.AzureOpenAI",
        options=lambda url: {"azure_endpoint": url, "api_key": "SECRET", "api_version": "2024-10-21"},
        label="azure.ai.openai",
        path="/openai/deployments/gpt-4o/chat/completions",
        call=_chat,
        openai=True,
    ),
    Platform(
        name="azure-deployment",
        cls="openai.AzureOpenAI",
        options=lambda url: {
            "azure_endpoint": url,
            "azure_deployment": "mine",
            "api_key": "SECRET",
            "api_version": "2024-10-21",
        },
        label="azure.ai.openai",
        path="/openai/deployments/mine/chat/completions",
        call=_chat,
        openai=True,
    ),
    Platform(
        name="bedrock-openai",
        cls="openai.BedrockOpenAI",
        options=lambda url: {"base_url": f"{url}/openai/v1", "api_key": "SECRET"},
        label="aws.bedrock",
        path="/openai/v1/chat/completions",
        call=_chat,
    ),
    Platform(
        name="provider-bedrock",
        cls="openai.OpenAI",
        options=lambda url: {"provider": _provider("bedrock", base_url=f"{url}/openai/v1", api_key="SECRET")},
        label="aws.bedrock",
        path="/openai/v1/responses",
        call=_responses,
    ),
    Platform(
        name="provider-vertex",
        cls="openai.OpenAI",
        options=lambda url: {
            "provider": _provider(
                "vertex",
                base_url=f"{url}/v1",
                token_provider=lambda: "SECRET",
                project="p",
                location="global",
            )
        },
        label="gcp.vertex_ai",
        path="/v1/responses",
        call=_responses,
    ),
    Platform(
        name="bedrock",
        cls="anthropic.AnthropicBedrock",
        options=lambda url: {"base_url": url, **AWS},
        label="aws.bedrock",
        path="/model/claude-test-1/invoke",
        streamed_path="/model/claude-test-1/invoke-with-response-stream",
        needs="boto3",
    ),
    Platform(
        name="bedrock-mantle",
        cls="anthropic.AnthropicBedrockMantle",
        options=lambda url: {"base_url": f"{url}/anthropic", "api_key": "SECRET"},
        label="aws.bedrock",
        path="/anthropic/v1/messages",
    ),
    Platform(
        name="vertex",
        cls="anthropic.AnthropicVertex",
        options=lambda url: {
            "base_url": f"{url}/v1",
            "region": "us-east5",
            "project_id": "p",
            "access_token": "SECRET",
        },
        label="gcp.vertex_ai",
        path="/publishers/anthropic/models/claude-test-1:rawPredict",
        streamed_path="/publishers/anthropic/models/claude-test-1:streamRawPredict",
        needs="google.auth",
    ),
    Platform(
        name="foundry",
        cls="anthropic.AnthropicFoundry",
        options=lambda url: {"base_url": f"{url}/anthropic/", "api_key": "SECRET"},
        label="azure.ai.inference",
        path="/anthropic/v1/messages",
    ),
    Platform(
        name="aws",
        cls="anthropic.AnthropicAWS",
        options=lambda url: {"base_url": url, "api_key": "SECRET", "workspace_id": "w"},
        label="anthropic",
        path="/v1/messages",
    ),
    Platform(
        name="google-cloud",
        cls="anthropic.AnthropicGoogleCloud",
        options=lambda url: {
            "base_url": url,
            "token_provider": lambda: "SECRET",
            "project": "p",
            "workspace_id": "w",
        },
        label="anthropic",
        path="/v1/messages",
    ),
)


@pytest.fixture(
    params=[
        pytest.param(
            platform,
            id=platform.name,
            marks=[pytest.mark.skip(reason=reason)] if (reason := platform.lacking()) else [],
        )
        for platform in PLATFORMS
    ]
)
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.param
    return found


@pytest.fixture
def client(platform: Platform, server: FakeProvider) -> Iterator[Any]:
    with platform.client(server, asynchronous=False, max_retries=2) as made:
        yield made


def facts(telemetry: Telemetry) -> dict[str, Any]:
    attributes = telemetry.span().attributes or {}
    names = {
        "provider": "gen_ai.provider.name",
        "asked": "gen_ai.request.model",
        "answered": "gen_ai.response.model",
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "reasons": "gen_ai.response.finish_reasons",
        "address": "server.address",
        "port": "server.port",
        "status": "otel_llm.response.status_code",
        "outcome": "otel_llm.outcome",
    }
    return {key: attributes.get(name) for key, name in names.items()}


def expected(platform: Platform, server: FakeProvider) -> dict[str, Any]:
    return {
        "provider": platform.label,
        "asked": platform.model,
        "answered": "returned-2026-01-01",
        "input": 12,
        "output": 8,
        "reasons": ("stop",),
        "address": "127.0.0.1",
        "port": int(server.url.rpartition(":")[2]),
        "status": 200,
        "outcome": "completed",
    }


class TestWhoAnswered:
    @pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
    def test_the_facts(
        self,
        streamed: bool,
        asynchronous: bool,
        platform: Platform,
        server: FakeProvider,
        telemetry: Telemetry,
    ) -> None:
        """The model that was asked for (on Azure the deployment) and the one that answered are kept apart."""
        server.reply(Reply(model="returned-2026-01-01"))
        more = {"stream": True} if streamed else {}

        async def main() -> None:
            async with platform.client(server, asynchronous=True) as client:
                answer = await platform.call(client, **more)
                if streamed:
                    assert [event async for event in answer]

        if asynchronous:
            run(main())
        else:
            with platform.client(server, asynchronous=False) as client:
                answer = platform.call(client, **more)
                if streamed:
                    assert list(answer)
        assert facts(telemetry) == expected(platform, server)
        path = platform.streamed_path if streamed and platform.streamed_path else platform.path
        assert server.requests[0].path.endswith(path)
        names = telemetry.span().attributes
        assert any(name.startswith("openai.") for name in names) is platform.openai


_WAYS = [(way.name, way.kind) for way in WAYS.values() if way.kind not in ("lines", "bytes")]


class TestEveryWay:
    @pytest.mark.parametrize("way", [name for name, kind in _WAYS])
    def test_one_span_with_the_facts(
        self, way: str, asynchronous: bool, platform: Platform, server: FakeProvider, telemetry: Telemetry
    ) -> None:
        door = next(door for door in DOORS if door.name == f"{platform.api}-{way}".rstrip("-"))
        client = platform.client(server, asynchronous=asynchronous)
        if reason := lacking(door) or lacks(door, client):
            pytest.skip(reason)
        server.reply(Reply(model="returned-2026-01-01"))
        use(door, lambda *_, **__: client, asynchronous=asynchronous)
        if not asynchronous:
            client.close()
        assert facts(telemetry) == expected(platform, server)


class TestEndings:
    def test_close(self, platform: Platform, client: Any, server: FakeProvider, telemetry: Telemetry) -> None:
        server.reply(Reply(chunks=40, chunk_delay=0.002, model="returned-2026-01-01"))
        stream = platform.call(client, stream=True)
        events = iter(stream)
        for _ in range(3):
            next(events)
        stream.close()
        found = facts(telemetry)
        assert (found["outcome"], found["answered"]) == ("closed", "returned-2026-01-01")

    def test_an_error_within_the_stream(
        self, platform: Platform, client: Any, server: FakeProvider, telemetry: Telemetry
    ) -> None:
        server.reply(Reply(error_after=1, error_type="rate_limit_error", error_message="slow down"))
        with suppress(Exception):  # Responses hands the error out as an event
            list(platform.call(client, stream=True))
        assert facts(telemetry)["outcome"] == "failed"
        assert telemetry.span().status.status_code.name == "ERROR"

    def test_two_retries(
        self, platform: Platform, client: Any, server: FakeProvider, telemetry: Telemetry
    ) -> None:
        failures = (Reply.error(429, retry_after_ms=20), Reply.error(500, retry_after_ms=30))
        server.script(*failures, Reply(model="returned-2026-01-01"))
        assert list(platform.call(client, stream=True))
        assert facts(telemetry) == expected(platform, server)
        attributes = telemetry.span().attributes
        assert attributes["otel_llm.request.attempts"] == 3
        assert attributes["otel_llm.attempt.statuses"] == (429, 500)

    def test_bytes_that_nobody_parses(
        self, platform: Platform, client: Any, server: FakeProvider, telemetry: Telemetry
    ) -> None:
        """Bedrock's are no text: what is in them stays unknown, not that they came."""
        resource = client.messages if platform.sdk == "anthropic" else client.chat.completions
        body = MESSAGE if platform.sdk == "anthropic" else CHAT
        with resource.with_streaming_response.create(**body, stream=True) as response:
            assert b"".join(response.iter_bytes())
        found = facts(telemetry)
        assert (found["outcome"], found["provider"], found["status"]) == ("completed", platform.label, 200)


class TestRequestsWithinACall:
    """A middleware may use the SDK while a call is under way: that is none of the call's business."""

    @pytest.mark.parametrize("inner", ["count_tokens", "create"])
    def test_they_leave_the_call_alone(self, inner: str, server: FakeProvider, telemetry: Telemetry) -> None:
        anthropic = importlib.import_module("anthropic")
        if not _is_installed("anthropic._middleware"):
            pytest.skip(f"anthropic {anthropic.__version__} has no middleware")

        def moderate(request: Any, call_next: Any) -> Any:
            body = {name: MESSAGE[name] for name in ("model", "messages")}
            getattr(plain.messages, inner)(**body, **({"max_tokens": 1} if inner == "create" else {}))
            return call_next(request)

        options = {"api_key": "SECRET", "base_url": server.anthropic_url, "max_retries": 2}
        server.script(
            Reply.error(429, retry_after_ms=1),  # of the inner request
            Reply(text="inner", model="inner", input_tokens=1, output_tokens=1),
            Reply(model="returned-2026-01-01"),
        )
        with (
            anthropic.Anthropic(**options, http_client=anthropic.DefaultHttpxClient(verify=TLS)) as plain,
            anthropic.Anthropic(
                **options, http_client=anthropic.DefaultHttpxClient(verify=TLS), middleware=[moderate]
            ) as client,
        ):
            list(client.messages.create(**MESSAGE, stream=True))
        assert len(server.requests) == 3
        found = facts(telemetry)
        assert (found["answered"], found["input"], found["outcome"]) == (
            "returned-2026-01-01",
            12,
            "completed",
        )
        assert "otel_llm.request.attempts" not in telemetry.span().attributes
