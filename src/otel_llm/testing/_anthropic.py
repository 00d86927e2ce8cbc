"""The Anthropic Messages API on the wire, also as Bedrock and Vertex pass it on."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from ._openai import prescribed
from ._reply import cut
from ._wire import Answer, Ask, AWSEventStream, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._reply import Reply

__all__ = ["bedrock", "complete", "count_tokens", "error_body", "messages", "models", "vertex"]

_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is a problem with the billing of this account."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    409: ("conflict_error", "The request conflicts with the state of the resource."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    504: ("timeout_error", "The request timed out while processing."),
    529: ("overloaded_error", "Overloaded"),
}
_SERVER_ERROR = ("api_error", "Internal server error")


def error_body(reply: Reply, status: int, number: int) -> dict[str, Any]:
    """The body of an error answer."""
    kind, message = _ERRORS.get(
        status, _SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _ERRORS[400]
    )
    error = {"type": reply.error_type or reply.error_code or kind, "message": reply.error_message or message}
    return {"type": "error", "error": error, "request_id": f"req_{number:06d}"}


def _error_event(reply: Reply) -> Event:
    error = error_body(reply, 529, 0)["error"]
    return Event({"type": "error", "error": error}, "error")


class _Block(NamedTuple):
    """A block of content: whole, what is empty in its start event, and its deltas."""

    whole: dict[str, Any]
    empty: dict[str, Any]
    deltas: list[dict[str, Any]]


def _usage(reply: Reply) -> dict[str, Any]:
    """Token counts; what was read from or written to a cache is not part of `input_tokens` here."""
    if not isinstance(reply.usage, bool):
        return dict(reply.usage)
    if not reply.usage:
        return {}
    usage: dict[str, Any] = {
        "input_tokens": reply.input_tokens - reply.cached_tokens - reply.cache_write_tokens,
        "cache_creation_input_tokens": reply.cache_write_tokens,
        "cache_read_input_tokens": reply.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": reply.cache_write_tokens - reply.cache_write_1h_tokens,
            "ephemeral_1h_input_tokens": reply.cache_write_1h_tokens,
        },
        "output_tokens": reply.output_tokens,
    }
    if reply.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": reply.reasoning_tokens}
    if reply.service_tier is not None:
        usage["service_tier"] = "standard" if reply.service_tier == "default" else reply.service_tier
    return usage


def _blocks(ask: Ask, reply: Reply) -> list[_Block]:
    blocks: list[_Block] = []
    if reply.thinking is not None:
        whole = {"type": "thinking", "thinking": reply.thinking, "signature": "c2lnbmF0dXJl"}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in cut(reply.thinking, 2)]
        deltas.append({"type": "signature_delta", "signature": whole["signature"]})
        blocks.append(_Block(whole, {"thinking": "", "signature": ""}, deltas))
    if reply.redacted_thinking is not None:
        blocks.append(_Block({"type": "redacted_thinking", "data": reply.redacted_thinking}, {}, []))
    pieces = _pieces(ask, reply)
    if pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        blocks.append(
            _Block({"type": "text", "text": "".join(pieces), "citations": None}, {"text": ""}, deltas)
        )
    for i, call in enumerate(reply.tool_calls):
        name = call.id or f"toolu_{ask.number:06d}_{i}"
        whole = {"type": "tool_use", "id": name, "name": call.name, "input": call.input}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *cut(call.json, 2))]
        blocks.append(_Block(whole, {"input": {}}, deltas))
    return blocks


def _pieces(ask: Ask, reply: Reply) -> tuple[str, ...]:
    form = ask.option("output_config", "format") or ask.body.get("output_format")
    return cut(reply.refusal, 2) if reply.refusal is not None else reply.pieces(prescribed(form))


def _stop(reply: Reply) -> dict[str, Any]:
    reason = reply.finish_reason or (
        "tool_use" if reply.tool_calls else "refusal" if reply.refusal else "end_turn"
    )
    stop: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None}
    if reason == "refusal":
        stop["stop_details"] = {"type": "refusal", "category": None, "explanation": reply.refusal}
    return stop


def _message(ask: Ask, reply: Reply) -> dict[str, Any]:
    return {
        "id": f"msg_{ask.number:06d}",
        "type": "message",
        "role": "assistant",
        "model": reply.model or ask.model,
    }


def messages(ask: Ask, reply: Reply) -> Answer:
    """`POST */messages`."""
    return _answer(ask, reply, stream=bool(ask.body.get("stream")))


def _answer(ask: Ask, reply: Reply, *, stream: bool) -> Answer:
    if stream:
        return Answer(events=_events(ask, reply), error=lambda: _error_event(reply))
    usage = _usage(reply)
    body = {**_message(ask, reply), "content": [block.whole for block in _blocks(ask, reply)], **_stop(reply)}
    return Answer(body={**body, "usage": usage} if usage else body)


def _events(ask: Ask, reply: Reply) -> Iterator[Event]:
    usage = _usage(reply)
    opening = dict(usage)
    if "output_tokens" in opening:
        opening["output_tokens"] = min(1, opening["output_tokens"])  # all but the first token are to come
        opening.pop("output_tokens_details", None)
    start: dict[str, Any] = {
        **_message(ask, reply),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": opening,
    }
    yield _event({"type": "message_start", "message": start})
    for index, block in enumerate(_blocks(ask, reply)):
        yield from _block_events(block, index)
        if index == 0:
            yield _event({"type": "ping"})
    closing = {key: value for key, value in usage.items() if key not in {"cache_creation", "service_tier"}}
    yield _event({"type": "message_delta", "delta": _stop(reply), "usage": closing})
    yield _event({"type": "message_stop"})


def _event(data: dict[str, Any], *, chunk: bool = False) -> Event:
    return Event(data, data["type"], chunk)


def _block_events(block: _Block, index: int) -> Iterator[Event]:
    yield _event(
        {"type": "content_block_start", "index": index, "content_block": {**block.whole, **block.empty}}
    )
    for delta in block.deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta}, chunk=True)
    yield _event({"type": "content_block_stop", "index": index})


def complete(ask: Ask, reply: Reply) -> Answer:
    """`POST */complete`: the legacy text completions, which older SDKs have; without token counts."""
    head = {"type": "completion", "id": f"compl_{ask.number:06d}", "model": reply.model or ask.model}
    end = {"stop_reason": reply.finish_reason or "stop_sequence", "stop": None}
    if ask.body.get("stream"):
        running = {"stop_reason": None, "stop": None}
        events = [
            Event({**head, "completion": piece, **running}, "completion", chunk=True)
            for piece in reply.pieces()
        ]
        events.append(Event({**head, "completion": "", **end}, "completion"))
        return Answer(events=iter(events), error=lambda: _error_event(reply))
    return Answer(body={**head, "completion": "".join(reply.pieces()), **end})


def count_tokens(ask: Ask, reply: Reply) -> Answer:  # noqa: ARG001 - every endpoint takes both
    """`POST */messages/count_tokens`."""
    return Answer(body={"input_tokens": reply.input_tokens})


def vertex(ask: Ask, reply: Reply) -> Answer:
    """`POST .../models/{model}:rawPredict` and `:streamRawPredict`."""
    if ask.captured["model"] == "count-tokens":
        return count_tokens(ask, reply)
    return _answer(ask, reply, stream=ask.captured["verb"] == "streamRawPredict")


def bedrock(ask: Ask, reply: Reply) -> Answer:
    """`POST /model/{model}/invoke` and `/invoke-with-response-stream`, in Amazon's framing."""
    if ask.captured["verb"] == "invoke":
        counts = {
            "x-amzn-bedrock-input-token-count": str(reply.input_tokens),
            "x-amzn-bedrock-output-token-count": str(reply.output_tokens),
        }
        answer = _answer(ask, reply, stream=False)
        return Answer(body=answer.body, headers=counts)
    events = (_measured(event, reply) for event in _events(ask, reply) if event.name != "ping")
    return Answer(events=events, framing=AWSEventStream(), error=lambda: _error_event(reply))


def _measured(event: Event, reply: Reply) -> Event:
    """Bedrock adds its own counts to the last event."""
    if event.name != "message_stop" or isinstance(event.data, str):
        return event
    metrics = {"inputTokenCount": reply.input_tokens, "outputTokenCount": reply.output_tokens}
    return event._replace(data={**event.data, "amazon-bedrock-invocationMetrics": metrics})


def models(ask: Ask, reply: Reply) -> Answer:
    """`GET */models` and `GET */models/{id}`."""
    name = reply.model or ask.captured.get("id") or "fake-model"
    model = {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active",
    }
    if "id" in ask.captured:
        return Answer(body=model)
    return Answer(body={"data": [model], "has_more": False, "first_id": name, "last_id": name})
