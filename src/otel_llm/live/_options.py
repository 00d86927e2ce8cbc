"""The options of a live server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._store import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from ._forward import ForwardOptions
    from ._keep import Retention

__all__ = ["LiveOptions"]


@dataclass(slots=True, frozen=True, kw_only=True)
class LiveOptions:
    """How a `LiveServer` is to run; the defaults show this process's own calls at http://127.0.0.1:8000."""

    host: str = "127.0.0.1"
    """The address to listen on; one that is not loopback needs a `token`."""
    port: int = 8000
    """Of the page, the JSON and the WebSocket; 0 lets the system choose."""
    otlp_port: int | None = None
    """Receive OTLP/HTTP here (usually 4318), and on `port` too."""
    grpc_port: int | None = None
    """Receive OTLP/gRPC here (usually 4317)."""
    local: bool = True
    """Show the calls of this process."""
    token: str | None = None
    """Needed for everything but the page's own files; sent as `Authorization: Bearer <token>`."""
    forward: ForwardOptions | None = None
    """Pass everything received on to a collector."""
    keep: Path | None = None
    """Keep calls, traces and usage in this SQLite file."""
    retention: Retention | None = None
    """How long the file keeps them; 30 days and 1 GiB unless told."""
    limits: Limits = field(default_factory=Limits)
    """What is kept in memory."""
    max_clients: int = 64
    """Clients of the WebSocket and of the events together; the next one is told to try later."""
    allow_hosts: tuple[str, ...] = ()
    """More names under which a browser may reach the server, without port."""
    allow_origins: tuple[str, ...] = ()
    """Origins of other pages that may use it, like `https://example.org`."""
    tls: tuple[str, str] | None = None
    """The files of a certificate chain and of its key: everything is then served over TLS."""

    @property
    def receives(self) -> bool:
        """Whether OTLP is received."""
        return self.otlp_port is not None or self.grpc_port is not None
