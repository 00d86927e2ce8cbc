"""Who answers: by the user's map, the client's class, the host, the SDK, in this order."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm._config import Config
from otel_llm._recorder import Recorder
from otel_llm.drivers._clients import Clients
from otel_llm.providers import PROVIDERS
from otel_llm.providers._hosts import HOSTS, Answerer, identify

OPENAI, ANTHROPIC = PROVIDERS[0], PROVIDERS[1]

# The host of an OpenAI client, and who it is.
KNOWN = {
    "api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "acme.openai.azure.com": "azure.ai.openai",
    "acme.cognitiveservices.azure.com": "azure.ai.openai",
    "acme.services.ai.azure.com": "azure.ai.inference",
    "acme.models.ai.azure.com": "azure.ai.inference",
    "bedrock-runtime.us-east-1.amazonaws.com": "aws.bedrock",
    "bedrock-runtime-fips.us-gov-west-1.amazonaws.com": "aws.bedrock",
    "bedrock-runtime.cn-north-1.amazonaws.com.cn": "aws.bedrock",
    "vpce-0a1b-2c3d.bedrock-runtime.eu-west-1.vpce.amazonaws.com": "aws.bedrock",
    "bedrock-mantle.us-east-1.api.aws": "aws.bedrock",
    "aws-external-anthropic.us-east-1.api.aws": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "us-central1-aiplatform.googleapis.com": "gcp.vertex_ai",
    "aiplatform.eu.rep.googleapis.com": "gcp.vertex_ai",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "us-east-1.api.x.ai": "x_ai",
    "api.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot_ai",
    "api.cerebras.ai": "cerebras",
    "API.Mistral.AI": "mistral_ai",
}

UNKNOWN = (
    "localhost",
    "127.0.0.1",
    "gateway.example.com",
    "openai.com.evil.example",
    "xapi.openai.com",
    "notopenrouter.ai",
    "my-vllm.us-east-1.elb.amazonaws.com",
    "runtime.sagemaker.us-east-1.amazonaws.com",
    "storage.googleapis.com",
    "",
    None,
)


class TestHosts:
    @pytest.mark.parametrize(("host", "label"), KNOWN.items())
    def test_a_known_one(self, host: str, label: str) -> None:
        assert identify(OPENAI, host) == Answerer(label, known=True)

    @pytest.mark.parametrize("host", UNKNOWN)
    def test_an_unknown_one_keeps_the_sdks_name_but_not_its_attributes(self, host: str | None) -> None:
        assert identify(OPENAI, host) == Answerer("openai", known=False)
        assert not identify(OPENAI, host).is_openai
        assert identify(ANTHROPIC, host) == Answerer("anthropic", known=False)

    @pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
    def test_every_sdks_own_hosts(self, provider: Any) -> None:
        for host in provider.hosts:
            asked = f"eu{host}" if host.startswith(".") else host
            assert identify(provider, asked) == Answerer(provider.label, known=True)
            assert identify(OPENAI, asked) == Answerer(provider.label, known=True)

    def test_who_has_the_attributes_of_the_openai_page(self) -> None:
        labels = {label for host, label in KNOWN.items() if identify(OPENAI, host).is_openai}
        assert labels == {"openai", "azure.ai.openai"}

    def test_names_are_of_one_style(self) -> None:
        for host, label in HOSTS.items():
            assert host == host.lower()
            assert label.replace(".", "").replace("_", "").isalnum()
            assert label == label.lower()


class TestClasses:
    @pytest.mark.parametrize(
        ("name", "label"),
        [
            ("AzureOpenAI", "azure.ai.openai"),
            ("BedrockOpenAI", "aws.bedrock"),
            ("AnthropicBedrock", "aws.bedrock"),
            ("AnthropicBedrockMantle", "aws.bedrock"),
            ("AnthropicVertex", "gcp.vertex_ai"),
            ("AnthropicFoundry", "azure.ai.inference"),
            ("AnthropicAWS", "anthropic"),
            ("AnthropicGoogleCloud", "anthropic"),
        ],
    )
    @pytest.mark.parametrize("prefix", ["", "Async"])
    def test_a_platforms_client(self, prefix: str, name: str, label: str) -> None:
        found = identify(OPENAI, "gateway.example.com", ["Mine", prefix + name, "OpenAI"])
        assert found == Answerer(label, known=True)

    @pytest.mark.parametrize("name", ["MyAzureProxy", "VertexGateway", "OpenAI", "AsyncOpenAI"])
    def test_an_applications_own_subclass_is_no_platform(self, name: str) -> None:
        assert identify(OPENAI, "api.openai.com", [name, "OpenAI"]) == Answerer("openai", known=True)

    @pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=lambda provider: provider.name)
    def test_every_client_class_of_the_sdk_is_known(self, provider: Any) -> None:
        module = importlib.import_module(provider.module)
        base = importlib.import_module(f"{provider.module}._base_client").BaseClient
        found = [getattr(module, name) for name in dir(module)]
        classes = {cls.__name__ for cls in found if isinstance(cls, type) and issubclass(cls, base)}
        platforms = {
            "openai": {"AzureOpenAI", "BedrockOpenAI"},
            "anthropic": {
                "AnthropicAWS",
                "AnthropicBedrock",
                "AnthropicBedrockMantle",
                "AnthropicFoundry",
                "AnthropicGoogleCloud",
                "AnthropicVertex",
            },
        }[provider.name]
        plain = {"OpenAI"} if provider is OPENAI else {"Anthropic"}
        own = {name for name in classes if not name.startswith("_")}
        assert own == {prefix + name for name in platforms | plain for prefix in ("", "Async")}


class TestTheUsersMap:
    def test_it_wins_over_class_and_host(self) -> None:
        mapped = {"api.openai.com": "mine", ".corp.example": "vllm", "llm-*.internal": "inside"}
        found = {
            host: identify(OPENAI, host, ["AzureOpenAI"], mapped).label
            for host in ("api.openai.com", "a.b.corp.example", "llm-7.internal", "api.mistral.ai")
        }
        assert found == {
            "api.openai.com": "mine",
            "a.b.corp.example": "vllm",
            "llm-7.internal": "inside",
            "api.mistral.ai": "azure.ai.openai",
        }

    def test_a_host_mapped_to_openai_is_openai(self) -> None:
        assert identify(OPENAI, "gateway.example.com", (), {"gateway.example.com": "openai"}).is_openai

    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_PROVIDERS", "llm.corp.example=openai, .gpu.example=vllm")
        mapped = Config.load().providers
        assert identify(OPENAI, "llm.corp.example", (), mapped) == Answerer("openai", known=True)
        assert identify(OPENAI, "a.gpu.example", (), mapped) == Answerer("vllm", known=True)


def _client(**options: Any) -> Any:
    openai = importlib.import_module("openai")
    return openai.OpenAI(api_key="none", **options)


class TestClients:
    """What is remembered of a client is what holds now."""

    @pytest.mark.parametrize(
        ("url", "address", "port", "label"),
        [
            ("https://api.openai.com/v1", "api.openai.com", 443, "openai"),
            ("http://127.0.0.1:8000/v1", "127.0.0.1", 8000, "openai"),
            ("http://gateway.example.com/v1", "gateway.example.com", 80, "openai"),
            ("https://openrouter.ai:8443/api/v1", "openrouter.ai", 8443, "openrouter"),
            ("http://[::1]:9000/v1", "::1", 9000, "openai"),
        ],
    )
    def test_address_and_port(self, url: str, address: str, port: int, label: str) -> None:
        with _client(base_url=url) as client:
            known = Clients(OPENAI).facts(client, Recorder(Config()))
        assert (known.facts["server_address"], known.facts["server_port"], known.answerer.label) == (
            address,
            port,
            label,
        )

    def test_a_base_url_changed_later_counts(self) -> None:
        clients, recorder = Clients(OPENAI), Recorder(Config())
        with _client(base_url="https://api.openai.com/v1") as client:
            first = clients.facts(client, recorder)
            assert clients.facts(client, recorder) is first
            client.base_url = "https://api.mistral.ai/v1"
            second = clients.facts(client, recorder)
        assert (first.answerer.label, first.answerer.is_openai) == ("openai", True)
        assert (second.answerer.label, second.answerer.is_openai, second.facts["server_address"]) == (
            "mistral_ai",
            False,
            "api.mistral.ai",
        )

    def test_a_request_for_another_host_is_answered_there(self) -> None:
        clients = Clients(OPENAI)
        with _client(base_url="https://api.openai.com/v1") as client:
            recorder = Recorder(Config.load(propagate_hosts="api.mistral.ai"))
            known = clients.facts(client, recorder, "https://api.mistral.ai/v1/chat/completions")
            assert (known.answerer.label, known.facts["server_address"], known.facts["server_port"]) == (
                "mistral_ai",
                "api.mistral.ai",
                443,
            )
            assert (known.answerer.is_openai, known.propagate) == (False, True)
            assert (
                clients.facts(client, recorder, "/chat/completions").facts["server_address"]
                == "api.openai.com"
            )
            same = clients.facts(client, recorder, "https://api.openai.com/v1/chat/completions")
            assert same is clients.facts(client, recorder)


@given(
    host=st.text(max_size=80), mapped=st.dictionaries(st.text(max_size=20), st.text(max_size=5), max_size=3)
)
def test_any_host_has_an_answer(host: str, mapped: dict[str, str]) -> None:
    assert isinstance(identify(OPENAI, host, (), mapped).label, str)
