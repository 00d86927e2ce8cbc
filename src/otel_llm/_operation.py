"""The record of one logical call to a model: plain data, no OpenTelemetry, no SDK.

Everything that this package tells anybody is read off an `Operation`: spans and metrics (`_recorder`),
hooks, the request log, cost, the live view.
It is filled while the call runs, then frozen (`freeze`), and from then on safe to keep and to share between threads.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

__all__ = [
    "Attempt",
    "Content",
    "ErrorInfo",
    "FrozenError",
    "Operation",
    "Outcome",
    "RateLimit",
    "Server",
    "StreamStats",
    "Usage",
    "UsageSource",
    "new",
]

UsageSource = Literal["provider", "estimate", "absent"]
"""Where token counts come from: the provider's response, an estimate of ours (opt-in), or nowhere."""


class Outcome(StrEnum):
    """How a call ended. Only `FAILED` is an error."""

    COMPLETED = "completed"
    """The response was received whole."""
    FAILED = "failed"
    """An exception, an error event in the stream, or a response that says it failed."""
    CANCELLED = "cancelled"
    """The application cancelled the task, or was interrupted, while the call ran."""
    CLOSED = "closed"
    """The application closed a stream before its end."""
    ABANDONED = "abandoned"
    """A stream was dropped without being read to its end or closed."""


class FrozenError(AttributeError):
    """Raised on an attempt to change a record after its call has ended."""


class _Frozen:
    """What a record becomes when its call has ended."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenError(f"cannot set {name!r}: the call has ended and its record is frozen")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenError(f"cannot delete {name!r}: the call has ended and its record is frozen")


new: Final = object.__new__
"""Makes an `Operation`, a `Usage` or a `Server` without its `__init__`, for where every call makes one.

These have no slots, so that what is not set stays an attribute of the class and costs nothing.
"""


@dataclass
class Usage:
    """Token counts of one call, as billed; a count that nobody gave is None, never 0.

    `input` includes what was read from and written to a prompt cache, `output` includes reasoning
    (the rule of the GenAI conventions); all other counts are subsets of these two.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    modalities: Mapping[str, int] | None = None
    """Per modality, keyed `text.input`, `image.input`, `audio.input`, `text.cache_read`, `text.output`, ..."""
    cache_write_5m: int | None = None
    """The part of `cache_write` that lives for five minutes (Anthropic)."""
    cache_write_1h: int | None = None
    """The part of `cache_write` that lives for an hour (Anthropic)."""
    source: UsageSource = "provider"

    @property
    def total(self) -> int | None:
        """Input and output together, None when neither is known."""
        if self.input is None and self.output is None:
            return None
        return (self.input or 0) + (self.output or 0)


class _FrozenUsage(Usage, _Frozen):  # in this order, for the layout to be that of `Usage`
    __slots__ = ()


class Attempt(NamedTuple):
    """One HTTP attempt of a call that was not its last."""

    number: int
    """From 1."""
    status: int | None
    """The HTTP status, None when no response came."""
    duration: float
    """Seconds from sending the attempt to knowing that it failed."""
    wait: float
    """Seconds the SDK then waited before the next attempt."""
    error: str | None = None
    """The provider's error code where there was one, else the name of the exception's class."""


class RateLimit(NamedTuple):
    """What a response's headers say of the account's limits. Resets are seconds from the response."""

    remaining_requests: int | None = None
    limit_requests: int | None = None
    reset_requests: float | None = None
    remaining_tokens: int | None = None
    limit_tokens: int | None = None
    reset_tokens: float | None = None


@dataclass
class Server:
    """Facts that the server gives beside the answer."""

    request_id: str | None = None
    organization: str | None = None
    processing: float | None = None
    """Seconds the provider says it worked."""
    service_tier: str | None = None
    system_fingerprint: str | None = None
    status: int | None = None
    """The HTTP status of the last response."""
    rate_limit: RateLimit | None = None
    cost: Decimal | None = None
    """What the provider itself says the call cost, in US dollars (OpenRouter, for instance)."""


class ErrorInfo(NamedTuple):
    """Why a call failed, without a reference to the exception."""

    type: str
    """The low-cardinality `error.type`: the provider's code, `timeout`, or the exception's class."""
    exception: str
    """The qualified name of the exception's class; empty when the response itself said it failed."""
    code: str | None = None
    """The provider's error code, as sent."""
    status: int | None = None
    """The HTTP status."""
    category: str = "unknown"
    """One of `otel_llm.errors.CATEGORIES`."""
    retryable: bool = False
    message: str | None = None
    """The exception's text: content, so only kept when content is captured."""
    stacktrace: str | None = None
    """Only kept when content is captured."""


