"""Calls from the parent, and from children made by `fork` or `spawn`."""

import multiprocessing
import sys

import openai


def ask(name: str) -> None:
    with openai.OpenAI() as client:
        client.chat.completions.create(model=f"gpt-{name}", messages=[{"role": "user", "content": "Hello"}])


def child(number: int) -> None:
    ask(f"child-{number}")
    # A child of multiprocessing ends without the hooks of `atexit`, so it sends what it has itself.
    from opentelemetry import metrics, trace

    trace.get_tracer_provider().force_flush()
    metrics.get_meter_provider().force_flush()


if __name__ == "__main__":
    ask("parent")
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=child, args=(number,)) for number in range(2)]
    for process in children:
        process.start()
    for process in children:
        process.join()
        assert process.exitcode == 0
    ask("parent")
