"""A slow handler in the background: the call does not wait for it."""

from __future__ import annotations

import threading

import openai

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider

answered = threading.Event()


def send_somewhere(event: str, measured: hooks.CallMeasurements, call: hooks.CallMetadata, _: object) -> None:
    """Stands for a slow network; it ends only after the application has gone on."""
    answered.wait()
    print("sent", event, call.model, measured.total_tokens)


otel_llm.LLMInstrumentor().instrument()
hooks.attach("slow", "llm.chat.stop", send_somewhere, background=True)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    print("answered")
    answered.set()

hooks.flush()
print(hooks.stats("slow"))

# Prints:
# answered
# sent llm.chat.stop gpt-4o 20
# HandlerStats(errors=0, dropped=0)
