"""The quick mode: what this package adds per call and per chunk beside none and the floor, in counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._contenders import CONTENDERS
from ._count import OWNERS, Counts
from ._process import Process, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORT, LONG = 64, 192
"""Chunks of the two streams whose difference gives the cost of one.

They are 128 apart, four times the 32 gaps that are recorded at a time."""

CASES: dict[str, list[Any]] = {
    "openai call": ["openai", "call"],
    "openai call, all told": ["openai", "told"],
    "openai stream": ["openai", "stream", SHORT],
    "openai async call": ["openai", "call", 0, True],
    "openai async stream": ["openai", "stream", SHORT, True],
    "openai embeddings": ["openai", "embeddings", 1],
    "anthropic call": ["anthropic", "call"],
    "anthropic call, all told": ["anthropic", "told"],
    "anthropic stream": ["anthropic", "stream", SHORT],
    "anthropic async call": ["anthropic", "call", 0, True],
    "anthropic async stream": ["anthropic", "stream", SHORT, True],
    "anthropic 100 KB prompt": ["anthropic", "prompt"],
}
STATES = ("unsampled", "suppressed", "after uninstrument")
"""Measured on the calls of CASES named in `_STATE_CASES`."""
_STATE_CASES = ("openai call", "anthropic call")


@dataclass(slots=True)
class Measured:
    """What one contender costs: raw counts per case; those of a longer stream under its name + " long"."""

    counts: dict[str, Counts] = field(default_factory=dict)
    error: str = ""


def measure_all(pythons: dict[str, str], *, cases: Iterable[str] = tuple(CASES)) -> dict[str, Measured]:
    """All counts of the contenders, given by name and interpreter.

    Those that leave no trace when they are off share a process; the others have two of their own each.
    """
    found = {name: Measured() for name in pythons}
    shared = [name for name in pythons if not (CONTENDERS[name].requires or CONTENDERS[name].lasting)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_measure_in_turn, {name: found[name] for name in shared}, cases)]
        jobs += [
            pool.submit(_measure_alone, name, python, found[name], cases)
            for name, python in pythons.items()
            if name not in shared
        ]
        for job in jobs:
            job.result()
    return found


def _measure_in_turn(found: dict[str, Measured], cases: Iterable[str]) -> None:
    with Process("none") as process:
        for name, mine in found.items():
            process.ask("on", name=name)
            # That one differs from otel_llm in streams only.
            states = name != "otel_llm_no_chunks"
            _measure(process, mine, [case for case in cases if states or CASES[case][1] == "stream"])
            if states:
                _states(process, mine)
                process.ask("on", name=name, sampled=False)
                _state(process, mine, "unsampled")
            process.ask("off")


def _measure_alone(name: str, python: str, found: Measured, cases: Iterable[str]) -> None:
    """If the contender fails, `found.error` says why."""
    try:
        with Process(name, python=python) as process:
            _measure(process, found, cases)
            _states(process, found)
        with Process(name, python=python, sampled=False) as process:
            _state(process, found, "unsampled")
    except WorkerError as error:
        found.error = str(error)


def _measure(process: Process, found: Measured, cases: Iterable[str]) -> None:
    for case in cases:
        spec = CASES[case]
        found.counts[case] = process.ask("count", scenario=spec, repeat=1 if spec[1] == "stream" else 2)
        if spec[1] == "stream":
            found.counts[case + " long"] = process.ask("count", scenario=[*spec[:2], LONG, *spec[3:]])


def _states(process: Process, found: Measured) -> None:
    process.ask("suppress", on=True)
    _state(process, found, "suppressed")
    process.ask("suppress", on=False)
    process.ask("off")
    _state(process, found, "after uninstrument")


def _state(process: Process, found: Measured, state: str) -> None:
    for case in _STATE_CASES:
        found.counts[f"{case}, {state}"] = process.ask("count", scenario=CASES[case], repeat=2)


def added(measured: Measured, none: Measured, case: str) -> dict[str, dict[str, float]] | None:
    """Calls and opcodes above no instrumentation, by owner and "total"; per chunk for `case` + " chunk"."""
    per_chunk = case.endswith(" chunk")
    stem = case.removesuffix(" chunk")
    needed = [stem, stem + " long"] if per_chunk else [stem]
    if any(key not in measured.counts or key not in none.counts for key in needed):
        return None
    result: dict[str, dict[str, float]] = {}
    for what in ("calls", "opcodes"):
        row: dict[str, float] = {}
        for owner in OWNERS:
            more = [measured.counts[key][what][owner] - none.counts[key][what][owner] for key in needed]
            row[owner] = (more[1] - more[0]) / (LONG - SHORT) if per_chunk else more[0]
        row["total"] = sum(row.values())
        result[what] = row
    return result


def rows(none: Measured) -> list[str]:
    """The names that `added` understands: a stream has a line for itself and one per chunk."""
    names = []
    for case in none.counts:
        if not case.endswith(" long"):
            names.append(case)
        if case + " long" in none.counts:
            names.append(case + " chunk")
    return names


def table(found: dict[str, Measured]) -> str:
    """Plain text for a terminal: what each contender adds, by owner."""
    none = found["none"]
    lines = [f"{'':34}{'':20}{'calls':>8} {'opcodes':>9}   own / otel / sdk / stdlib / other (opcodes)"]
    for case in rows(none):
        for name, measured in found.items():
            if name == "none" or (more := added(measured, none, case)) is None:
                continue
            digits = 2 if case.endswith(" chunk") else 0
            calls, opcodes = more["calls"]["total"], more["opcodes"]["total"]
            by_owner = " / ".join(f"{more['opcodes'][owner]:.{digits}f}" for owner in OWNERS)
            own = more["calls"]["own"]
            lines.append(
                f"{case:33} {name:19} {calls:8.{digits}f} {opcodes:9.{digits}f}   {by_owner}"
                f"   (own calls {own:.{digits}f})"
            )
    lines.extend(f"{name}: {measured.error}" for name, measured in found.items() if measured.error)
    return "\n".join(lines)


def where(name: str, case: str, limit: int = 60) -> str:
    """The functions that `name` adds to a case, most bytecodes first."""
    spec = CASES[case]
    with Process("none") as process:
        before = process.ask("functions", scenario=spec)
    with Process(name) as process:
        after = process.ask("functions", scenario=spec)
    more = {
        key: (after["calls"][key] - before["calls"].get(key, 0), opcodes - before["opcodes"].get(key, 0))
        for key, opcodes in after["opcodes"].items()
    }
    lines = [f"{'calls':>7} {'opcodes':>8}   {name}, {case}, above none"]
    top = sorted((item for item in more.items() if any(item[1])), key=lambda item: -item[1][1])
    lines.extend(f"{calls:7} {opcodes:8}   {key}" for key, (calls, opcodes) in top[:limit])
    total = [sum(value[index] for value in more.values()) for index in (0, 1)]
    return "\n".join([*lines, f"{total[0]:7} {total[1]:8}   total"])
