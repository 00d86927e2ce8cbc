"""What is known of a client before its calls: who answers it, at which address, and who records it.

Worked out once per client and base URL, as every call needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ..providers._hosts import Answerer, identify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._recorder import Recorder
    from ..providers._base import Provider

__all__ = ["Client", "Clients"]


class Client(NamedTuple):
    """The facts of one client of an SDK."""

    recorder: Recorder
    url: object
    """The base URL object the facts were read from: another one means that the user changed it."""
    answerer: Answerer
    facts: Mapping[str, Any]
    """What every call of this client says, by field of `Operation`."""
    is_openai: bool
    """Whether the attributes of the conventions' OpenAI page apply."""
    propagate: bool
    """Whether requests of this client may carry a `traceparent` of ours."""


class Clients:
    """The clients of one SDK, weakly held."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._known: WeakKeyDictionary[Any, Client] = WeakKeyDictionary()
        self.own: WeakKeyDictionary[Any, Recorder] = WeakKeyDictionary()
        """The clients that have a recorder of their own."""

    def record_with(self, client: Any, recorder: Recorder | None) -> None:
        """Give a client a recorder of its own, or (None) the common one again."""
        self._known.clear()  # also what was worked out for its copies
        if recorder is None:
            self.own.pop(client, None)
        else:
            self.own[client] = recorder

    def forget(self) -> None:
        """Work everything out anew: the recorder has changed."""
        self._known.clear()

    def facts(self, client: Any, recorder: Recorder | None, url: str = "") -> Client | None:
        """The facts of `client`, which `recorder` records unless it has one of its own; None: nobody does.

        `url` is what the request is for: mostly a path, but some SDKs have another host for some calls.
        """
        known = self._known.get(client)
        if known is None or known.url is not getattr(client, "_base_url", None):
            recorder = self._of(client) or recorder
            if recorder is None:
                return None
            known = self._known[client] = self._read(client, recorder)
        return self._elsewhere(known, url) if url[:4] == "http" else known

    def _of(self, client: Any) -> Recorder | None:
        """The recorder of a client that has one of its own, or is a copy of one that has (`with_options`)."""
        for other, recorder in self.own.items():
            if other is client or _alike(other, client):
                return recorder
        return None

    def _elsewhere(self, known: Client, url: str) -> Client:
        """The facts of a request to an absolute `url`."""
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port or (80 if parts.scheme == "http" else 443)
        if host is None or (host, port) == (known.facts["server_address"], known.facts["server_port"]):
            return known
        return self._client(known.recorder, known.url, (), host, port)

    def _read(self, client: Any, recorder: Recorder) -> Client:
        url = getattr(client, "_base_url", None)
        host = getattr(url, "host", None) or None
        port = getattr(url, "port", None)
        if port is None and host is not None:
            port = 80 if getattr(url, "scheme", "https") == "http" else 443
        platform = getattr(getattr(client, "_provider_runtime", None), "name", None)  # OpenAI(provider=...)
        classes = [str(platform), *(cls.__name__ for cls in type(client).__mro__)]
        return self._client(recorder, url, classes, host, port)

    def _client(
        self, recorder: Recorder, url: object, classes: Iterable[str], host: str | None, port: int | None
    ) -> Client:
        config = recorder.config
        answerer = identify(self._provider, host, classes, config.providers)
        facts = {
            "provider": answerer.label,
            "sdk": self._provider.name,
            "server_address": host,
            "server_port": port,
            "known_host": answerer.known,
        }
        propagate = host in config.propagate_hosts
        return Client(recorder, url, answerer, facts, is_openai=answerer.is_openai, propagate=propagate)


_CREDENTIALS = ("_api_key_provider", "auth_token", "admin_api_key", "credentials", "workload_identity")


def _alike(one: Any, other: Any) -> bool:
    """Whether one client is a copy of the other: of the same class, with the same connections and credentials.

    Connections alone say nothing: an application may share an HTTP client among all its tenants.
    """
    connections = getattr(one, "_client", None)
    if (
        type(one) is not type(other)
        or connections is None
        or connections is not getattr(other, "_client", None)
    ):
        return False
    named = _CREDENTIALS if getattr(one, "_api_key_provider", None) else ("api_key", *_CREDENTIALS)
    return all(getattr(one, name, None) == getattr(other, name, None) for name in named)
