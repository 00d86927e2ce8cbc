"""Chat completions on the wire, as OpenAI and the SDKs of others read them.

Shapes: the types of the openai SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._dialects import dressed, error_event, usage_unasked
from ._openai import DONE, count_of, error_body, finish_of, head_of, prescribed, usage_asked, usage_of
from ._reply import cut
from ._wire import Answer, Ask, Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._reply import Reply

__all__ = ["chat"]

_FILTERED = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}


def chat(ask: Ask, reply: Reply) -> Answer:
    """`POST */chat/completions`."""
    if ask.body.get("stream"):
        return Answer(events=_events(ask, reply), error=lambda: error_event(ask, error_body(reply, 500)))
    pieces = _pieces(ask, reply)
    choice = {
        "message": _message(ask, reply, pieces),
        "logprobs": _logprobs(pieces) if ask.body.get("logprobs") else None,
        "finish_reason": finish_of(reply),
    }
    body = head_of(ask, reply, "chat.completion")
    if _is_azure(ask):
        choice["content_filter_results"] = _FILTERED
        body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
    body["choices"] = [{"index": i, **choice} for i in range(count_of(ask, reply))]
    usage = usage_of(reply)
    if usage is not None:
        body["usage"] = usage
    return Answer(body=dressed(ask, body, usage))


def _is_azure(ask: Ask) -> bool:
    return "/openai/deployments/" in ask.request.path


def _pieces(ask: Ask, reply: Reply) -> tuple[str, ...]:
    return reply.pieces(prescribed(ask.body.get("response_format")))


def _message(ask: Ask, reply: Reply, pieces: tuple[str, ...]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(pieces) if pieces or not (reply.tool_calls or reply.refusal) else None,
        "refusal": reply.refusal,
        "annotations": [],
    }
    if reply.thinking is not None:
        message["reasoning_content"] = reply.thinking
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": _call_id(ask, reply, i),
                "type": "function",
                "function": {"name": call.name, "arguments": call.json},
            }
            for i, call in enumerate(reply.tool_calls)
        ]
    return message


def _call_id(ask: Ask, reply: Reply, index: int) -> str:
    return reply.tool_calls[index].id or f"call_{ask.number:06d}_{index}"


def _logprobs(pieces: tuple[str, ...]) -> dict[str, Any]:
    content = [
        {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in pieces
    ]
    return {"content": content, "refusal": None}


def _events(ask: Ask, reply: Reply) -> Iterator[Event]:
    head = head_of(ask, reply, "chat.completion.chunk")
    asked = usage_asked(ask, reply)
    if asked:
        head["usage"] = None
    if _is_azure(ask):  # it says first what its filter found in the prompt
        found = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
        empty: dict[str, Any] = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        yield Event({**empty, "prompt_filter_results": found})
    for choice in _choices(ask, reply):
        yield Event(dressed(ask, {**head, "choices": [choice]}), chunk=_carries(choice["delta"]))
    usage = usage_of(reply)
    for index in range(count_of(ask, reply)):
        stop: dict[str, Any] = {"index": index, "delta": {}, "finish_reason": finish_of(reply)}
        last: dict[str, Any] = {**head, "choices": [{**stop, "logprobs": None}]}
        if usage is not None and not asked and usage_unasked(ask):
            last["usage"] = usage
        yield Event(dressed(ask, last, usage))
    if asked and usage is not None:
        yield Event(dressed(ask, {**head, "choices": [], "usage": usage}))
    yield DONE


def _carries(delta: dict[str, Any]) -> bool:
    """Whether a delta has a piece of the output: all but the first of a choice have."""
    return "refusal" not in delta or delta["refusal"] is not None


def _choices(ask: Ask, reply: Reply) -> Iterator[dict[str, Any]]:
    indices = range(count_of(ask, reply))
    logprobs = bool(ask.body.get("logprobs"))
    for delta in _deltas(ask, reply):
        told = _logprobs((delta["content"],)) if logprobs and delta.get("content") else None
        for index in indices:
            yield {"index": index, "delta": dict(delta), "logprobs": told, "finish_reason": None}


def _deltas(ask: Ask, reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for piece in cut(reply.thinking or "", 2):
        yield {"reasoning_content": piece}
    for piece in _pieces(ask, reply):
        yield {"content": piece}
    for piece in cut(reply.refusal or "", 2):
        yield {"refusal": piece}
    for i, call in enumerate(reply.tool_calls):
        function = {"name": call.name, "arguments": ""}
        heading = {"index": i, "id": _call_id(ask, reply, i), "type": "function", "function": function}
        yield {"tool_calls": [heading]}
        for piece in cut(call.json, 2):
            yield {"tool_calls": [{"index": i, "function": {"arguments": piece}}]}
