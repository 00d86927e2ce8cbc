"""The OpenAI API: chat completions, Responses, embeddings, legacy completions.

Spoken by the openai SDK and, as far as chat, embeddings and completions go, by the Stainless-generated SDKs of
others (`family`).
Facts about bodies: the SDK's types; which fact fills what: the GenAI conventions and their OpenAI page.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .._failure import said
from .._operation import Server, Usage
from .._plain import record
from . import _openai_content, _responses_content
from ._base import DICT, LARGEST, LIST, NOTHING, Endpoint, Provider, fields, whole, words
from ._finish import OPENAI as FINISH
from ._finish import called_tool, of_response
from ._parameters import Table, collect, effort, floating, integer, several, stops, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["CHAT", "COMPLETIONS", "EMBEDDINGS", "OPENAI", "RESPONSES", "ChatStream", "usage_of"]


def _output_type(value: Any) -> str | None:
    kind = fields(value).get("type")
    return (
        {"text": "text", "json_object": "json", "json_schema": "json"}.get(kind)
        if isinstance(kind, str)
        else None
    )


def _text_output_type(value: Any) -> str | None:
    return _output_type(fields(value).get("format"))


def _asked_tier(value: Any) -> str | None:
    return value if isinstance(value, str) and value != "auto" else None


_SAMPLING: Table = {
    "temperature": ("temperature", floating),
    "top_p": ("top_p", floating),
    "service_tier": ("service_tier", _asked_tier),
}
_CHAT: Table = {
    **_SAMPLING,
    "max_tokens": ("max_tokens", integer),
    "max_completion_tokens": ("max_tokens", integer),
    "frequency_penalty": ("frequency_penalty", floating),
    "presence_penalty": ("presence_penalty", floating),
    "seed": ("seed", integer),
    "stop": ("stop_sequences", stops),
    "n": ("choice_count", several),
    "response_format": ("output_type", _output_type),
    "reasoning_effort": ("reasoning_level", text),
}
_RESPONSES: Table = {
    **_SAMPLING,
    "max_output_tokens": ("max_tokens", integer),
    "text": ("output_type", _text_output_type),
    "reasoning": ("reasoning_level", effort),
    "previous_response_id": ("previous_response_id", text),
}


def _encodings(value: Any) -> list[str] | None:
    return [value] if isinstance(value, str) else None


_EMBEDDINGS: Table = {
    "encoding_format": ("encoding_formats", _encodings),
    "dimensions": ("dimension_count", integer),
}


def _chat_request(op: Operation, body: Mapping[str, Any]) -> None:
    op.request_model = words(body.get("model"))
    collect(op, body, _CHAT)


def _embeddings_request(op: Operation, body: Mapping[str, Any]) -> None:
    op.request_model = words(body.get("model"))
    collect(op, body, _EMBEDDINGS)


def _responses_request(op: Operation, body: Mapping[str, Any]) -> None:
    op.request_model = words(body.get("model"))
    collect(op, body, _RESPONSES)
    conversation = body.get("conversation")
    op.conversation_id = words(conversation) or words(fields(conversation).get("id"))


_INPUT = {
    "cached_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_read_input_tokens": "cache_read",  # Perplexity's Responses
    "cache_creation_input_tokens": "cache_write",
    "text_tokens": "text.input",
    "image_tokens": "image.input",
    "audio_tokens": "audio.input",
}
_OUTPUT = {
    "reasoning_tokens": "reasoning",
    "text_tokens": "text.output",
    "image_tokens": "image.output",
    "audio_tokens": "audio.output",
}


def usage_of(value: Any) -> Usage | None:
    """Token counts of a `usage` object of chat completions, Responses or embeddings; None where there are none.

    Cached and reasoning tokens are subsets of input and output here, so nothing is added up.
    """
    counts: Mapping[str, Any] = value if type(value) is DICT else getattr(value, "__dict__", NOTHING)
    get = counts.get
    usage = Usage()
    number = get("prompt_tokens", get("input_tokens"))
    if type(number) is int and 0 <= number < LARGEST:
        usage.input = number
    number = get("completion_tokens", get("output_tokens"))
    if type(number) is int and 0 <= number < LARGEST:
        usage.output = number
    if usage.input is None and usage.output is None:
        return None
    asked = (
        get("prompt_tokens_details") or get("input_tokens_details") or get("prompt_token_details")
    )  # Writer
    if asked is not None:
        _details(usage, asked, _INPUT)
    answered = get("completion_tokens_details") or get("output_tokens_details")
    if answered is not None:
        _details(usage, answered, _OUTPUT)
    return usage


def _details(usage: Usage, details: Any, known: Mapping[str, str]) -> None:
    """Set the counts that `known` names; the ones of a modality only where there are any."""
    for key, count in (details if type(details) is DICT else getattr(details, "__dict__", NOTHING)).items():
        name = known.get(key)
        if name is None or type(count) is not int or not 0 <= count < LARGEST:
            continue
        if "." not in name:
            setattr(usage, name, count)
        elif count:
            usage.modalities = {**(usage.modalities or {}), name: count}


def _server(op: Operation) -> Server:
    server = op.server
    if server is None:
        server = op.server = Server()
    return server


def _facts(op: Operation, data: Mapping[str, Any]) -> None:
    """What every kind of response carries beside its output."""
    get = data.get
    identifier, model = get("id"), get("model")
    if type(identifier) is str:
        op.response_id = identifier
    if type(model) is str:
        op.response_model = model
    usage = get("usage")
    if usage is not None:
        op.usage = usage_of(usage)
        counts = fields(usage)
        unknown = getattr(usage, "__pydantic_extra__", None)
        if unknown or counts is usage or "cost" in counts:
            _paid(op, {**counts, **(unknown or NOTHING)})
    tier, fingerprint = get("service_tier"), get("system_fingerprint")
    if tier is not None or fingerprint is not None:
        server = op.server if op.server is not None else _server(op)
        server.service_tier = tier if type(tier) is str else None
        server.system_fingerprint = fingerprint if type(fingerprint) is str else None


def _paid(op: Operation, usage: Mapping[str, Any]) -> None:
    """What hosts add to `usage`: a price in US dollars, DeepSeek the tokens read from its cache.

    OpenRouter's price is a number, Perplexity's an object with the total in it.
    """
    cost = usage.get("cost")
    cost = fields(cost).get("total_cost", cost)
    if type(cost) in (int, float):
        _server(op).cost = Decimal(str(cost))
    if op.usage is not None and op.usage.cache_read is None:
        op.usage.cache_read = whole(usage.get("prompt_cache_hit_tokens"))


def _chat_response(op: Operation, body: Any) -> None:
    data: Mapping[str, Any] = body if type(body) is DICT else getattr(body, "__dict__", NOTHING)
    _facts(op, data)
    choices: Any = data.get("choices")
    if type(choices) is not LIST:
        return
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
    op.usage = usage_of(facts.get("usage"))


class ChatStream:
    """Chunks of chat completions and of legacy completions."""

    __slots__ = ("_fresh", "_model", "_open", "_reasons", "_tools", "done", "op")

    def __init__(self, op: Operation) -> None:
        self.op = op
        self.done = False
        self._fresh = True
        self._reasons: dict[int, str] = {}
        self._tools: list[str] = []

    def add(self, chunk: Any) -> int:
        """Take in a chunk; the hot path of streaming, so one pass and no call that is not needed."""
        data: Mapping[str, Any] = chunk if type(chunk) is DICT else getattr(chunk, "__dict__", NOTHING)
        if self._fresh:
            self._first(data)
        choices = data.get("choices")
        size = 0
        if choices:
            for choice in choices:
                facts: Mapping[str, Any] = choice if type(choice) is DICT else getattr(choice, "__dict__", NOTHING)
                if facts.get("finish_reason") is not None:
                    self._finished(facts)
                delta: Any = facts.get("delta")
                output = getattr(delta, "content", None) if type(delta) is not DICT else delta.get("content")
                if output is None:
                    size += self._other_output(facts, delta)
                elif type(output) is str:
                    size += len(output) if output.isascii() else len(output.encode("utf-8", "replace"))
        else:
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
        size = _bytes(output.get("refusal")) + _bytes(facts.get("text"))
        calls: Any = output.get("tool_calls")
        if isinstance(calls, LIST):
            for call in calls:
                name = _tool_name(call)
                if name:
                    self._tools.append(name)
                size += _bytes(fields(fields(call).get("function")).get("arguments"))
        return size

    def _usage(self, data: Mapping[str, Any]) -> None:
        op = self.op
        before = op.usage
        _facts(op, data)
        op.usage = op.usage or before

    def finish(self) -> None:
        """Put finish reasons in the order of their choices."""
        op = self.op
        op.finish_reasons = tuple(self._reasons[index] for index in sorted(self._reasons))
        op.tool_calls = tuple(self._tools)


def _bytes(value: Any) -> int:
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else 0


def _responses_response(op: Operation, body: Any) -> None:
    data = fields(body)
    _facts(op, data)
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
        """Take in an event."""
        data: Mapping[str, Any] = chunk if type(chunk) is DICT else getattr(chunk, "__dict__", NOTHING)
        kind = data.get("type")
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
