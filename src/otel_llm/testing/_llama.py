"""The Llama API on the wire: its chat completions have a shape of their own.

Shapes: the types of the llama-api-client SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._dialects import error_event
from ._openai import error_body, finish_of, prescribed
from ._reply import cut
from ._wire import Answer, Ask, Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._reply import Reply

__all__ = ["chat"]


def chat(ask: Ask, reply: Reply) -> Answer:
    """`POST */chat/completions` as the Llama SDK reads it."""
    if ask.body.get("stream"):
        return Answer(events=_events(ask, reply), error=lambda: error_event(ask, error_body(reply, 500)))
    pieces = reply.pieces(prescribed(ask.body.get("response_format")))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": {"type": "text", "text": "".join(pieces)},
        "stop_reason": finish_of(reply),
    }
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id or f"call_{ask.number:06d}_{i}",
                "function": {"name": call.name, "arguments": call.json},
            }
            for i, call in enumerate(reply.tool_calls)
        ]
    body: dict[str, Any] = {"id": f"chatcmpl-{ask.number:06d}", "completion_message": message}
    metrics = _metrics(reply)
    return Answer(body={**body, "metrics": metrics} if metrics else body)


def _metrics(reply: Reply) -> list[dict[str, Any]]:
    counts: dict[str, Any] = {
        "num_completion_tokens": reply.output_tokens,
        "num_prompt_tokens": reply.input_tokens,
        "num_total_tokens": reply.input_tokens + reply.output_tokens,
    }
    if not isinstance(reply.usage, bool):
        counts = dict(reply.usage)
    elif not reply.usage:
        counts = {}
    return [{"metric": name, "value": value, "unit": "tokens"} for name, value in counts.items()]


def _events(ask: Ask, reply: Reply) -> Iterator[Event]:
    name = f"chatcmpl-{ask.number:06d}"

    def event(kind: str, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"id": name, "event": {"event_type": kind, "delta": delta, **more}}

    yield Event(event("start", {"type": "text", "text": ""}))
    for piece in reply.pieces(prescribed(ask.body.get("response_format"))):
        yield Event(event("progress", {"type": "text", "text": piece}), chunk=True)
    for i, call in enumerate(reply.tool_calls):
        identity = call.id or f"call_{ask.number:06d}_{i}"
        heading = {"type": "tool_call", "id": identity, "function": {"name": call.name, "arguments": ""}}
        yield Event(event("progress", heading), chunk=True)
        for piece in cut(call.json, 2):
            yield Event(
                event("progress", {"type": "tool_call", "function": {"arguments": piece}}), chunk=True
            )
    yield Event(event("complete", {"type": "text", "text": ""}, stop_reason=finish_of(reply)))
    metrics = _metrics(reply)
    if metrics:
        yield Event(event("metrics", {"type": "text", "text": ""}, metrics=metrics))
