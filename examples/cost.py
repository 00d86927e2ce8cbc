"""What calls cost: list prices, in US dollars, per call and in total. Needs the extra `cost`.

A fake provider on loopback answers, so nothing is sent and nothing is paid.
"""

from __future__ import annotations

import openai

import otel_llm
from otel_llm.testing import FakeProvider, Reply

log = otel_llm.RequestLog()
log.attach()
otel_llm.LLMInstrumentor().instrument(
    cost=True,
    providers={"127.0.0.1": "openai"},  # a host nobody knows has no list price; this one stands for OpenAI
)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    for model in ("gpt-4o", "gpt-4o-2024-08-06", "ft:gpt-4o-mini-2024-07-18:acme::abc", "our-own-model"):
        server.script(Reply(text="Hello!", model=model))
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])

for record in log.query():
    print(f"{record.model!s:40} {record.total_tokens} tokens, {record.cost} US dollars")
print("together:", sum(record.cost for record in log.query() if record.cost is not None))
