"""CPU time: rounds in which every contender takes its turn, each beside a sample without instrumentation."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._process import Process

SAMPLE = 0.05
"""Seconds of CPU that one sample should last; a call that takes longer is a sample by itself."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One measurement: a scenario, in how many rounds, and what else the worker is told."""

    scenario: list[Any]
    rounds: int = 15
    together: int = 0
    """So many async calls at once, each kept waiting for a while by the server; 0: one after the other."""

    @property
    def warm(self) -> int:
        """Calls before the first sample: a stream warms what it needs by itself."""
        return 1 if self.scenario[1] in {"stream", "embeddings"} else 5

    @property
    def key(self) -> str:
        provider, kind, size, asynchronous = [*self.scenario, *[0, False][len(self.scenario) - 2 :]]
        words = [provider, "async" if asynchronous else "", f"{kind} {size}" if size else kind]
        if self.together:
            words.append(f"{self.together} at once")
        return " ".join(word for word in words if word)


Samples = dict[str, list[dict[str, float]]]
"""Per contender, one sample a round; `none:NAME` are those taken just before NAME's."""


def measure(timed: Timed, processes: dict[str, Process], say: Callable[[str], None]) -> Samples:
    """Take the samples. The order of the contenders moves on by one every round."""
    none = processes["none"]
    settings = {"scenario": timed.scenario, "together": bool(timed.together)}
    if timed.together:
        settings["wait"] = 0.2

    def sample(process: Process, calls: int) -> dict[str, float]:
        found: dict[str, float] = process.ask("time", calls=calls, **settings)
        return found

    for process in processes.values():
        sample(process, timed.together or timed.warm)
    calls = timed.together or max(1, round(SAMPLE / sample(none, 1)["cpu"]))
    names = [name for name in processes if name != "none"]
    samples: Samples = {name: [] for name in names} | {f"none:{name}": [] for name in names}
    for number in range(timed.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            samples[f"none:{name}"].append(sample(none, calls))
            samples[name].append(sample(processes[name], calls))
    say(f"{timed.key}: {calls} calls a sample, {timed.rounds} rounds")
    return samples


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with the quartiles of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Figure:
        if len(values) < 3:
            return cls(statistics.median(values), min(values), max(values))
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)


def added(samples: Samples, name: str, what: str = "cpu") -> Figure:
    """Seconds added per call: round by round, what came on top of the sample without instrumentation."""
    pairs = zip(samples[name], samples[f"none:{name}"], strict=True)
    return Figure.of([mine[what] - none[what] for mine, none in pairs])


def ratio(samples: Samples, name: str, what: str = "cpu") -> Figure:
    """Times the call without instrumentation."""
    pairs = zip(samples[name], samples[f"none:{name}"], strict=True)
    return Figure.of([mine[what] / none[what] for mine, none in pairs])


def bare(samples: Samples, what: str = "cpu") -> Figure:
    """Seconds of the call without instrumentation, over all samples of it."""
    return Figure.of(
        [each[what] for key, found in samples.items() if key.startswith("none:") for each in found]
    )
