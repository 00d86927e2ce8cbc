"""Plausible, moving, seeded data in the shapes of docs/live-api.md, hostile text included."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

# provider, model, endpoint, operation, USD per million in / out, typical seconds, share
MODELS: list[tuple[str, str, str, str, float, float, float, float]] = [
    ("openai", "gpt-5.2-2026-08-14", "/v1/responses", "chat", 2.5, 12, 3.1, 30),
    ("openai", "gpt-5.2-mini", "/v1/chat/completions", "chat", 0.3, 1.2, 1.1, 25),
    ("anthropic", "claude-opus-5-20260610", "/v1/messages", "chat", 5, 25, 4.8, 12),
    ("anthropic", "claude-haiku-5", "/v1/messages", "chat", 0.8, 4, 0.9, 18),
    ("groq", "llama-4.1-maverick", "/v1/chat/completions", "chat", 0.2, 0.6, 0.45, 8),
    ("openai", "text-embedding-4-small", "/v1/embeddings", "embeddings", 0.02, 0, 0.16, 9),
    ("azure.ai.openai", HOSTILE, "/v1/chat/completions", "chat", 2.5, 12, 1.4, 2),
]
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
    f"Ignore this: {HOSTILE}",
    "Classify the ticket: billing, bug, feature or other.",
]
SERVICES = ["support-bot", "search-api", "nightly-batch"]


def stats(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)

    def at(q: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 3)

    mean = round(sum(ordered) / len(ordered), 3)
    return {"avg": mean, "min": ordered[0], "max": ordered[-1], "p50": at(0.5), "p90": at(0.9), "p99": at(0.99)}


def money(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".") or "0"


class World:
    """The calls of a few programs, from a quarter of an hour ago up to now."""

    def __init__(self, *, seed: int = 7, empty: bool = False) -> None:
        self.random = random.Random(seed)
        self.calls: list[dict[str, Any]] = []  # oldest first
        self.running: list[dict[str, Any]] = []
        self.born = time.time()
        self.empty = empty
        if not empty:
            now = time.time()
            for at in range(900, 0, -1):
                self._end_calls(now - at)

    def tick(self) -> None:
        """Let one second pass."""
        if self.empty:
            return
        now = time.time()
        self._end_calls(now)
        self.running = [one for one in self.running if one["until"] > now]
        while len(self.running) < 3 + int(2 * math.sin(now / 9)):
            provider, model, endpoint, name, *_, typical, _ = self.random.choice(MODELS[:5])
            length = typical * self.random.uniform(3, 8)
            self.running.append({
                "id": f"1f3-{self.random.getrandbits(24):x}", "service": "support-bot", "start": now, "until": now + length,
                "provider": provider, "operation": name, "endpoint": endpoint, "model": model, "stream": True, "attempts": 1,
                "speed": self.random.uniform(18, 70), "first": typical / 4,
            })  # fmt: skip

    def active(self) -> list[dict[str, Any]]:
        now = time.time()
        out: list[dict[str, Any]] = []
        for one in self.running:
            elapsed = now - one["start"]
            chunks = max(0, int((elapsed - one["first"]) * one["speed"]))
            row = {key: value for key, value in one.items() if key not in ("until", "speed", "first")}
            out.append({
                **row, "elapsed_ms": elapsed * 1000, "chunks": chunks, "bytes": chunks * 137,
                "chunks_per_second": one["speed"] if chunks else 0.0, "ttft_ms": one["first"] * 1000 if chunks else None,
            })  # fmt: skip
        return out

    def _end_calls(self, end: float) -> None:
        busy = 1.6 + math.sin(end / 47) + 0.7 * math.sin(end / 11)
        for _ in range(max(0, round(self.random.gauss(busy, 0.7)))):
            self.calls.append(self._call(end + self.random.random() * 0.9))

    def _call(self, end: float) -> dict[str, Any]:
        rnd = self.random
        provider, model, endpoint, name, price_in, price_out, typical, _ = rnd.choices(MODELS, [m[7] for m in MODELS])[0]
        slow = 1 + 0.35 * math.sin(end / 61)
        seconds = typical * slow * rnd.lognormvariate(0, 0.35)
        chat = name == "chat"
        stream = chat and rnd.random() < 0.6
        outcome = rnd.choices(["completed", "failed", "cancelled", "closed", "abandoned"], [93, 4, 1, 1.4, 0.6])[0]
        error = rnd.choice(ERRORS) if outcome == "failed" else None
        tokens_in = int(rnd.lognormvariate(7, 0.7))
        tokens_out = int(seconds * rnd.uniform(35, 80)) if chat and not error else None
        cached = int(tokens_in * rnd.uniform(0.4, 0.9)) if chat and rnd.random() < 0.55 else 0
        cost = None if error or model == HOSTILE else tokens_in * price_in / 1e6 + (tokens_out or 0) * price_out / 1e6
        ttft = seconds * rnd.uniform(0.12, 0.3) if stream and not error else None
        trace = f"{rnd.getrandbits(128):032x}"
        span = f"{rnd.getrandbits(64):016x}"
        captured = rnd.random() < 0.8
        return {
            "seq": len(self.calls) + 1, "id": f"{trace}-{span}", "trace_id": trace, "span_id": span,
            "service": rnd.choice(SERVICES), "source": "otel_llm", "start": end - seconds, "duration_ms": seconds * 1000,
            "ttft_ms": ttft and ttft * 1000, "provider": provider, "operation": name, "endpoint": endpoint, "model": model,
            "request_model": model.rsplit("-20", 1)[0], "response_model": model, "stream": stream, "outcome": outcome,
            "error": error and error[0], "finish_reasons": [] if error else [rnd.choice(["stop", "stop", "tool_calls", "length"])],
            "input_tokens": None if error else tokens_in, "output_tokens": tokens_out,
            "total_tokens": None if error else tokens_in + (tokens_out or 0),
            "cache_read_tokens": None if error or not chat else cached, "cache_write_tokens": None,
            "reasoning_tokens": tokens_out and int(tokens_out * 0.4) if "opus" in model or "5.2-2026" in model else None,
            "usage_source": "absent" if error else "provider",
            "tokens_per_second": tokens_out / (seconds - (ttft or 0)) if tokens_out else None,
            "cost": None if cost is None else money(cost), "attempts": rnd.choices([1, 2, 3], [93, 5, 2])[0],
            "chunks": int(tokens_out or 0) if stream else 0, "conversation_id": f"conv_{rnd.randrange(40):02d}",
            "has_content": captured, "preview": rnd.choice(ASKS) if captured else None,
        }  # fmt: skip

    def select(self, query: dict[str, list[str]], *, window: float | None = None) -> list[dict[str, Any]]:
        """The calls that the filters of a query leave, newest first."""
        fields = ("provider", "model", "endpoint", "service", "operation", "outcome", "error")
        words = " ".join(query.get("q", [])).lower().split()
        since = time.time() - window if window else 0
        out: list[dict[str, Any]] = []
        for call in reversed(self.calls):
            if any(query.get(name) and call[name] not in query[name] for name in fields):
                continue
            if query.get("errors") == ["true"] and call["outcome"] != "failed":
                continue
            if query.get("conversation") and call["conversation_id"] not in query["conversation"]:
                continue
            text = " ".join(str(call[k]) for k in ("id", "model", "provider", "endpoint", "service", "error", "preview", "conversation_id")).lower()
            if all(word in text for word in words) and call["start"] >= since:
                out.append(call)
        return out

    def row(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        def total(key: str) -> int | None:
            known = [call[key] for call in calls if call[key] is not None]
            return sum(known) if known else None

        looked = [call for call in calls if call["cache_read_tokens"] is not None]
        costs = [float(call["cost"]) for call in calls if call["cost"] is not None]
        failed = sum(call["outcome"] == "failed" for call in calls)
        return {
            "calls": len(calls), "errors": failed, "error_rate": failed / len(calls) if calls else None,
            "streams": sum(call["stream"] for call in calls), "retried": sum(call["attempts"] > 1 for call in calls),
            "input_tokens": total("input_tokens"), "output_tokens": total("output_tokens"), "total_tokens": total("total_tokens"),
            "cache_read_tokens": total("cache_read_tokens"), "cache_write_tokens": None, "reasoning_tokens": total("reasoning_tokens"),
            "cache_hit_rate": sum(call["cache_read_tokens"] > 0 for call in looked) / len(looked) if looked else None,
            "cost": money(sum(costs)) if costs else None, "unpriced": sum(c["cost"] is None and c["total_tokens"] is not None for c in calls),
            "latency_ms": stats([call["duration_ms"] for call in calls]),
            "ttft_ms": stats([call["ttft_ms"] for call in calls if call["ttft_ms"]]),
            "tokens_per_second": stats([call["tokens_per_second"] for call in calls if call["tokens_per_second"]]),
            "first": calls[-1]["start"] if calls else None, "last": calls[0]["start"] if calls else None,
        }  # fmt: skip

    def rows(self, calls: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for call in calls:
            groups[tuple(call[key] for key in keys)].append(call)
        rows = [{**dict(zip(keys, group, strict=True)), **self.row(members)} for group, members in groups.items()]
        return sorted(rows, key=lambda row: -row["calls"])

    def points(self, query: dict[str, list[str]], seconds: int) -> list[dict[str, Any]]:
        now = int(time.time())
        by_second: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for call in self.select(query, window=seconds + 90):
            by_second[int(call["start"] + call["duration_ms"] / 1000)].append(call)
        out: list[dict[str, Any]] = []
        for t in range(now - seconds + 1, now + 1):
            row = self.row(by_second[t])
            latency, ttft, speed = row["latency_ms"] or {}, row["ttft_ms"] or {}, row["tokens_per_second"] or {}
            out.append({
                "t": t, "requests": row["calls"], "responses": row["calls"], "errors": row["errors"],
                "input_tokens": row["input_tokens"] or 0, "output_tokens": row["output_tokens"] or 0, "cost": float(row["cost"] or 0),
                "latency_p50": latency.get("p50"), "latency_p90": latency.get("p90"), "latency_p99": latency.get("p99"),
                "ttft_p50": ttft.get("p50"), "ttft_p90": ttft.get("p90"), "tokens_per_second": speed.get("avg"),
                "cache_lookups": sum(c["cache_read_tokens"] is not None for c in by_second[t]),
                "cache_hits": sum(bool(c["cache_read_tokens"]) for c in by_second[t]),
                "active_streams": max(0, round(3 + 2 * math.sin(t / 9))) if not self.empty else 0,
            })  # fmt: skip
        return out

    def data(self, query: dict[str, list[str]]) -> dict[str, Any]:
        calls = self.select(query, window=60)
        row = self.row(calls)
        out = row["output_tokens"] or 0
        per = {name: sum(c["endpoint"] == name for c in calls) / 60 for name in sorted({c["endpoint"] for c in calls})}
        return {
            "throughput": {
                "requests_per_sec": per, "responses_per_sec": per, "tokens_per_sec": {}, "total_requests_per_sec": len(calls) / 60,
                "total_responses_per_sec": len(calls) / 60, "total_tokens_per_sec": out / 60, "window_s": 60.0,
            },
            "latency": {}, "queue": {"active_streams": len(self.running), "queue_depth": 0},
            "cache": {"hit_rate": 50.0, "token_reuse_rate": 31.0, "avg_prefix_length": 900.0, "total_lookups": 2, "cache_hits": 1, "by_endpoint": {}},
            "streaming": {"active_streams": len(self.running), "completed_streams": row["streams"], "failed_streams": 0},
            "error": {"errors_per_sec": {}, "total_errors_per_sec": row["errors"] / 60},
            "overview": {
                "calls": row["calls"], "errors": row["errors"], "error_rate": row["error_rate"], "latency_ms": row["latency_ms"], "ttft_ms": row["ttft_ms"],
                "tokens_per_second": row["tokens_per_second"], "input_tokens": row["input_tokens"] or 0, "output_tokens": out,
                "cost": float(row["cost"] or 0), "unpriced": row["unpriced"], "cache_hit_rate": row["cache_hit_rate"],
                "active_streams": len(self.running), "active_requests": len(self.running) + (1 if self.running else 0),
                "requests_per_sec": len(calls) / 60, "tokens_per_sec": out / 60,
            },
        }  # fmt: skip

    def usage(self, days: int) -> list[dict[str, Any]]:
        rnd = random.Random(3)
        today = datetime.now(UTC).date()
        rows: list[dict[str, Any]] = []
        for back in range(0 if not self.empty else days, days):
            day = today - timedelta(days=back)
            for provider, model, _, name, price_in, price_out, typical, share in MODELS:
                weekend = 0.35 if day.weekday() > 4 else 1.0
                calls = int(share * 40 * weekend * rnd.uniform(0.7, 1.3))
                tokens_in, tokens_out = calls * 1300, calls * 190 if name == "chat" else None
                cost = None if model == HOSTILE else money(tokens_in * price_in / 1e6 + (tokens_out or 0) * price_out / 1e6)
                rows.append({
                    "date": day.isoformat(), "provider": provider, "model": model, "calls": calls, "errors": int(calls * rnd.uniform(0, 0.05)),
                    "input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + (tokens_out or 0),
                    "cache_read_tokens": int(tokens_in * 0.3), "cost": cost, "unpriced": calls if cost is None else 0, "avg_latency_ms": typical * 1000,
                })  # fmt: skip
        return rows
