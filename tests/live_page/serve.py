"""Serve the page on traffic until interrupted, for working on it: `PYTHONPATH=tests python -m live_page.serve`."""

from __future__ import annotations

import argparse
import math
import random
import time

from live_page.running import Running
from live_page.traffic import MODELS, Traffic
from otel_llm.live import LiveOptions, LiveServer


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--token")
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--friendly", action="store_true", help="nothing hostile, for pictures")
    options = parser.parse_args()
    server = LiveServer(
        LiveOptions(port=options.port, otlp_port=0, local=not options.empty, token=options.token)
    )
    server.start()
    print(server.url, flush=True)
    traffic = Traffic(server.otlp["http"] or "", hostile=not options.friendly)
    running = Running()
    if not options.empty and not options.token:
        traffic.days(30, 120)
        traffic.past(900)
    try:
        while True:
            time.sleep(1)
            if options.empty or options.token:
                continue
            traffic.send(traffic.second(time.time()))
            running.go_on()
            while len(running) < 3 + round(2 * math.sin(time.time() / 9)):
                running.begin(
                    random.choice(MODELS[:5]),
                    seconds=random.uniform(2, 9),
                    chunks_per_second=random.uniform(18, 70),
                )
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
