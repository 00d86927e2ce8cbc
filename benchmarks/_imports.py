"""What importing and switching on costs; each measurement is a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from ._contenders import CONTENDERS, Setting

_SDKS = ("openai", "anthropic")


def _sdk_modules() -> int:
    return sum(name.partition(".")[0] in _SDKS for name in sys.modules)


def measure_here(name: str, *, sdks_first: bool) -> dict[str, float]:
    """CPU milliseconds of import and `instrument()`, and the modules they added, those of the SDKs apart.

    What every instrumentation package stands on is loaded before: `base_ms` is what that took.
    """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    started = time.process_time()
    import opentelemetry.instrumentation.instrumentor
    import opentelemetry.instrumentation.utils  # noqa: F401

    base = time.process_time() - started
    setting = Setting(
        TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False), capture=False
    )
    if sdks_first:
        import anthropic  # noqa: F401
        import openai  # noqa: F401
    before, sdks_before, started = len(sys.modules), _sdk_modules(), time.process_time()
    CONTENDERS[name].on(setting)
    used = time.process_time() - started
    sdks = _sdk_modules() - sdks_before
    modules = len(sys.modules) - before - sdks
    return {"ms": used * 1000, "modules": modules, "sdk_modules": sdks, "base_ms": base * 1000}


def measure(name: str, *, python: str, sdks_first: bool) -> dict[str, float]:
    """The same in a process of its own."""
    from ._process import ROOT, environment

    options = json.dumps({"name": name, "sdks_first": sdks_first})
    done = subprocess.run(
        [python, "-m", "benchmarks._imports", options],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(name),
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(measure_here(options["name"], sdks_first=options["sdks_first"])), flush=True)
    os._exit(0)  # a contender's own exit handlers are no part of this


if __name__ == "__main__":
    main()
