"""Traffic for the live view's page: plausible calls of a few programs as OTLP, some of them hostile."""

from __future__ import annotations

import json
import math
import random
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from live_page.otlp_json import Span, resource_spans
from live_page.samples import (
    ASKS,
    ERRORS,
    HOSTILE,
    HOSTILE_MODEL,
    MODELS,
    SERVICES,
    Model,
    attempts_of,
    content_of,
)


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
            number = int(calls * weekend * self.random.uniform(0.7, 1.3))
            self.send([("nightly-batch", [self.call(end)]) for _ in range(number)])

    def second(self, end: float) -> list[tuple[str, list[Span]]]:
        """What ends in one second, more or less of it as time goes by."""
        busy = 1.7 + 0.7 * math.sin(end / 47) + 0.5 * math.sin(end / 11)
        return [
            self.trace(end + self.random.random() * 0.9, agent=self.random.random() < 0.3)
            for _ in range(max(0, round(self.random.gauss(busy, 0.6))))
        ]

    def trace(self, end: float, *, agent: bool = False, **more: Any) -> tuple[str, list[Span]]:
        """A request of a service in which a model is called; by an agent, with a tool and more calls before."""
        call = self.call(end - 0.03, **more)
        service, name = self.random.choice(list(SERVICES.items()))
        before = self._before(call) if agent else []
        begin = min(one.start for one in [call, *before]) - 0.09
        status = {"http.response.status_code": 500 if call.failed else 200}
        root = Span(
            call.trace_id,
            self._id(64),
            "",
            name,
            2,
            begin,
            end,
            "opentelemetry.instrumentation.asgi",
            status,
            call.failed,
        )
        loop = self._span(root, f"invoke_agent {service}", begin + 0.07, end - 0.02)
        loop.scope, loop.attributes["gen_ai.operation.name"] = "otel_llm", "invoke_agent"
        for one in [call, *before]:
            one.parent_id = loop.span_id
        http = [
            self._span(
                one,
                "POST",
                one.start + 0.002,
                one.end - 0.002,
                server__address="api.openai.com",
                note=HOSTILE if self.hostile else "",
            )
            for one in [call, *before]
            if one.scope == "otel_llm"
        ]
        session = [
            self._span(
                root,
                "SELECT session",
                begin + 0.004,
                begin + 0.016,
                db__query__text="SELECT * FROM session WHERE id = $1",
            ),
            self._span(root, "UPDATE session", end - 0.014, end - 0.006, db__system__name="postgresql"),
        ]
        return service, [root, call, loop, *before, *http, *session]

    def _before(self, call: Span) -> list[Span]:
        """An embedding, a search, a first call and the tool that it asked for, one after the other, until `call` begins."""
        tool = self._span(
            call,
            "execute_tool get_weather",
            call.start - 0.01 - self.random.uniform(0.1, 0.5),
            call.start - 0.01,
        )
        first = self.call(tool.start - 0.005, model=MODELS[1], outcome="completed", ask=ASKS[0])
        search = self._span(
            call, "vector search", first.start - 0.12, first.start - 0.02, db__system__name="qdrant"
        )
        embedding = self.call(search.start - 0.004, model=MODELS[5], outcome="completed")
        for one in (first, embedding):
            one.trace_id = call.trace_id
        return [embedding, search, first, tool]

    def _span(self, parent: Span, name: str, start: float, end: float, **attributes: Any) -> Span:
        plain = {key.replace("__", "."): value for key, value in attributes.items()}
        return Span(
            parent.trace_id, self._id(64), parent.span_id, name, 3 if plain else 1, start, end, "app", plain
        )

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
            **attempts_of(attempts, seconds),
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
            attributes |= content_of(
                ask, answered=error is None, note=f"\n\n{HOSTILE}" if self.hostile else ""
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
