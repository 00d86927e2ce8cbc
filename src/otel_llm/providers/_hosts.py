"""Who answers at a host: `gen_ai.provider.name` from the client's base URL and class.

The conventions' own values come first (https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/);
hosts they have no value for get the name that their operator uses for itself, in the same style.
A name starting with a dot matches every host below it; `*` stands for any text.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._base import Provider

__all__ = ["HOSTS", "USAGE_OPTION_HOSTS", "USAGE_OPTION_PATHS", "Answerer", "identify"]

HOSTS: Mapping[str, str] = {
    "api.openai.com": "openai",
    ".api.openai.com": "openai",
    ".openai.azure.com": "azure.ai.openai",
    ".cognitiveservices.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    ".models.ai.azure.com": "azure.ai.inference",
    "models.inference.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    ".anthropic.com": "anthropic",
    "aws-external-anthropic.*.api.aws": "anthropic",
    "claude.googleapis.com": "anthropic",
    "bedrock-runtime*.amazonaws.*": "aws.bedrock",
    "*.bedrock-runtime*.amazonaws.*": "aws.bedrock",  # a private endpoint
    "bedrock-*.api.aws": "aws.bedrock",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "*-aiplatform.googleapis.com": "gcp.vertex_ai",
    "aiplatform.*.rep.googleapis.com": "gcp.vertex_ai",
    ".cloud.ibm.com": "ibm.watsonx.ai",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "codestral.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    ".api.x.ai": "x_ai",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together_ai",
    "api.together.ai": "together_ai",
    "api-inference.together.ai": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.cerebras.ai": "cerebras",
    "api.sambanova.ai": "sambanova",
    "api.writer.com": "writer",
    "api.llama.com": "meta_llama",
    "api.deepinfra.com": "deepinfra",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.novita.ai": "novita_ai",
    "api.siliconflow.com": "siliconflow",
    "api.studio.nebius.com": "nebius",
    "api.tokenfactory.nebius.com": "nebius",
    "integrate.api.nvidia.com": "nvidia_nim",
    "router.huggingface.co": "huggingface",
    "inference.baseten.co": "baseten",
    "dashscope.aliyuncs.com": "alibaba_cloud",
    "dashscope-intl.aliyuncs.com": "alibaba_cloud",
    "open.bigmodel.cn": "zhipu_ai",
    "api.z.ai": "zhipu_ai",
    "api.minimax.io": "minimax",
    "ai-gateway.vercel.sh": "vercel_ai_gateway",
    "models.github.ai": "github_models",
}

_CLASSES: Mapping[str, str] = {
    "AnthropicAWS": "anthropic",  # Anthropic's own platform, reached through AWS and Google Cloud
    "AnthropicGoogleCloud": "anthropic",
    "AnthropicBedrock": "aws.bedrock",
    "AnthropicBedrockMantle": "aws.bedrock",
    "BedrockOpenAI": "aws.bedrock",
    "AnthropicVertex": "gcp.vertex_ai",
    "AnthropicFoundry": "azure.ai.inference",
    "AzureOpenAI": "azure.ai.openai",
    "bedrock": "aws.bedrock",  # OpenAI(provider=bedrock())
    "vertex": "gcp.vertex_ai",
}
"""Clients of a platform, whatever their base URL says; the async ones have `Async` before it."""


USAGE_OPTION_PATHS = frozenset({"/v1/chat/completions", "/v1/completions"})
"""The APIs that give a stream's token counts only when asked (`stream_options.include_usage`)."""

USAGE_OPTION_HOSTS = frozenset(
    {
        "openai",
        "azure.ai.openai",
        "cerebras",
        "deepinfra",
        "deepseek",
        "fireworks_ai",
        "groq",
        "mistral_ai",
        "moonshot_ai",
        "openrouter",
        "sambanova",
        "together_ai",
        "x_ai",
    }
)
"""Who documents that option."""


class Answerer(NamedTuple):
    """Who answers a client's calls."""

    label: str
    """`gen_ai.provider.name`."""
    known: bool
    """False for a host nobody told us about: it keeps the SDK's name as the wire format's, but not its prices."""

    @property
    def is_openai(self) -> bool:
        """Whether the attributes of the conventions' OpenAI page apply."""
        return self.known and self.label in ("openai", "azure.ai.openai")


def _lookup(host: str, table: Mapping[str, str]) -> str | None:
    """An exact entry, else the closest domain, else a pattern."""
    found, below = table.get(host), host
    while found is None and below:
        _, dot, below = below.partition(".")
        found = table.get(dot + below) if dot else None
    if found is None:
        found = next(
            (name for entry, name in table.items() if "*" in entry and fnmatchcase(host, entry)), None
        )
    return found


def identify(
    provider: Provider, host: str | None, classes: Iterable[str] = (), mapped: Mapping[str, str] | None = None
) -> Answerer:
    """Decide by the user's map, then the client's class (Azure, Bedrock, ...), then the host, then the SDK."""
    host = (host or "").lower()
    name = _lookup(host, mapped) if mapped else None
    if name is None:
        name = next((label for cls in classes if (label := _CLASSES.get(cls.removeprefix("Async")))), None)
    if name is None:
        name = _lookup(host, HOSTS)
    if name is None and _lookup(host, dict.fromkeys(provider.hosts, provider.label)):
        name = provider.label
    return Answerer(name or provider.label, known=name is not None)
