"""The command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .._version import __version__
from ..instrumentor import drivers
from ._exporters import exports, general, misfits
from ._others import others
from ._probe import probe
from ._report import Finding, Section, as_data, as_text, failed
from ._sdks import own_tracing, sdks, uncovered
from ._settings import content, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._exporters import Export

__all__ = ["run"]


def run(arguments: Sequence[str] | None = None) -> int:
    """Examine this environment: 0, or 1 when telemetry will be missing."""
    parser = argparse.ArgumentParser(
        prog="otel-llm doctor",
        description="Say what is instrumented here, where telemetry goes, and what is wrong. Run it with the "
        "environment variables of your program; under opentelemetry-instrument it sees what that sees.",
        epilog="Exit status: 0, or 1 for a problem that will cost telemetry.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--offline", action="store_true", help="do not try whether endpoints answer")
    options = parser.parse_args(arguments)
    sections = _examine(offline=options.offline)
    if options.json:
        header = {"otel_llm": __version__, "python": platform.python_version(), "ok": not failed(sections)}
        print(json.dumps({**header, **as_data(sections)}, indent=2))  # noqa: T201
    else:
        print(f"otel-llm {__version__}, Python {platform.python_version()}\n")  # noqa: T201
        sys.stdout.write(as_text(sections))
    return 1 if failed(sections) else 0


def _examine(*, offline: bool) -> list[Section]:
    logging.getLogger("otel_llm").addHandler(logging.NullHandler())  # what is wrong is told below
    is_on = any(driver.recorder is not None for driver in drivers())
    found = exports(os.environ, distro=_is_there("opentelemetry.distro"))
    return [
        _process(is_on=is_on),
        sdks(),
        others(),
        own_tracing(),
        _exporting(found, offline=offline),
        settings(),
        content(found),
        uncovered(),
    ]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _process(*, is_on: bool) -> Section:
    text = (
        "Instrumented already, as under opentelemetry-instrument: what follows is what a program gets."
        if is_on
        else "Not instrumented: the SDKs are instrumented to look at them, and then left as they were."
    )
    return Section("instrumented", "This process", [Finding("note", text)], is_on)


def _exporting(found: list[Export], *, offline: bool) -> Section:
    sdk, distro = _is_there("opentelemetry.sdk"), _is_there("opentelemetry.distro")
    findings = list(general(os.environ, found, sdk=sdk, distro=distro))
    wrong = {export.signal: list(misfits(export)) for export in found}
    for export in found:
        findings += wrong[export.signal]
        if export.protocol is None and export.installed:
            findings.append(Finding("ok", f"{export.signal}: {export.exporter}."))
    good = [
        export
        for export in found
        if export.protocol and not any(finding.level == "problem" for finding in wrong[export.signal])
    ]
    if offline:
        findings += [Finding("note", f"{export.signal}: {export.endpoint} was not tried.") for export in good]
        answers: list[Finding] = []
    else:
        with ThreadPoolExecutor(max_workers=3) as pool:
            answers = list(pool.map(probe, good))
        findings += answers
    tried = {export.signal: answer.level for export, answer in zip(good, answers, strict=False)}
    data = [
        {
            "signal": export.signal,
            "exporter": export.exporter,
            "protocol": export.protocol,
            "endpoint": export.endpoint,
            "headers": sorted(export.headers),
            "answers": tried.get(export.signal) == "ok" if export.signal in tried else None,
        }
        for export in found
    ]
    return Section("export", "Export", findings, data)
