"""Calls and streams in greenlets: each under the span of its own greenlet.

gevent has to patch before OpenTelemetry makes its locks and threads, so the program starts that itself.
"""

from gevent import monkey, spawn, wait

monkey.patch_all()

import openai  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import auto_instrumentation  # noqa: E402

auto_instrumentation.initialize()

client = openai.OpenAI()
tracer = trace.get_tracer("app")


def work(number: int) -> None:
    with tracer.start_as_current_span(f"greenlet-{number}"):
        asked = {"model": f"gpt-{number}", "messages": [{"role": "user", "content": "Hello"}]}
        client.chat.completions.create(**asked)
        for _ in client.chat.completions.create(**asked, stream=True):
            pass


greenlets = [spawn(work, number) for number in range(20)]
wait(greenlets)
for greenlet in greenlets:
    greenlet.get()
