"""A small travel assistant: the program that `otel-llm demo` runs.

It is an ordinary program of the OpenAI and Anthropic SDKs, with spans of its own by OpenTelemetry's API.
It knows nothing of otel-llm: `opentelemetry-instrument` is what makes its calls visible.
Addresses and keys come from the SDKs' own environment variables.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Generator

    from anthropic import Anthropic
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

_tracer = trace.get_tracer("travel-assistant")
_CITIES = ("Lisbon", "Oslo", "Kyoto", "Tunis", "Quito")


def _tool(name: str, description: str, argument: str) -> ChatCompletionToolUnionParam:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {argument: {"type": "string"}},
        "required": [argument],
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


_TOOLS = [
    _tool("get_weather", "The weather of the next days in a city.", "city"),
    _tool("find_hotels", "Hotels that fit a wish.", "wish"),
]


@contextmanager
def _step(operation: str, name: str, **attributes: str) -> Generator[None]:
    """A span as the GenAI conventions have it for agents and tools."""
    kind = "agent" if operation == "invoke_agent" else "tool"
    named = {"gen_ai.operation.name": operation, f"gen_ai.{kind}.name": name, **attributes}
    with _tracer.start_as_current_span(f"{operation} {name}", attributes=named):
        yield


def _use_tool(openai: OpenAI, call: Any) -> ChatCompletionMessageParam:
    """Do what the model asks for, as a message for it."""
    arguments = json.loads(call.function.arguments)
    with _step("execute_tool", call.function.name, **{"gen_ai.tool.call.id": call.id}):
        if call.function.name == "find_hotels":
            openai.embeddings.create(model="text-embedding-3-small", input=arguments["wish"])
            result = "Pensao Azul, five minutes from the river"
        else:
            time.sleep(0.02)
            result = "18 degrees, a shower on the second day"
    return {"role": "tool", "tool_call_id": call.id, "content": result}


def plan(openai: OpenAI, anthropic: Anthropic, city: str) -> str:
    """Plan two days in `city`."""
    from openai import NotFoundError  # noqa: PLC0415 - as in `main`

    with _step("invoke_agent", "travel-assistant"):
        messages: list[Any] = [
            {"role": "system", "content": "You plan short trips."},
            {"role": "user", "content": f"Two days in {city}: what do I pack, and where do I stay?"},
        ]
        asked = (
            openai.chat.completions.create(model="gpt-4o", messages=messages, tools=_TOOLS).choices[0].message
        )
        messages.append(asked)
        messages += [_use_tool(openai, call) for call in asked.tool_calls or ()]

        # The provider is busy at first: the SDK waits and sends this again.
        stream = openai.chat.completions.create(
            model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        answer = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

        # A second opinion, by a model that thinks first.
        anthropic.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=2048,
            thinking={"type": "enabled", "budget_tokens": 1024},
            system="You check travel plans.",
            messages=[{"role": "user", "content": f"Is anything missing? {answer}"}],
        )

        # A model that is gone: the plan stands without a picture of it.
        with suppress(NotFoundError):
            openai.responses.create(model="gpt-4o-2023", input=f"Describe a postcard of {city}.")

        # The first words are enough for a title: the rest of the answer is never read.
        with anthropic.messages.create(
            model="claude-haiku-5-5",
            max_tokens=512,
            messages=[{"role": "user", "content": f"A title for this: {answer}"}],
            stream=True,
        ) as title:
            for event in title:
                if event.type == "content_block_delta":
                    break
        return answer


def main() -> int:
    """Plan one trip, or (`--forever`) one after the other until the standard input ends."""
    # Inside the function, as nothing in this package imports an SDK at module level.
    from anthropic import Anthropic  # noqa: PLC0415
    from openai import OpenAI  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forever", action="store_true", help="plan until the standard input ends")
    parser.add_argument("--workers", type=int, default=1, help="trips at the same time")
    options = parser.parse_args()
    with OpenAI() as openai, Anthropic() as anthropic:
        if not options.forever:
            plan(openai, anthropic, _CITIES[0])
            return 0
        done = threading.Event()

        def work(number: int) -> None:
            dice = random.Random(number)  # noqa: S311 - which city, and how long a pause
            while not done.wait(dice.uniform(0.2, 2.0)):
                plan(openai, anthropic, dice.choice(_CITIES))

        workers = [threading.Thread(target=work, args=(number,)) for number in range(options.workers)]
        for worker in workers:
            worker.start()
        sys.stdin.read()
        done.set()
        for worker in workers:
            worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
