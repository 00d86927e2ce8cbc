"""The SDKs' own tests, without and with instrumentation: every test that passes without must pass with.

The tests come with the source distributions on PyPI.
Those of `tests/api_resources` are left out: they need a mock server of the whole API, which is not in there.
Tests that fail or are skipped without instrumentation say nothing, and are not counted.
`proof_counts.json` has how many count, file by file, and which do not; a run that counts fewer is no proof.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".proof"
COUNTS = ROOT / "tests" / "proof_counts.json"
PYTHON = HOME / "venv" / "bin" / "python"
TIMEOUT = 3600
ENOUGH = 0.99
"""The part of the committed count that a run must reach: some tests judge times."""
_NEEDED = (
    "pytest>=9.0.3", "pytest-asyncio", "pytest-xdist", "pytest-timeout", "respx", "time-machine", "dirty-equals",
    "rich", "inline-snapshot", "http-snapshot[httpx]==0.1.9", "packaging", "httpx2>=2.9", "hypothesis", "trio",
    "nest_asyncio", "httpx-aiohttp", "Pillow", "botocore", "azure-identity", "griffe", "numpy", "boto3",
    "google-auth", "websockets", "gunicorn", "gevent",
)  # fmt: skip
_TELEMETRY = "tests.test_open_telemetry."
EXPLAINED = (
    # Wants no span to be current while a request is sent, and ours is.
    f"{_TELEMETRY}TestPropagationOption::"
    "test_false_keeps_a_span_that_the_sampler_dropped_current_for_the_requests[",
    # Lets every function of OpenTelemetry fail, and we call them.
    f"{_TELEMETRY}TestTracingFailures::test_disabled_spans_call_nothing_of_opentelemetry[",
)
"""How the names of tests begin that must differ."""
_ARGUMENTS = {"openai": (), "anthropic": ("-p", "tests._alias_httpx")}


def prepare() -> None:
    """Make the environment of the proof, once, with the SDKs' installed versions and this package."""
    wanted = "\n".join((f"openai=={version('openai')}", f"anthropic=={version('anthropic')}", *_NEEDED))
    mark = HOME / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    HOME.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", HOME / "venv"], check=True)
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*install, *wanted.split("\n"), "--editable", f"{ROOT}[otlp]"], check=True, timeout=TIMEOUT
    )
    mark.write_text(wanted)


def suites() -> tuple[bool, str]:
    """Run both SDKs' tests twice; whether they agree, and the figures."""
    prepare()
    known = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    well, told = True, []
    for sdk in ("openai", "anthropic"):
        name = f"{sdk}-{version(sdk)}"
        source = _source(sdk, name)
        plain = _outcomes(source, sdk, "without")
        watched = _outcomes(source, sdk, "with")
        counted = sorted(test for test, outcome in plain.items() if outcome == "passed")
        differ = [test for test in counted if watched.get(test) != "passed"]
        differ = [test for test in differ if not test.startswith(EXPLAINED)]
        differ = [test for test in differ if not _settled(source, sdk, test)]
        for test in differ:
            print(f"  {name}: {test}: passed without, {watched.get(test, 'missing')} with")
        expected = known.get(name, {}).get("counted", 1)
        spans = _spans(source)
        well = well and not differ and len(counted) >= expected * ENOUGH and spans > 0
        told.append(
            f"{name}: {len(counted)} counted of {len(plain)} ({expected} expected), {spans} calls recorded, "
            f"{len(differ)} differ"
        )
        if len(counted) > expected:
            known[name] = _described(plain)
    COUNTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return well, "; ".join(told)


def _spans(source: Path) -> int:
    """How many calls the run with instrumentation recorded, all processes together."""
    told = HOME / f"{source.name}-with.spans"
    return sum(map(int, told.read_text().split())) if told.exists() else 0


def _described(outcomes: dict[str, str]) -> dict[str, Any]:
    """How many tests count, per file and in all, a digest of their names, and those that do not by outcome."""
    counted = sorted(test for test, outcome in outcomes.items() if outcome == "passed")
    left_out: dict[str, list[str]] = {}
    for test, outcome in sorted(outcomes.items()):
        if outcome in ("failure", "error"):
            left_out.setdefault(outcome, []).append(test)
    return {
        "counted": len(counted),
        "sha256": hashlib.sha256("\n".join(counted).encode()).hexdigest(),
        "files": dict(sorted(Counter(test.partition("::")[0] for test in counted).items())),
        "left_out": left_out,
        "skipped": sum(outcome == "skipped" for outcome in outcomes.values()),
    }


def _source(sdk: str, name: str) -> Path:
    """The unpacked source distribution."""
    source = HOME / "sdists" / name
    if not source.exists():
        command = [str(PYTHON), "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps"]
        where = ["--dest", str(source.parent)]
        subprocess.run([*command, f"{sdk}=={version(sdk)}", *where], check=True, timeout=TIMEOUT)
        with tarfile.open(source.parent / f"{name}.tar.gz") as archive:
            archive.extractall(source.parent, filter="data")
    return source


def _outcomes(source: Path, sdk: str, how: str, *tests: str) -> dict[str, str]:
    """The outcome of each test."""
    report = HOME / f"{source.name}-{how}.xml"
    spans = HOME / f"{source.name}-{how}.spans"
    for old in (report, spans):
        old.unlink(missing_ok=True)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_", "PYTEST_")) and "PROXY" not in name.upper()
    }
    command = [str(PYTHON), "-m", "pytest", *(tests or ("tests", "--ignore=tests/api_resources", "-n", "2"))]
    command += [
        "-o",
        "addopts=",
        "-q",
        "--tb=line",
        "--timeout=60",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
    ]
    command += [*_ARGUMENTS[sdk], *(("-p", "proof_plugin") if how in ("with", "again-with") else ())]
    subprocess.run(
        command,
        cwd=source,
        env={
            **inherited,
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}",
            "PROOF_SPANS": str(spans),
            "AWS_REGION": "us-east-1",
        },
        stdout=(HOME / f"{source.name}-{how}.log").open("w"),
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
    )
    return read_report(report) if report.exists() else {}


def read_report(report: Path) -> dict[str, str]:
    """The outcome of each test in a JUnit report: a test that failed in its teardown has failed."""
    found: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        outcome = next((kind.tag for kind in case if kind.tag in ("failure", "error", "skipped")), "passed")
        if found.get(name) in (None, "passed"):
            found[name] = outcome
    return found


def _settled(source: Path, sdk: str, test: str) -> bool:
    """Whether a test that differed passes with instrumentation when it runs alone, or fails without it too."""
    module, _, name = test.partition("::")
    parts = module.split(".")
    files = [(end, Path(*parts[:end]).with_suffix(".py")) for end in range(len(parts), 0, -1)]
    end, path = next(((end, path) for end, path in files if (source / path).exists()), (0, Path()))
    node = "::".join((str(path), *parts[end:], name))
    again = _outcomes(source, sdk, "again-with", node)
    return again.get(test) == "passed" or _outcomes(source, sdk, "again-without", node).get(test) != "passed"
