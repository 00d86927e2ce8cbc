"""Hooks: functions of yours, called when something happens."""

from __future__ import annotations

import openai

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider, Reply


def on_stop(event: str, measured: hooks.CallMeasurements, call: hooks.CallMetadata, config: object) -> None:
    """What comes is typed and frozen; `config` is what `attach` was given."""
    print(event, config, call.provider, call.model, measured.total_tokens, call.finish_reasons)


def on_failure(event: str, _: hooks.CallMeasurements, call: hooks.CallMetadata, config: object) -> None:
    """A failure has a code and a category, and no reference to the exception."""
    if call.error is not None:
        print(event, config, call.error.code, call.error.category, call.error.retryable)


otel_llm.LLMInstrumentor().instrument()
hooks.attach_many("mine", {"llm.chat.stop": on_stop, "llm.chat.exception": on_failure}, {"app": "demo"})

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    server.script(Reply.error(429))
    try:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    except openai.RateLimitError:
        pass

with hooks.span("myapp.step", size=3):  # events of your own: myapp.step.start, .stop, .exception
    pass
hooks.detach("mine")

# Prints:
# llm.chat.stop {'app': 'demo'} openai gpt-4o 20 ('stop',)
# llm.chat.exception {'app': 'demo'} rate_limit_exceeded rate_limit True
