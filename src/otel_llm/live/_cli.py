"""`otel-llm live`: receive OTLP, show it, pass it on, keep it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ._forward import ForwardOptions
from ._keep import KeepError, Retention
from ._options import LiveOptions
from ._store import Limits
from .server import LiveServer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

_MIB: Final = 1024 * 1024
_DAY: Final = 24 * 3600.0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - the greatest port
        raise argparse.ArgumentTypeError("expected a port, 0 to 65535")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:  # noqa: PLR2004 - more is a typing error
        raise argparse.ArgumentTypeError("expected a positive number")
    return number


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or any(char in text for char in "\r\n"):
        raise argparse.ArgumentTypeError("expected name=value")
    return name.strip(), value.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="otel-llm live",
        description="Show what LLM calls do now, in a browser. Point a program here with "
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; other than loopback needs --token"
    )
    parser.add_argument("--port", type=_port, default=8000, help="of the page (default 8000; 0: any)")
    parser.add_argument("--otlp-port", type=_port, default=4318, help="of OTLP/HTTP (default 4318; 0: any)")
    parser.add_argument("--grpc-port", type=_port, default=4317, help="of OTLP/gRPC (default 4317; 0: any)")
    parser.add_argument("--no-grpc", action="store_true", help="no OTLP/gRPC")
    parser.add_argument(
        "--token",
        default=os.environ.get("OTEL_LLM_LIVE_TOKEN"),
        help="needed of every client and sender; better given as $OTEL_LLM_LIVE_TOKEN",
    )
    parser.add_argument("--forward", metavar="URL", help="pass everything on to this collector (OTLP/HTTP)")
    parser.add_argument(
        "--forward-header",
        metavar="NAME=VALUE",
        type=_header,
        action="append",
        default=[],
        help="header of what is passed on; may be repeated",
    )
    parser.add_argument("--keep", metavar="FILE", type=Path, help="keep calls and traces in this SQLite file")
    parser.add_argument("--keep-days", type=_positive, default=30, help="for so long (default 30)")
    parser.add_argument(
        "--keep-mib", type=_positive, default=1024, help="and in so much space (default 1024)"
    )
    parser.add_argument("--memory-mib", type=_positive, default=128, help="of calls and traces (default 128)")
    parser.add_argument("--max-clients", type=int, default=64, help="of the WebSocket (default 64)")
    parser.add_argument(
        "--allow-host", action="append", default=[], help="another name of this server; may be repeated"
    )
    parser.add_argument(
        "--allow-origin", action="append", default=[], help="another page's origin; may be repeated"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain: serve over TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="its key")
    return parser


def _options(given: argparse.Namespace) -> LiveOptions:
    if (given.tls_cert is None) != (given.tls_key is None):
        raise ValueError("--tls-cert and --tls-key belong together")
    forward = ForwardOptions(url=given.forward, headers=dict(given.forward_header)) if given.forward else None
    return LiveOptions(
        host=given.host,
        port=given.port,
        otlp_port=given.otlp_port,
        grpc_port=None if given.no_grpc else given.grpc_port,
        local=False,
        token=given.token or None,
        forward=forward,
        keep=given.keep,
        retention=Retention(age=given.keep_days * _DAY, bytes=int(given.keep_mib * _MIB)),
        limits=Limits(bytes=int(given.memory_mib * _MIB)),
        max_clients=given.max_clients,
        allow_hosts=tuple(given.allow_host),
        allow_origins=tuple(given.allow_origin),
        tls=(given.tls_cert, given.tls_key) if given.tls_cert else None,
    )


def _greeting(server: LiveServer) -> str:
    token = server.options.token
    lines = [
        f"Live view:  {server.url}/" + (f"#token={token}" if token else ""),
        f"OTLP/HTTP:  {server.otlp['http']}",
    ]
    if server.otlp["grpc"]:
        lines.append(f"OTLP/gRPC:  {server.otlp['grpc']}")
    lines.append(f"Send here:  export OTEL_EXPORTER_OTLP_ENDPOINT={server.otlp['http']}")
    if token:
        lines.append(f"            export OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{token}")
    return "\n".join(lines) + "\n"


def run(argv: Sequence[str] | None = None) -> int:
    """Run `otel-llm live` until it is interrupted; the exit status."""
    given = _parser().parse_args(argv)
    done = threading.Event()
    try:
        server = LiveServer(_options(given))
        server.start()
    except (OSError, ValueError, ImportError, KeepError) as error:
        sys.stderr.write(f"otel-llm live: {error}\n")
        return 1

    def stop(*_: object) -> None:
        done.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sys.stdout.write(_greeting(server))
        sys.stdout.flush()
        done.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(run())
