"""What the fake provider answers: plain data, the same for every wire format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Reply", "ToolCall"]


@dataclass(slots=True, frozen=True)
class ToolCall:
    """A call of a tool that the model asks for."""

    name: str
    arguments: Mapping[str, Any] | str = "{}"
    """A mapping, or JSON text that is sent as it is (also when it is not valid)."""
    id: str | None = None
    """None: made from the number of the request and the position of the call."""

    @property
    def json(self) -> str:
        """The arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))

    @property
    def input(self) -> Any:
        """The arguments as a value; text that is not JSON gives an empty mapping."""
        if not isinstance(self.arguments, str):
            return dict(self.arguments)
        try:
            return json.loads(self.arguments)
        except ValueError:
            return {}


@dataclass(slots=True, frozen=True, kw_only=True)
class Reply:
    """One answer of the fake provider, and the faults on its way.

    The same reply serves every endpoint; what an endpoint has no place for is left out.
    Times are in seconds unless a name says milliseconds.
    A *chunk* is an event that carries a piece of the output (text, thinking, refusal, arguments of a tool);
    what precedes the first one (`message_start`, the chunk with the role) is not counted.
    """

    status: int = 200
    """HTTP status; from 400 on the body is an error body of the asked API."""
    headers: Mapping[str, str | None] | None = None
    """Added to the default headers, or put in their place; None takes a default header away."""
    body: bytes | Sequence[bytes] | None = None
    """Raw body in place of the built one, on any path; a sequence is streamed, one flush per piece."""

    text: str | None = None
    """The text of the answer, cut into `chunks` pieces; None: `chunks` words, or JSON if asked for."""
    chunks: int | Sequence[str] = 3
    """The number of pieces of text, or the pieces themselves."""
    tool_calls: Sequence[ToolCall] = ()
    """Without `text` or pieces of text, an answer with tool calls has no text."""
    thinking: str | None = None
    """Anthropic: a thinking block; Responses: a reasoning item; chat completions: `reasoning_content`."""
    redacted_thinking: str | None = None
    """Data of a redacted thinking block (Anthropic)."""
    refusal: str | None = None
    """The model's refusal, in place of text."""
    n: int | None = None
    """Number of choices; None: what the request asks for."""
    model: str | None = None
    """The model that answers; None: the one that was asked."""
    finish_reason: str | None = None
    """The API's own word; None: what goes with the content. Responses: the reason why it is incomplete."""
    response_status: str | None = None
    """Status of a Responses object; None: `completed`, or `queued` for a background request."""
    service_tier: str | None = "default"
    """Left out when None. Anthropic answers `standard` for `default`."""

    input_tokens: int = 12
    """With the cached ones, whatever the API counts them as."""
    output_tokens: int = 8
    """With the reasoning ones."""
    cached_tokens: int = 0
    """Input tokens read from a cache."""
    cache_write_tokens: int = 0
    """Input tokens written to a cache."""
    cache_write_1h_tokens: int = 0
    """The part of `cache_write_tokens` that lives for an hour (Anthropic); the rest lives five minutes."""
    reasoning_tokens: int = 0
    """Output tokens spent on reasoning."""
    usage: Mapping[str, Any] | bool = True
    """True: from the counts above; False: none in the answer; a mapping: sent as it is."""
    stream_usage: bool | None = None
    """Usage at the end of a stream of chat completions; None: as `stream_options.include_usage` asks."""

    delay: float = 0.0
    """Before the response's head."""
    first_delay: float = 0.0
    """Between the head and the body."""
    chunk_delay: float = 0.0
    """Before each chunk but the first."""
    gzip: bool = False
    """Compress the body; a stream is flushed at each event."""

    drop: bool = False
    """Close the connection without any answer."""
    die_after: int | None = None
    """Close the connection after so many chunks; a plain body is cut in half. More than there are: never."""
    hang_after: int | None = None
    """Send nothing more after so many chunks (or half a plain body) until the client or the server closes."""
    malformed_after: int | None = None
    """After so many chunks send an event that is not JSON, and end; a plain body ends in its half."""
    error_after: int | None = None
    """After so many chunks send an error event, and end; a plain answer is not affected."""

    error_code: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_param: str | None = None
    retry_after_ms: int | None = None
    """Sent as `retry-after-ms`, and in whole seconds as `retry-after`."""

    def __post_init__(self) -> None:
        if self.cached_tokens + self.cache_write_tokens > self.input_tokens:
            raise ValueError("cached_tokens and cache_write_tokens are part of input_tokens")
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise ValueError("cache_write_1h_tokens is part of cache_write_tokens")
        if self.reasoning_tokens > self.output_tokens:
            raise ValueError("reasoning_tokens is part of output_tokens")

    @classmethod
    def error(
        cls,
        status: int,
        *,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the name in the error body
        message: str | None = None,
        param: str | None = None,
        retry_after_ms: int | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Self:
        """An error answer; what is not given is what the asked API sends with this status."""
        return cls(
            status=status,
            error_code=code,
            error_type=type,
            error_message=message,
            error_param=param,
            retry_after_ms=retry_after_ms,
            headers=headers,
        )

    def pieces(self, asked: str | None = None) -> tuple[str, ...]:
        """The pieces of text; `asked` is the text of an answer whose form the request prescribes."""
        if not isinstance(self.chunks, int):
            return tuple(self.chunks)
        text = self.text
        if text is None:
            if self.tool_calls or self.refusal is not None:
                return ()
            if asked is None:
                return tuple(f"word{i + 1}" if i == 0 else f" word{i + 1}" for i in range(self.chunks))
            text = asked
        return cut(text, self.chunks)


def cut(text: str, count: int) -> tuple[str, ...]:
    """`text` in at most `count` pieces of nearly the same length, none empty."""
    size, rest = divmod(len(text), max(count, 1))
    ends = [size * (i + 1) + min(i + 1, rest) for i in range(max(count, 1))]
    return tuple(text[a:b] for a, b in zip([0, *ends], ends, strict=False) if b > a)
