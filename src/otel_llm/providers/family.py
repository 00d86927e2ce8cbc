"""SDKs that Stainless generates for other hosts of the OpenAI wire format; `_variants` has what differs."""

from __future__ import annotations

from ._base import Provider
from ._variants import FIREWORKS_MESSAGES, GROQ_CHAT, TOGETHER_COMPLETIONS, WRITER_CHAT, WRITER_COMPLETIONS
from .anthropic import MESSAGES
from .llama import CHAT as LLAMA_CHAT
from .openai import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES

__all__ = ["FAMILY"]

FAMILY: tuple[Provider, ...] = (
    Provider(
        name="groq",
        label="groq",
        module="groq",
        distribution="groq",
        endpoints=(GROQ_CHAT, EMBEDDINGS),
        hosts=("api.groq.com",),
        tested="1.7.0",
    ),
    Provider(
        name="together",
        label="together_ai",
        module="together",
        distribution="together",
        endpoints=(CHAT, EMBEDDINGS, TOGETHER_COMPLETIONS),
        # The SDK sends chat completions to a host of their own.
        hosts=("api.together.ai", "api-inference.together.ai", "api.together.xyz"),
        tested="3.1.1",
    ),
    Provider(
        name="cerebras",
        label="cerebras",
        module="cerebras.cloud.sdk",
        distribution="cerebras-cloud-sdk",
        endpoints=(CHAT, COMPLETIONS),
        hosts=("api.cerebras.ai",),
        tested="1.91.0",
    ),
    Provider(
        name="perplexity",
        label="perplexity",
        module="perplexity",
        distribution="perplexityai",
        endpoints=(CHAT, RESPONSES, EMBEDDINGS),
        hosts=("api.perplexity.ai",),
        queues=("/async/chat/completions",),
        tested="0.46.1",
    ),
    Provider(
        name="fireworks",
        label="fireworks_ai",
        module="fireworks",
        distribution="fireworks-ai",
        endpoints=(CHAT, COMPLETIONS, FIREWORKS_MESSAGES),
        hosts=("api.fireworks.ai",),
        tested="1.2.30",
    ),
    Provider(
        name="writer",
        label="writer",
        module="writerai",
        distribution="writer-sdk",
        endpoints=(WRITER_CHAT, WRITER_COMPLETIONS),
        hosts=("api.writer.com",),
        tested="3.0.0",
    ),
    Provider(
        name="sambanova",
        label="sambanova",
        module="sambanova",
        distribution="sambanova",
        endpoints=(CHAT, EMBEDDINGS, COMPLETIONS, RESPONSES, MESSAGES),
        hosts=("api.sambanova.ai",),
        tested="1.13.0",
    ),
    Provider(
        name="llama",
        label="meta_llama",
        module="llama_api_client",
        distribution="llama-api-client",
        endpoints=(LLAMA_CHAT,),
        hosts=("api.llama.com",),
        tested="0.6.0",
    ),
)
