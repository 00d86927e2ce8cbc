"""A call that fails, and a program that goes on."""

import openai

try:
    openai.OpenAI(max_retries=0).responses.create(model="gpt-4o", input="Hello")
except openai.RateLimitError as error:
    print("failed:", error.code)
