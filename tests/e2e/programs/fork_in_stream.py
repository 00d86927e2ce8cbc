"""Forks while a stream is open: it is the parent's, and the child has none."""

import os

import openai

client = openai.OpenAI()
stream = client.chat.completions.create(
    model="gpt-parent", messages=[{"role": "user", "content": "Hello"}], stream=True
)
next(iter(stream))
child = os.fork()
if child == 0:
    openai.OpenAI().chat.completions.create(
        model="gpt-child", messages=[{"role": "user", "content": "Hello"}]
    )
    raise SystemExit(0)
assert os.waitpid(child, 0)[1] == 0
for _ in stream:
    pass
