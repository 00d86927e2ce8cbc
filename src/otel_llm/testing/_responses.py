"""The OpenAI Responses API on the wire."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ._openai import error_body, prescribed
from ._reply import cut
from ._wire import CREATED, Answer, Ask, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._reply import Reply

__all__ = ["cancel", "create", "retrieve"]

_ECHOED: Mapping[str, Any] = {
    # What a response repeats of its request, and what it says where the request says nothing.
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def create(ask: Ask, reply: Reply) -> Answer:
    """`POST */responses`."""
    background = bool(ask.body.get("background"))
    stream = bool(ask.body.get("stream"))
    status = reply.response_status or ("queued" if background and not stream else "completed")
    return _answer(ask, reply, f"resp_{ask.number:06d}", status, stream=stream)


def retrieve(ask: Ask, reply: Reply) -> Answer:
    """`GET */responses/{id}`, also as a stream, from after event `starting_after`."""
    stream = ask.query.get("stream") == "true"
    return _answer(ask, reply, ask.captured["id"], reply.response_status or "completed", stream=stream)


def cancel(ask: Ask, reply: Reply) -> Answer:
    """`POST */responses/{id}/cancel`."""
    return _answer(ask, reply, ask.captured["id"], reply.response_status or "cancelled", stream=False)


def _answer(ask: Ask, reply: Reply, name: str, status: str, *, stream: bool) -> Answer:
    if not stream:
        return Answer(body=_response(ask, reply, name, status))
    after = int(ask.query.get("starting_after", "-1"))
    numbers = itertools.count()

    def numbered() -> Iterator[Event]:
        for event in _events(ask, reply, name, status):
            number = next(numbers)
            if number > after and not isinstance(event.data, str):
                data = {**event.data, "sequence_number": number}
                yield Event(data, event.data["type"], event.chunk)

    def error() -> Event:
        told = error_body(reply, 500)["error"]
        data = {key: told[key] for key in ("code", "message", "param")}
        return Event({"type": "error", **data, "sequence_number": next(numbers)}, "error")

    return Answer(events=numbered(), error=error)


def _usage(reply: Reply) -> dict[str, Any] | None:
    if not isinstance(reply.usage, bool):
        return dict(reply.usage)
    if not reply.usage:
        return None
    return {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {
            "cached_tokens": reply.cached_tokens,
            "cache_write_tokens": reply.cache_write_tokens,
        },
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }


def _response(ask: Ask, reply: Reply, name: str, status: str) -> dict[str, Any]:
    """The response object; without output and usage while it is not at its end."""
    ended = status in {"completed", "incomplete", "failed", "cancelled"}
    error = error_body(reply, 500)["error"]
    said = {key: ask.body.get(key, default) for key, default in _ECHOED.items()}
    conversation = ask.body.get("conversation")
    return {
        "id": name,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": bool(ask.body.get("background")),
        "completed_at": CREATED + 1 if status == "completed" else None,
        "conversation": {"id": conversation} if isinstance(conversation, str) else conversation,
        "error": {"code": error["code"] or "server_error", "message": error["message"]}
        if status == "failed"
        else None,
        "incomplete_details": {"reason": reply.finish_reason or "max_output_tokens"}
        if status == "incomplete"
        else None,
        "model": reply.model or ask.model,
        "output": _items(ask, reply, status) if status in {"completed", "incomplete"} else [],
        "service_tier": reply.service_tier if ended else "auto",
        "usage": _usage(reply) if ended and status not in {"failed", "cancelled"} else None,
        **said,
    }


def _items(ask: Ask, reply: Reply, status: str) -> list[dict[str, Any]]:
    """The finished output: reasoning, a message, function calls."""
    number = f"{ask.number:06d}"
    items: list[dict[str, Any]] = []
    if reply.thinking is not None:
        summary = [{"type": "summary_text", "text": reply.thinking}]
        items.append({"id": f"rs_{number}", "type": "reasoning", "summary": summary})
    pieces = reply.pieces(prescribed(ask.option("text", "format")))
    content: list[dict[str, Any]] = []
    if pieces or not (reply.tool_calls or reply.refusal):
        content.append({"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": []})
    if reply.refusal is not None:
        content.append({"type": "refusal", "refusal": reply.refusal})
    if content:
        message = {"id": f"msg_{number}", "type": "message", "status": status, "role": "assistant"}
        items.append({**message, "content": content})
    for i, call in enumerate(reply.tool_calls):
        items.append(
            {
                "id": f"fc_{number}_{i}",
                "type": "function_call",
                "status": "completed",
                "arguments": call.json,
                "call_id": call.id or f"call_{number}_{i}",
                "name": call.name,
            }
        )
    return items


def _events(ask: Ask, reply: Reply, name: str, status: str) -> Iterator[Event]:
    start = "queued" if ask.body.get("background") else "in_progress"
    yield Event({"type": "response.created", "response": _response(ask, reply, name, start)})
    if start == "queued":
        yield Event({"type": "response.queued", "response": _response(ask, reply, name, start)})
    yield Event({"type": "response.in_progress", "response": _response(ask, reply, name, "in_progress")})
    if status in {"completed", "incomplete"}:
        for index, item in enumerate(_items(ask, reply, status)):
            yield from _item_events(ask, reply, item, index)
    if status not in {"queued", "in_progress", "cancelled"}:
        yield Event({"type": f"response.{status}", "response": _response(ask, reply, name, status)})


def _item_events(ask: Ask, reply: Reply, item: dict[str, Any], index: int) -> Iterator[Event]:
    started = {**item, "status": "in_progress"} if "status" in item else dict(item)
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "reasoning":
        started["summary"] = []
        parts = _summary_events(item, place)
    elif item["type"] == "function_call":
        started["arguments"] = ""
        parts = _argument_events(item, place)
    else:
        started["content"] = []
        parts = _message_events(ask, reply, item, place)
    yield Event({"type": "response.output_item.added", "output_index": index, "item": started})
    yield from parts
    yield Event({"type": "response.output_item.done", "output_index": index, "item": item})


def _summary_events(item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
    place = {**place, "summary_index": 0}
    text = item["summary"][0]["text"]
    part = "response.reasoning_summary_part"
    yield Event({"type": f"{part}.added", **place, "part": {"type": "summary_text", "text": ""}})
    for piece in cut(text, 2):
        yield Event({"type": "response.reasoning_summary_text.delta", **place, "delta": piece}, chunk=True)
    yield Event({"type": "response.reasoning_summary_text.done", **place, "text": text})
    yield Event({"type": f"{part}.done", **place, "part": {"type": "summary_text", "text": text}})


def _argument_events(item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
    kind = "response.function_call_arguments"
    for piece in cut(item["arguments"], 2):
        yield Event({"type": f"{kind}.delta", **place, "delta": piece}, chunk=True)
    yield Event({"type": f"{kind}.done", **place, "name": item["name"], "arguments": item["arguments"]})


def _message_events(ask: Ask, reply: Reply, item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
    for index, part in enumerate(item["content"]):
        here = {**place, "content_index": index}
        refused = part["type"] == "refusal"
        field, kind = ("refusal", "refusal") if refused else ("text", "output_text")
        pieces = (
            cut(part["refusal"], 2) if refused else reply.pieces(prescribed(ask.option("text", "format")))
        )
        extra: dict[str, Any] = {} if refused else {"logprobs": []}
        yield Event({"type": "response.content_part.added", **here, "part": {**part, field: ""}})
        for piece in pieces:
            yield Event({"type": f"response.{kind}.delta", **here, "delta": piece, **extra}, chunk=True)
        yield Event({"type": f"response.{kind}.done", **here, field: part[field], **extra})
        yield Event({"type": "response.content_part.done", **here, "part": part})
