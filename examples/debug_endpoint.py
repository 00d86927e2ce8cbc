"""A debug endpoint in a WSGI application, from the request log; `otel-llm live` has one, too: `/debug/summary`."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import openai

import otel_llm
from otel_llm.testing import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

otel_llm.LLMInstrumentor().instrument()
log = otel_llm.RequestLog(max_size=10_000, ttl=3600.0)
log.attach()


def debug(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Mount it where only you can reach it."""
    start_response("200 OK", [("Content-Type", "application/json")])
    found = log.summary(window=300)
    return [json.dumps({"calls": found.calls, "failed": found.failed, "p95": found.p95}).encode()]


WSGIRequestHandler.log_message = lambda *_: None  # type: ignore[method-assign]
with FakeProvider() as provider, make_server("127.0.0.1", 0, debug) as server:
    threading.Thread(target=server.handle_request).start()
    with openai.OpenAI(base_url=provider.openai_url, api_key="none") as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
        print(answer.read().decode())

# Prints:
# {"calls": 1, "failed": 0, "p95": 0...}
