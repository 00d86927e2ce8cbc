"""The OpenAI API: chat completions, embeddings, legacy completions; `responses` has the Responses API.

Spoken by the openai SDK and, as far as chat, embeddings and completions go, by the Stainless-generated SDKs of
others (`family`).
Facts about bodies: the SDK's types; which fact fills what: the GenAI conventions and their OpenAI page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._failure import said
from .._operation import Usage
from .._plain import record
from . import _openai_content
from ._base import DICT, LIST, NOTHING, Endpoint, Provider, fields, whole, words
from ._finish import OPENAI as FINISH
from ._openai_facts import SAMPLING, bytes_of, facts_of, output_type, usage_of
from ._parameters import Table, collect, floating, integer, several, stops, text
from .responses import FETCH, RESPONSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["CHAT", "COMPLETIONS", "EMBEDDINGS", "OPENAI", "RESPONSES", "ChatStream", "usage_of"]


_CHAT: Table = {
    **SAMPLING,
    "max_tokens": ("max_tokens", integer),
    "max_completion_tokens": ("max_tokens", integer),
    "frequency_penalty": ("frequency_penalty", floating),
    "presence_penalty": ("presence_penalty", floating),
    "seed": ("seed", integer),
    "stop": ("stop_sequences", stops),
    "n": ("choice_count", several),
    "response_format": ("output_type", output_type),
    "reasoning_effort": ("reasoning_level", text),
}


def _encodings(value: Any) -> list[str] | None:
    return [value] if isinstance(value, str) else None


_EMBEDDINGS: Table = {
    "encoding_format": ("encoding_formats", _encodings),
    "dimensions": ("dimension_count", integer),
}


def _chat_request(op: Operation, body: Mapping[str, Any]) -> None:
    model = body.get("model")
    op.request_model = model if model and type(model) is str else words(model)
    collect(op, body, _CHAT)


def _embeddings_request(op: Operation, body: Mapping[str, Any]) -> None:
    op.request_model = words(body.get("model"))
    collect(op, body, _EMBEDDINGS)


def _chat_response(op: Operation, body: Any) -> None:
    data: Mapping[str, Any] = body if type(body) is DICT else getattr(body, "__dict__", NOTHING)
    facts_of(op, data)
    choices: Any = data.get("choices")
    try:  # nearly all answers are models of one choice without a tool call
        [choice] = choices
        if choice.message.tool_calls is None:
            op.finish_reasons = (FINISH[choice.finish_reason],)
            return
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    if type(choices) is LIST:
        _choices(op, choices)


def _choices(op: Operation, choices: list[Any]) -> None:
    reasons: list[str] = []
    for choice in choices:
        facts: Mapping[str, Any] = choice if type(choice) is DICT else getattr(choice, "__dict__", NOTHING)
        reason = facts.get("finish_reason")
        if type(reason) is str:
            reasons.append(FINISH.get(reason, reason))
        message: Any = facts.get("message")
        calls = (message if type(message) is DICT else getattr(message, "__dict__", NOTHING)).get(
            "tool_calls"
        )
        if calls and type(calls) is LIST:
            op.tool_calls += tuple(name for call in calls if (name := _tool_name(call)))
    op.finish_reasons = tuple(reasons)


def _tool_name(call: object) -> str | None:
    facts = fields(call)
    return words(fields(facts.get("function") or facts.get("custom")).get("name"))


def _embeddings_response(op: Operation, body: Any) -> None:
    """The vectors in `data` are never touched: reading them would cost more than the call."""
    facts = record(body)  # Together's type has no usage, though the API may send it
    op.response_model = words(facts.get("model"))
    usage = usage_of(facts.get("usage"))
    if usage is not None and usage.input is not None:
        op.usage = Usage(usage.input)  # an embedding has no output tokens, whatever a host says


class ChatStream:
    """Chunks of chat completions and of legacy completions."""

    __slots__ = ("_fresh", "_reasons", "_tools", "done", "op")

    def __init__(self, op: Operation) -> None:
        self.op = op
        self.done = False
        self._fresh = True
        self._reasons: dict[int, str] = {}
        self._tools: list[str] = []

    def add(self, chunk: Any) -> int:
        """Take in a chunk: the hot path of streams.

        Nearly all chunks are models of one choice with a piece of text and nothing else; what is not, `_read` reads.
        """
        try:
            [choice] = chunk.choices
            text = choice.delta.content
            if text is None or choice.finish_reason is not None or chunk.usage is not None or self._fresh:
                return self._read(chunk)
            return len(text.encode())
        except (AttributeError, TypeError, ValueError):
            return self._read(chunk)

    def _read(self, chunk: Any) -> int:
        data: Mapping[str, Any] = chunk if type(chunk) is DICT else getattr(chunk, "__dict__", NOTHING)
        if self._fresh:
            self._first(data)
        choices: Any = data.get("choices")
        size = 0
        if choices and isinstance(choices, LIST):
            for choice in choices:
                facts: Mapping[str, Any] = (
                    choice if type(choice) is DICT else getattr(choice, "__dict__", NOTHING)
                )
                if facts.get("finish_reason") is not None:
                    self._finished(facts)
                delta: Any = facts.get("delta")
                output = getattr(delta, "content", None) if type(delta) is not DICT else delta.get("content")
                if output is None:
                    size += self._other_output(facts, delta)
                elif type(output) is str:
                    size += len(output) if output.isascii() else len(output.encode("utf-8", "replace"))
        elif not choices:
            self._error(chunk, data)
        if data.get("usage") is not None:
            self._usage(data)
        return size

    def _first(self, data: Mapping[str, Any]) -> None:
        op = self.op
        op.response_id = words(data.get("id")) or None
        op.response_model = words(data.get("model")) or None
        self._fresh = not op.response_id  # Azure begins with a chunk that has neither

    def _finished(self, facts: Mapping[str, Any]) -> None:
        reason = facts["finish_reason"]
        if isinstance(reason, str):
            self._reasons[whole(facts.get("index")) or 0] = FINISH.get(reason, reason)
            self.done = len(self._reasons) >= self.op.parameters.get("choice_count", 1)

    def _error(self, chunk: object, data: Mapping[str, Any]) -> None:
        """A chunk without choices may be an error: the SDK raises it, unless it is Fireworks' or nobody parses it."""
        error = data.get("error") or (getattr(chunk, "__pydantic_extra__", None) or NOTHING).get("error")
        if error:
            told = fields(error)
            self.op.error = said(words(told.get("code")) or words(told.get("type")))
            self.done = True

    def _other_output(self, facts: Mapping[str, Any], delta: Any) -> int:
        """Bytes of a choice without content: tool arguments, a refusal, or a legacy completion's text."""
        output = fields(delta)
        size = bytes_of(output.get("refusal")) + bytes_of(facts.get("text"))
        calls: Any = output.get("tool_calls")
        if isinstance(calls, LIST):
            for call in calls:
                name = _tool_name(call)
                if name:
                    self._tools.append(name)
                size += bytes_of(fields(fields(call).get("function")).get("arguments"))
        return size

    def _usage(self, data: Mapping[str, Any]) -> None:
        op = self.op
        before = op.usage
        facts_of(op, data)
        op.usage = op.usage or before

    def finish(self) -> None:
        """Put finish reasons in the order of their choices."""
        op = self.op
        op.finish_reasons = tuple(self._reasons[index] for index in sorted(self._reasons))
        op.tool_calls = tuple(self._tools)


