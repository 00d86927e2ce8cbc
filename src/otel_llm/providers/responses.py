"""OpenAI's Responses API: making a response, plain or streamed, and fetching one that was made before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._failure import said
from . import _responses_content
from ._base import DICT, LIST, NOTHING, Endpoint, fields, words
from ._finish import called_tool, of_response
from ._openai_facts import SAMPLING, facts_of, output_type
from ._parameters import Table, collect, effort, integer, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["FETCH", "RESPONSES"]


def _text_output_type(value: Any) -> str | None:
    return output_type(fields(value).get("format"))


_RESPONSES: Table = {
    **SAMPLING,
    "max_output_tokens": ("max_tokens", integer),
    "text": ("output_type", _text_output_type),
    "reasoning": ("reasoning_level", effort),
    "previous_response_id": ("previous_response_id", text),
}


def _responses_request(op: Operation, body: Mapping[str, Any]) -> None:
    op.request_model = words(body.get("model"))
    collect(op, body, _RESPONSES)
    conversation = body.get("conversation")
    op.conversation_id = words(conversation) or words(fields(conversation).get("id"))


def _responses_response(op: Operation, body: Any) -> None:
    data = fields(body)
    facts_of(op, data)
    conversation = data.get("conversation")
    if conversation is not None:
        op.conversation_id = words(fields(conversation).get("id")) or op.conversation_id
    output: Any = data.get("output")
    if isinstance(output, LIST):
        op.tool_calls = tuple(name for item in output if (name := called_tool(fields(item))))
    _status(op, data)


def _status(op: Operation, data: Mapping[str, Any]) -> None:
    """A Response tells how it ended in its status: one finish reason, or an error without an exception."""
    status = words(data.get("status"))
    reason = of_response(
        status, fields(data.get("incomplete_details")).get("reason"), called=bool(op.tool_calls)
    )
    if reason is not None:
        op.finish_reasons = (reason,)
    if status == "failed":
        op.error = said(words(fields(data.get("error")).get("code")))
    if status is not None:
        op.parameters["response_status"] = status


class ResponseStream:
    """Events of the Responses API."""

    __slots__ = ("_fresh", "done", "op")

    _DELTAS = frozenset(
        {
            "response.output_text.delta",
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
            "response.refusal.delta",
            "response.reasoning_text.delta",
            "response.reasoning_summary_text.delta",
        }
    )
    _LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})

    def __init__(self, op: Operation) -> None:
        self.op = op
        self.done = False
        self._fresh = True

    def add(self, chunk: Any) -> int:
        """Take in an event: the hot path of streams.

        Nearly all events are models with a piece of output; what is not, `_read` reads.
        """
        try:
            if chunk.type in self._DELTAS:
                return len(chunk.delta.encode())
        except (AttributeError, TypeError, ValueError):
            pass
        return self._read(chunk)

    def _read(self, chunk: Any) -> int:
        data: Mapping[str, Any] = chunk if type(chunk) is DICT else getattr(chunk, "__dict__", NOTHING)
        kind = data.get("type")
        if type(kind) is not str:
            return 0  # an odd event is the application's to read; a list could not be looked up
        if kind in self._DELTAS:
            delta = data.get("delta")
            if type(delta) is not str:
                return 0
            return len(delta) if delta.isascii() else len(delta.encode("utf-8", "replace"))
        if self._fresh and data.get("response") is not None:
            self._fresh = False
            facts = fields(data["response"])
            self.op.response_id = words(facts.get("id"))
            self.op.response_model = words(facts.get("model"))
        if kind in self._LAST:
            _responses_response(self.op, data.get("response"))
            self.done = True
        elif kind == "error":
            self.op.error = said(words(data.get("code")))
            self.done = True
        return 0

    def finish(self) -> None:
        """Nothing is left to the end: the last event carries it all."""


def _fetch_request(op: Operation, body: Mapping[str, Any]) -> None:
    """A fetch has no body: the id is in the path, and the driver reads it."""


def _fetch_response(op: Operation, body: Any) -> None:
    """As a response, but its tokens were counted by the call that made it."""
    _responses_response(op, body)
    op.usage = None


class FetchStream(ResponseStream):
    """Events of a Response that another call started."""

    __slots__ = ()

    def finish(self) -> None:
        """Leave the tokens to the call that made the response."""
        self.op.usage = None


RESPONSES = Endpoint(
    operation="chat",
    path="/v1/responses",
    api="responses",
    request=_responses_request,
    response=_responses_response,
    accumulator=ResponseStream,
    content=_responses_content.responses,
    output=_responses_content.response_output,
    output_accumulator=_responses_content.ResponseOutput,
)
FETCH = Endpoint(
    operation="fetch_response",
    path="/v1/responses/{response_id}",
    method="get",
    api="responses",
    request=_fetch_request,
    response=_fetch_response,
    accumulator=FetchStream,
    output=_responses_content.response_output,
    output_accumulator=_responses_content.ResponseOutput,
)
