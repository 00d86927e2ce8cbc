"""Calls below spans of the program's own: in line, in threads of a pool, and as tasks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
from opentelemetry import trace

tracer = trace.get_tracer("program")
sync, coroutine = openai.OpenAI(), openai.AsyncOpenAI()
messages = [{"role": "user", "content": "Hello"}]


def ask(name: str) -> None:
    with tracer.start_as_current_span(f"in {name}"):
        sync.chat.completions.create(model=f"gpt-{name}", messages=messages)
        assert trace.get_current_span().name == f"in {name}"


async def ask_async(name: str) -> None:
    with tracer.start_as_current_span(f"in {name}"):
        await coroutine.chat.completions.create(model=f"gpt-{name}", messages=messages)
        assert trace.get_current_span().name == f"in {name}"


async def ask_all() -> None:
    await asyncio.gather(
        *(ask_async(f"task-{number}") for number in range(5)), asyncio.to_thread(ask, "to-thread")
    )
    await coroutine.close()


with tracer.start_as_current_span("main"):
    ask("line")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ask, [f"thread-{number}" for number in range(5)]))
        # Without a span of its own in the thread: the submitter's is the parent.
        pool.submit(sync.embeddings.create, model="text-embedding-3-small", input="Hello").result()
    asyncio.run(ask_all())
    anthropic.Anthropic().messages.create(model="claude-haiku-5-5", max_tokens=8, messages=messages)
    assert trace.get_current_span().name == "main"
