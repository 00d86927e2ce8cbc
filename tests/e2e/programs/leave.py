"""Ends while a stream is open, read in part."""

import openai

stream = openai.OpenAI().chat.completions.create(
    model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], stream=True
)
print(next(iter(stream)).choices[0].delta.role)
