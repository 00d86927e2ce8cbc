"""What some providers have made of OpenAI's format. Shapes: the types of their SDKs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._failure import said
from .._plain import is_list, record
from . import _openai_content
from ._base import fields
from ._parameters import Table, collect, integer
from .anthropic import MESSAGES
from .openai import CHAT, COMPLETIONS, ChatStream, usage_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._operation import Operation

__all__ = ["FIREWORKS_MESSAGES", "GROQ_CHAT", "TOGETHER_COMPLETIONS", "WRITER_CHAT", "WRITER_COMPLETIONS"]


class _GroqStream(ChatStream):
    """Groq tells usage unasked, and why it stopped early, in a field of its own in the last chunk."""

    __slots__ = ()

    def add(self, chunk: Any) -> int:
        """Take in a chunk."""
        size = super().add(chunk)
        own = fields(chunk).get("x_groq")
        if own is not None:
            facts = fields(own)
            op = self.op
            if facts.get("usage") is not None:
                op.usage = usage_of(facts["usage"]) or op.usage
            if facts.get("error"):
                op.error = said(None)  # a sentence
        return size


GROQ_CHAT = CHAT._replace(accumulator=_GroqStream)


def _together_chunk(chunk: object) -> dict[str, Any]:
    """Together's types of a chunk lack what the API sends in it, and know the reason in another place."""
    facts = record(chunk)
    choices: Any = facts.get("choices")
    if not is_list(choices):
        return dict(facts)
    reason = {"finish_reason": facts.get("finish_reason")}
    return {**facts, "choices": [{**reason, **record(choice)} for choice in choices]}


class _TogetherStream(ChatStream):
    """Chunks of Together's text completions."""

    __slots__ = ()

    def add(self, chunk: Any) -> int:
        """Take in a chunk."""
        return super().add(_together_chunk(chunk))


class _TogetherOutput(_openai_content.ChatOutput):
    """The text of a stream of Together's text completions."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Take in a chunk."""
        super().add(_together_chunk(chunk))


TOGETHER_COMPLETIONS = COMPLETIONS._replace(accumulator=_TogetherStream, output_accumulator=_TogetherOutput)


def _fireworks_response(op: Operation, body: object) -> None:
    """Fireworks' type of a message lacks the usage that the API sends."""
    MESSAGES.response(op, record(body))


FIREWORKS_MESSAGES = MESSAGES._replace(response=_fireworks_response)

_WRITER: Table = {"random_seed": ("seed", integer)}


def _writer_request(op: Operation, body: Mapping[str, Any]) -> None:
    COMPLETIONS.request(op, body)
    collect(op, body, _WRITER)


def _writer_chunk(chunk: object) -> dict[str, Any]:
    """Writer's completions stream pieces of text, and nothing else."""
    return {"choices": [{"index": 0, "text": fields(chunk).get("value")}]}


class _WriterStream(ChatStream):
    """Chunks of Writer's text completions."""

    __slots__ = ()

    def add(self, chunk: Any) -> int:
        """Take in a chunk."""
        return super().add(_writer_chunk(chunk))


class _WriterOutput(_openai_content.ChatOutput):
    """The text of a stream of Writer's text completions."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Take in a chunk."""
        super().add(_writer_chunk(chunk))


WRITER_CHAT = CHAT._replace(path="/v1/chat")
WRITER_COMPLETIONS = COMPLETIONS._replace(
    request=_writer_request, accumulator=_WriterStream, output_accumulator=_WriterOutput
)
