"""What a thousand WebSocket clients cost the live view: `python -m benchmarks.live_clients [CLIENTS]`.

Three processes: the server, which reports on itself; the clients, which read and throw away; and this one.
A cycle is one frame for every client: the numbers are looked up or made, the frames written and queued (`make`), and then sent over
real sockets (`everything`: all of the server's processor time, per cycle). Times of the loop are processor time too, so that other work of
the machine does not count; `wakeups` are looks of the loop at its sockets.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

INTERVAL = 1.0
SECONDS = 6.0
EVENTS = (0, 1_000, 100_000)


def rss() -> float:
    """KiB of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def serve() -> None:
    """Run a server; answer each line of standard input with a report of the seconds since the one before."""
    from otel_llm.live import LiveOptions, LiveServer

    from .live_events import make_call

    server = LiveServer(LiveOptions(port=0, max_clients=10_000))
    server.start()
    parts, loop = server._parts, server._loop
    assert parts is not None
    assert loop is not None
    made: list[float] = []
    turns: list[float] = []
    update = parts.hub.update
    select = loop._selector.select  # type: ignore[attr-defined]

    def timed(client: Any) -> None:
        start = time.thread_time()
        update(client)
        made.append(time.thread_time() - start)

    parts.hub.update = timed  # type: ignore[method-assign]

    began = 0.0

    def timed_select(timeout: float | None = None) -> Any:
        """Between two looks at the sockets nobody else has a turn: the processor time of that is the loop's lag."""
        nonlocal began
        turns.append(time.thread_time() - began)
        found = select(timeout)
        began = time.thread_time()
        return found

    loop._selector.select = timed_select  # type: ignore[attr-defined]
    print(server.url, flush=True)
    for line in sys.stdin:
        command, _, count = line.strip().partition(" ")
        if command == "events":
            call = make_call()
            series = parts.aggregator.series(call.endpoint, call.model, call.provider)
            for _ in range(int(count) // 2):
                parts.aggregator.began(series, stream=False)
                parts.aggregator.left(series, stream=False, answered=False)
                parts.aggregator.ended(series, call, counted=True)
        elif command == "begin":
            gc.collect()
            made.clear()
            turns.clear()
            begun = (time.process_time(), time.monotonic())
        elif command == "report":
            took = (time.process_time() - begun[0], time.monotonic() - begun[1])
            print(json.dumps({"cpu": took[0], "wall": took[1], "made": made[:], "turns": turns[:], "rss": rss(),
                              "clients": server.active_connections}), flush=True)  # fmt: skip
    server.stop()


def clients(url: str, count: int) -> None:
    """Connect, subscribe, and read whatever comes."""

    async def one(host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            f"GET /metrics/stream HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        while await reader.read(65536):
            pass

    async def everybody() -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        tasks = []
        for number in range(count):
            tasks.append(asyncio.create_task(one(host, int(port))))
            if number % 20 == 19:
                await asyncio.sleep(0.02)
        print("ready", flush=True)
        await asyncio.gather(*tasks)

    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(everybody())


def child(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live_clients", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    if sys.argv[1:2] == ["--server"]:
        serve()
        return
    if sys.argv[1:2] == ["--clients"]:
        clients(sys.argv[2], int(sys.argv[3]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit[1], 10_000), limit[1]))
    with child("--server") as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()

        def tell(text: str) -> None:
            server.stdin.write(text + "\n")  # type: ignore[union-attr]
            server.stdin.flush()  # type: ignore[union-attr]

        def report(seconds: float) -> dict[str, Any]:
            tell("begin")
            time.sleep(seconds)
            tell("report")
            return json.loads(server.stdout.readline())  # type: ignore[union-attr, no-any-return]

        nothing = report(3.0)
        print(
            f"no client: {nothing['cpu'] / nothing['wall'] * 100:.2f} % of a core, {len(nothing['turns'])} wakeups in {nothing['wall']:.0f} s (target: 0)"
        )
        with child("--clients", url, str(count)) as reader:
            assert reader.stdout is not None
            reader.stdout.readline()
            time.sleep(3)
            filled = report(SECONDS)
            print(
                f"{filled['clients']} clients: {(filled['rss'] - nothing['rss']) / max(filled['clients'], 1):.1f} KiB each "
                f"(target: 50), {filled['cpu'] / filled['wall'] * 100:.1f} % of a core (target: 1 for 200 clients)"
            )
            for events in EVENTS:
                tell(f"events {events}")
                found = report(SECONDS)
                frames = len(found["made"])
                cycles = frames / count
                made = statistics.fmean(found["made"]) * count * 1e3
                turns = sorted(found["turns"])
                print(
                    f"{events:>7,} events more in the window: make {made:5.1f} ms per cycle (median of a frame x {count}: "
                    f"{statistics.median(found['made']) * count * 1e3:.1f}; target: 10), everything {found['cpu'] / cycles * 1e3:6.1f} ms, "
                    f"{found['cpu'] / found['wall'] * 100:4.1f} % of a core; a turn of the loop: median {statistics.median(turns) * 1e3:.2f} ms, "
                    f"p99 {turns[int(len(turns) * 0.99)] * 1e3:.1f} ms, longest {turns[-1] * 1e3:.1f} ms (target: 5)"
                )
            assert reader.stdin is not None
            reader.stdin.close()
        server.stdin.close()


if __name__ == "__main__":
    main()
