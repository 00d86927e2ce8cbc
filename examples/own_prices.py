"""Prices of your own: a table, a function, and the list prices for everything else."""

from __future__ import annotations

from decimal import Decimal

from otel_llm import Operation, Usage, cost


def by_the_second(op: Operation) -> Decimal | None:
    """Price a GPU of ours by the time it worked."""
    if op.provider == "vllm" and op.duration is not None:
        return Decimal("0.0004") * Decimal(repr(op.duration))
    return None


# As in `LLMInstrumentor().instrument(cost=[...])`: asked in order, the first price counts.
price = cost.pricer(
    [
        by_the_second,
        {
            "our-model": {"input": "0.70", "output": "2.80"},
            "azure.ai.openai/gpt-4o": {"input": "2.20", "output": "8.80", "cache_read": "1.10"},
            "gpt-4o@batch": {"input": "1.25", "output": "5"},
        },
        True,
    ]
)
assert price is not None

for provider, model in (
    ("vllm", "llama-3"),
    ("acme", "our-model"),
    ("azure.ai.openai", "gpt-4o"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-99"),
):
    op = Operation(
        provider, "chat", "/v1/chat/completions", request_model=model, usage=Usage(10, 20), duration=1.5
    )
    print(f"{provider:16} {model:10} {price(op)}")
