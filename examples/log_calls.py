"""The default logger: a line per call. `OTEL_INSTRUMENTATION_LLM_LOG=info` does it without code."""

from __future__ import annotations

import logging
import sys

import openai

import otel_llm
from otel_llm.testing import FakeProvider, Reply

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
otel_llm.LLMInstrumentor().instrument()
otel_llm.logger.attach("info")

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    server.script(Reply.error(429))
    try:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    except openai.RateLimitError:
        pass
    otel_llm.logger.detach()
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

# Prints:
# INFO LLM request started: openai:gpt-4o id=... trace_id=...
# INFO LLM request completed: openai:gpt-4o duration=...ms tokens=20 id=... trace_id=... response_id=...
# INFO LLM request started: openai:gpt-4o id=... trace_id=...
# ERROR LLM request failed: openai:gpt-4o duration=...ms error=rate_limit_exceeded category=rate_limit ...
