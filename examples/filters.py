"""Filters: calls that leave no telemetry at all."""

from __future__ import annotations

import openai

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider


def wanted(operation: otel_llm.Operation) -> bool:
    """Is given the call as it is at its start."""
    return operation.request_model != "gpt-4o-mini"


otel_llm.LLMInstrumentor().instrument(filters=[wanted])
hooks.attach("show", "llm.chat.stop", lambda _event, _measured, call, _config: print(call.model))

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    for model in ("gpt-4o", "gpt-4o-mini"):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])

# Prints:
# gpt-4o
