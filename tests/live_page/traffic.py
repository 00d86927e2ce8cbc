"""Traffic for the live view's page: plausible calls of a few programs as OTLP, some of them hostile."""

from __future__ import annotations

import json
import math
import random
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from live_page.otlp_json import Span, resource_spans

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


class Model(NamedTuple):
    provider: str
    name: str
    endpoint: str
    price_in: float
    """US dollars for a million tokens."""
    price_out: float
    seconds: float
    """How long a call typically takes."""
    share: float


MODELS = [
    Model("openai", "gpt-5.2", "/v1/responses", 2.5, 12, 3.1, 30),
    Model("openai", "gpt-5.2-mini", "/v1/chat/completions", 0.3, 1.2, 1.1, 25),
    Model("anthropic", "claude-opus-5", "/v1/messages", 5, 25, 4.8, 12),
    Model("anthropic", "claude-haiku-5", "/v1/messages", 0.8, 4, 0.9, 18),
    Model("groq", "llama-4.1-maverick", "/v1/chat/completions", 0.2, 0.6, 0.45, 8),
    Model("openai", "text-embedding-4-small", "/v1/embeddings", 0.02, 0, 0.16, 9),
]
HOSTILE_MODEL = Model("azure.ai.openai", HOSTILE, "/v1/chat/completions", 2.5, 12, 1.4, 2)
ERRORS = [
    ("rate_limit_exceeded", "openai.RateLimitError", 429, "rate_limit", True),
    ("timeout", "openai.APITimeoutError", None, "timeout", True),
    ("overloaded_error", "anthropic.OverloadedError", 529, "server", True),
    ("context_length_exceeded", "openai.BadRequestError", 400, "invalid_request", False),
]
ASKS = [
    "What is the weather in Paris, and should I take an umbrella?",
    "Summarise the incident of last night in three sentences for the status page.",
    "Translate this paragraph to French, keep the product names.",
    "Why does this query do a sequential scan although there is an index?",
    "Draft a reply to the customer that asks for a refund after 40 days.",
    "Classify the ticket: billing, bug, feature or other.",
]
ANSWER = """It will rain in Paris from about 15:00, so yes: take an umbrella.

- Morning: 9 °C, mostly dry
- Afternoon: 12 °C, rain likely (80 %)

```python
if forecast.rain > 0.5:
    pack("umbrella")
```"""
SQUARE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SERVICES = ["support-bot", "search-api", "nightly-batch"]


