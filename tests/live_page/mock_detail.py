"""One call and one trace of the mock world, in full."""

from __future__ import annotations

import random
from typing import Any

from mock_world import ERRORS, HOSTILE

SQUARE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
ANSWER = """It will rain in Paris from about 15:00, so yes: take an umbrella.

- Morning: 9 °C, mostly dry
- Afternoon: 12 °C, rain likely (80 %)

```python
if forecast.rain > 0.5:
    pack("umbrella")
```"""


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def content(call: dict[str, Any]) -> dict[str, Any] | None:
    if not call["has_content"]:
        return None
    ask = call["preview"] or ""
    tool = {"type": "tool_call", "id": "call_9Xw2", "name": "get_weather", "arguments": {"city": "Paris", "days": 1, "units": "metric"}}
    result = {"type": "tool_call_response", "id": "call_9Xw2", "response": {"morning": {"t": 9, "rain": 0.1}, "afternoon": {"t": 12, "rain": 0.8}}}
    image = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": SQUARE}
    return {
        "system": [_text("You are the assistant of a travel shop. Be brief. Never promise a price.")],
        "input": [
            {"role": "user", "parts": [_text(ask), image, {"type": "uri", "modality": "image", "mime_type": "image/jpeg", "uri": "https://example.com/sky.jpg"}], "name": None, "finish_reason": None},
            {"role": "assistant", "parts": [tool], "name": None, "finish_reason": None},
            {"role": "tool", "parts": [result], "name": None, "finish_reason": None},
        ],
        "output": None if call["outcome"] == "failed" else [
            {"role": "assistant", "parts": [{"type": "reasoning", "content": "The user asks about rain. The tool says 80 % in the afternoon, so the answer is yes."}, _text(ANSWER if ask.startswith("What") else f"{ANSWER}\n\n{HOSTILE}")], "name": None, "finish_reason": (call["finish_reasons"] or [None])[0]},
        ],
        "tools": [{"type": "function", "name": "get_weather", "description": "Forecast for a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}],
    }  # fmt: skip


def detail(call: dict[str, Any]) -> dict[str, Any]:
    total, ttft = call["duration_ms"], call["ttft_ms"]
    steps: list[dict[str, Any]] = [{"name": "start", "at_ms": 0.0}]
    retries: list[dict[str, Any]] = []
    at = 0.0
    for number in range(1, call["attempts"]):
        retries.append({"number": number, "status": 429, "duration_ms": total * 0.02, "wait_ms": total * 0.05, "error": "rate_limit_exceeded"})
        steps.append({"name": f"attempt {number} failed", "at_ms": at + total * 0.02})
        at += total * 0.07
        steps.append({"name": f"attempt {number + 1}", "at_ms": at})
    if ttft:
        steps += [{"name": "first chunk", "at_ms": at + ttft * 0.7}, {"name": "last chunk", "at_ms": total * 0.985}]
    steps.append({"name": "end", "at_ms": total})
    error = next((one for one in ERRORS if one[0] == call["error"]), None)
    return {
        **call,
        "parameters": {"temperature": 0.2, "max_tokens": 1024, "top_p": 1.0, "output_type": "text", "stop_sequences": ["</answer>"]},
        "usage": None if error else {
            "input": call["input_tokens"], "output": call["output_tokens"], "cache_read": call["cache_read_tokens"], "cache_write": None,
            "reasoning": call["reasoning_tokens"], "modalities": {"text.input": 1000, "image.input": 255}, "source": "provider",
        } or {},
        "server": {"address": "api.openai.com", "port": 443, "request_id": "req_7f0c2d9b1e", "organization": "org-acme", "processing_ms": total * 0.9,
                   "service_tier": "default", "system_fingerprint": "fp_44709d6fcb", "status": error[2] if error else 200, "response_id": "resp_68af4030592c"},
        "rate_limit": {"limit_requests": 500, "remaining_requests": 488, "reset_requests_s": 0.12, "limit_tokens": 30000, "remaining_tokens": 2100, "reset_tokens_s": 42.0},
        "retries": retries,
        "error_detail": error and {"type": error[0], "exception": error[1], "code": error[0], "status": error[2], "category": error[3], "retryable": error[4],
                                   "message": f"Request too large for this model. {HOSTILE}" if call["has_content"] else None},
        "tool_calls": ["get_weather"] if call["finish_reasons"] == ["tool_calls"] else [],
        "stream_stats": {"chunks": call["chunks"], "bytes": call["chunks"] * 137, "first_chunk_ms": ttft, "last_chunk_ms": total * 0.985,
                         "gap_p50_ms": 18.0, "gap_p99_ms": 95.0, "gap_max_ms": 310.0} if ttft else None,
        "timeline": steps,
        "content": content(call),
        "attributes": {"otel_llm.sdk": "openai", "app.tenant": HOSTILE, "gen_ai.agent.name": "travel"},
        "resource": {"service.name": call["service"], "service.version": "1.42.0", "host.name": "worker-3", "telemetry.sdk.language": "python"},
        "has_trace": True,
    }  # fmt: skip


def trace(call: dict[str, Any]) -> dict[str, Any]:
    rnd = random.Random(call["trace_id"])
    total = call["duration_ms"] * 1.4 + 60
    spans: list[dict[str, Any]] = []

    def add(name: str, kind: str, offset: float, length: float, *, depth: int, parent: str | None, **more: Any) -> str:
        span_id = more.pop("span_id", f"{rnd.getrandbits(64):016x}")
        spans.append({
            "span_id": span_id, "parent_id": parent, "depth": depth, "name": name, "kind": kind, "service": call["service"], "scope": "opentelemetry.instrumentation.asgi",
            "offset_ms": offset, "duration_ms": length, "status": "unset", "status_message": None, "missing_parent": False,
            "attributes": {"code.function": name}, "events": [], "links": [], "call_id": None, **more,
        })  # fmt: skip
        return span_id

    failed = call["outcome"] == "failed"
    root = add("POST /ask", "server", 0, total, depth=0, parent=None, attributes={"http.request.method": "POST", "http.route": "/ask", "http.response.status_code": 500 if failed else 200, "note": HOSTILE}, status="error" if failed else "unset")
    add("SELECT session", "client", 3, 9, depth=1, parent=root, scope="opentelemetry.instrumentation.psycopg", attributes={"db.system.name": "postgresql", "db.query.text": "SELECT * FROM session WHERE id = $1"})
    search = add("retrieve", "internal", 14, total * 0.16, depth=1, parent=root)
    add("embeddings text-embedding-4-small", "client", 16, total * 0.06, depth=2, parent=search, call_id=call["id"] if call["operation"] == "embeddings" else None, scope="otel_llm", attributes={"gen_ai.operation.name": "embeddings"})
    add("vector search", "client", 20 + total * 0.06, total * 0.08, depth=2, parent=search, attributes={"db.system.name": "qdrant"})
    agent = add("invoke_agent travel", "internal", total * 0.18, total * 0.8, depth=1, parent=root, status="error" if failed else "unset")
    llm = add(
        f"{call['operation']} {call['request_model']}", "client", total * 0.2, call["duration_ms"], depth=2, parent=agent, span_id=call["span_id"], call_id=call["id"], scope="otel_llm",
        status="error" if failed else "unset", status_message="rate limited" if failed else None,
        attributes={"gen_ai.operation.name": call["operation"], "gen_ai.provider.name": call["provider"], "gen_ai.request.model": call["request_model"], "gen_ai.usage.input_tokens": call["input_tokens"], "gen_ai.usage.output_tokens": call["output_tokens"]},
        events=[{"name": "gen_ai.client.retry", "offset_ms": total * 0.25, "attributes": {"attempt": 1}}] if call["attempts"] > 1 else [],
    )  # fmt: skip
    add("POST", "client", total * 0.2 + 2, call["duration_ms"] - 4, depth=3, parent=llm, scope="opentelemetry.instrumentation.httpx", attributes={"server.address": "api.openai.com"})
    add("execute_tool get_weather", "internal", total * 0.2 + call["duration_ms"] + 4, total * 0.05, depth=2, parent=agent)
    add("UPDATE session", "client", total - 14, 8, depth=1, parent=root)
    for at in range(rnd.choice([0, 0, 4, 40])):
        add(f"cache.get {at}", "client", 20 + at, 0.7, depth=1, parent=root)
    return {"trace_id": call["trace_id"], "name": "POST /ask", "services": [call["service"]], "start": call["start"] - 0.2 * total / 1000, "duration_ms": total,
            "total_tokens": call["total_tokens"], "cost": call["cost"], "truncated": False, "spans": spans}  # fmt: skip


def trace_row(call: dict[str, Any]) -> dict[str, Any]:
    full = trace(call)
    return {
        "seq": call["seq"], **{key: full[key] for key in ("trace_id", "name", "services", "start", "duration_ms", "total_tokens", "cost")},
        "spans": len(full["spans"]), "llm_calls": sum(one["call_id"] is not None for one in full["spans"]),
        "errors": sum(one["status"] == "error" for one in full["spans"]),
    }  # fmt: skip
