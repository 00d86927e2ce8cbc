"""The Anthropic API: messages and beta messages, on Anthropic's own host, Bedrock, Vertex and Foundry.

Facts about bodies: the SDK's types; which fact fills what: the GenAI conventions and their Anthropic page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._failure import said
from .._operation import Server, Usage, new
from . import _anthropic_content
from ._base import DICT, LARGEST, LIST, NOTHING, Endpoint, Provider, fields, whole, words
from ._finish import ANTHROPIC as FINISH
from ._parameters import Table, collect, effort, floating, integer, stops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["ANTHROPIC", "MESSAGES"]


def _output_type(value: Any) -> str | None:
    return "json" if fields(value).get("type") == "json_schema" else None


_MESSAGES: Table = {
    "temperature": ("temperature", floating),
    "top_p": ("top_p", floating),
    "top_k": ("top_k", integer),
    "max_tokens": ("max_tokens", integer),
    "max_tokens_to_sample": ("max_tokens", integer),  # legacy completions
    "stop_sequences": ("stop_sequences", stops),
    "output_config": ("reasoning_level", effort),
    "output_format": ("output_type", _output_type),
}


def _request(op: Operation, body: Mapping[str, Any]) -> None:
    model = body.get("model")
    op.request_model = model if model and type(model) is str else words(model)
    collect(op, body, _MESSAGES)
    config: Any = body.get("output_config")
    if isinstance(config, DICT):
        structured = _output_type(config.get("format"))
        if structured:
            op.parameters["output_type"] = structured


def _usage(op: Operation, value: Any) -> None:
    """Add up the input: the API counts what was read from and written to the cache apart from `input_tokens`.

    A stream gives counts twice, at its start and, cumulative, in its last delta: what a later one has, wins.
    """
    counts: Mapping[str, Any] = value if type(value) is DICT else getattr(value, "__dict__", NOTHING)
    unknown = getattr(value, "__pydantic_extra__", None)
    if unknown:
        counts = {**counts, **unknown}  # the cache, which an older SDK does not declare
    read, written, plain, given, *more = map(counts.get, _COUNTS)
    usage = op.usage or new(Usage)
    if type(read) is int and 0 <= read < LARGEST:
        usage.cache_read = read
    if type(written) is int and 0 <= written < LARGEST:
        usage.cache_write = written
    if type(plain) is int and 0 <= plain < LARGEST:
        usage.input = plain + (usage.cache_read or 0) + (usage.cache_write or 0)
    if type(given) is int and 0 <= given < LARGEST:
        usage.output = given
    if any(more):
        _breakdown(op, usage, *more)
    op.usage = None if usage.input is None and usage.output is None else usage


_COUNTS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "input_tokens",
    "output_tokens",
    "output_tokens_details",
    "cache_creation",
    "service_tier",
)
_FACTS = ("id", "model", "usage", "stop_reason", "content")
"""Read at once: to look up each by itself would double what reading an answer costs."""


def _breakdown(op: Operation, usage: Usage, output: Any, cache: Any, tier: Any) -> None:
    """What only some responses have: thinking, the cache's lifetimes, the service tier."""
    if output is not None:
        usage.reasoning = whole(fields(output).get("thinking_tokens"))
    if cache is not None:
        split = fields(cache)
        usage.cache_write_5m = whole(split.get("ephemeral_5m_input_tokens"))
        usage.cache_write_1h = whole(split.get("ephemeral_1h_input_tokens"))
    if tier is not None:
        if op.server is None:
            op.server = Server()
        op.server.service_tier = words(tier)


def _response(op: Operation, body: Any) -> None:
    blocks: Any
    identifier, model, usage, reason, blocks = map(fields(body).get, _FACTS)
    if identifier and type(identifier) is str:
        op.response_id = identifier
    if model and type(model) is str:
        op.response_model = model
    if usage is not None:
        _usage(op, usage)
    if isinstance(reason, str):
        op.finish_reasons = (FINISH.get(reason, reason),)
    if isinstance(blocks, LIST):
        for block in blocks:
            facts: Mapping[str, Any] = block if type(block) is DICT else getattr(block, "__dict__", NOTHING)
            if facts.get("type") == "tool_use":
                name = words(facts.get("name"))
                op.tool_calls += (name,) if name else ()