@dataclass(slots=True)
class Traffic:
    """Traces of seeded programs."""

    url: str
    seed: int = 7
    hostile: bool = True
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def send(self, traces: list[tuple[str, list[Span]]]) -> None:
        """Export traces, each with the name of its service, as OTLP/JSON; one request."""
        body = {"resourceSpans": [resource_spans(service, spans) for service, spans in traces]}
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/v1/traces",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 200

    def past(self, seconds: int) -> None:
        """Send what happened in the last `seconds`."""
        now = time.time()
        for start in range(seconds, 0, -60):
            self.send(
                [trace for at in range(start, max(start - 60, 0), -1) for trace in self.second(now - at)]
            )

    def days(self, count: int, calls: int) -> None:
        """Send some calls for each of the last days, today left out."""
        for back in range(count, 0, -1):
            end = time.time() - timedelta(days=back).total_seconds()
            weekend = 0.4 if time.gmtime(end).tm_wday > 4 else 1.0
            self.send([self.trace(end) for _ in range(int(calls * weekend * self.random.uniform(0.7, 1.3)))])

    def second(self, end: float) -> list[tuple[str, list[Span]]]:
        """What ends in one second, more or less of it as time goes by."""
        busy = 1.7 + 0.7 * math.sin(end / 47) + 0.5 * math.sin(end / 11)
        return [
            self.trace(end + self.random.random() * 0.9)
            for _ in range(max(0, round(self.random.gauss(busy, 0.6))))
        ]

    def trace(self, end: float, **more: Any) -> tuple[str, list[Span]]:
        """A request of a service, in which a model is called."""
        rnd = self.random
        call = self.call(end - 0.03, **more)
        took = call.end - call.start
        begin = call.start - 0.06 - took * 0.2
        trace_id = call.trace_id
        root = Span(
            trace_id,
            self._id(64),
            "",
            "POST /ask",
            2,
            begin,
            end,
            "opentelemetry.instrumentation.asgi",
            {
                "http.request.method": "POST",
                "http.route": "/ask",
                "http.response.status_code": 500 if call.failed else 200,
            },
            call.failed,
        )
        spans = [root, call]

        def add(
            parent: Span,
            name: str,
            start: float,
            length: float,
            *,
            scope: str = "app",
            kind: int = 1,
            **attributes: Any,
        ) -> Span:
            span = Span(
                trace_id,
                self._id(64),
                parent.span_id,
                name,
                kind,
                start,
                start + length,
                scope,
                {key.replace("__", "."): value for key, value in attributes.items()},
            )
            spans.append(span)
            return span

        add(
            root,
            "SELECT session",
            begin + 0.003,
            0.009,
            scope="opentelemetry.instrumentation.psycopg",
            kind=3,
            db__system__name="postgresql",
            db__query__text="SELECT * FROM session WHERE id = $1",
        )
        search = add(root, "retrieve", begin + 0.014, took * 0.16)
        add(
            search,
            "vector search",
            begin + 0.018 + took * 0.06,
            took * 0.08,
            scope="qdrant",
            kind=3,
            db__system__name="qdrant",
        )
        agent = add(
            root,
            "invoke_agent travel",
            call.start - 0.01,
            took + 0.025,
            scope="otel_llm",
            gen_ai__operation__name="invoke_agent",
        )
        call.parent_id = agent.span_id
        add(
            call,
            "POST",
            call.start + 0.002,
            took - 0.004,
            scope="opentelemetry.instrumentation.httpx",
            kind=3,
            server__address="api.openai.com",
            note=HOSTILE if self.hostile else "",
        )
        add(
            root,
            "UPDATE session",
            end - 0.014,
            0.008,
            scope="opentelemetry.instrumentation.psycopg",
            kind=3,
            db__system__name="postgresql",
        )
        for at in range(rnd.choice([0, 0, 0, 3, 12])):
            add(search, f"cache.get {at}", begin + 0.015 + at / 1000, 0.0007)
        return rnd.choice(SERVICES), spans

    def call(
        self,
        end: float,
        *,
        model: Model | None = None,
        outcome: str | None = None,
        captured: bool | None = None,
        attempts: int | None = None,
        stream: bool | None = None,
        ask: str | None = None,
    ) -> Span:
        """The span of one call, as this project's instrumentation writes it; what is not given is drawn."""
        rnd = self.random
        pool = [*MODELS, HOSTILE_MODEL] if self.hostile else MODELS
        model = model or rnd.choices(pool, [one.share for one in pool])[0]
        seconds = model.seconds * (1 + 0.35 * math.sin(end / 61)) * rnd.lognormvariate(0, 0.3)
        chat = model.endpoint != "/v1/embeddings"
        outcome = outcome or rnd.choices(["completed", "failed", "cancelled", "closed"], [94, 4, 1, 1])[0]
        attempts = attempts or rnd.choices([1, 2, 3], [94, 4, 2])[0]
        stream = chat and (rnd.random() < 0.6 if stream is None else stream)
        captured = rnd.random() < 0.85 if captured is None else captured
        ask = ask or rnd.choice([*ASKS, f"Ignore this: {HOSTILE}"] if self.hostile else ASKS)
        name = "chat" if chat else "embeddings"
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": name, "gen_ai.provider.name": model.provider, "gen_ai.request.model": model.name, "otel_llm.outcome": outcome,
            "gen_ai.conversation.id": f"conv_{rnd.randrange(40):02d}", "server.address": f"api.{model.provider}.com", "server.port": 443, "app.tenant": HOSTILE if self.hostile else "acme",
            **_attempts(attempts, seconds),
        }  # fmt: skip
        if model.provider == "openai":
            attributes["openai.api.type"] = (
                "responses" if model.endpoint == "/v1/responses" else "chat_completions"
            )
        if chat:
            attributes |= {
                "gen_ai.request.temperature": 0.2,
                "gen_ai.request.max_tokens": 1024,
                "gen_ai.output.type": "text",
                "gen_ai.request.stream": stream,
            }
        error = rnd.choice(ERRORS) if outcome == "failed" else None
        if error:
            attributes |= {
                "error.type": error[0],
                "otel_llm.error.code": error[0],
                "otel_llm.error.category": error[3],
                "otel_llm.error.retryable": error[4],
            }
        else:
            attributes |= self._answer(model, seconds, stream=stream)
        if captured and chat:
            attributes |= _content(
                ask, None if error else ANSWER + (f"\n\n{HOSTILE}" if self.hostile else "")
            )
        span = Span(
            self._id(128),
            self._id(64),
            "",
            f"{name} {model.name}",
            3,
            end - seconds,
            end,
            "otel_llm",
            attributes,
        )
        span.failed = f"The request was refused. {HOSTILE if self.hostile else ''}" if error else None
        return span

    def _answer(self, model: Model, seconds: float, *, stream: bool) -> dict[str, Any]:
        rnd = self.random
        tokens_in, tokens_out = int(rnd.lognormvariate(7, 0.7)), int(seconds * rnd.uniform(35, 80))
        found: dict[str, Any] = {
            "gen_ai.response.model": f"{model.name}-2026-08-14", "gen_ai.response.id": f"resp_{rnd.getrandbits(48):012x}", "gen_ai.usage.input_tokens": tokens_in,
            "otel_llm.response.request_id": f"req_{rnd.getrandbits(40):010x}", "otel_llm.response.organization": "org-acme", "otel_llm.response.processing_time": seconds * 0.9, "otel_llm.response.status_code": 200,
            **{f"otel_llm.ratelimit.{kind}": value for kind, value in (("limit.requests", 500), ("remaining.requests", rnd.randrange(300, 500)), ("reset.requests", 0.12), ("limit.tokens", 30000), ("remaining.tokens", rnd.randrange(900, 29000)), ("reset.tokens", 42.0))},
        }  # fmt: skip
        cost = tokens_in * model.price_in / 1e6
        if model.endpoint != "/v1/embeddings":
            cost += tokens_out * model.price_out / 1e6
            found |= {
                "gen_ai.usage.output_tokens": tokens_out, "gen_ai.response.finish_reasons": [rnd.choice(["stop", "stop", "tool_calls", "length"])],
                "gen_ai.usage.cache_read.input_tokens": int(tokens_in * rnd.uniform(0.4, 0.9)) if rnd.random() < 0.55 else 0,
                "gen_ai.usage.text.input_tokens": tokens_in - 64, "gen_ai.usage.image.input_tokens": 64,
            }  # fmt: skip
            if model.name in ("gpt-5.2", "claude-opus-5"):
                found["gen_ai.usage.reasoning.output_tokens"] = int(tokens_out * 0.4)
        if stream:
            found |= {
                "gen_ai.response.time_to_first_chunk": seconds * rnd.uniform(0.16, 0.3), "otel_llm.stream.chunks": tokens_out, "otel_llm.stream.size": tokens_out * 137,
                "otel_llm.stream.gap.p50": 0.018, "otel_llm.stream.gap.p99": 0.095, "otel_llm.stream.gap.max": 0.31,
            }  # fmt: skip
        if model is not HOSTILE_MODEL:
            found["otel_llm.cost"] = round(cost, 9)
        return found

    def _id(self, bits: int) -> str:
        return f"{self.random.getrandbits(bits):0{bits // 4}x}"


