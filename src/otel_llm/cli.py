"""The command `otel-llm`: what it can do, and where.

A command's module is imported when it is asked for, so that each needs its own extra only.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_COMMANDS = {
    "demo": ("_demo", "trace a small agent against a fake provider; needs no key and no network"),
    "live": ("live._cli", "receive OTLP and show the calls of your programs in a browser"),
    "doctor": ("_doctor", "say what is instrumented here, where telemetry goes, and what is wrong"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 for a failure, or 2 for a call that makes no sense."""
    parser = argparse.ArgumentParser(
        prog="otel-llm",
        description="Every call to an LLM provider SDK as one OpenTelemetry span.",
        epilog="`otel-llm COMMAND --help` tells the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"otel-llm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, brief) in _COMMANDS.items():
        commands.add_parser(name, help=brief, add_help=False)
    options, rest = parser.parse_known_args(arguments)
    command: str | None = options.command
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        module = importlib.import_module(f"otel_llm.{_COMMANDS[command][0]}")
        return int(module.run(rest))
    except ImportError as error:  # the message names the extra that is missing
        print(f"otel-llm {command}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
