"""What a provider is: data and pure functions. No patching, no async, no OpenTelemetry, no `try`.

An `Endpoint` tells how the bodies of one API path fill an `Operation`; a `Provider` lists the endpoints of one SDK.
The functions may raise on odd bodies: the driver calls them under the guard.
They read SDK objects through `fields`, so that the same code reads a model, a dict or a raw JSON body.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._operation import Content, Operation

__all__ = [
    "ABSENT",
    "DICT",
    "LARGEST",
    "LIST",
    "NOTHING",
    "Accumulator",
    "Endpoint",
    "OutputAccumulator",
    "Provider",
    "fields",
    "whole",
    "words",
]

NOTHING: Mapping[str, Any] = MappingProxyType({})

ABSENT = frozenset({"NotGiven", "Omit"})
"""The classes of what the SDKs put in place of an argument that was not given; it is taken out when they send."""

LARGEST = 2**63
"""Counts from here on have no place in OTLP."""


DICT: Any = dict
LIST: Any = list
"""As `dict` and `list`, but a check for them leaves the items' types to be anything, as a body's are."""


def fields(body: Any) -> Mapping[str, Any]:
    """The fields of a JSON object, of an SDK model (which keeps them in `__dict__`), or none for anything else.

    Never runs a model's own attribute look-up: that costs microseconds for a field that is missing.
    """
    return body if isinstance(body, DICT) else getattr(body, "__dict__", NOTHING)


def whole(value: object) -> int | None:
    """A count as sent: an int that is no bool, not negative and not beyond 63 bits, else None."""
    return value if type(value) is int and 0 <= value < LARGEST else None


def words(value: object) -> str | None:
    """A text as sent, else None; an empty one says nothing."""
    return value if isinstance(value, str) and value else None


class Accumulator(Protocol):
    """Collects a stream's facts in its `Operation`, chunk by chunk. One per stream."""

    done: bool
    """Whether the event that ends a response has been seen: closing the stream after it loses nothing."""

    def add(self, chunk: Any) -> int:
        """Take in a chunk; return the UTF-8 bytes of model output (text, tool arguments) in it."""
        ...

    def finish(self) -> None:
        """Write to the operation what is only known when no more chunks come."""
        ...


class OutputAccumulator(Protocol):
    """Collects a stream's output messages; made only when content is captured."""

    def add(self, chunk: Any) -> None:
        """Take in a chunk."""
        ...

    def output(self) -> list[dict[str, Any]]:
        """The output messages as far as they came."""
        ...


class Endpoint(NamedTuple):
    """One path of a provider's API that runs a model."""

    operation: str
    """`chat`, `embeddings`, `text_completion`, `fetch_response`."""
    path: str
    """The path as the provider documents it; requests match on its end, whatever the host puts before it."""
    request: Callable[[Operation, Mapping[str, Any]], None]
    """Fill in what the request's JSON body says."""
    response: Callable[[Operation, Any], None]
    """Fill in what the response says."""
    accumulator: Callable[[Operation], Accumulator] | None = None
    """Makes the accumulator of a stream; None where the API does not stream."""
    method: str = "post"
    api: str | None = None
    """The OpenAI API flavour."""
    content: Callable[[Mapping[str, Any]], Content] | None = None
    """The messages of a request; called only when content is captured."""
    output: Callable[[Any], list[dict[str, Any]]] | None = None
    """The messages of a response; called only when content is captured."""
    output_accumulator: Callable[[], OutputAccumulator] | None = None

    def matches(self, path: str) -> bool:
        """Whether a request to `path` (without query) is one to this endpoint."""
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.path.removeprefix("/v1")))
        return re.search(f"{pattern}$", path) is not None


class Provider(NamedTuple):
    """One SDK and the API that it speaks."""

    name: str
    """Of the SDK, the instrumentor and its entry point: `openai`."""
    label: str
    """`gen_ai.provider.name` where the SDK talks to its own host."""
    module: str
    """The SDK's top-level module."""
    distribution: str
    """The SDK's distribution, for its version."""
    endpoints: tuple[Endpoint, ...]
    hosts: tuple[str, ...]
    """The hosts that are the provider's own; a name starting with a dot matches every host below it."""
    queues: tuple[str, ...] = ()
    """Paths that end like an endpoint's, but only leave a job for later."""
    minimum: str = "0"
    """The oldest release that the scenarios run on."""
    tested: str = "0"
    """The newest release that the scenarios ran on."""
    flavour: str = "openai"
    """Whose wire format the endpoints are."""
    key_seams: Mapping[str, tuple[tuple[str, str, str], ...]] = NOTHING
    """By module: class, method that fetches a key, and the attribute without which it fetches none."""
