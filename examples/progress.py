"""Progress of streams: reports while they run, and exactly one when they have ended."""

from __future__ import annotations

import openai

import otel_llm
from otel_llm.hooks import StreamReport
from otel_llm.testing import FakeProvider, Reply


def show(report: StreamReport) -> None:
    """Runs in the background: what it does cannot hold the stream up."""
    if report.status != "streaming":
        print(report.status, report.chunks, "chunks", report.bytes, "bytes", report.average_chunk_size)


def peek(report: StreamReport) -> None:
    """Raw chunks are content: they need its capture, and go to the callback only."""
    if report.raw_chunks is not None and report.status != "streaming":
        print(report.status, b"word2" in b"".join(report.raw_chunks), report.raw_truncated)


otel_llm.LLMInstrumentor().instrument(on_progress=show, progress_interval=0.1)

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    server.reply(Reply(chunks=5, chunk_delay=0.05))
    for _ in client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    ):
        pass
    with otel_llm.options(on_progress=peek, capture_content=True, capture_raw_chunks=True):
        for _ in client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        ):
            pass
    with otel_llm.options(enabled=False):  # no telemetry at all
        for _ in client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        ):
            pass

# Prints:
# completed 7 chunks 29 bytes 4.14...
# completed True False
