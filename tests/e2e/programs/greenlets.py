"""Calls and streams in greenlets: each under the span of its own greenlet.

gevent has to patch before OpenTelemetry makes its locks and threads, so the program starts that itself.
"""

import os
import platform

from gevent import monkey, spawn, wait

# The SDKs ask for the platform, which runs a program, that is forks: once only, as the answer is kept.
# Later, under gevent, OpenTelemetry's hooks start threads in the child, which then runs the parent's greenlets, and forks
# again: without end, was it not for the second line.
platform.platform()
os.register_at_fork(after_in_child=lambda: os.register_at_fork(before=lambda: os._exit(1)))

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