CHAT = Endpoint(
    operation="chat",
    path="/v1/chat/completions",
    api="chat_completions",
    request=_chat_request,
    response=_chat_response,
    accumulator=ChatStream,
    content=_openai_content.chat,
    output=_openai_content.chat_output,
    output_accumulator=_openai_content.ChatOutput,
)
COMPLETIONS = Endpoint(
    operation="text_completion",
    path="/v1/completions",
    request=_chat_request,
    response=_chat_response,
    accumulator=ChatStream,
    content=_openai_content.prompt,
    output=_openai_content.completion_output,
    output_accumulator=_openai_content.ChatOutput,
)
EMBEDDINGS = Endpoint(
    operation="embeddings",
    path="/v1/embeddings",
    request=_embeddings_request,
    response=_embeddings_response,
    content=_openai_content.embeddings,
)
OPENAI = Provider(
    name="openai",
    label="openai",
    module="openai",
    distribution="openai",
    endpoints=(CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, FETCH),
    hosts=("api.openai.com", ".api.openai.com"),
    key_seams={
        "_client": (
            ("OpenAI", "_refresh_api_key", "_api_key_provider"),
            ("AsyncOpenAI", "_refresh_api_key", "_api_key_provider"),
        ),
        "lib.azure": (
            ("AzureOpenAI", "_get_azure_ad_token", "_azure_ad_token_provider"),
            ("AsyncAzureOpenAI", "_get_azure_ad_token", "_azure_ad_token_provider"),
        ),
    },
    minimum="1.30.5",
    tested="3.52.0",
)
