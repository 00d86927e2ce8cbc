"""`track`: the same span, metrics and hooks for a call that no instrumented SDK makes."""

from __future__ import annotations

from collections.abc import Iterator

import otel_llm
from otel_llm import hooks
from otel_llm.helpers import TrackedCall


def show(event: str, measured: hooks.CallMeasurements, call: hooks.CallMetadata, _config: object) -> None:
    """The hooks are those of any other call."""
    print(
        event, call.provider, call.model, measured.total_tokens, measured.chunks, measured.cost, call.attempts
    )


otel_llm.LLMInstrumentor().instrument()
hooks.attach("show", ("llm.chat.stop", "llm.embeddings.stop"), show)

with otel_llm.track("acme", "m1", server_address="api.acme.example") as call:
    call.retry(0.01, status=503)
    call.usage(10, 20, cache_read=4)
    call.response(model="m1-2026", id="r1", finish_reasons=["stop"])
    call.cost("0.0004")


def read(call: TrackedCall, answer: dict[str, int]) -> None:
    """Tell what the answer says."""
    call.usage(answer["tokens"])


@otel_llm.track("acme", "e1", "embeddings", read=read)
def embed(text: str) -> dict[str, int]:
    """Stands for a call by some other means."""
    return {"tokens": len(text)}


@otel_llm.track("acme", "m1", stream=True)
def ask() -> Iterator[str]:
    """Each item is a chunk."""
    yield "Hello"
    yield " you"


embed("some text")
print("".join(ask()))

# Prints:
# llm.chat.stop acme m1 30 None 0.0004 2
# llm.embeddings.stop acme e1 9 None None 1
# llm.chat.stop acme m1 None 2 None 1
# Hello you
