"""The versions of the GenAI conventions that can be emitted, and our own names beside them.

`names` has the strings, `v1_41` and `latest` the tables and instruments of a version, `own` what is ours.
docs/telemetry.md is generated from them: `python -m otel_llm.semconv`.
"""

from __future__ import annotations

from . import latest, own, v1_41
from ._types import Attribute, Convention, Event, Instrument, SpanForm

__all__ = ["GROUPS", "Attribute", "Convention", "Event", "Instrument", "SpanForm", "chosen", "groups"]

GROUPS = frozenset(item.group for item in (*v1_41.INSTRUMENTS, *latest.INSTRUMENTS, *own.INSTRUMENTS))
"""What switches metrics on and off: the values of `Instrument.group`."""

_PRESETS = {
    "all": GROUPS,
    "basic": frozenset({"duration"}),
    "cost": frozenset({"cost", "tokens"}),
    "off": frozenset[str](),
}


def chosen(setting: str) -> tuple[Convention, ...]:
    """The conventions that `1.41`, `latest` or `both` emits; the second of `both` only adds to the first.

    Only `1.41` has a released schema: the others claim none.
    `OTEL_SEMCONV_STABILITY_OPT_IN` is not read: it never selects unreleased names.
    """
    if setting == "both":
        return (v1_41.CONVENTION._replace(schema_url=None), latest.BESIDE_1_41)
    return (v1_41.CONVENTION,) if setting == "1.41" else (latest.CONVENTION,)


_PER_CHUNK = {"off": frozenset({"chunks", "sizes"}), "gaps": frozenset({"sizes"}), "all": frozenset[str]()}


def groups(metrics: str, *, chunk_metrics: str = "gaps") -> frozenset[str]:
    """The groups of instruments that the preset `metrics` (`all`, `basic`, `cost`, `off`) switches on.

    `chunk_metrics` (`off`, `gaps`, `all`) is for those that record at every chunk.
    """
    return _PRESETS[metrics] - _PER_CHUNK[chunk_metrics]
