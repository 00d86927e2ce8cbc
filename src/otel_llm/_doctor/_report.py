"""What was found: a section per subject, each with lines to read and data for a program."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Finding", "Level", "Section", "as_data", "as_text", "failed"]

Level = Literal["ok", "note", "warning", "problem"]
"""`problem`: telemetry will be missing; `warning`: it may not be what is expected."""

_WIDTH = 100
_INDENT = " " * 11


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing that was found."""

    level: Level
    text: str
    advice: str = ""
    """What to do about it."""


@dataclass(slots=True, frozen=True)
class Section:
    """The findings on one subject."""

    name: str
    """The key of `data` in the JSON."""
    title: str
    findings: Sequence[Finding]
    data: Any
    """What can be said in JSON about the subject."""


def failed(sections: Sequence[Section]) -> bool:
    """Whether something is wrong."""
    return any(finding.level == "problem" for section in sections for finding in section.findings)


def as_text(sections: Sequence[Section]) -> str:
    """The report to read."""
    return "\n".join(line for section in sections for line in _lines(section)) + f"\n{_summary(sections)}\n"


def _lines(section: Section) -> Iterator[str]:
    yield section.title
    for finding in section.findings:
        first = f"  {finding.level:<9}"
        yield _filled(finding.text, first, _INDENT)
        if finding.advice:
            yield _filled(finding.advice, f"{_INDENT}> ", f"{_INDENT}  ")
    yield ""


def _filled(text: str, first: str, later: str) -> str:
    """Lines of `text` in which no name or address is broken."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _summary(sections: Sequence[Section]) -> str:
    levels = [finding.level for section in sections for finding in section.findings]
    problems, warnings = levels.count("problem"), levels.count("warning")
    if not problems and not warnings:
        return "Nothing is wrong."
    return f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def as_data(sections: Sequence[Section]) -> dict[str, Any]:
    """The report as what `json.dumps` takes: the data of each section, and all findings."""
    return {
        **{section.name: section.data for section in sections},
        "findings": [
            {"section": section.name, "level": finding.level, "text": finding.text, "advice": finding.advice}
            for section in sections
            for finding in section.findings
        ],
    }
