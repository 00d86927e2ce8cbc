"""Deterministic cost: Python function calls and bytecodes executed, by the package they belong to.

A call is a `call` event of `sys.settrace` (a function entered, a generator resumed).
A bytecode is one of its `opcode` events.
They depend on the Python version and on the versions of the packages, on nothing else.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

OWNERS = ("own", "otel", "sdk", "stdlib", "other")
"""The instrumentation itself; OpenTelemetry's API and SDK; the provider SDKs and what they stand on; ..."""

_SDK = (
    "openai",
    "anthropic",
    "httpx2",
    "httpcore2",
    "pydantic",
    "pydantic_core",
    "anyio",
    "h11",
    "jiter",
    "typing_extensions",
)
_HARNESS = ("benchmarks._transport", "benchmarks._scenarios", "benchmarks._count", "benchmarks._worker")


class Owners:
    """Which of OWNERS a code object's file belongs to."""

    def __init__(self, own: Iterable[str]) -> None:
        self._own = tuple(own)
        self._known: dict[str, str] = {}
        paths = sysconfig.get_paths()
        self._roots = sorted(
            {paths["purelib"], paths["platlib"], *sys.path} - {"", paths["stdlib"]}, key=len
        )[::-1]
        self._stdlib = paths["stdlib"]

    def of(self, filename: str) -> str:
        owner = self._known.get(filename)
        if owner is None:
            owner = self._known[filename] = self._decide(filename)
        return owner

    def _decide(self, filename: str) -> str:
        for root in self._roots:
            if filename.startswith(root + "/") and not (
                root in self._stdlib and "site-packages" not in filename
            ):
                module = ".".join(PurePath(filename[len(root) + 1 :]).with_suffix("").parts)
                return self._module(module)
        return "stdlib" if filename.startswith((self._stdlib, "<frozen")) else "other"

    def _module(self, module: str) -> str:
        def within(packages: Iterable[str]) -> bool:
            return any(module == package or module.startswith(package + ".") for package in packages)

        if within(_HARNESS):
            return "other"
        if within(self._own):
            return "own"
        if within(("opentelemetry",)):
            return "otel"
        return "sdk" if within(_SDK) else "other"


Counts = dict[str, dict[str, int]]
"""`{"calls": {key: n}, "opcodes": {key: n}}`, keyed by owner or by function."""


def count(action: Callable[[], object], owners: Owners, *, repeat: int = 1) -> Counts:
    """What one `action` takes, by owner: of `repeat` runs the least.

    Runs differ by little if at all: the first duration in a histogram's bucket makes its exemplars.
    """
    for _ in range(3):
        action()
    runs = [_once(action, lambda frame: owners.of(_file(frame))) for _ in range(repeat)]
    least = min(runs, key=lambda run: sum(run["opcodes"].values()))
    return {what: {owner: least[what].get(owner, 0) for owner in OWNERS} for what in least}


def count_functions(action: Callable[[], object], owners: Owners) -> Counts:
    """What one `action` takes, by `owner file:function`."""
    for _ in range(3):
        action()

    def key(frame: FrameType) -> str:
        file = _file(frame)
        return f"{owners.of(file)} {'/'.join(PurePath(file).parts[-2:])}:{frame.f_code.co_qualname}"

    return _once(action, key)


def _file(frame: FrameType) -> str:
    """Where the code is; made-up code, such as a dataclass's `__init__`, is its caller's."""
    while frame.f_code.co_filename == "<string>" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename


def _once(action: Callable[[], object], key_of: Callable[[FrameType], str]) -> Counts:
    calls: dict[str, int] = {}
    opcodes: dict[str, int] = {}
    tracers: dict[str, Callable[..., Any]] = {}

    def tracer(key: str) -> Callable[..., Any]:
        calls[key] = opcodes[key] = 0

        def local(_frame: FrameType, event: str, _argument: object) -> Any:
            if event == "opcode":
                opcodes[key] += 1
            return local

        tracers[key] = local
        return local

    def enter(frame: FrameType, _event: str, _argument: object) -> Any:
        key = key_of(frame)
        local = tracers.get(key) or tracer(key)
        calls[key] += 1
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return local

    gc.collect()
    gc.disable()
    previous = sys.gettrace()
    sys.settrace(enter)
    try:
        action()
    finally:
        sys.settrace(previous)
        gc.enable()
    return {"calls": calls, "opcodes": opcodes}
