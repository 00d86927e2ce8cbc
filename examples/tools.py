"""`traced` and `tool`: spans of your own code, and of the tools that you run for the model."""

from __future__ import annotations

import json

import openai

import otel_llm
from otel_llm.testing import FakeProvider, Reply, ToolCall, capture


@otel_llm.tool
def get_weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny in {city}"


@otel_llm.traced("agent", max_steps=2)
def agent(client: openai.OpenAI, question: str) -> str:
    """Ask, run the tool, ask again."""
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    for call in answer.choices[0].message.tool_calls or []:
        get_weather(**json.loads(call.function.arguments))  # type: ignore[union-attr]
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    return answer.choices[0].message.content or ""


with FakeProvider() as server, capture() as telemetry:
    telemetry.instrument(capture_content="span_only")
    server.script(Reply(tool_calls=[ToolCall("get_weather", {"city": "Bern"})]), Reply(text="It is sunny."))
    print(agent(openai.OpenAI(base_url=server.openai_url, api_key="none"), "How is the weather?"))
    print(telemetry.tree())
    for span in telemetry.spans():
        if span.name.startswith("execute_tool"):
            print(span.attributes["gen_ai.tool.call.arguments"], span.attributes["gen_ai.tool.call.result"])

# Prints:
# It is sunny.
# agent
#   chat gpt-4o
#   execute_tool get_weather
#   chat gpt-4o
# {"city":"Bern"} "sunny in Bern"