class MessageStream:
    """Events of the messages API."""

    __slots__ = ("done", "op")

    def __init__(self, op: Operation) -> None:
        self.op = op
        self.done = False

    def add(self, chunk: Any) -> int:
        """Take in an event: the hot path of streams.

        Nearly all events are models with a piece of text; what is not, `_read` reads.
        """
        try:
            if chunk.type == "content_block_delta":
                return len(chunk.delta.text.encode())
        except (AttributeError, ValueError):
            pass
        return self._read(chunk)

    def _read(self, chunk: Any) -> int:
        data: Mapping[str, Any] = chunk if type(chunk) is DICT else getattr(chunk, "__dict__", NOTHING)
        kind = data.get("type")
        if kind == "content_block_delta":
            return self._delta(data.get("delta"))
        if kind == "message_start":
            _response(self.op, data.get("message"))
        elif kind == "message_delta":
            self._message_delta(data)
        elif kind == "content_block_start":
            block = fields(data.get("content_block"))
            if block.get("type") == "tool_use" and isinstance(block.get("name"), str):
                self.op.tool_calls += (block["name"],)
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":  # the SDK raises it, unless the application reads the bytes itself
            self.op.error = said(words(fields(data.get("error")).get("type")))
            self.done = True
        return 0

    def _delta(self, delta: Any) -> int:
        data: Mapping[str, Any] = delta if type(delta) is DICT else getattr(delta, "__dict__", NOTHING)
        output = data.get("text") or data.get("partial_json") or data.get("thinking")
        if type(output) is not str:
            return 0
        return len(output) if output.isascii() else len(output.encode("utf-8", "replace"))

    def _message_delta(self, data: Mapping[str, Any]) -> None:
        op = self.op
        reason = fields(data.get("delta")).get("stop_reason")
        if isinstance(reason, str):
            op.finish_reasons = (FINISH.get(reason, reason),)
        usage = data.get("usage")
        if usage is not None:
            _usage(op, usage)

    def finish(self) -> None:
        """Nothing is left to the end: every event writes what it knows."""


MESSAGES = Endpoint(
    operation="chat",
    path="/v1/messages",
    request=_request,
    response=_response,
    accumulator=MessageStream,
    content=_anthropic_content.messages,
    output=_anthropic_content.message_output,
    output_accumulator=_anthropic_content.MessageOutput,
)


class CompletionStream(MessageStream):
    """Events of legacy text completions: each is a completion, without token counts."""

    __slots__ = ()

    def add(self, chunk: Any) -> int:
        """Take in a completion."""
        data = fields(chunk)
        op = self.op
        if op.response_id is None:
            op.response_id = words(data.get("id"))
            op.response_model = words(data.get("model"))
        reason = data.get("stop_reason")
        if isinstance(reason, str):
            op.finish_reasons = (FINISH.get(reason, reason),)
            self.done = True
        output = data.get("completion")
        return len(output.encode("utf-8", "replace")) if isinstance(output, str) else 0


COMPLETE = Endpoint(
    operation="text_completion",
    path="/v1/complete",
    request=_request,
    response=_response,
    accumulator=CompletionStream,
    content=_anthropic_content.prompt,
    output=_anthropic_content.completion_output,
    output_accumulator=_anthropic_content.CompletionOutput,
)

ANTHROPIC = Provider(
    name="anthropic",
    label="anthropic",
    module="anthropic",
    distribution="anthropic",
    endpoints=(MESSAGES, COMPLETE),
    hosts=("api.anthropic.com", ".anthropic.com"),
    minimum="0.30.0",
    tested="2.11.0",
    flavour="anthropic",
)
