"""The command: starts a provider, a receiver and the agent, waits for the agent, and shows what came."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import webbrowser
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..testing import FakeProvider
from ._answers import Answers

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

__all__ = ["run"]

_AGENT = Path(__file__).with_name("agent.py")
_INSTRUMENT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
"""What the script `opentelemetry-instrument` does, wherever it is."""
_NEEDED = ("rich", "openai", "anthropic", "opentelemetry.sdk", "opentelemetry.distro", "opentelemetry.proto")
_AGENT_TIME = 60.0
_STOP_TIME = 10.0
_WORKERS = 3
_OURS = ("OTEL_INSTRUMENTATION_LLM_", "OTEL_INSTRUMENTATION_GENAI_")
_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the demo: 0, or 1 when the agent failed or the backend did not take the telemetry.

    Raises `ImportError` that names the extra when a part is missing.
    """
    parser = argparse.ArgumentParser(
        prog="otel-llm demo",
        description="Trace a small agent against a fake provider, all on this machine: no key, no network.",
    )
    parser.add_argument(
        "--otlp",
        metavar="URL",
        type=_url,
        help="send the telemetry to this backend too, by OTLP/HTTP: http://localhost:4318 for instance; "
        "headers are taken from OTEL_EXPORTER_OTLP_HEADERS",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="show it in the live view, with what is said, and go on until interrupted",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="of the live view (default 8000; 0: a free one)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the live view in a browser")
    options = parser.parse_args(arguments)
    _require(_NEEDED)
    try:
        if options.live:
            return _live(options.port, options.otlp, browse=not options.no_browser)
        return _once(options.otlp)
    except (OSError, ValueError) as error:
        print(f"otel-llm demo: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError("expected http://host:port or https://host:port")
    return text.rstrip("/")


def _require(modules: Sequence[str]) -> None:
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        raise ImportError(f'the demo needs {", ".join(missing)}: pip install "otel-llm[demo]"')


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


@contextmanager
def _provider(*, vary: bool = False) -> Generator[FakeProvider]:
    with FakeProvider(keep=100) as provider:
        provider.reply(Answers(vary=vary))
        yield provider


def _environment(provider: FakeProvider, endpoint: str, more: Mapping[str, str]) -> dict[str, str]:
    """Of the agent: nothing that the user has set for programs of their own, but otel-llm's own settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_")) or name.startswith(_OURS)
    }
    port = provider.url.rpartition(":")[2]
    # Two names of this machine, so that each stands for the host of one provider.
    hosts = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "ANTHROPIC_BASE_URL": f"http://localhost:{port}",
    }
    defaults = {
        "OTEL_INSTRUMENTATION_LLM_PROVIDERS": "127.0.0.1=openai,localhost=anthropic",
        **({"OTEL_INSTRUMENTATION_LLM_COST": "true"} if _is_there("genai_prices") else {}),
        **more,
    }
    return {
        **defaults,
        **kept,
        **hosts,
        "OPENAI_API_KEY": "none",
        "ANTHROPIC_API_KEY": "none",
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # models of the demo grow old
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "OTEL_SERVICE_NAME": "travel-assistant",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(_foreign()),
    }


def _foreign() -> list[str]:
    """The instrumentations of other packages, which would add to what the demo is to show."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - tens of milliseconds

    found = entry_points(group="opentelemetry_instrumentor")
    ours = {point.name for point in found if point.value.startswith("otel_llm.")}
    return sorted({point.name for point in found} - ours)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", _INSTRUMENT, sys.executable, str(_AGENT), *arguments]


def _once(forward: str | None) -> int:
    from rich.console import Console  # noqa: PLC0415 - the extra

    from ._receiver import Receiver, headers_from_environment  # noqa: PLC0415 - needs the extra
    from ._show import show  # noqa: PLC0415 - needs the extra

    console = Console()
    with _provider() as provider, Receiver(forward, headers_from_environment()) as receiver:
        console.print("[dim]$[/] opentelemetry-instrument python agent.py\n", highlight=False)
        agent = subprocess.run(  # noqa: S603 - a program of ours
            _command(),
            env=_environment(provider, receiver.url, {}),
            capture_output=True,
            text=True,
            timeout=_AGENT_TIME,
            check=False,
        )
        if agent.returncode:
            print(f"{agent.stderr}otel-llm demo: the agent failed", file=sys.stderr)  # noqa: T201
            return 1
        show(console, receiver)
    if forward is not None:
        console.print()
        for failure in receiver.failures:
            console.print(f"[red]not sent[/] to {failure}", highlight=False)
        if not receiver.failures:
            console.print(f"sent to {forward}", highlight=False)
    return 1 if receiver.failures else 0


def _live(port: int, forward: str | None, *, browse: bool) -> int:
    from ..live import ForwardOptions, LiveOptions, LiveServer  # noqa: PLC0415 - the extra `live`
    from ._receiver import headers_from_environment  # noqa: PLC0415 - needs the extra

    onward = ForwardOptions(url=forward, headers=headers_from_environment()) if forward is not None else None
    server = LiveServer(LiveOptions(port=port, otlp_port=0, local=False, forward=onward))
    server.start()
    try:
        with _provider(vary=True) as provider:
            soon = {
                "OTEL_BSP_SCHEDULE_DELAY": "500",
                "OTEL_BLRP_SCHEDULE_DELAY": "500",
                "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            }
            environment = (
                _environment(provider, server.otlp["http"] or server.url, {_CAPTURE: "span_only"}) | soon
            )
            agent = subprocess.Popen(  # noqa: S603 - a program of ours
                _command("--forever", "--workers", str(_WORKERS)),
                env=environment,
                stdin=subprocess.PIPE,
                start_new_session=True,  # an interrupt from the keyboard is ours to act on
            )
            print(f"Live view:  {server.url}/\nThe agent runs until you interrupt this (Ctrl+C).", flush=True)  # noqa: T201
            if browse and _has_screen():
                webbrowser.open(f"{server.url}/")
            return _wait(agent)
    finally:
        server.stop()


def _wait(agent: subprocess.Popen[bytes]) -> int:
    """Until the agent ends, which it should not, or the user ends it."""
    try:
        return 1 if agent.wait() else 0
    except KeyboardInterrupt:
        return 0
    finally:
        try:
            agent.communicate(timeout=_STOP_TIME)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()


def _has_screen() -> bool:
    """Whether a browser has a screen to open on; a text browser would take this terminal."""
    desktop = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return desktop and sys.stdout.isatty()
