"""otel-llm's own settings: whether they can be read, and where content goes by them."""

from __future__ import annotations

import logging
import os
from dataclasses import fields
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from .._config import Config
from ._report import Finding, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._exporters import Export

__all__ = ["content", "settings"]

_PREFIX = "OTEL_INSTRUMENTATION_LLM_"
_HOOKS = "opentelemetry_genai_completion_hook"


class _Said(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.texts.append(record.getMessage())


def _load() -> tuple[Config, list[str]]:
    """The settings of the environment, and what was said about them."""
    log, said = logging.getLogger("otel_llm"), _Said()
    propagate, log.propagate = log.propagate, False
    log.addHandler(said)
    try:
        return Config.load(), said.texts
    finally:
        log.removeHandler(said)
        log.propagate = propagate


def settings() -> Section:
    """What the environment sets, and what of it cannot be used."""
    config, said = _load()
    table = {item.metadata["env"]: item.name for item in fields(config) if item.metadata["env"]}
    findings = [Finding("warning", text) for text in said]
    findings += [
        Finding("warning", f"{variable} is no setting.", "docs/configuration.md has all of them.")
        for variable in sorted(os.environ)
        if variable.startswith(_PREFIX) and variable not in table
    ]
    told = {
        variable: "set" if name == "live_token" else str(getattr(config, name))
        for variable, name in table.items()
        if os.environ.get(variable)
    }
    findings += [Finding("note", f"{variable} is {value}.") for variable, value in told.items()]
    if not findings:
        findings.append(Finding("ok", "All settings are the defaults."))
    return Section("settings", "Settings of otel-llm", findings, told)


def content(found: Sequence[Export]) -> Section:
    """Whether prompts and answers are recorded, and where they go then."""
    config, _ = _load()
    mode = "no_content" if config.content_off else config.capture_content
    goes: list[dict[str, Any]] = []
    findings: list[Finding] = []
    if mode == "no_content":
        why = " (OTEL_INSTRUMENTATION_LLM_CONTENT_OFF)" if config.content_off else ""
        findings.append(Finding("ok", f"Prompts and answers are not recorded{why}."))
    if mode in ("span_only", "span_and_event"):
        findings.append(_goes("spans", "traces", found, goes))
    if mode in ("event_only", "span_and_event"):
        findings.append(_goes("events", "logs", found, goes))
    if config.completion_hook is not None:
        findings.extend(_hook(config.completion_hook))
    data = {"mode": mode, "goes_to": goes, "completion_hook": config.completion_hook}
    return Section("content", "Content", findings, data)


def _goes(where: str, signal: str, found: Sequence[Export], goes: list[dict[str, Any]]) -> Finding:
    exports = [export for export in found if export.signal == signal]
    goes += [{"on": where, "exporter": export.exporter, "endpoint": export.endpoint} for export in exports]
    if not exports:
        return Finding(
            "warning",
            f"Prompts and answers are put on {where}, and there is no exporter of {signal}.",
            f"Set OTEL_{signal.upper()}_EXPORTER=otlp.",
        )
    targets = ", ".join(export.endpoint or export.exporter for export in exports)
    return Finding("note", f"Prompts and answers are put on {where} and go to {targets}.")


def _hook(name: str) -> Iterator[Finding]:
    if any(True for _ in entry_points(group=_HOOKS, name=name)):
        yield Finding("note", f"Prompts and answers are handed to the completion hook {name} too.")
    else:
        yield Finding("problem", f"There is no completion hook {name} in the entry points {_HOOKS}.")
