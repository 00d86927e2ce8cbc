"""The request log: figures of the last calls, without a backend."""

from __future__ import annotations

from decimal import Decimal

import anthropic
import openai

import otel_llm
from otel_llm.testing import FakeProvider, Reply

otel_llm.LLMInstrumentor().instrument(cost=lambda _: Decimal("0.000063"))

with FakeProvider() as server, otel_llm.RequestLog(max_size=1000, ttl=3600.0) as log:
    gpt = openai.OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
    claude = anthropic.Anthropic(base_url=server.anthropic_url, api_key="none")
    with otel_llm.session("conversation-1"):
        gpt.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        claude.messages.create(
            model="claude-sonnet-5", max_tokens=64, messages=[{"role": "user", "content": "Hi"}]
        )
    server.script(Reply.error(429))
    try:
        gpt.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    except openai.RateLimitError:
        pass

summary = log.summary(window=300)
print(summary.calls, "calls", summary.failed, "failed", summary.total_tokens, "tokens", summary.cost, "USD")
print("p95 is the slowest of few:", summary.p50 <= summary.p95 <= summary.largest)
print({name: group.total_tokens for name, group in summary.by_provider.items()}, dict(summary.by_error))
print("session:", log.usage(session="conversation-1").total.total_tokens)
for row in log.daily():
    print(row.provider, row.model, row.calls, row.total_tokens)
print([record.model for record in log.query(provider="openai", limit=1)], log.to_csv().partition(",")[0])

# Prints:
# 3 calls 1 failed 40 tokens 0.00... USD
# p95 is the slowest of few: True
# {'openai': 20, 'anthropic': 20} {'rate_limit_exceeded': 1}
# session: 40
# openai gpt-4o 2 20
# anthropic claude-sonnet-5 1 20
# ['gpt-4o'] id
