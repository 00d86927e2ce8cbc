"""Instruments itself, makes a call; there may be no OpenTelemetry SDK."""

import sys

import openai

import otel_llm
from otel_llm.instrumentor import LLMInstrumentor

LLMInstrumentor().instrument()
answer = openai.OpenAI().chat.completions.create(
    model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
)
print(otel_llm.__version__, answer.choices[0].message.content)
print("opentelemetry.sdk" in sys.modules)
