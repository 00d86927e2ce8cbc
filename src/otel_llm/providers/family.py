"""SDKs that Stainless generates for other hosts of the OpenAI wire format: a table, as nothing else differs."""

from __future__ import annotations

from ._base import Endpoint, Provider
from .openai import CHAT, COMPLETIONS, EMBEDDINGS

__all__ = ["FAMILY"]


def _like_openai(
    name: str,
    label: str,
    module: str,
    distribution: str,
    hosts: tuple[str, ...],
    *,
    tested: str,
    endpoints: tuple[Endpoint, ...] = (CHAT, EMBEDDINGS, COMPLETIONS),
) -> Provider:
    return Provider(
        name=name,
        label=label,
        module=module,
        distribution=distribution,
        endpoints=endpoints,
        hosts=hosts,
        tested=tested,
    )


FAMILY: tuple[Provider, ...] = (
    _like_openai("groq", "groq", "groq", "groq", ("api.groq.com",), tested="1.7.0"),
    _like_openai(
        "together",
        "together_ai",
        "together",
        "together",
        ("api.together.xyz", "api.together.ai", "api-inference.together.ai"),
        tested="3.1.1",
    ),
    _like_openai(
        "cerebras", "cerebras", "cerebras.cloud.sdk", "cerebras-cloud-sdk", ("api.cerebras.ai",), tested="1.91.0"
    ),
    _like_openai("perplexity", "perplexity", "perplexity", "perplexityai", ("api.perplexity.ai",), tested="0.46.1"),
    _like_openai(
        "fireworks", "fireworks_ai", "fireworks", "fireworks-ai", ("api.fireworks.ai",), tested="1.2.30"
    ),
    _like_openai("writer", "writer", "writerai", "writer-sdk", ("api.writer.com",), tested="3.0.0"),
    _like_openai("sambanova", "sambanova", "sambanova", "sambanova", ("api.sambanova.ai",), tested="1.13.0"),
    _like_openai("llama", "meta_llama", "llama_api_client", "llama-api-client", ("api.llama.com",), tested="0.6.0"),
)
