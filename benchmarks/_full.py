"""The whole measurement: every contender, every scenario; results are kept as JSON for the report."""

from __future__ import annotations

import json
import os
import platform
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from . import _counts, _imports, _parts, _prices, _timing
from ._process import Process, WorkerError
from ._timing import Timed
from ._venvs import BENCH, SHARED, InstallError, python_for, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RESULTS = BENCH / "results.json"
_NOTHING_TO_IMPORT = {"none", "floor", "floor_tpoc", "otel_llm_no_chunks", "anthropic_native"}
SECTIONS = ("counts", "emits", "time", "memory", "imports", "parts", "prices")
VECTORS = 2048

_PROVIDERS = ("openai", "anthropic")

TIMES: dict[str, list[Timed]] = {
    "default": [
        *[Timed([who, "call", 0, way]) for who in _PROVIDERS for way in (False, True)],
        *[Timed([who, "told"]) for who in _PROVIDERS],
        *[Timed([who, "prompt"], rounds=9) for who in _PROVIDERS],
        *[Timed([who, "stream", 20]) for who in _PROVIDERS],
        *[Timed([who, "stream", 500, way], rounds=7) for who in _PROVIDERS for way in (False, True)],
        *[Timed([who, "stream", 10_000, way], rounds=3) for who in _PROVIDERS for way in (False, True)],
        *[Timed(["openai", "embeddings", VECTORS, way], rounds=5) for way in (False, True)],
        *[Timed([who, "call", 0, True], rounds=7, together=500) for who in _PROVIDERS],
    ],
    "capture": [
        *[Timed([who, "call"]) for who in _PROVIDERS],
        *[Timed([who, "prompt"], rounds=9) for who in _PROVIDERS],
        *[Timed([who, "stream", 500], rounds=5) for who in _PROVIDERS],
        Timed(["openai", "embeddings", VECTORS], rounds=3),
    ],
    "unsampled": [
        *[Timed([who, "call"]) for who in _PROVIDERS],
        *[Timed([who, "stream", 500], rounds=5) for who in _PROVIDERS],
    ],
    "suppressed": [Timed([who, "call"], rounds=9) for who in _PROVIDERS],
    "uninstrumented": [Timed([who, "call"], rounds=9) for who in _PROVIDERS],
}
"""By state. The last two are states that the processes of `default` are put in."""

EMITS: dict[str, list[Any]] = {
    "openai call": ["openai", "call"],
    "openai call, all told": ["openai", "told"],
    "openai stream 20": ["openai", "stream", 20],
    "anthropic call": ["anthropic", "call"],
    "anthropic call, all told": ["anthropic", "told"],
    "anthropic stream 20": ["anthropic", "stream", 20],
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(names: Iterable[str], sections: Iterable[str]) -> dict[str, Any]:
    """Measure, merging into what an earlier run kept; returns all results."""
    BENCH.mkdir(exist_ok=True)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine()
    pythons = interpreters(names, results.setdefault("absent", {}))
    for section in sections:
        say(f"== {section}")
        _SECTIONS[section](pythons, results)
        RESULTS.write_text(json.dumps(results, indent=1))
    return results


def machine() -> dict[str, Any]:
    """All that is said of where it ran."""
    here = versions()
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpus": os.cpu_count(),
        "versions": {name: here[name] for name in SHARED},
    }


def interpreters(names: Iterable[str], absent: dict[str, str]) -> dict[str, str]:
    """The interpreter of each contender; why one has none goes into `absent`."""
    pythons = {}
    for name in names:
        absent.pop(name, None)
        try:
            pythons[name] = python_for(name)
        except InstallError as error:
            absent[name] = str(error).splitlines()[0]
            say(f"{name} is left out: {error}")
    return pythons


def _count(pythons: dict[str, str], results: dict[str, Any]) -> None:
    found = _counts.measure_all(pythons)
    results["counts"] = {name: measured.counts for name, measured in found.items()}
    for measured in found.values():
        if measured.error:
            say(measured.error)


def _each(pythons: dict[str, str], measure: Callable[[Process], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What `measure` finds of each contender, one after the other; one whose process ends is left out."""
    found = {}
    for name, python in pythons.items():
        try:
            with Process(name, python=python) as process:
                found[name] = measure(process)
        except WorkerError as error:
            say(str(error))
    return found


def _emit(pythons: dict[str, str], results: dict[str, Any]) -> None:
    def measure(process: Process) -> dict[str, Any]:
        return {case: process.ask("emits", scenario=spec) for case, spec in EMITS.items()}

    results["emits"] = _each(pythons, measure)


def _takes_part(name: str, timed: Timed) -> bool:
    if name == "anthropic_native":
        return timed.scenario[0] == "anthropic"
    if name in {"floor_tpoc", "otel_llm_no_chunks"}:  # which differ from their twin in streams only
        return timed.scenario[1] == "stream"
    return True


def _time(pythons: dict[str, str], results: dict[str, Any]) -> None:
    kept = results["time"] = {}

    def measure(state: str, processes: dict[str, Process]) -> None:
        say(f"-- {state}")
        kept[state] = {}
        for timed in TIMES[state]:
            names = [name for name in processes if _takes_part(name, timed)]
            kept[state][timed.key] = _timing.measure(timed, processes, names, say)

    with _all(pythons) as processes:
        measure("default", processes)
        for process in processes.values():
            process.ask("suppress", on=True)
        measure("suppressed", processes)
        for process in processes.values():
            process.ask("suppress", on=False)
            process.ask("off")
        measure("uninstrumented", processes)
    with _all(pythons, capture=True) as processes:
        measure("capture", processes)
    with _all(pythons, sampled=False) as processes:
        measure("unsampled", processes)


@contextmanager
def _all(pythons: dict[str, str], **options: Any) -> Iterator[dict[str, Process]]:
    """A process per contender; one that does not start is left out."""
    with ExitStack() as stack:
        processes = {}
        for name, python in pythons.items():
            try:
                processes[name] = stack.enter_context(Process(name, python=python, **options))
            except WorkerError as error:
                say(str(error))
        yield processes


def _memory(pythons: dict[str, str], results: dict[str, Any]) -> None:
    def measure(process: Process) -> dict[str, Any]:
        say(process.name)
        return {
            who: {
                "open": process.ask("memory_open", scenario=[who, "stream", 50], streams=200),
                "chunk": process.ask("memory_chunk", scenario=[who, "stream", 10_000], first=1000, last=9000),
                "finished": process.ask("memory_finished", scenario=[who, "stream", 5], calls=300),
            }
            for who in _PROVIDERS
        }

    results["memory"] = _each(pythons, measure)


def _import(pythons: dict[str, str], results: dict[str, Any]) -> None:
    kept: dict[str, dict[str, list[Any]]] = {
        name: {"after": [], "before": []} for name in pythons if name not in _NOTHING_TO_IMPORT
    }
    results["imports"] = kept
    for number in range(6):
        for name in kept:
            for when in ("after", "before"):
                found = _imports.measure(name, python=pythons[name], sdks_first=when == "after")
                if number:  # the first writes bytecode files
                    kept[name][when].append(found)


def _part(_pythons: dict[str, str], results: dict[str, Any]) -> None:
    results["parts"] = _parts.measure()


def _price(_pythons: dict[str, str], results: dict[str, Any]) -> None:
    results["prices"] = _prices.measure()


_SECTIONS: dict[str, Callable[[dict[str, str], dict[str, Any]], None]] = {
    "counts": _count,
    "emits": _emit,
    "time": _time,
    "memory": _memory,
    "imports": _import,
    "parts": _part,
    "prices": _price,
}
