"""The SDKs: which are installed, what of them is instrumented, and which spans they make themselves."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .._config import Config
from .._recorder import Recorder
from ..drivers._versions import age, installed
from ..instrumentor import disabled, drivers
from ._report import Finding, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..drivers.stainless import StainlessDriver

__all__ = ["own_tracing", "sdks", "uncovered"]

_ELSEWHERE: Mapping[str, str] = {
    # Distributions that call models by other means than the SDKs that are instrumented.
    "ai21": "",
    "azure-ai-inference": "its own HTTP client; the openai SDK against the same host is covered",
    "boto3": "Bedrock's `converse` and `invoke_model`; AnthropicBedrock of the anthropic SDK is covered",
    "cohere": "",
    "google-genai": "",
    "google-generativeai": "",
    "huggingface-hub": "InferenceClient",
    "litellm": "calls of providers that it reaches without the openai or anthropic SDK",
    "mistralai": "",
    "ollama": "the openai SDK against the same server is covered",
    "voyageai": "",
    "xai-sdk": "gRPC; the openai SDK against the same host is covered",
}
_NATIVE = "OTEL_INSTRUMENTATION_LLM_ANTHROPIC_NATIVE"


def sdks() -> Section:
    """Each SDK that is installed: its version, and the seams that were found in it."""
    findings: list[Finding] = []
    data: list[dict[str, Any]] = []
    off = disabled()
    absent: list[str] = []
    for driver in drivers():
        provider = driver.provider
        found = installed(provider)
        if found is None:
            absent.append(provider.distribution)
            continue
        seams, error = _look(driver)
        known = {"oldest": provider.minimum, "newest": provider.tested}
        paths = [endpoint.path for endpoint in provider.endpoints]
        data.append(
            {
                "name": provider.name,
                "distribution": provider.distribution,
                "version": found,
                "known": known,
                "disabled": provider.name in off,
                "seams": seams,
                "paths": paths,
                "error": error,
            }
        )
        findings.append(_sdk(driver, found, seams, error, is_off=provider.name in off))
    if not data:
        findings.append(Finding("warning", "No SDK that otel-llm instruments is installed."))
    if absent:
        findings.append(Finding("note", f"Not installed: {', '.join(absent)}."))
    return Section("sdks", "SDKs", findings, data)


def _look(driver: StainlessDriver) -> tuple[dict[str, bool], str | None]:
    """The seams of an SDK, patched for the look if they are not; and why the SDK cannot be imported."""
    is_ours = driver.recorder is None
    if is_ours:
        driver.on(Recorder(Config()))
    try:
        importlib.import_module(driver.provider.module)
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is what is to be told
        return {}, f"{type(error).__name__}: {error}"
    else:
        return driver.seams(), None
    finally:
        if is_ours:
            driver.off()


def _sdk(
    driver: StainlessDriver, found: str, seams: Mapping[str, bool], error: str | None, *, is_off: bool
) -> Finding:
    name = f"{driver.provider.distribution} {found}"
    if error is not None:
        return Finding("problem", f"{name} cannot be imported: {error}")
    if is_off:
        return Finding("warning", f"{name} is switched off by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS.")
    missing = [seam for seam, patched in seams.items() if not patched]
    if any(seam.endswith("APIClient.request") for seam in missing):
        return Finding("problem", f"{name} is not instrumented: not found are {', '.join(missing)}.")
    if missing:
        return Finding("warning", f"{name} is instrumented in part: not found are {', '.join(missing)}.")
    years = age(driver.provider, found)
    if years:
        return Finding("note", f"{name} is instrumented, all {len(seams)} seams; it is {years}.")
    return Finding("ok", f"{name} is instrumented, all {len(seams)} seams.")


def own_tracing() -> Section:
    """The spans that SDKs make themselves, and what becomes of them."""
    findings: list[Finding] = []
    data: list[dict[str, Any]] = []
    for driver in drivers():
        if not driver.makes_spans():
            continue
        mode = Config.load().anthropic_native
        name = driver.provider.distribution
        told = os.environ.get("ANTHROPIC_OPEN_TELEMETRY")
        data.append({"sdk": name, "mode": mode, "environment": told})
        text = {
            "replace": "gets our span in place of its own: one span per call, ours.",
            "adopt": "keeps its own span, which gets what it lacks: one span per call, the SDK's.",
            "coexist": "keeps its own span beside ours: two spans per call.",
        }[mode]
        said = f"{name} makes spans itself. It {text}"
        if mode == "coexist":
            findings.append(Finding("warning", said, f"{_NATIVE}=replace makes it one."))
        else:
            findings.append(Finding("ok", said))
        if told is not None:
            findings.append(
                Finding("note", f"ANTHROPIC_OPEN_TELEMETRY={told} is set for the SDK's own tracing.")
            )
    if not findings:
        findings.append(Finding("ok", "No installed SDK makes spans itself."))
    return Section("own_tracing", "The SDKs' own tracing", findings, data)


def uncovered() -> Section:
    """What makes no span."""
    found = dict(_installed_of(_ELSEWHERE))
    findings = [
        Finding("note", f"{name} {found[name]} is not instrumented{f': {note}' if note else ''}.")
        for name, note in _ELSEWHERE.items()
        if name in found
    ]
    for driver in drivers():
        if installed(driver.provider) is not None:
            paths = ", ".join(endpoint.path for endpoint in driver.provider.endpoints)
            findings.append(
                Finding(
                    "note", f"{driver.provider.distribution}: covered are {paths}; other paths make no span."
                )
            )
    if not findings:
        findings.append(Finding("note", "No known SDK is installed."))
    return Section(
        "not_covered", "Not covered", findings, [{"distribution": n, "version": v} for n, v in found.items()]
    )


def _installed_of(distributions: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in distributions:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
