"""A program with no telemetry in it: run it under `opentelemetry-instrument` and its calls are traced.

    opentelemetry-instrument --traces_exporter console --metrics_exporter none --logs_exporter none \
        python examples/zero_code.py

With OPENAI_API_KEY set it asks OpenAI; without it a fake provider on loopback answers.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from openai import OpenAI

with ExitStack() as stack:
    if "OPENAI_API_KEY" not in os.environ:
        from otel_llm.testing import FakeProvider, Reply

        server = stack.enter_context(FakeProvider())
        server.reply(Reply(text="A span is one timed operation of a program."))
        os.environ.update(OPENAI_BASE_URL=server.openai_url, OPENAI_API_KEY="none")

    client = OpenAI()
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "In one sentence: what is a span?"}]
    )
    print(answer.choices[0].message.content)
