"""Token counts of a stream whose provider gives none: estimated, and marked as such.

Exact for models of OpenAI with the extra `tokenizer`, where tiktoken has its vocabulary here already: nothing
is downloaded. Estimates are on spans and histograms, never in the cost or on counters.
"""

from __future__ import annotations

import openai

import otel_llm
from otel_llm.testing import FakeProvider, Reply

log = otel_llm.RequestLog()
log.attach()
otel_llm.LLMInstrumentor().instrument(estimate_usage=True)

with FakeProvider() as server:
    server.reply(Reply(text="Hello there, how can I help you today?", chunks=4))
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    for _ in stream:
        pass

record = log.query()[0]
print(f"{record.usage_source}: {record.input_tokens} in, {record.output_tokens} out, cost {record.cost}")
