"""The fake provider as the SDKs of other providers see it, as far as they are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_llm.testing import FakeProvider, Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

SDKS = {
    # The module, the class, the end of its base URL, and the path it then asks.
    "groq": ("groq", "Groq", "", "/openai/v1/chat/completions"),
    "together": ("together", "Together", "", "/v1/chat/completions"),
    "cerebras": ("cerebras.cloud.sdk", "Cerebras", "", "/v1/chat/completions"),
    "perplexity": ("perplexity", "Perplexity", "", "/chat/completions"),
    "fireworks": ("fireworks", "Fireworks", "", "/v1/chat/completions"),
    "writer": ("writerai", "Writer", "", "/v1/chat"),
    "sambanova": ("sambanova", "SambaNova", "/v1", "/v1/chat/completions"),
    "llama": ("llama_api_client", "LlamaAPIClient", "/v1", "/v1/chat/completions"),
}


class Sdk:
    def __init__(self, name: str, server: FakeProvider) -> None:
        module, made, base, self.path = SDKS[name]
        self.name = name
        self.errors = pytest.importorskip(module)
        self.client = getattr(self.errors, made)(base_url=server.url + base, api_key="k", max_retries=0)

    def chat(self, **options: Any) -> Any:
        ask = self.client.chat.chat if self.name == "writer" else self.client.chat.completions.create
        return ask(**CHAT, **options)

    def events(self) -> list[dict[str, Any]]:
        return [plain(event) for event in self.chat(stream=True)]


def plain(model: Any) -> dict[str, Any]:
    """The fields of a model; fails when one is not of its type."""
    fields: dict[str, Any] = model.model_dump(exclude_none=True, warnings="error")
    return fields


@pytest.fixture(params=list(SDKS))
def sdk(request: Any, fake_provider: FakeProvider) -> Iterator[Sdk]:
    made = Sdk(request.param, fake_provider)
    assert fake_provider.requests == []  # nothing that an SDK does by itself counts
    yield made
    made.client.close()


def test_an_answer(fake_provider: FakeProvider, sdk: Sdk) -> None:
    answer = plain(sdk.chat())
    assert fake_provider.requests[0].path == sdk.path
    if sdk.name == "llama":
        assert answer["completion_message"]["content"] == {"type": "text", "text": "word1 word2 word3"}
        assert {entry["metric"]: entry["value"] for entry in answer["metrics"]} == {
            "num_completion_tokens": 8,
            "num_prompt_tokens": 12,
            "num_total_tokens": 20,
        }
    else:
        assert answer["choices"][0]["message"]["content"] == "word1 word2 word3"
        assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (12, 8)


def test_a_stream(sdk: Sdk) -> None:
    events = sdk.events()
    if sdk.name == "llama":
        assert [event["event"]["event_type"] for event in events] == [
            "start",
            "progress",
            "progress",
            "progress",
            "complete",
            "metrics",
        ]
        assert "".join(event["event"]["delta"]["text"] for event in events) == "word1 word2 word3"
        return
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == "word1 word2 word3"
    last = events[-1]
    usage = last.get("x_groq", last).get("usage")
    if sdk.name in {"writer", "sambanova"}:
        assert usage is None
    else:
        assert (usage["prompt_tokens"], usage["total_tokens"]) == (12, 20)


def test_tool_calls(fake_provider: FakeProvider, sdk: Sdk) -> None:
    fake_provider.reply(Reply(tool_calls=[ToolCall("weather", {"city": "Graz"})]))
    answer = plain(sdk.chat())
    told = answer["completion_message"] if sdk.name == "llama" else answer["choices"][0]["message"]
    assert told["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Graz"}'}
    assert '"city' in str(sdk.events())


def test_errors(fake_provider: FakeProvider, sdk: Sdk) -> None:
    fake_provider.script(Reply.error(429))
    with pytest.raises(sdk.errors.RateLimitError):
        sdk.chat()
    fake_provider.script(Reply(error_after=1, error_message="broke"))
    if sdk.name == "fireworks":  # its SDK takes an error in a stream for a chunk
        assert sdk.events()[-1]["error"]["message"] == "broke"
    else:
        with pytest.raises(sdk.errors.APIError, match="broke"):
            sdk.events()
