"""Budgets: be told when a call, or an hour of calls, costs more than it may."""

from __future__ import annotations

from decimal import Decimal

import openai

import otel_llm
from otel_llm import cost
from otel_llm.testing import FakeProvider


def warn(crossing: cost.Crossing) -> None:
    """Hear of each crossing, once; nothing is stopped unless this does it."""
    print(
        f"{crossing.scope}: {crossing.spent} of {crossing.limit} US dollars, over by {crossing.exceeded_by}"
    )


cost.add_budget_listener(warn)
otel_llm.LLMInstrumentor().instrument(
    cost=lambda _: Decimal("0.003"),
    cost_threshold="0.005",  # per call: none is as dear as that
    cost_budget="0.007",  # per hour: the third call crosses it, and only the third is reported
)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    for _ in range(5):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
