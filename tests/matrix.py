"""Run the scenarios on other versions of the SDKs: `python -m tests.matrix [--oldest] [--latest] [--family] [--all]`.

Each set of versions gets an environment of its own under .matrix/, with what the scenarios need and nothing more.
openai and anthropic share environments, as neither knows of the other: each of their versions is run once.
`--oldest` and `--family` (its SDKs at the versions in `Provider.tested`) are the same tomorrow, for CI.
`--latest`, `--all` and `--family-latest` take the newest releases: they find what those have changed.

Prints a line per environment; what pytest said is beside it in .matrix/NAME.log.
The last line is the sum, `N passed, N failed, N skipped`; the exit code is 1 when anything failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from otel_llm.providers.family import FAMILY as OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".matrix"
BUILD_TIMEOUT = 600
RUN_TIMEOUT = 1800


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One set of installed SDKs, and the tests that run on it."""

    name: str
    requires: tuple[str, ...]
    """Requirements; a name alone is its newest release."""
    tests: tuple[str, ...] = ("tests/scenarios",)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return HOME / self.name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _pair(openai: str, anthropic: str, *also: str) -> Environment:
    """The two SDKs together; what else they need of that time are `also`."""
    asked = (("openai", openai), ("anthropic[bedrock,vertex]", anthropic))
    pinned = (name if version == "latest" else f"{name}=={version}" for name, version in asked)
    return Environment(name=f"openai-{openai}-anthropic-{anthropic}", requires=(*pinned, *also))


OLDEST = _pair("1.30.5", "0.30.0", "httpx<0.28")  # these SDKs pass an argument that httpx 0.28 dropped
LATEST = _pair("latest", "latest")
PAIRS = (
    OLDEST,
    _pair("1.109.1", "0.125.0"),  # the last of openai 1 and of anthropic 0
    _pair("2.54.0", "1.12.1"),  # the last of openai 2; anthropic before it made spans
    _pair("2.54.0", "1.17.0"),  # the last of anthropic 1, which makes spans
    LATEST,
)
_FAMILY_TESTS = ("tests/family", "tests/unit/test_fake_provider_family.py")
FAMILY = Environment(
    name="family",
    requires=tuple(f"{sdk.distribution}=={sdk.tested}" for sdk in OTHERS),
    tests=_FAMILY_TESTS,
)
FAMILY_LATEST = Environment(
    name="family-latest",
    requires=tuple(sdk.distribution for sdk in OTHERS),
    tests=_FAMILY_TESTS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--oldest", action="store_true", help="the oldest pair of openai and anthropic")
    parser.add_argument("--latest", action="store_true", help="the newest releases of both")
    parser.add_argument(
        "--family", action="store_true", help="the other SDKs, at the versions that are known"
    )
    parser.add_argument("--family-latest", action="store_true", help="the newest releases of the other SDKs")
    parser.add_argument("--all", action="store_true", help="all versions, which is the default")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    asked = parser.parse_args(arguments)
    flags = (
        (OLDEST, asked.oldest),
        (LATEST, asked.latest),
        (FAMILY, asked.family),
        (FAMILY_LATEST, asked.family_latest),
    )
    chosen = [environment for environment, is_chosen in flags if is_chosen]
    if asked.all or not chosen:
        chosen = [*PAIRS, FAMILY_LATEST]
    totals = [run(environment, asked.pytest) for environment in chosen]
    passed, failed, skipped = (sum(total[index] for total in totals) for index in range(3))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed else 0


def run(environment: Environment, more: Iterable[str]) -> tuple[int, int, int]:
    """Build an environment and run its tests; how many passed, failed and were skipped."""
    HOME.mkdir(exist_ok=True)
    log, report = HOME / f"{environment.name}.log", HOME / f"{environment.name}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    with log.open("w") as told:
        try:
            build(environment, told)
            command = [environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            command += [f"--junit-xml={report}", *environment.tests, *more]
            subprocess.run(command, cwd=ROOT, stdout=told, stderr=told, timeout=RUN_TIMEOUT, check=False)
        except (subprocess.SubprocessError, OSError) as error:
            told.write(f"\n{error}\n")
    counts = read(report)
    passed, failed, skipped = counts if counts is not None else (0, 1, 0)
    versions = ", ".join(installed(environment)) or environment.name
    seconds = time.monotonic() - started
    line = f"{versions}: {passed} passed, {failed} failed, {skipped} skipped in {seconds:.0f} s"
    print(f"{line} ({log.relative_to(ROOT)})" if failed else line, flush=True)
    return passed, failed, skipped


def build(environment: Environment, told: object) -> None:
    """Make the environment if it is not there, and install what it lacks; raises `SubprocessError`."""
    uv = shutil.which(
        "uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    )
    if uv is None:
        raise FileNotFoundError("uv is needed: python -m pip install uv")
    steps: list[list[str]] = []
    if not environment.python.exists():
        steps.append([uv, "venv", "--quiet", "--python", sys.executable, str(HOME / environment.name)])
    unpinned = (name.partition("[")[0] for name in environment.requires if not set(name) & set("=<"))
    newest = [word for name in unpinned for word in ("--upgrade-package", name)]
    install = [uv, "pip", "install", "--quiet", "--python", str(environment.python), *newest]
    steps.append([*install, "--editable", ".", "--group", "scenarios", *environment.requires])
    for step in steps:
        subprocess.run(step, cwd=ROOT, stdout=told, stderr=told, timeout=BUILD_TIMEOUT, check=True)  # type: ignore[call-overload]


def installed(environment: Environment) -> list[str]:
    """The SDKs in the environment, with their versions; empty when there is none."""
    program = (
        "import importlib.metadata as m\n"
        "from otel_llm.drivers._versions import installed\n"
        "from otel_llm.providers import PROVIDERS\n"
        "print(*(f'{p.distribution} {v}' for p in PROVIDERS if (v := installed(p))), sep='\\n')"
    )
    if not environment.python.exists():
        return []
    told = subprocess.run(
        [environment.python, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return told.stdout.splitlines()


def read(report: Path) -> tuple[int, int, int] | None:
    """Passed, failed and skipped in a JUnit report; None if there is none."""
    if not report.exists():
        return None
    suite = next(ET.parse(report).iter("testsuite"))
    total, failures, errors, skipped = (
        int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


if __name__ == "__main__":
    sys.exit(main())
