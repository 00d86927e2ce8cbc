"""Retries of tenacity on the one span of a tracked call; those of the SDKs are seen without this."""

from __future__ import annotations

import httpx2
import tenacity

import otel_llm
from otel_llm import hooks
from otel_llm.testing import FakeProvider, Reply


def show(
    event: str, measured: hooks.AttemptMeasurements, attempt: hooks.AttemptMetadata, _config: object
) -> None:
    """One event per attempt that failed."""
    print(event, attempt.number, attempt.status, measured.wait)


def ask(url: str) -> int:
    """One logical call, whatever number of attempts it takes."""
    with otel_llm.track("acme", "m1") as call:

        def before_sleep(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            status = error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else None
            call.retry(state.upcoming_sleep, status=status, error=type(error).__name__)

        @tenacity.retry(
            wait=tenacity.wait_fixed(0.01), stop=tenacity.stop_after_attempt(3), before_sleep=before_sleep
        )
        def post() -> dict[str, dict[str, int]]:
            body = {"model": "m1", "messages": [{"role": "user", "content": "Hi"}]}
            return httpx2.post(f"{url}/chat/completions", json=body).raise_for_status().json()  # type: ignore[no-any-return]

        usage = post()["usage"]
        call.usage(usage["prompt_tokens"], usage["completion_tokens"])
        return usage["total_tokens"]


otel_llm.LLMInstrumentor().instrument()
hooks.attach("show", "llm.provider.request.exception", show)

with FakeProvider() as server:
    server.script(Reply.error(503), Reply.error(429))
    print(ask(server.openai_url))

# Prints:
# llm.provider.request.exception 1 503 0.01
# llm.provider.request.exception 2 429 0.01
# 20
