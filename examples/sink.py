"""A sink of your own: batches of calls to wherever you like, in the background."""

from __future__ import annotations

import atexit
from typing import Any

import openai

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider


class Sink:
    """`record` is called per call, `flush` when the batch is full and at the end."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.batch: list[dict[str, Any]] = []

    def record(
        self, _event: str, measured: hooks.CallMeasurements, call: hooks.CallMetadata, _: object
    ) -> None:
        """Runs in the thread of background hooks only, so that it needs no lock."""
        self.batch.append({"id": call.id, "model": call.model, "tokens": measured.total_tokens})
        if len(self.batch) >= self.size:
            self.flush()

    def flush(self) -> None:
        """Stands for sending the batch."""
        print("sent", [row["tokens"] for row in self.batch])
        self.batch.clear()


sink = Sink(size=2)
hooks.attach("sink", ("llm.chat.stop", "llm.chat.exception"), sink.record, background=True)
atexit.register(lambda: (hooks.flush(), sink.flush()))
otel_llm.LLMInstrumentor().instrument()

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    for _ in range(3):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

# Prints:
# sent [20, 20]
# sent [20]
