"""Warn of a stream that is slow while it still runs, once for each stream."""

from __future__ import annotations

import logging

import openai

import otel_llm
from otel_llm.hooks import StreamReport
from otel_llm.testing import FakeProvider, Reply

log = logging.getLogger("slow_stream")
SLOW = 1000
"""Bytes a second."""

warned: set[str] = set()


def watch(report: StreamReport) -> None:
    """Look at a report, in the background: the stream does not wait for this."""
    if report.status == "streaming" and report.bytes_per_second < SLOW and report.stream_id not in warned:
        warned.add(report.stream_id)
        log.warning("stream %s: %.0f bytes a second", report.stream_id, report.bytes_per_second)


otel_llm.LLMInstrumentor().instrument(on_progress=watch, progress_interval=0.3)

with FakeProvider() as server:
    server.reply(Reply(text="one two three four five", chunks=5, chunk_delay=0.2))
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
