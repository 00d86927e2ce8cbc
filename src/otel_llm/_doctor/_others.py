"""Other packages that make spans of the same calls."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

from ..instrumentor import disabled, drivers
from ._report import Finding, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import EntryPoint

__all__ = ["others"]

_ON_DEMAND: Mapping[str, str] = {
    # Distribution -> what a program calls, or how else it comes on, to have the same calls traced by it.
    "agentops": "agentops.init()",
    "braintrust": "wrap_openai()",
    "ddtrace": "ddtrace-run or ddtrace.patch()",
    "langfuse": "langfuse.openai",
    "langsmith": "wrap_openai()",
    "logfire": "logfire.instrument_openai() or instrument_anthropic()",
    "mlflow": "mlflow.openai.autolog()",
    "newrelic": "newrelic-admin",
    "openlit": "openlit.init()",
    "sentry-sdk": "sentry_sdk.init(), which finds the openai and anthropic SDKs by itself",
    "traceloop-sdk": "Traceloop.init()",
    "weave": "weave.init()",
}


def others() -> Section:
    """What `opentelemetry-instrument` loads for our SDKs too, and what a program can have trace them."""
    findings: list[Finding] = []
    data: list[dict[str, str | bool]] = []
    off = disabled()
    ours = {driver.provider.name for driver in drivers()} | {"otel_llm"}
    for point in _doubling():
        package = point.dist.name if point.dist is not None else point.value
        data.append(
            {"package": package, "name": point.name, "value": point.value, "disabled": point.name in off}
        )
        findings.append(_finding(point.name, package, is_off=point.name in off, is_ours=point.name in ours))
    for package, how in _ON_DEMAND.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            continue
        data.append({"package": package, "name": "", "value": how, "disabled": False})
        findings.append(
            Finding("note", f"{package} {found} can trace the same calls, by {how}: two spans per call.")
        )
    if not findings:
        findings.append(Finding("ok", "No other package that is installed makes spans of the same calls."))
    return Section("other_instrumentation", "Other instrumentation", findings, data)


def _doubling() -> Iterator[EntryPoint]:
    words = {driver.provider.name for driver in drivers()}
    for point in entry_points(group="opentelemetry_instrumentor"):
        if point.value.startswith("otel_llm."):
            continue
        package = point.dist.name if point.dist is not None else ""
        if words & set(re.split(r"[^a-z]+", f"{point.name} {package}".lower())):
            yield point


def _finding(name: str, package: str, *, is_off: bool, is_ours: bool) -> Finding:
    if is_off and is_ours:
        return Finding(
            "warning",
            f"{package} is switched off, and so is our instrumentation, which has the same name {name}.",
            f"Uninstall {package}, and take {name} out of OTEL_PYTHON_DISABLED_INSTRUMENTATIONS.",
        )
    if is_off:
        return Finding("ok", f"{package} is switched off.")
    switch = "" if is_ours else f", or set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={name}"
    return Finding(
        "warning",
        f"{package} instruments the same SDK: calls may have two spans, or its span in place of ours.",
        f"Run one of the two: uninstall {package}{switch}.",
    )
