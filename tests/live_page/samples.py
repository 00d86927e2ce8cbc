"""What the traffic is made of: models, errors, conversations."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

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
PLAIN = {
    "Summarise the incident of last night in three sentences for the status page.": "From 02:10 to 02:41 UTC about 8 % of uploads failed. A full disk on one storage node was the cause. All uploads since then are safe.",
    "Translate this paragraph to French, keep the product names.": "Avec Acme Sync, vos fichiers restent à jour sur tous vos appareils, même hors ligne.",
    "Why does this query do a sequential scan although there is an index?": "The index is on `lower(email)`, the query compares `email`. Compare `lower(email)`, or add an index on the plain column.",
    "Draft a reply to the customer that asks for a refund after 40 days.": "Thank you for writing to us. Our refund period is 30 days, but as you have not used the licence I can offer you a credit of the same amount.",
    "Classify the ticket: billing, bug, feature or other.": "billing",
}
"""Questions that are answered without a tool."""
ASKS = ["What is the weather in Paris, and should I take an umbrella?", *PLAIN]
ANSWER = """It will rain in Paris from about 15:00, so yes: take an umbrella.

- Morning: 9 °C, mostly dry
- Afternoon: 12 °C, rain likely (80 %)

```python
if forecast.rain > 0.5:
    pack("umbrella")
```"""
SYSTEM = "You are the assistant of a travel shop. Be brief. Never promise a price."
TOOL_CALL = {
    "type": "tool_call",
    "id": "call_9Xw2",
    "name": "get_weather",
    "arguments": {"city": "Paris", "days": 1, "units": "metric"},
}
TOOL_RESULT = {
    "type": "tool_call_response",
    "id": "call_9Xw2",
    "response": {"morning": {"t": 9, "rain": 0.1}, "afternoon": {"t": 12, "rain": 0.8}},
}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Forecast for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SQUARE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SERVICES = {"support-bot": "POST /chat", "search-api": "GET /search", "nightly-batch": "summarise tickets"}
"""The programs, and what their traces are called."""


def attempts_of(attempts: int, seconds: float) -> dict[str, Any]:
    failed = attempts - 1
    if not failed:
        return {"otel_llm.request.attempts": 1}
    return {
        "otel_llm.request.attempts": attempts, "otel_llm.attempt.statuses": [429] * failed, "otel_llm.attempt.errors": ["rate_limit_exceeded"] * failed,
        "otel_llm.attempt.durations": [seconds * 0.02] * failed, "otel_llm.attempt.delays": [seconds * 0.05] * failed,
    }  # fmt: skip


def content_of(ask: str, *, answered: bool, note: str) -> dict[str, Any]:
    """The captured content of a call as attributes; `note` is put at the end of its answer."""
    messages: list[dict[str, Any]] = [{"role": "user", "parts": [{"type": "text", "content": ask}]}]
    answer: list[dict[str, Any]] = [{"type": "text", "content": PLAIN.get(ask, ANSWER) + note}]
    found: dict[str, Any] = {
        "gen_ai.system_instructions": [{"type": "text", "content": SYSTEM}],
        "gen_ai.input.messages": messages,
    }
    if ask not in PLAIN:
        messages[0]["parts"] += [
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": SQUARE},
            {
                "type": "uri",
                "modality": "image",
                "mime_type": "image/jpeg",
                "uri": "https://example.com/sky.jpg",
            },
        ]
        messages += [{"role": "assistant", "parts": [TOOL_CALL]}, {"role": "tool", "parts": [TOOL_RESULT]}]
        answer.insert(
            0, {"type": "reasoning", "content": "The tool says 80 % in the afternoon, so the answer is yes."}
        )
        found["gen_ai.tool.definitions"] = [TOOL]
    if answered:
        found["gen_ai.output.messages"] = [{"role": "assistant", "parts": answer, "finish_reason": "stop"}]
    return {name: json.dumps(value) for name, value in found.items()}