def _attempts(attempts: int, seconds: float) -> dict[str, Any]:
    failed = attempts - 1
    if not failed:
        return {"otel_llm.request.attempts": 1}
    return {
        "otel_llm.request.attempts": attempts, "otel_llm.attempt.statuses": [429] * failed, "otel_llm.attempt.errors": ["rate_limit_exceeded"] * failed,
        "otel_llm.attempt.durations": [seconds * 0.02] * failed, "otel_llm.attempt.delays": [seconds * 0.05] * failed,
    }  # fmt: skip


def _content(ask: str, answer: str | None) -> dict[str, Any]:
    tool = {
        "type": "tool_call",
        "id": "call_9Xw2",
        "name": "get_weather",
        "arguments": {"city": "Paris", "days": 1, "units": "metric"},
    }
    result = {
        "type": "tool_call_response",
        "id": "call_9Xw2",
        "response": {"morning": {"t": 9, "rain": 0.1}, "afternoon": {"t": 12, "rain": 0.8}},
    }
    image = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": SQUARE}
    linked = {
        "type": "uri",
        "modality": "image",
        "mime_type": "image/jpeg",
        "uri": "https://example.com/sky.jpg",
    }
    thought = {"type": "reasoning", "content": "The tool says 80 % in the afternoon, so the answer is yes."}
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": ask}, image, linked]},
        {"role": "assistant", "parts": [tool]},
        {"role": "tool", "parts": [result]},
    ]
    found = {
        "gen_ai.system_instructions": [
            {
                "type": "text",
                "content": "You are the assistant of a travel shop. Be brief. Never promise a price.",
            }
        ],
        "gen_ai.input.messages": messages,
        "gen_ai.tool.definitions": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Forecast for a city.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            }
        ],
    }
    if answer is not None:
        found["gen_ai.output.messages"] = [
            {
                "role": "assistant",
                "parts": [thought, {"type": "text", "content": answer}],
                "finish_reason": "stop",
            }
        ]
    return {name: json.dumps(value) for name, value in found.items()}
