"""Who is measured, what to install for it, and how it is switched on and off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """What a contender is switched on with."""

    tracer_provider: Any
    meter_provider: Any
    capture: bool


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to instrument, in a process of its own."""

    name: str
    on: Callable[[Setting], Callable[[], None]]
    """Switches it on; returns what switches it off."""
    requires: tuple[str, ...] = ()
    """Distributions for its own virtual environment; none: it runs in the environment of this checkout."""
    packages: tuple[str, ...] = ()
    """The import packages whose code counts as the instrumentation's own."""
    capture_off: Mapping[str, str] = field(default_factory=dict)
    """Environment with which it keeps content out."""
    capture_on: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = False
    """Whether a process in which it was on is not as it was before when it is off."""
    note: str = ""


def _nothing() -> None:
    """What there is to undo where nothing was done."""


def _none(_setting: Setting) -> Callable[[], None]:
    return _nothing


def _floor(setting: Setting) -> Callable[[], None]:
    from . import _floor

    return _floor.instrument(setting.tracer_provider, setting.meter_provider)


def _floor_tpoc(setting: Setting) -> Callable[[], None]:
    from . import _floor

    return _floor.instrument(setting.tracer_provider, setting.meter_provider, per_chunk=True)


def _ours(setting: Setting, **options: Any) -> Callable[[], None]:
    from otel_llm.instrumentor import LLMInstrumentor

    instrumentor = LLMInstrumentor()
    if setting.capture:
        options["capture_content"] = "span_only"
    instrumentor.instrument(
        tracer_provider=setting.tracer_provider, meter_provider=setting.meter_provider, **options
    )
    return instrumentor.uninstrument


def _ours_no_chunks(setting: Setting) -> Callable[[], None]:
    return _ours(setting, chunk_metrics=False)


def _standard(*paths: str) -> Callable[[Setting], Callable[[], None]]:
    """Packages that follow the BaseInstrumentor interface: `module:class` each."""

    def on(setting: Setting) -> Callable[[], None]:
        from importlib import import_module

        made = []
        for path in paths:
            module, _, name = path.partition(":")
            instrumentor = getattr(import_module(module), name)()
            instrumentor.instrument(
                tracer_provider=setting.tracer_provider,
                meter_provider=setting.meter_provider,
                skip_dep_check=True,
            )
            made.append(instrumentor)

        def off() -> None:
            for instrumentor in made:
                instrumentor.uninstrument()

        return off

    return on


def _logfire(setting: Setting) -> Callable[[], None]:
    """Logfire makes its own providers; it is given the span processors and the sampler of ours."""
    import logfire
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    logfire.configure(
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        additional_span_processors=list(setting.tracer_provider._active_span_processor._span_processors),
        metrics=logfire.MetricsOptions(additional_readers=[InMemoryMetricReader()]),
        sampling=logfire.SamplingOptions(head=setting.tracer_provider.sampler),
    )
    managers = [logfire.instrument_openai(), logfire.instrument_anthropic()]

    def off() -> None:
        for manager in managers:
            with manager:  # whose end takes the instrumentation off
                pass

    return off


def _native(setting: Setting) -> Callable[[], None]:
    """The spans that the anthropic SDK makes itself as soon as there is a global tracer provider."""
    from opentelemetry import trace

    trace.set_tracer_provider(setting.tracer_provider)
    return _nothing


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("none", _none),
        Contender("floor", _floor, packages=("benchmarks",)),
        Contender(
            "floor_tpoc", _floor_tpoc, packages=("benchmarks",), note="the floor with the per-chunk histogram"
        ),
        Contender("otel_llm", _ours, packages=("otel_llm",)),
        Contender(
            "otel_llm_no_chunks",
            _ours_no_chunks,
            packages=("otel_llm",),
            note="otel_llm with chunk_metrics=False: no per-chunk histograms",
        ),
        Contender(
            "otel_official",
            _standard(
                "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
                "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor",
            ),
            requires=(
                "opentelemetry-instrumentation-genai-openai",
                "opentelemetry-instrumentation-genai-anthropic",
            ),
            packages=("opentelemetry.instrumentation.genai", "opentelemetry.util.genai"),
            capture_on={"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"},
            capture_off={"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"},
        ),
        Contender(
            "openllmetry",
            _standard(
                "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
                "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
            ),
            requires=("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
            packages=("opentelemetry.instrumentation.openai", "opentelemetry.instrumentation.anthropic"),
            capture_on={"TRACELOOP_TRACE_CONTENT": "true"},
            capture_off={"TRACELOOP_TRACE_CONTENT": "false"},
        ),
        Contender(
            "openinference",
            _standard(
                "openinference.instrumentation.openai:OpenAIInstrumentor",
                "openinference.instrumentation.anthropic:AnthropicInstrumentor",
            ),
            requires=("openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
            packages=("openinference",),
            capture_off={
                "OPENINFERENCE_HIDE_INPUTS": "true",
                "OPENINFERENCE_HIDE_OUTPUTS": "true",
                "OPENINFERENCE_HIDE_EMBEDDINGS_VECTORS": "true",
                "OPENINFERENCE_HIDE_EMBEDDINGS_TEXT": "true",
            },
            note="records no metrics",
        ),
        Contender(
            "logfire",
            _logfire,
            requires=("logfire",),
            packages=("logfire", "logfire_api"),
            note="records no metrics for these calls; has no switch that keeps content out",
        ),
        Contender(
            "anthropic_native",
            _native,
            lasting=True,
            note="the spans the anthropic SDK makes itself; no metrics",
        ),
    )
}
