"""Whether an OTLP endpoint answers: an export of nothing, which every receiver takes and none keeps."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._report import Finding

if TYPE_CHECKING:
    from ._exporters import Export

__all__ = ["probe"]

_TIMEOUT = 5.0
_SERVICES = {"traces": "trace.v1.Trace", "metrics": "metrics.v1.Metrics", "logs": "logs.v1.Logs"}


def probe(export: Export) -> Finding:
    """Send an empty export to an OTLP endpoint, within 5 seconds."""
    return _grpc(export) if export.protocol == "grpc" else _http(export)


def _name(export: Export) -> str:
    return f"{export.signal}: {export.endpoint} ({export.protocol})"


def _http(export: Export) -> Finding:
    headers = {**export.headers, "content-type": "application/x-protobuf"}
    request = urllib.request.Request(str(export.endpoint), b"", headers, method="POST")  # noqa: S310 - the user's
    context = ssl.create_default_context(cafile=export.certificate)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT, context=context):  # noqa: S310
            return Finding("ok", f"{_name(export)} answers.")
    except urllib.error.HTTPError as error:
        with error:
            return _status(export, error.code)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return Finding("problem", f"{_name(export)} does not answer: {reason}")


def _status(export: Export, status: int) -> Finding:
    said = f"{_name(export)} answers {status}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _refused(export, said)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return _unknown(export, said)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Finding("warning", f"{said}.")
    return Finding("ok", f"{said} to an empty export.")


def _refused(export: Export, said: str) -> Finding:
    sent = ", ".join(export.headers) or "none"
    return Finding(
        "problem",
        f"{said}: it wants other credentials.",
        f"Headers sent: {sent}. See OTEL_EXPORTER_OTLP_HEADERS.",
    )


def _unknown(export: Export, said: str) -> Finding:
    if export.signal == "traces":
        return Finding("problem", f"{said}: the path is wrong, or this is no OTLP receiver.")
    variable = f"OTEL_{export.signal.upper()}_EXPORTER"
    return Finding("warning", f"{said}: it takes no {export.signal}.", f"Set {variable}=none.")


def _grpc(export: Export) -> Finding:
    try:
        import grpc  # noqa: PLC0415 - part of the extra `otlp`
    except ImportError as error:
        return Finding("problem", f"{_name(export)} needs {error.name}.", 'pip install "otel-llm[otlp]"')
    parts = urlsplit(str(export.endpoint))
    target = parts.netloc
    if parts.scheme == "https":
        certificate = _read(export.certificate) if export.certificate else None
        channel: Any = grpc.secure_channel(target, grpc.ssl_channel_credentials(certificate))
    else:
        channel = grpc.insecure_channel(target)
    call = channel.unary_unary(f"/opentelemetry.proto.collector.{_SERVICES[export.signal]}Service/Export")
    try:
        call(b"", timeout=_TIMEOUT, metadata=tuple(export.headers.items()))
    except grpc.RpcError as error:
        return _code(export, error.code().name, error.details())
    else:
        return Finding("ok", f"{_name(export)} answers.")
    finally:
        channel.close()


def _code(export: Export, code: str, details: str | None) -> Finding:
    said = f"{_name(export)} answers {code}"
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return _refused(export, said)
    if code == "UNIMPLEMENTED":
        return _unknown(export, said)
    if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return Finding("problem", f"{_name(export)} does not answer: {(details or code).rpartition(': ')[2]}")
    return Finding("ok", f"{said} to an empty export.")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - as the SDK reads it
        return file.read()
