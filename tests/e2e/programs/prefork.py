"""A server as gunicorn makes them: workers forked from a parent that has instrumented and imported everything."""

import os
import signal
import sys

import openai

client = openai.OpenAI()


def work(number: int) -> None:
    client.chat.completions.create(
        model=f"gpt-worker-{number}", messages=[{"role": "user", "content": "Hello"}]
    )


workers = []
for number in range(2):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        work(number)
        sys.exit(0)  # as gunicorn's workers end, with the hooks of `atexit`
    workers.append(pid)
for pid in workers:
    assert os.waitpid(pid, 0)[1] == 0
