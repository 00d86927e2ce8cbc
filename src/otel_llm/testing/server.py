"""`python -m otel_llm.testing.server`: the fake provider as a program, for demos and other languages.

It prints its URL and answers until its standard input ends, or it is interrupted or terminated.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from ._reply import Reply
from ._server import FakeProvider

__all__ = ["main"]

_KEEP = 100


def main(arguments: list[str] | None = None) -> int:
    """Run the server; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m otel_llm.testing.server", description="A fake LLM provider."
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0: a free one (default)")
    parser.add_argument("--chunks", type=int, default=3, help="pieces of text in an answer")
    parser.add_argument("--first-delay", type=float, default=0.0, help="seconds before the body")
    parser.add_argument(
        "--chunk-delay", type=float, default=0.0, help="seconds between the pieces of a stream"
    )
    options = parser.parse_args(arguments)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: done.set())
    server = FakeProvider(port=options.port, keep=_KEEP)
    server.reply(
        Reply(chunks=options.chunks, first_delay=options.first_delay, chunk_delay=options.chunk_delay)
    )
    try:
        server.start()
    except OSError as error:
        parser.error(str(error))
    print(server.url, flush=True)  # noqa: T201 - what the program is run for
    threading.Thread(target=_wait_for_end, args=(done,), daemon=True).start()
    done.wait()
    server.stop()
    return 0


def _wait_for_end(done: threading.Event) -> None:
    for _ in sys.stdin:
        pass
    done.set()


if __name__ == "__main__":
    sys.exit(main())
