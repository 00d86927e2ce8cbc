"""What the project promises of its own cost, and whether a run met it; a test holds the counts too."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from . import _counts, _parts
from ._timing import added, ratio

CALLS, OPCODES = 300, 6500
CHUNK_CALLS, CHUNK_OPCODES = 4, 120
CHUNK_CALLS_METRICS = 45
UNSAMPLED_CALLS, SUPPRESSED_CALLS = 200, 8
CPU_OF_FLOOR = 1.25
IMPORT_MS = 30.0
CAPTURE_RATIO = 1.6
PARTS_US = {
    _parts.NO_HANDLER: 0.3,
    _parts.ONE_HANDLER: 5.0,
    _parts.OPTIONS: 2.0,
    **{_parts.log_name(size): 20.0 for size in _parts.LOG_SIZES},
}

_WHO = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table; `found` names OpenAI's figure, then Anthropic's, where both were measured."""

    what: str
    limit: str
    found: str
    met: bool | None
    """None where nothing is promised."""


def targets(results: dict[str, Any]) -> list[Target]:
    """All targets that a full run can judge."""
    return [*_of_counts(results), *_of_times(results), *_of_memory(results), *_of_parts(results)]


def _at_most(what: str, limit: float, values: list[float], digits: int = 0, unit: str = "") -> Target:
    found = " / ".join(f"{value:,.{digits}f}" for value in values)
    return Target(
        what, f"≤ {limit:,g}{unit}", found + unit, max(round(value, digits) for value in values) <= limit
    )


def _told(what: str, values: list[float]) -> Target:
    """A figure to know, without a promise."""
    return Target(what, "", " / ".join(f"{value:,.0f}" for value in values), None)


def _of_counts(results: dict[str, Any]) -> list[Target]:
    none = _counts.Measured(results["counts"]["none"])

    def more(name: str, what: str, case: str) -> list[float]:
        mine = _counts.Measured(results["counts"][name])
        found = [_counts.added(mine, none, f"{who} {case}") for who in _WHO]
        return [each[what]["total"] for each in found if each is not None]

    bare, whole = "otel_llm_no_chunks", "otel_llm"
    growth = [
        a - b
        for a, b in zip(more(whole, "calls", "100 KB prompt"), more(whole, "calls", "call")[1:], strict=True)
    ]
    return [
        _at_most("function calls added per call", CALLS, more(whole, "calls", "call")),
        _at_most("bytecodes added per call", OPCODES, more(whole, "opcodes", "call")),
        _told("function calls, for an answer that tells everything", more(whole, "calls", "call, all told")),
        _told("bytecodes, for such an answer", more(whole, "opcodes", "call, all told")),
        _at_most("function calls more for a prompt of 100 KB; a new bucket takes up to 3", 3, growth),
        _at_most(
            "function calls per chunk, no per-chunk histogram",
            CHUNK_CALLS,
            more(bare, "calls", "stream chunk"),
            1,
        ),
        _at_most(
            "bytecodes per chunk, no per-chunk histogram",
            CHUNK_OPCODES,
            more(bare, "opcodes", "stream chunk"),
            1,
        ),
        _at_most(
            "function calls per chunk, with it", CHUNK_CALLS_METRICS, more(whole, "calls", "stream chunk"), 1
        ),
        _at_most("function calls added, unsampled", UNSAMPLED_CALLS, more(whole, "calls", "call, unsampled")),
        _at_most(
            "function calls added, suppressed", SUPPRESSED_CALLS, more(whole, "calls", "call, suppressed")
        ),
        _at_most(
            "function calls added after `uninstrument()`", 0, more(whole, "calls", "call, after uninstrument")
        ),
    ]


def _of_times(results: dict[str, Any]) -> list[Target]:
    times = results["time"]["default"]
    of_floor = []
    for who in _WHO:
        samples = times[f"{who} call"]
        of_floor.append(added(samples, "otel_llm").median / added(samples, "floor").median)
    captured = [ratio(results["time"]["capture"][f"{who} prompt"], "otel_llm").median for who in _WHO]
    embeddings = [ratio(times["openai embeddings 2048"], "otel_llm").median]
    loading = [statistics.median(run["ms"] for run in results["imports"]["otel_llm"]["after"])]
    pulled = [float(run["sdk_modules"]) for run in results["imports"]["otel_llm"]["before"][:1]]
    return [
        _at_most("CPU time added per call, as a multiple of the floor's", CPU_OF_FLOOR, of_floor, 2),
        _at_most("100 KB prompt captured, as a multiple of the bare call", CAPTURE_RATIO, captured, 2),
        _at_most("2,048 embeddings, as a multiple of the bare call", 1.05, embeddings, 2),
        _at_most("import and `instrument()`", IMPORT_MS, loading, 1, " ms"),
        _at_most("modules of SDKs imported by `instrument()`", 0, pulled),
    ]


def _of_memory(results: dict[str, Any]) -> list[Target]:
    mine, none = results["memory"]["otel_llm"], results["memory"]["none"]
    growth = [mine[who]["chunk"] - none[who]["chunk"] for who in _WHO]
    # The floor keeps nothing and is found to grow by up to one byte: what else a process does meanwhile.
    return [_at_most("bytes kept per chunk of an open stream", 1, growth)]


def _of_parts(results: dict[str, Any]) -> list[Target]:
    found = results["parts"]
    return [_at_most(name, limit, [found[name][0]], 2, " µs") for name, limit in PARTS_US.items()]
