"""A function of a cloud: after each event its process is frozen, and perhaps never goes on."""

import gc
import os

import openai
from opentelemetry import metrics, trace

client = openai.OpenAI()


def handler(event: str) -> str | None:
    try:
        answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": event}])
        stream = client.chat.completions.create(
            model="gpt-dropped", messages=[{"role": "user", "content": event}], stream=True
        )
        next(iter(stream))
        del stream
        gc.collect()
        return answer.choices[0].message.content
    finally:
        metrics.get_meter_provider().force_flush(2000)  # milliseconds
        trace.get_tracer_provider().force_flush(2000)


print(handler("Hello"), flush=True)
os._exit(0)
