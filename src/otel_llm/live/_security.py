"""Who may ask: loopback by default, a token for other addresses, no foreign `Host` or `Origin`.

A page of another site cannot read or change anything: its requests carry a foreign `Origin` (or, by DNS
rebinding, a foreign `Host`), and are refused before anything is done.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ._json import dumps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["CSP", "Guard", "Policy", "is_loopback"]

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_OPEN: Final = ("/healthz", "/", "/static/", "/favicon.ico")
"""Paths that need no token: they show nothing of any call."""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


@dataclass(slots=True, frozen=True)
class Policy:
    """What is allowed."""

    token: str | None = None
    hosts: frozenset[str] | None = frozenset({"localhost", "127.0.0.1", "::1"})
    """The names that a `Host` header may have, without port; None: any, which only a token makes safe."""
    origins: frozenset[str] = frozenset()
    """Origins (`https://example.org`) allowed beside the server's own."""

    @classmethod
    def of(
        cls, host: str, token: str | None, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> Policy:
        """The policy of a server that listens on `host`.

        Raises ValueError for another address without a token.
        """
        if not is_loopback(host) and not token:
            raise ValueError("an address other than loopback needs a token")
        if token is not None and (
            not token.isascii() or not token.isprintable() or " " in token or not token
        ):
            raise ValueError("a token has printable ASCII characters only, and no space")
        wildcard = _is_wildcard(host) and not tuple(hosts)
        names = (
            None if wildcard else cls().names | {host.strip("[]").lower(), *(name.lower() for name in hosts)}
        )
        return cls(
            token=token, hosts=names, origins=frozenset(origin.lower().rstrip("/") for origin in origins)
        )

    @property
    def names(self) -> frozenset[str]:
        """`hosts`, empty for any."""
        return self.hosts or frozenset()

    def refuses(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether `Host` or `Origin` is foreign."""
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        if len(hosts) != 1 or len(origins) > 1:
            return True
        host = hosts[0].lower()
        if self.hosts is not None and _without_port(host) not in self.hosts:
            return True
        if not origins or origins[0] in self.origins:
            return False
        return origins[0].removeprefix("https://").removeprefix("http://") != host

    def knows(self, given: str | None) -> bool:
        """Whether `given` is the token; true when none is needed."""
        return self.token is None or (
            given is not None
            and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self.token.encode())
        )

    def authorised(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether `Authorization: Bearer` holds the token; true when none is needed."""
        return self.token is None or any(
            self.knows(value.decode("latin-1")[7:].strip())
            for name, value in headers
            if name == b"authorization" and value[:7].lower() == b"bearer "
        )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


class Guard:
    """ASGI middleware: refuses what the policy refuses, and sets the security headers of every answer."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(
                scope, receive, send
            )  # a WebSocket checks for itself, it has other ways to refuse
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        path: str = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if self._policy.refuses(headers):
            await _answer(send, 403, "This origin or host is not allowed")
        elif not (path in _OPEN or path.startswith("/static/") or self._policy.authorised(headers)):
            await _answer(send, 401, "A token is needed", (b"www-authenticate", b"Bearer"))
        else:
            await self._app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            given: list[tuple[bytes, bytes]] = list(message.get("headers", []))
            names = {name for name, _ in given}
            if b"cache-control" not in names:
                given.append((b"cache-control", b"no-store"))
            message["headers"] = [*given, *_HEADERS]
        await send(message)

    return secured


async def _answer(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = dumps({"error": text}).encode()
    length = str(len(body)).encode()
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", length),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers, *_HEADERS]})
    await send({"type": "http.response.body", "body": body})
