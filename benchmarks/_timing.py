"""CPU time: rounds in which every contender takes its turn, each beside a sample without instrumentation."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._process import Process, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


def measure(
    timed: Timed, processes: dict[str, Process], names: Iterable[str], say: Callable[[str], None]
) -> Samples:
    """Take samples of the contenders `names`. Their order moves on by one every round.

    A contender whose process ends is left out, and taken out of `processes`.
    """
    none = processes["none"]
    options = {"together": bool(timed.together), "wait": 0.2 if timed.together else 0.0}

    def sample(process: Process, calls: int) -> dict[str, float]:
        found: dict[str, float] = process.ask("time", scenario=timed.scenario, calls=calls, **options)
        return found

    def attempt(name: str, calls: int) -> dict[str, float] | None:
        try:
            return sample(processes[name], calls)
        except WorkerError as error:
            say(str(error))
            processes.pop(name)
            return None

    names = [name for name in names if name != "none"]
    for name in ("none", *names):
        attempt(name, timed.together or timed.warm)
    calls = timed.together or max(1, round(SAMPLE / sample(none, 1)["cpu"]))
    samples: Samples = {key: [] for name in names for key in (name, f"none:{name}")}
    for number in range(timed.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if name in processes:
                before = sample(none, calls)
                if (mine := attempt(name, calls)) is not None:
                    samples[f"none:{name}"].append(before)
                    samples[name].append(mine)
    say(f"{timed.key}: {calls} calls a sample, {timed.rounds} rounds")
    return {key: found for key, found in samples.items() if key.removeprefix("none:") in processes}


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
