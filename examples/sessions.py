"""Sessions: which conversation and user a call belongs to, on spans and in hooks, never on metrics."""

from __future__ import annotations

import asyncio

import openai

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider


def on_usage(
    _event: str, used: hooks.UsageMeasurements, session: hooks.SessionMetadata, _config: object
) -> None:
    """What one call added to its session."""
    print(session.conversation_id, session.user_id, used.total_tokens)


otel_llm.LLMInstrumentor().instrument()
hooks.attach("usage", "llm.session.usage", on_usage)


async def answer(client: openai.AsyncOpenAI, conversation: str, user: str) -> None:
    """Each task has its own session."""
    with otel_llm.session(conversation, user_id=user, tenant="demo"):
        await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


async def main(url: str) -> None:
    """Two conversations, one after the other in time, each call in its own."""
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        await answer(client, "c-1", "ada")
        await asyncio.gather(answer(client, "c-2", "bob"))


with FakeProvider() as server:
    asyncio.run(main(server.openai_url))

# Prints:
# c-1 ada 20
# c-2 bob 20