@dataclass(slots=True)
class StreamStats:
    """How a stream went. Times are seconds; sizes are bytes of chunk data as received, decoded."""

    chunks: int = 0
    bytes: int = 0
    first_chunk: float | None = None
    """From issuing the request to the first chunk."""
    last_chunk: float | None = None
    """From issuing the request to the newest chunk; on the clock of `time.perf_counter` while the stream runs."""
    token_rate: float | None = None
    """Output tokens per second from the first chunk to the last, of a stream that completed."""
    gap_p50: float | None = None
    gap_p99: float | None = None
    gap_max: float | None = None

    def settle(self, op: Operation) -> None:
        """Work out what needs the whole stream, at its end."""
        if self.last_chunk is None or self.first_chunk is None:
            return
        self.last_chunk -= op.started
        seconds = self.last_chunk - self.first_chunk
        output = op.usage.output if op.usage is not None else None
        if output and seconds > 0 and op.outcome is Outcome.COMPLETED:
            self.token_rate = output / seconds


class _FrozenStreamStats(_Frozen, StreamStats):
    __slots__ = ()


@dataclass(slots=True)
class Content:
    """The messages of a call, kept only when content is captured; parts have the conventions' shapes."""

    system: list[dict[str, Any]] | None = None
    input: list[dict[str, Any]] | None = None
    output: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None


_numbers = itertools.count(1)
_process = f"{os.getpid():x}"


def _forked() -> None:
    """The ids of a child process are its own."""
    global _process  # noqa: PLW0603
    _process = f"{os.getpid():x}"


os.register_at_fork(after_in_child=_forked)


@dataclass
class Operation:
    """One logical call: its retries and its stream included."""

    provider: str
    """Who answered, in the conventions' values: `openai`, `anthropic`, `azure.ai.openai`, ..."""
    name: str
    """The operation: `chat`, `embeddings`, `text_completion`."""
    endpoint: str
    """The API path, the same string on every host: `/v1/chat/completions`, `/v1/messages`, ..."""
    sdk: str = ""
    """The SDK that made the call: `openai`, `groq`, ...; empty for `track`."""
    api: str | None = None
    """The OpenAI API flavour: `chat_completions` or `responses`; None on hosts that are not OpenAI's."""
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    conversation_id: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    known_host: bool = True
    """False for a host that nobody told us about: `provider` then names the wire format, and no price applies."""
    stream: bool = False
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    """Request parameters by plain name (`temperature`, `max_tokens`, `output_type`, ...): `semconv` names them."""
    finish_reasons: tuple[str, ...] = ()
    """One per choice, in order, in the conventions' words."""
    usage: Usage | None = None
    cost: Decimal | None = None
    """US dollars, exact; None when the model has no known price."""
    number: int = field(default_factory=_numbers.__next__)
    """Counts the calls of this process."""
    start_time: int = 0
    """Nanoseconds since the epoch."""
    started: float = 0.0
    """On the clock of `time.perf_counter`; `duration` is measured on the same clock."""
    duration: float | None = None
    """Seconds, None while the call runs."""
    outcome: Outcome | None = None
    """None while the call runs."""
    error: ErrorInfo | None = None
    attempts: tuple[Attempt, ...] = ()
    """The attempts before the last; empty for a call that was not retried."""
    server: Server | None = None
    stream_stats: StreamStats | None = None
    """None for a call that does not stream."""
    content: Content | None = None
    tool_calls: tuple[str, ...] = ()
    """The names of the tools the model asked for, in order."""
    attributes: Mapping[str, Any] | None = None
    """What `session(...)` and the application add to the span."""
    trace_id: int = 0
    span_id: int = 0

    @classmethod
    def like(cls, facts: Mapping[str, Any], *, name: str, endpoint: str, api: str | None) -> Operation:
        """A new call of which `facts` are known besides, by name of their field.

        `Operation(...)` would set all thirty fields: a tenth of what recording a call takes.
        """
        op = new(cls)
        op.__dict__.update(facts)
        op.name = name
        op.endpoint = endpoint
        op.api = api
        op.parameters = {}
        op.number = next(_numbers)
        return op

    @property
    def id(self) -> str:
        """Unique among all processes of a host: the same in start, stop and exception."""
        return f"{_process}-{self.number:x}"

    @property
    def attempt_count(self) -> int:
        """How often the request was sent: 1 for a call that was not retried."""
        return len(self.attempts) + 1

    def freeze(self) -> None:
        """Make this record and what it holds immutable; called once, when the call has ended."""
        if self.usage is not None:
            self.usage.__class__ = _FrozenUsage
        if self.stream_stats is not None:
            self.stream_stats.__class__ = _FrozenStreamStats
        self.__class__ = _FrozenOperation  # pyright: ignore[reportAttributeAccessIssue] - same slots, by design

    def to_dict(self) -> dict[str, Any]:
        """A dict ready for `json.dumps`: no None, no empty value; cost as a string, so that it stays exact."""
        return {"id": self.id, **_plain(self)}


class _FrozenOperation(Operation, _Frozen):  # in this order, for the layout to be that of `Operation`
    __slots__ = ()


def _plain(record: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if value is None or value in ((), {}):
            continue
        out[item.name] = _plain_value(value)
    return out


def _plain_value(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Attempt | ErrorInfo | RateLimit):
        return {name: item for name, item in value._asdict().items() if item is not None}
    if isinstance(value, tuple | list):
        return [_plain_value(item) for item in cast("list[Any]", value)]
    if hasattr(value, "items"):
        return {str(key): _plain_value(item) for key, item in value.items()}
    return _plain(value) if hasattr(value, "__dataclass_fields__") else str(value)
