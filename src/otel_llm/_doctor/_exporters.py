"""Where telemetry goes: OpenTelemetry's own variables, read as its Python SDK (1.45) reads them.

Pure functions of an environment; `_probe` talks to what is found here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from ._report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SIGNALS", "Export", "exports", "general", "misfits"]

Signal = Literal["traces", "metrics", "logs"]
Protocol = Literal["grpc", "http/protobuf"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_PROTOCOLS: Mapping[str, Protocol] = {"otlp_proto_grpc": "grpc", "otlp_proto_http": "http/protobuf"}
_HTTP_PORT, _GRPC_PORT = 4318, 4317


@dataclass(slots=True, frozen=True, kw_only=True)
class Export:
    """One exporter of one signal."""

    signal: Signal
    exporter: str
    """The name of its entry point."""
    protocol: Protocol | None = None
    """Of OTLP; None for others."""
    endpoint: str | None = None
    """Of OTLP: where it sends to, with the path, without a user and a password."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    certificate: str | None = None
    installed: bool = True
    error: str | None = None
    """Why the SDK will refuse it."""


def exports(environ: Mapping[str, str], *, distro: bool) -> list[Export]:
    """The exporters of all signals; OTLP is the default where opentelemetry-distro is there (`distro`)."""
    return [
        _export(environ, signal, name)
        for signal in SIGNALS
        for name in _names(environ.get(f"OTEL_{signal.upper()}_EXPORTER", ""), distro=distro)
    ]


def _names(told: str, *, distro: bool) -> list[str]:
    if not told.strip():
        return ["otlp"] if distro else []
    return [] if told.strip().lower() == "none" else [name.strip() for name in told.split(",")]


def _of(environ: Mapping[str, str], signal: Signal, what: str) -> str:
    """A variable of the exporter: that of the signal, else that of all."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", "")
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{what}", "")


def _export(environ: Mapping[str, str], signal: Signal, name: str) -> Export:
    if name == "otlp":
        told = _of(environ, signal, "PROTOCOL").strip() or "grpc"
        name = next((entry for entry, protocol in _PROTOCOLS.items() if protocol == told), "")
        if not name:
            return Export(signal=signal, exporter="otlp", error=f"the protocol {told!r} is not supported")
    is_there = bool(entry_points(group=f"opentelemetry_{signal}_exporter", name=name))
    protocol = _PROTOCOLS.get(name)
    if protocol is None:
        return Export(signal=signal, exporter=name, installed=is_there)
    endpoint, login = _without_login(_endpoint(environ, signal, protocol))
    headers = _headers(_of(environ, signal, "HEADERS"))
    if login and protocol == "http/protobuf":
        headers["authorization"] = "Basic " + b64encode(unquote(login).encode()).decode()
    return Export(
        signal=signal,
        exporter=name,
        protocol=protocol,
        endpoint=endpoint,
        headers=headers,
        certificate=_of(environ, signal, "CERTIFICATE") or None,
        installed=is_there,
        error="gRPC takes no user and password in an endpoint" if login and protocol == "grpc" else None,
    )


def _without_login(url: str) -> tuple[str, str]:
    """An address that can be shown, and the `user:password` that was in it."""
    found = re.match(r"(\w+://)?([^/?#]*)@", url)
    return (url, "") if found is None else ((found[1] or "") + url[found.end() :], found[2])


def _endpoint(environ: Mapping[str, str], signal: Signal, protocol: Protocol) -> str:
    if protocol == "grpc":
        return _of(environ, signal, "ENDPOINT") or f"http://localhost:{_GRPC_PORT}"
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    if own:
        return own
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or f"http://localhost:{_HTTP_PORT}"
    return f"{base.removesuffix('/')}/v1/{signal}"


def _headers(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip().lower(): unquote(value.strip()) for name, equals, value in pairs if equals}


def general(environ: Mapping[str, str], found: list[Export], *, sdk: bool, distro: bool) -> Iterator[Finding]:
    """What can be said without looking at a single exporter."""
    if not sdk:
        yield Finding(
            "problem",
            "The OpenTelemetry SDK is not installed: nothing is recorded.",
            'pip install "otel-llm[otlp]"',
        )
    elif not distro:
        yield Finding(
            "warning",
            "opentelemetry-distro is not installed: opentelemetry-instrument sets up no exporter by itself.",
            'pip install "otel-llm[otlp]"',
        )
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Finding("problem", "OTEL_SDK_DISABLED=true: nothing is recorded.")
    if environ.get("OTEL_CONFIG_FILE"):
        yield Finding("note", "OTEL_CONFIG_FILE is set: it decides, and the variables below do not count.")
    elif not any(export.signal == "traces" for export in found):
        yield Finding(
            "problem", "There is no exporter of traces: spans go nowhere.", "Set OTEL_TRACES_EXPORTER=otlp."
        )
    sampler = environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler.endswith("always_off") or environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() in ("0", "0.0"):
        yield Finding("warning", f"The sampler {sampler} drops every new trace; metrics and hooks go on.")
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        yield Finding(
            "warning", "The program has no name: backends show unknown_service.", "Set OTEL_SERVICE_NAME."
        )


def misfits(export: Export) -> Iterator[Finding]:
    """What is wrong with an exporter as configured."""
    name = f"{export.signal}: {export.exporter}"
    if export.error is not None:
        advice = "Use grpc or http/protobuf." if export.protocol is None else ""
        yield Finding("problem", f"{name}: {export.error}.", advice)
    elif not export.installed:
        extra = 'pip install "otel-llm[otlp]"' if export.protocol else ""
        yield Finding("problem", f"{name} is not installed.", extra)
    elif export.endpoint is not None:
        yield from _address(name, export, export.endpoint)


def _address(name: str, export: Export, endpoint: str) -> Iterator[Finding]:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        meaning = "is taken for one with TLS" if export.protocol == "grpc" else "cannot be used"
        yield Finding(
            "problem",
            f"{name}: the endpoint {endpoint} has no http:// or https:// and {meaning}.",
            f"Write http://{endpoint}.",
        )
    elif export.protocol == "grpc" and parts.port == _HTTP_PORT:
        yield Finding(
            "problem",
            f"{name} speaks gRPC to {endpoint}, a port that is OTLP's for HTTP.",
            f"Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use port {_GRPC_PORT}.",
        )
    elif export.protocol == "http/protobuf" and parts.port == _GRPC_PORT:
        yield Finding(
            "problem",
            f"{name} speaks HTTP to {endpoint}, a port that is OTLP's for gRPC.",
            f"Set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use port {_HTTP_PORT}.",
        )
    elif export.protocol == "http/protobuf" and not parts.path.endswith(f"/v1/{export.signal}"):
        yield Finding(
            "warning",
            f"{name} sends to {endpoint}, which does not end in /v1/{export.signal}.",
            "An endpoint of one signal is used as it is; OTEL_EXPORTER_OTLP_ENDPOINT gets the path added.",
        )
