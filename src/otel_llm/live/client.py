"""Watch a live view from a terminal: `python -m otel_llm.live.client [URL] [--model MODEL] ...`.

Prints a line per update, or the frames themselves with `--json`. Connects again, with growing pauses, when
the server goes away; Ctrl-C ends it, with exit status 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

__all__ = ["main", "watch"]

DEFAULT_URL: Final = "ws://127.0.0.1:8000/metrics/stream"
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_PING_EVERY: Final = 30.0
_POLICY: Final = 1008
_REFUSED: Final = (401, 403, 404)


class Refused(Exception):  # noqa: N818 - an answer
    """The server does not want this client: trying again is no use."""


async def watch(
    url: str = DEFAULT_URL,
    *,
    filters: Sequence[dict[str, Any]] = (),
    token: str | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> AsyncIterator[dict[str, Any]]:
    """The frames of a live view, for ever: reconnects when the connection is lost. Raises `Refused`.

    `filters` are subscribed to one after the other; `note` is told of losses.
    """
    from websockets.asyncio.client import connect  # noqa: PLC0415 - the extra
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus  # noqa: PLC0415

    headers = {"Authorization": f"Bearer {token}"} if token else None
    pause = _FIRST_PAUSE
    while True:
        try:
            async with connect(
                url, additional_headers=headers, ping_interval=_PING_EVERY, compression=None, proxy=None
            ) as socket:
                for one in filters:
                    await socket.send(json.dumps({"type": "subscribe", "filters": one}))
                async for text in socket:
                    pause = _FIRST_PAUSE
                    yield json.loads(text)
        except InvalidStatus as error:
            if error.response.status_code in _REFUSED:
                raise Refused(f"the server answered {error.response.status_code}") from None
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == _POLICY:
                raise Refused("the server closed the connection: is the token right?") from None
        except (OSError, TimeoutError, InvalidHandshake):
            pass  # not there (yet): try again
        note(f"no connection to {url}, trying again in {pause:.1f} s")
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        pause = min(pause * 2, _LONGEST_PAUSE)


def _milliseconds(stats: dict[str, float] | None, name: str) -> str:
    return f"{stats[name]:.0f}" if stats else "-"


def line(frame: dict[str, Any]) -> str | None:
    """A frame as a line of text; None for one that has nothing to show."""
    at = time.strftime("%H:%M:%S", time.localtime(frame.get("timestamp", time.time())))
    kind = frame["type"]
    if kind == "error":
        return f"{at}  error: {frame['message']}"
    data = frame.get("data")
    if data is None:
        return None
    overview = data.get("overview")
    if overview is None:
        return f"{at}  " + json.dumps(data)
    latency = overview["latency_ms"]
    cost = f"  ${overview['cost']:.4f}" if overview["cost"] else ""
    active = "" if overview["active_requests"] is None else f"  active {overview['active_requests']}"
    return (
        f"{at}  {overview['requests_per_sec']:.2f} req/s  {overview['tokens_per_sec']:.1f} tok/s  "
        f"p50 {_milliseconds(latency, 'p50')} ms  p99 {_milliseconds(latency, 'p99')} ms  "
        f"ttft {_milliseconds(overview['ttft_ms'], 'p50')} ms  errors {overview['error_rate'] * 100:.1f} %"
        f"{active}{cost}"
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m otel_llm.live.client", description="Watch a live view from a terminal."
    )
    parser.add_argument(
        "url", nargs="?", default=DEFAULT_URL, help=f"of the WebSocket (default {DEFAULT_URL})"
    )
    parser.add_argument("--endpoint", action="append", default=[], help="only this API path; may be repeated")
    parser.add_argument("--model", action="append", default=[], help="only this model; may be repeated")
    parser.add_argument(
        "--type", action="append", default=[], dest="metric_type", help="only this type; may be repeated"
    )
    parser.add_argument("--interval", type=float, help="seconds between updates, 0.1 to 60")
    parser.add_argument(
        "--token", default=os.environ.get("OTEL_LLM_LIVE_TOKEN"), help="default: $OTEL_LLM_LIVE_TOKEN"
    )
    parser.add_argument("--json", action="store_true", help="print the frames as they are, one per line")
    return parser.parse_args(argv)


async def _print(options: argparse.Namespace) -> None:
    filters: list[dict[str, Any]] = [
        {name: value} for name in ("endpoint", "model", "metric_type") for value in getattr(options, name)
    ]
    if options.interval is not None:
        filters.append({"interval": options.interval})

    def note(text: str) -> None:
        sys.stderr.write(text + "\n")

    async for frame in watch(_websocket(options.url), filters=filters, token=options.token, note=note):
        text = json.dumps(frame) if options.json else line(frame)
        if text is not None:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def _websocket(url: str) -> str:
    """The page's address is as good as the WebSocket's."""
    for scheme in ("http", "https"):
        if url.startswith(f"{scheme}://"):
            url = "ws" + url.removeprefix("http")
    return url if url.partition("://")[2].strip("/").count("/") else url.rstrip("/") + "/metrics/stream"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _arguments(argv)
    try:
        asyncio.run(_print(options))
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # the reader of a pipe has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered goes nowhere
        return 0
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except ImportError as error:
        library = (error.name or "a library").partition(".")[0]
        sys.stderr.write(f'The live view needs {library}: pip install "otel-llm[live]"\n')
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
