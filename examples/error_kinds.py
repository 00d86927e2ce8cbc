"""What kind of error it was, the same for every provider; and whether sending it again can help.

The kind is on the span and on metrics (`otel_llm.error.category`), and can be asked for any exception.
"""

from __future__ import annotations

import openai

from otel_llm import errors
from otel_llm.testing import FakeProvider, Reply

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
    server.script(
        Reply.error(401),
        Reply.error(400, code="context_length_exceeded"),
        Reply.error(429, code="insufficient_quota"),
        Reply.error(429, code="rate_limit_exceeded"),
        Reply.error(503),
    )
    for _ in range(5):
        try:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        except openai.APIStatusError as error:
            kind = errors.classify(type(error), status=error.status_code, code=error.code)
            advice = "try again" if kind.retryable else "do not try again"
            print(error.status_code, error.code, "->", kind.category, "-", advice)
