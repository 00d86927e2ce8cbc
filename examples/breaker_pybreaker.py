"""`circuit_breaker`: show the state of a pybreaker circuit breaker."""

from __future__ import annotations

from typing import Any

import openai
import pybreaker

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider, Reply


class Bridge(pybreaker.CircuitBreakerListener):
    """All that is needed to show a pybreaker."""

    def __init__(self, name: str) -> None:
        self.shown = otel_llm.circuit_breaker(name)

    def state_change(self, cb: pybreaker.CircuitBreaker, old_state: Any, new_state: Any) -> None:
        """Pybreaker's names are `closed`, `open` and `half-open`."""
        self.shown.set(new_state.name, failures=cb.fail_counter)

    def failure(self, cb: pybreaker.CircuitBreaker, exc: BaseException) -> None:
        """A call through the breaker has failed."""
        self.shown.failure()


def show(
    _event: str, measured: hooks.BreakerMeasurements, breaker: hooks.BreakerMetadata, _config: object
) -> None:
    """Hooks hear of changes."""
    print(f"{breaker.name}: {breaker.previous} -> {breaker.state}, {measured.failures} failures")


otel_llm.LLMInstrumentor().instrument()
hooks.attach("show", "llm.circuit_breaker.state", show)
breaker = pybreaker.CircuitBreaker(fail_max=2, reset_timeout=0, listeners=[Bridge("openai")])

with FakeProvider() as server:
    client = openai.OpenAI(base_url=server.openai_url, api_key="none", max_retries=0)
    server.script(Reply.error(500), Reply.error(500), Reply(text="Hello"))
    for _ in range(3):
        try:
            breaker.call(
                client.chat.completions.create,
                model="gpt-4o",
                messages=[{"role": "user", "content": "Hi"}],
            )
        except (openai.InternalServerError, pybreaker.CircuitBreakerError):
            pass

# Prints:
# openai: closed -> open, 2 failures
# openai: open -> half_open, 2 failures
# openai: half_open -> closed, 0 failures
