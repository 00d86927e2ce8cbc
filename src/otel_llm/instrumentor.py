"""The composition root: settings -> recorder -> drivers on and off.

`LLMInstrumentor` is for all providers; each provider has one of its own, which is also its entry point, so that
`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=anthropic` switches off just that.
All of them share one driver per SDK: an SDK that is on already is left as it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from ._config import Config
from ._features import switch_on
from ._recorder import Recorder
from .drivers.stainless import StainlessDriver
from .providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "AnthropicInstrumentor",
    "CerebrasInstrumentor",
    "FireworksInstrumentor",
    "GroqInstrumentor",
    "LLMInstrumentor",
    "LlamaInstrumentor",
    "OpenAIInstrumentor",
    "PerplexityInstrumentor",
    "SambaNovaInstrumentor",
    "TogetherInstrumentor",
    "WriterInstrumentor",
    "instrument_client",
    "uninstrument_client",
]

_DRIVERS = {provider.name: StainlessDriver(provider) for provider in PROVIDERS}
_PROVIDER_KEYWORDS = ("tracer_provider", "meter_provider", "logger_provider")


def drivers() -> Collection[StainlessDriver]:
    """The driver of each SDK that is known; for `otel-llm doctor`."""
    return _DRIVERS.values()


def disabled() -> set[str]:
    """The names in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`; `*` stands for every one of ours."""
    told = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    return told | _DRIVERS.keys() if "*" in told else told


def _recorder(keywords: dict[str, Any]) -> Recorder:
    providers = {name: keywords.pop(name, None) for name in _PROVIDER_KEYWORDS}
    return Recorder(Config.load(**keywords), **providers)


class _Use:
    """A recorder in use, with what it switched on."""

    def __init__(self, keywords: dict[str, Any]) -> None:
        self.recorder = _recorder(keywords)
        self.undo = switch_on(self.recorder)
        self.users = 0


_common: _Use | None = None
"""What every `instrument()` without keywords shares: `opentelemetry-instrument` makes one call per entry point."""


def _use(keywords: dict[str, Any]) -> _Use:
    """A recorder from the keywords of `instrument()` and the environment."""
    global _common  # noqa: PLW0603
    if keywords:
        use = _Use(keywords)
    else:
        use = _common = _common or _Use({})
    use.users += 1
    return use


def _leave(use: _Use) -> None:
    """Undo what was switched on, when nobody uses it any more."""
    global _common  # noqa: PLW0603
    use.users -= 1
    if use.users == 0:
        for undo in use.undo:
            undo()
        use.recorder.close()
        if use is _common:
            _common = None


class _Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """What all have in common; never made itself, since the base class keeps one instance per class it finds."""

    _names: tuple[str, ...] = ()

    def __init__(self) -> None:
        if not hasattr(self, "_on"):
            self._on: list[StainlessDriver] = []
            self._used: _Use | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: an SDK that is absent or of another version is no conflict, its hook waits."""
        return ()

    def _drivers(self) -> list[StainlessDriver]:
        return [_DRIVERS[name] for name in self._names]

    def _instrument(self, **kwargs: Any) -> None:
        self._used = use = _use(kwargs)
        for driver in self._drivers():
            if driver.recorder is None:
                driver.on(use.recorder)
                self._on.append(driver)

    def _uninstrument(self, **_: Any) -> None:
        for driver in self._on:
            driver.off()
        self._on.clear()
        if self._used is not None:
            _leave(self._used)
            self._used = None


class LLMInstrumentor(_Instrumentor):
    """Instruments every SDK that is known, imported or not.

    `instrument(tracer_provider=, meter_provider=, logger_provider=, ...)` takes OpenTelemetry's providers (default:
    the global ones) and every setting of docs/configuration.md as a keyword.
    It raises TypeError for an unknown keyword and ValueError for a bad value.
    Providers named in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` are left out.
    """

    def _drivers(self) -> list[StainlessDriver]:
        left_out = disabled()
        return [driver for name, driver in _DRIVERS.items() if name not in left_out]


class OpenAIInstrumentor(_Instrumentor):
    """Instruments the openai SDK."""

    _names = ("openai",)


class AnthropicInstrumentor(_Instrumentor):
    """Instruments the anthropic SDK."""

    _names = ("anthropic",)


class GroqInstrumentor(_Instrumentor):
    """Instruments the groq SDK."""

    _names = ("groq",)


class TogetherInstrumentor(_Instrumentor):
    """Instruments the together SDK."""

    _names = ("together",)


class CerebrasInstrumentor(_Instrumentor):
    """Instruments the cerebras-cloud-sdk."""

    _names = ("cerebras",)


class PerplexityInstrumentor(_Instrumentor):
    """Instruments the perplexityai SDK."""

    _names = ("perplexity",)


class FireworksInstrumentor(_Instrumentor):
    """Instruments the fireworks-ai SDK."""

    _names = ("fireworks",)


class WriterInstrumentor(_Instrumentor):
    """Instruments the writer-sdk."""

    _names = ("writer",)


class SambaNovaInstrumentor(_Instrumentor):
    """Instruments the sambanova SDK."""

    _names = ("sambanova",)


class LlamaInstrumentor(_Instrumentor):
    """Instruments the llama-api-client."""

    _names = ("llama",)


def instrument_client(client: Any, **keywords: Any) -> None:
    """Record the calls of one client with settings and OpenTelemetry providers of its own.

    `keywords` are those of `LLMInstrumentor.instrument`, but for cost, log, reports and live view, which are of the
    whole process.
    They hold for copies of the client too (`with_options`), unless these have other credentials.
    The client's SDK is instrumented if it is not yet, but only for clients that were given to this function.
    Raises TypeError for an object that is no client of a known SDK.
    """
    _driver_of(client).record_only(client, _recorder(keywords))


def uninstrument_client(client: Any) -> None:
    """Undo `instrument_client`."""
    _driver_of(client).record_only(client, None)


def _driver_of(client: Any) -> StainlessDriver:
    for cls in type(client).__mro__:
        for driver in _DRIVERS.values():
            if f"{cls.__module__}.".startswith(f"{driver.provider.module}."):
                return driver
    known = ", ".join(driver.provider.module for driver in _DRIVERS.values())
    raise TypeError(f"{type(client).__name__} is no client of a known SDK ({known})")
