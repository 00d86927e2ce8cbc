"""What a server consists of, put together from its options."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

from otel_llm._version import __version__

from ._aggregate import Aggregator
from ._feed import Feed
from ._forward import Forwarder
from ._keep import Keep
from ._receiver import Receiver
from ._snapshot import Snapshots
from ._store import Store
from ._stream import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import UpDownCounter

    from ._options import LiveOptions
    from ._security import Policy

__all__ = ["Parts"]


def _clients_counter() -> UpDownCounter:
    """The instrument `otel_llm.live.clients`, of whatever OpenTelemetry this process has set up."""
    meter = metrics.get_meter("otel_llm", __version__)
    return meter.create_up_down_counter(
        "otel_llm.live.clients", "{client}", "Connected clients of the live view."
    )


class Parts:
    """The parts, connected.

    Raises ValueError for options that cannot be, `KeepError` for a file that cannot be used.
    """

    def __init__(self, options: LiveOptions, policy: Policy, *, wake: Callable[[], None]) -> None:
        self.options = options
        self.started_at = time.time()
        self.policy = policy
        self.store = Store(options.limits)
        self.aggregator = Aggregator()
        self.snapshots = Snapshots(self.aggregator)
        self.keep = Keep(options.keep, retention=options.retention) if options.keep is not None else None
        try:
            if self.keep is not None:
                self.keep.restore(self.store)
            self.forwarder = Forwarder(options.forward) if options.forward is not None else None
        except BaseException:
            if self.keep is not None:
                self.keep.close()
            raise
        self.receiver = Receiver(self.store, self.aggregator, keep=self.keep)
        self.feed = Feed(self.aggregator, self.receiver, wake=wake) if options.local else None
        self.hub = Hub(
            self.snapshots,
            policy,
            counts=self._counts,
            refresh=self.refresh,
            count=_clients_counter().add,
            max_clients=options.max_clients,
        )
        self.otlp_at: dict[str, Any] = {"http": None, "grpc": None}

    def _counts(self) -> str:
        return f'"cursor":{self.store.cursor},"spans":{self.store.spans_seen}'

    def refresh(self) -> None:
        """Bring the numbers up to date with this process's own calls."""
        if self.feed is not None:
            self.feed.drain()

    def close(self) -> None:
        """Give everything back; what waits is written and passed on first."""
        if self.feed is not None:
            self.feed.detach()
        if self.forwarder is not None:
            self.forwarder.close()
        if self.keep is not None:
            self.keep.close()
