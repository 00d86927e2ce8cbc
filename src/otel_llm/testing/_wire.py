"""What the wire formats share: the request as they see it, the answer they build, the framing of events."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "CREATED",
    "AWSEventStream",
    "Answer",
    "Ask",
    "Event",
    "Framing",
    "RecordedRequest",
    "ServerSentEvents",
]

CREATED = 1_700_000_000
"""The moment every answer says it was made at (seconds since the epoch): the same in each run."""


@dataclass(slots=True, frozen=True)
class RecordedRequest:
    """A request as the server received it."""

    number: int
    """From 1, in the order of arrival at this server."""
    connection: int
    """The connection it came over, from 1: the same number twice is a connection that was kept alive."""
    method: str
    target: str
    """Path and query as sent."""
    headers: Mapping[str, str]
    """Names in lower case; values of a repeated name are joined by a comma."""
    body: bytes

    @property
    def path(self) -> str:
        """The path, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query, without the question mark; empty when there is none."""
        return self.target.partition("?")[2]

    @property
    def json(self) -> Any:
        """The parsed body, None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(slots=True, frozen=True)
class Ask:
    """A request, routed."""

    request: RecordedRequest
    body: Mapping[str, Any]
    """The JSON object of the request, empty where there is none."""
    captured: Mapping[str, str]
    """The named parts of the path, unquoted."""
    query: Mapping[str, str]

    @property
    def number(self) -> int:
        """The number of the request, which ids are made from."""
        return self.request.number

    @property
    def model(self) -> str:
        """The model that is asked for, in the body or in the path."""
        model = self.body.get("model")
        return model if isinstance(model, str) else self.captured.get("model", "fake-model")

    @property
    def client(self) -> str:
        """The client's SDK in lower case (`openai`, `groq`, `llamaapiclient`, ...), from its user agent."""
        name = self.request.headers.get("user-agent", "").partition("/")[0].lower()
        return name.removeprefix("async")

    def option(self, *names: str) -> Any:
        """The value at a nested name of the body, None where there is none."""
        value: Any = self.body
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return value  # pyright: ignore[reportUnknownVariableType]


class Event(NamedTuple):
    """One event of a stream."""

    data: Mapping[str, Any] | str
    """Text is sent as it is."""
    name: str | None = None
    chunk: bool = False
    """It carries a piece of the output: delays and faults count these."""


class Framing(Protocol):
    """How events become bytes."""

    content_type: str

    def frame(self, event: Event) -> bytes:
        """The bytes of one event."""
        ...

    def error(self, event: Event) -> bytes:
        """The bytes of an error event."""
        ...


class ServerSentEvents:
    """`text/event-stream`, as OpenAI and Anthropic send it."""

    content_type = "text/event-stream; charset=utf-8"

    def frame(self, event: Event) -> bytes:
        """`event:` if it has a name, and one line of data."""
        head = f"event: {event.name}\n" if event.name else ""
        return f"{head}data: {_text(event)}\n\n".encode()

    error = frame


class AWSEventStream:
    """`application/vnd.amazon.eventstream`: length, checksums and headers around each event (Bedrock)."""

    content_type = "application/vnd.amazon.eventstream"

    def frame(self, event: Event) -> bytes:
        """A `chunk` message: the event's JSON in base64."""
        payload = json.dumps({"bytes": base64.b64encode(_text(event).encode()).decode()})
        return self._message({":event-type": "chunk", ":message-type": "event"}, payload.encode())

    def error(self, event: Event) -> bytes:
        """An exception message, which has a text and no other details."""
        told = json.loads(_text(event))["error"]
        name = {"rate_limit_error": "throttlingException"}.get(told["type"], "internalServerException")
        payload = json.dumps({"message": told["message"]}).encode()
        return self._message({":exception-type": name, ":message-type": "exception"}, payload)

    @staticmethod
    def _message(headers: Mapping[str, str], payload: bytes) -> bytes:
        block = b"".join(
            struct.pack("!B", len(name))
            + name.encode()
            + b"\x07"
            + struct.pack("!H", len(value))
            + value.encode()
            for name, value in {**headers, ":content-type": "application/json"}.items()
        )
        prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
        message = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
        return message + struct.pack("!I", zlib.crc32(message))


def _text(event: Event) -> str:
    return event.data if isinstance(event.data, str) else json.dumps(event.data, separators=(",", ":"))


@dataclass(slots=True, frozen=True)
class Answer:
    """What a wire format makes of a reply: a body, or events."""

    body: Mapping[str, Any] | None = None
    events: Iterator[Event] | None = None
    framing: Framing = field(default_factory=ServerSentEvents)
    error: Callable[[], Event] | None = None
    """Makes the event of an error within the stream; there is one where there are events."""
    headers: Mapping[str, str] | None = None
    """Beside the default ones."""
