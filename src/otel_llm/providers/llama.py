"""The Llama API: chat completions of a shape of their own, which are read as OpenAI's after a translation.

Shapes: the types of the llama-api-client SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._plain import is_list
from . import _openai_content
from ._base import Endpoint, fields, whole
from ._parameters import Table, collect, integer
from .openai import CHAT as OPENAI_CHAT
from .openai import ChatStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["CHAT"]

_PARAMETERS: Table = {"top_k": ("top_k", integer)}
_COUNTS = {"num_prompt_tokens": "prompt_tokens", "num_completion_tokens": "completion_tokens"}


def _usage(metrics: Any) -> dict[str, int] | None:
    """Token counts come as a list of metrics, whose values the SDK makes floats."""
    if not is_list(metrics):
        return None
    counts: dict[str, int] = {}
    for metric in metrics:
        facts = fields(metric)
        name, value = _COUNTS.get(str(facts.get("metric"))), facts.get("value")
        count = whole(int(value) if isinstance(value, float) and value.is_integer() else value)
        if name is not None and count is not None:
            counts[name] = count
    return counts or None


def _completion(body: object) -> dict[str, Any]:
    """A response as OpenAI would have sent it."""
    facts = fields(body)
    message = facts.get("completion_message")
    choice = {"message": message, "finish_reason": fields(message).get("stop_reason")}
    return {"id": facts.get("id"), "choices": [choice], "usage": _usage(facts.get("metrics"))}


def _chunk(chunk: object) -> dict[str, Any]:
    """A chunk as OpenAI would have sent it."""
    facts = fields(chunk)
    event = fields(facts.get("event"))
    delta = fields(event.get("delta"))
    is_call = delta.get("type") == "tool_call"
    answer = {"tool_calls": [delta]} if is_call else {"content": delta.get("text")}
    choice = {"index": 0, "delta": answer, "finish_reason": event.get("stop_reason")}
    return {"id": facts.get("id"), "choices": [choice], "usage": _usage(event.get("metrics"))}


def _request(op: Operation, body: Mapping[str, Any]) -> None:
    OPENAI_CHAT.request(op, body)
    collect(op, body, _PARAMETERS)


def _response(op: Operation, body: object) -> None:
    OPENAI_CHAT.response(op, _completion(body))


def _output(body: object) -> list[dict[str, Any]]:
    return _openai_content.chat_output(_completion(body))


class _Stream(ChatStream):
    """Events of the Llama API."""

    __slots__ = ()

    def add(self, chunk: Any) -> int:
        """Take in an event."""
        return super().add(_chunk(chunk))


class _Output(_openai_content.ChatOutput):
    """The output message of a stream."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Take in an event."""
        super().add(_chunk(chunk))


CHAT = Endpoint(
    operation="chat",
    path="/v1/chat/completions",
    request=_request,
    response=_response,
    accumulator=_Stream,
    content=_openai_content.chat,
    output=_output,
    output_accumulator=_Output,
)
