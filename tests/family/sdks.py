"""The SDKs of the family: how each is imported, made and asked, and what its provider leaves out."""

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_llm.testing import FakeProvider

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "MY-PROMPT"}]
TLS = ssl.create_default_context()
"""Made once: each client makes its own otherwise, which takes longer than a test."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One SDK. Methods are attribute paths on a client; None where the SDK has none."""

    name: str
    label: str
    """`gen_ai.provider.name`."""
    host: str
    """Of its own chat completions."""
    module: str
    classes: tuple[str, str]
    """The sync and the async client."""
    base: str = ""
    """The end of the base URL."""
    chat: str = "chat.completions.create"
    embeddings: str | None = None
    completions: str | None = None
    responses: str | None = None
    messages: str | None = None
    streamed_messages: bool = False
    other: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Calls that run no model that answers, with their arguments: they make no span."""
    embedding_model: str = "m"
    usage_in_stream: bool = True
    """Whether the last chunk has the usage, unasked."""

    def __str__(self) -> str:
        return self.name

    def client(self, server: FakeProvider, *, asynchronous: bool = False, **options: Any) -> Any:
        """A client against the fake provider, with the SDK's own kind of HTTP client."""
        module = importlib.import_module(self.module)
        http = module.DefaultAsyncHttpxClient if asynchronous else module.DefaultHttpxClient
        options.setdefault("http_client", http(verify=TLS))
        options.setdefault("max_retries", 0)
        cls = getattr(module, self.classes[asynchronous])
        return cls(api_key="SECRET", base_url=server.url + self.base, **options)

    def at_home(self, transport: Any) -> Any:
        """A client of the provider's own host, whose requests `transport` answers."""
        module = importlib.import_module(self.module)
        http = module.DefaultHttpxClient(transport=transport, verify=TLS)
        return getattr(module, self.classes[0])(api_key="SECRET", http_client=http, max_retries=0)

    def errors(self) -> Any:
        """The module with the SDK's exceptions."""
        return importlib.import_module(self.module)


def needs(capability: str) -> Callable[[Any], Any]:
    """Run a test only for the SDKs that have `capability`: the name of a field of `Family`."""

    def mark(test: Any) -> Any:
        test.needs = capability
        return test

    return mark


def ask(client: Any, method: str, **body: Any) -> Any:
    """Call a method of `client` by its attribute path; on an async client this gives an awaitable."""
    for part in method.split("."):
        client = getattr(client, part)
    return client(**body)


FAMILY = (
    Family(
        name="groq",
        label="groq",
        host="api.groq.com",
        module="groq",
        classes=("Groq", "AsyncGroq"),
        embeddings="embeddings.create",
        other={"models.list": {}},
    ),
    Family(
        name="together",
        label="together_ai",
        host="api-inference.together.ai",
        module="together",
        classes=("Together", "AsyncTogether"),
        embeddings="embeddings.create",
        completions="completions.create",
    ),
    Family(
        name="cerebras",
        label="cerebras",
        host="api.cerebras.ai",
        module="cerebras.cloud.sdk",
        classes=("Cerebras", "AsyncCerebras"),
        completions="completions.create",
        other={"models.list": {}},
    ),
    Family(
        name="perplexity",
        label="perplexity",
        host="api.perplexity.ai",
        module="perplexity",
        classes=("Perplexity", "AsyncPerplexity"),
        embeddings="embeddings.create",
        embedding_model="pplx-embed-v1-4b",
        responses="responses.create",
        other={"async_.chat.completions.create": {"request": {"model": "m", "messages": MESSAGES}}},
    ),
    Family(
        name="fireworks",
        label="fireworks_ai",
        host="api.fireworks.ai",
        module="fireworks",
        classes=("Fireworks", "AsyncFireworks"),
        completions="completions.create",
        messages="messages.create",
    ),
    Family(
        name="writer",
        label="writer",
        host="api.writer.com",
        module="writerai",
        classes=("Writer", "AsyncWriter"),
        chat="chat.chat",
        completions="completions.create",
        usage_in_stream=False,
        other={"models.list": {}},
    ),
    Family(
        name="sambanova",
        label="sambanova",
        host="api.sambanova.ai",
        module="sambanova",
        classes=("SambaNova", "AsyncSambaNova"),
        base="/v1",
        embeddings="embeddings.create",
        completions="completions.create",
        responses="responses.create",
        messages="messages.create",
        streamed_messages=True,
        usage_in_stream=False,
        other={"models.list": {}, "messages.count_tokens": {"model": "m", "messages": MESSAGES}},
    ),
    Family(
        name="llama",
        label="meta_llama",
        host="api.llama.com",
        module="llama_api_client",
        classes=("LlamaAPIClient", "AsyncLlamaAPIClient"),
        base="/v1",
        other={"models.list": {}},
    ),
)
