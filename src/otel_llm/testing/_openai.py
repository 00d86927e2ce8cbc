"""The OpenAI API on the wire: legacy completions, embeddings, models, and what these share with chat.

Shapes: the types of the openai SDK. Spoken by the SDKs of other providers too, with small additions.
"""

from __future__ import annotations

import array
import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from ._dialects import error_event
from ._schema import example
from ._wire import CREATED, Answer, Ask, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._reply import Reply

__all__ = [
    "DONE",
    "completions",
    "count_of",
    "embeddings",
    "error_body",
    "finish_of",
    "head_of",
    "models",
    "prescribed",
    "usage_asked",
    "usage_of",
]

DONE = Event("[DONE]")
"""What a stream ends with."""
_ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    # type, code, message as the API sends them
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    503: ("service_unavailable_error", None, "The engine is currently overloaded, please try again later"),
}
_SERVER_ERROR = ("server_error", None, "The server had an error while processing your request.")


def error_body(reply: Reply, status: int) -> dict[str, Any]:
    """The body of an error answer, and of an error event of chat completions."""
    kind, code, message = _ERRORS.get(
        status, _SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _ERRORS[400]
    )
    if reply.error_type is not None or reply.error_code is not None:
        code = reply.error_code
    error = {
        "message": reply.error_message or message,
        "type": reply.error_type or kind,
        "param": reply.error_param,
        "code": code,
    }
    return {"error": error}


def usage_of(reply: Reply) -> dict[str, Any] | None:
    """Token counts as chat completions give them, None when there are to be none."""
    if not isinstance(reply.usage, bool):
        return dict(reply.usage)
    if not reply.usage:
        return None
    asked = {"cached_tokens": reply.cached_tokens, "audio_tokens": 0}
    if reply.cache_write_tokens:
        asked["cache_write_tokens"] = reply.cache_write_tokens
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": asked,
        "completion_tokens_details": {
            "reasoning_tokens": reply.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def prescribed(form: object) -> str | None:
    """The text of an answer for a `response_format`, or a `text.format` of Responses."""
    if not isinstance(form, dict):
        return None
    form = cast("dict[str, Any]", form)
    if form.get("type") == "json_object":
        return '{"answer":"text"}'
    if form.get("type") == "json_schema":
        schema = form.get("schema") or form.get("json_schema", {}).get("schema", {})
        return json.dumps(example(schema))
    return None


def finish_of(reply: Reply) -> str:
    """Why the model stopped, in the words of chat completions."""
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def count_of(ask: Ask, reply: Reply) -> int:
    """The number of choices."""
    asked = ask.body.get("n")
    return reply.n or (asked if isinstance(asked, int) else 1)


def head_of(ask: Ask, reply: Reply, kind: str) -> dict[str, Any]:
    """What a completion and each of its chunks start with."""
    head: dict[str, Any] = {
        "id": f"{'cmpl' if kind == 'text_completion' else 'chatcmpl'}-{ask.number:06d}",
        "object": kind,
        "created": CREATED,
        "model": reply.model or ask.model,
        "system_fingerprint": "fp_fake",
    }
    if reply.service_tier is not None and kind != "text_completion":
        head["service_tier"] = reply.service_tier
    return head


def usage_asked(ask: Ask, reply: Reply) -> bool:
    """Whether a stream ends with a chunk of usage alone."""
    if reply.stream_usage is not None:
        return reply.stream_usage
    return bool(ask.option("stream_options", "include_usage"))


def completions(ask: Ask, reply: Reply) -> Answer:
    """`POST */completions`: the legacy endpoint."""
    head = head_of(ask, reply, "text_completion")
    reason = reply.finish_reason or "stop"
    if ask.body.get("stream"):
        events = _completion_events(ask, reply, head, reason)
        return Answer(events=events, error=lambda: error_event(ask, error_body(reply, 500)))
    text = "".join(reply.pieces())
    choice = {"text": text, "logprobs": None, "finish_reason": reason}
    body = {**head, "choices": [{"index": i, **choice} for i in range(count_of(ask, reply))]}
    usage = usage_of(reply)
    return Answer(body=body if usage is None else {**body, "usage": usage})


def _completion_events(ask: Ask, reply: Reply, head: dict[str, Any], reason: str) -> Iterator[Event]:
    def chunk(index: int, text: str, reason: str | None) -> dict[str, Any]:
        return {
            **head,
            "choices": [{"index": index, "text": text, "logprobs": None, "finish_reason": reason}],
        }

    if ask.client == "writer":  # its chunks of text are nothing but text
        for piece in reply.pieces():
            yield Event({"value": piece}, chunk=True)
        return
    indices = range(count_of(ask, reply))
    for piece in reply.pieces():
        for index in indices:
            yield Event(chunk(index, piece, None), chunk=True)
    for index in indices:
        yield Event(chunk(index, "", reason))
    usage = usage_of(reply)
    if usage is not None and usage_asked(ask, reply):
        yield Event({**head, "choices": [], "usage": usage})
    yield DONE


def embeddings(ask: Ask, reply: Reply) -> Answer:
    """`POST */embeddings`: vectors of `dimensions` (or 8) numbers, as a list or in base64."""
    asked: Any = ask.body.get("input", "")
    inputs: list[Any] = [asked] if isinstance(asked, str) else asked
    # A list of numbers is one input, in tokens.
    count = 1 if inputs and isinstance(inputs[0], int) else len(inputs)
    size = ask.body.get("dimensions") or 8
    vectors = [array.array("f", [(i + 1) / (j + 1) for j in range(size)]) for i in range(count)]
    packed = ask.body.get("encoding_format") == "base64" or ask.client == "perplexity"
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": base64.b64encode(vector.tobytes()).decode() if packed else vector.tolist(),
        }
        for i, vector in enumerate(vectors)
    ]
    usage: Mapping[str, Any] | None = {
        "prompt_tokens": reply.input_tokens,
        "total_tokens": reply.input_tokens,
    }
    if not isinstance(reply.usage, bool):
        usage = reply.usage
    elif not reply.usage:
        usage = None
    body: dict[str, Any] = {"object": "list", "data": data, "model": reply.model or ask.model}
    return Answer(body=body if usage is None else {**body, "usage": dict(usage)})


def models(ask: Ask, reply: Reply) -> Answer:
    """`GET */models` and `GET */models/{id}`."""
    name = reply.model or ask.captured.get("id") or "fake-model"
    model = {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}
    return Answer(body=model if "id" in ask.captured else {"object": "list", "data": [model]})
