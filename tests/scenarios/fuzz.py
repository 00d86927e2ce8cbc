"""Random programs for the differential fuzzer: what is drawn.

A `Plan` is some calls through the doors, what the fake provider answers to each, what the program then does with what
it holds, and in which order the calls take turns.
`fuzz_bench` runs one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from doors import CHAT, DOORS, MESSAGE, RESPONSE, Door, lacking
from hypothesis import strategies as st

from otel_llm.testing import Reply, ToolCall

__all__ = ["Act", "Plan", "Step", "plans"]


@dataclass(frozen=True)
class Act:
    """What the program does with one call, once.

    name          sync and async, unless it says otherwise
    open          make the call
    read          read `count` events, or to the end
    final         ask a helper for its final result
    close         close the stream
    leave         leave the `with` block
    raise         leave it with an exception
    drop          let go of everything
    close_client  close the client that the stream was made by, if it is this call's own
    cancel_open   async: make the call, whose answer does not come, and cancel it
    cancel_read   async: read a stream that hangs, and cancel the read
    close_under   async: read a stream that hangs, and close it from another task
    """

    name: str
    count: int | None = None
    aside: bool = False
    """Sync: in another thread, which inherits the context."""

    def __repr__(self) -> str:
        return f"{self.name}{'' if self.count is None else f'({self.count})'}{' aside' if self.aside else ''}"


@dataclass(frozen=True)
class Step:
    """One call."""

    door: Door
    replies: tuple[Reply, ...]
    """The answers to its attempts, in order; the last one serves all later ones."""
    acts: tuple[Act, ...]
    """The first one opens; a `with` block that is open at the end is left then."""
    asynchronous: bool = False
    retries: int = 0
    client: str = "shared"
    """`shared`; `own`: made for this call; `nesting`: its HTTP client makes another call before each request."""
    traced: bool = False
    """Whether the SDK, where it makes spans itself, has a provider for them."""

    @property
    def timed(self) -> bool:
        """How much was read before the end depends on the moment: only the end is compared."""
        return any(act.name in ("cancel_read", "close_under", "close_client") for act in self.acts)

    def __repr__(self) -> str:
        """What of it is told: a reply has thirty fields."""
        told = [
            {
                item.name: found
                for item in fields(Reply)
                if (found := getattr(reply, item.name)) != item.default
            }
            for reply in self.replies
        ]
        side = "async" if self.asynchronous else "sync"
        return (
            f"Step({self.door.name} {side} {self.client} {list(self.acts)} retries={self.retries} "
            f"traced={self.traced} {told})"
        )


@dataclass(frozen=True)
class Plan:
    """A program."""

    steps: tuple[Step, ...]
    order: tuple[int, ...]
    """Which of the calls that are not over acts next; when it is used up, the first one always does."""
    together: bool
    """All calls at the same time, in tasks and threads, in place of an order."""
    off_after: int | None
    """Instrumentation is switched off after so many acts, if the calls take turns."""
    settings: dict[str, Any]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)

# What the provider answers.

_COUNT = st.integers(0, 40)
_SHAPE_KEYS = st.sampled_from(
    [
        "id", "model", "choices", "usage", "content", "output", "data", "status", "type", "stop_reason", "delta",
        "message",
    ]
)  # fmt: skip
_USAGE_KEYS = st.sampled_from(
    [
        "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens",
        "prompt_tokens_details", "input_tokens_details", "output_tokens_details",
        "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation",
    ]
)  # fmt: skip
_ODD_USAGE = st.builds(  # the fake provider itself counts `output_tokens`
    lambda odd, counts: {**odd, **counts},
    st.dictionaries(_USAGE_KEYS, _COUNT | _JSON, max_size=5),
    st.fixed_dictionaries({"output_tokens": _COUNT, "input_tokens": _COUNT}),
)


def _odd_body(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def _good(draw: st.DrawFn) -> Reply:
    inputs, outputs = draw(_COUNT), draw(_COUNT)
    cached = draw(st.integers(0, inputs))
    facts: dict[str, Any] = {
        "chunks": draw(st.integers(0, 6)),
        "text": draw(st.none() | st.text(max_size=30)),
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cached_tokens": cached,
        "cache_write_tokens": draw(st.integers(0, inputs - cached)),
        "reasoning_tokens": draw(st.integers(0, outputs)),
        "gzip": draw(st.booleans()),
        "usage": draw(st.sampled_from([True, True, True, False]) | _ODD_USAGE),
        "stream_usage": draw(st.sampled_from([None, None, False, True])),
        "thinking": draw(st.none() | st.text(max_size=10)),
        "finish_reason": draw(st.sampled_from([None, None, "length", "max_tokens", "content_filter", "odd"])),
        "service_tier": draw(st.sampled_from(["default", None, "flex"])),
    }
    if draw(st.integers(0, 4)) == 0:
        arguments = draw(st.sampled_from(["{}", '{"city": "Paris"}', "not json", "[1]", '{"": 1}']))
        facts["tool_calls"] = tuple(ToolCall("weather", arguments) for _ in range(draw(st.integers(1, 2))))
    elif draw(st.integers(0, 6)) == 0:
        facts["refusal"] = "no"
    return Reply(**facts)


_ERRORS = st.builds(
    Reply.error,
    st.sampled_from([400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529]),
    code=st.sampled_from([None, "insufficient_quota", "context_length_exceeded"]),
    retry_after_ms=st.sampled_from([None, 1]),
)
_BREAKS = st.one_of(
    st.builds(Reply, chunks=st.integers(1, 6), die_after=st.integers(0, 6), gzip=st.booleans()),
    st.builds(Reply, chunks=st.integers(1, 6), error_after=st.integers(0, 6)),
    st.builds(Reply, chunks=st.integers(1, 6), malformed_after=st.integers(0, 6), gzip=st.booleans()),
    st.just(Reply(drop=True)),
)
_PLAIN_BODIES = st.one_of(
    st.sampled_from([b"", b"null", b"[]", b"{", b"not json", b"\xff\xfe", b"{}", b'"x"', b"1e999", b"NaN"]),
    _JSON.map(_odd_body),
    st.dictionaries(
        _SHAPE_KEYS, _JSON | st.lists(st.dictionaries(_SHAPE_KEYS, _JSON, max_size=4), max_size=2)
    ).map(_odd_body),
)
_EVENT_NAMES = st.sampled_from(
    [
        b"", b"event: message_start\n", b"event: content_block_delta\n", b"event: message_delta\n", b"event: odd\n",
        b"event: error\n", b"event: response.completed\n", b"event: ping\n", b": comment\n", b"\r\n",
    ]
)  # fmt: skip
_PIECES = st.lists(
    st.tuples(_EVENT_NAMES, _PLAIN_BODIES | st.just(b"[DONE]")).map(
        lambda pair: pair[0] + b"data: " + pair[1] + b"\n\n"
    )
    | st.binary(max_size=12),
    max_size=4,
)
_BODIES = st.one_of(
    st.builds(
        Reply,
        body=_PLAIN_BODIES,
        headers=st.sampled_from([{"content-type": "application/json"}, {"content-type": "text/html"}, None]),
        status=st.sampled_from([200, 200, 200, 201, 400, 500]),
    ),
    st.builds(Reply, body=_PIECES.map(tuple), headers=st.just({"content-type": "text/event-stream"})),
)
_REPLIES = st.one_of(_good(), _good(), _good(), _ERRORS, _BREAKS, _BREAKS, _BODIES)

# What the program asks.


_CONTENTS = st.one_of(
    _JSON,
    st.lists(
        st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "odd"]), "text": _JSON}),
        max_size=2,
    ),
)
_MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "odd"]), "content": _CONTENTS},
    optional={"tool_calls": _JSON, "tool_call_id": _JSON},
)
_ODD_PARAMETERS = {
    "temperature": st.floats(allow_nan=False, allow_infinity=False) | st.integers() | _JSON,
    "model": st.sampled_from(["gpt-4o", "", None, 7]),
    "tools": _JSON,
    "extra_body": st.dictionaries(st.text(max_size=5), _JSON, max_size=2),
    "extra_query": st.just({"a": "b"}),
    "metadata": _JSON,
}


@st.composite
def _odd_doors(draw: st.DrawFn) -> Door:
    sdk, path, base, key = draw(
        st.sampled_from(
            [
                ("openai", "chat.completions.create", CHAT, "messages"),
                ("openai", "responses.create", RESPONSE, "input"),
                ("anthropic", "messages.create", MESSAGE, "messages"),
            ]
        )
    )
    body = dict(base)
    body[key] = draw(_JSON | st.lists(_MESSAGES, max_size=3))
    for name, strategy in _ODD_PARAMETERS.items():
        if draw(st.integers(0, 3)) == 0:
            body[name] = draw(strategy)
    streaming = draw(st.booleans())
    if streaming:
        body["stream"] = True
    kind = "stream" if streaming else "plain"
    return Door(name=f"odd-{path}({body})", sdk=sdk, path=path, kind=kind, arguments=body)


# What it does with it.

_ALL = Act("read")
_READ = st.builds(Act, st.just("read"), st.integers(0, 5))
_HANG = 3
"""Chunks before a stream hangs."""


def _acts(door: Door, *, asynchronous: bool) -> st.SearchStrategy[tuple[Act, ...]]:
    """From the opening on."""
    aside = st.just(False) if asynchronous else st.sampled_from([False, False, True])
    opens = st.builds(Act, st.just("open"), st.none(), aside)
    if not door.streams:
        ways = [st.tuples(opens), st.tuples(opens)]
        return st.one_of(*ways, st.just((Act("cancel_open"),))) if asynchronous else st.one_of(*ways)
    names = ["close", "close", "leave", "raise", "drop", "final", "close_client"]
    held = st.one_of(
        st.builds(Act, st.just("read"), st.none() | st.integers(0, 5), aside),
        st.builds(Act, st.sampled_from(names), st.none(), aside),
    )
    some = st.builds(lambda first, rest: (first, *rest), opens, st.lists(held, max_size=4))
    whole = st.builds(lambda first: (first, _ALL), opens)
    if not asynchronous:
        return st.one_of(whole, some, some)
    hanging = st.tuples(st.just(Act("open")), st.builds(Act, st.sampled_from(["cancel_read", "close_under"])))
    return st.one_of(whole, some, some, st.just((Act("cancel_open"),)), hanging)


_DOORS = st.sampled_from([door for door in DOORS if lacking(door) is None])


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    door = draw(st.one_of(_DOORS, _DOORS, _DOORS, _odd_doors()))
    asynchronous = draw(st.booleans())
    acts = draw(_acts(door, asynchronous=asynchronous))
    if acts[0].name == "cancel_open":
        replies: tuple[Reply, ...] = (Reply(delay=20),)
    elif acts[-1].name in ("cancel_read", "close_under"):
        replies = (Reply(chunks=5, hang_after=_HANG),)
    else:
        replies = tuple(draw(st.lists(_REPLIES, min_size=1, max_size=3)))
    return Step(
        door,
        replies,
        acts,
        asynchronous,
        retries=draw(st.integers(0, 2)),
        client=draw(st.sampled_from(["shared", "shared", "shared", "own", "nesting"])),
        traced=door.sdk == "anthropic" and draw(st.booleans()),
    )


def _quiet(*_: Any) -> None:
    """A hook that does nothing."""


_SETTINGS = st.fixed_dictionaries(
    {"anthropic_native": st.sampled_from(["replace", "adopt", "coexist"])},
    optional={
        "capture_content": st.sampled_from(["no_content", "span_only", "event_only", "span_and_event"]),
        "semconv": st.sampled_from(["1.41", "latest", "both"]),
        "metrics": st.sampled_from(["all", "basic", "cost", "off"]),
        "chunk_metrics": st.sampled_from(["off", "gaps", "all"]),
        "estimate_usage": st.booleans(),
        "capture_blobs": st.booleans(),
        "cost": st.just(True),
        "max_attribute_bytes": st.sampled_from([64, 1000]),
        "max_span_bytes": st.sampled_from([64, 1000]),
        "redact": st.sampled_from([None, dict]),
        "request_hook": st.just(_quiet),
        "response_hook": st.just(_quiet),
    },
)

plans: st.SearchStrategy[Plan] = st.builds(
    Plan,
    steps=st.lists(_steps(), min_size=1, max_size=4).map(tuple),
    order=st.lists(st.integers(0, 3), max_size=16).map(tuple),
    together=st.sampled_from([False, False, True]),
    off_after=st.none() | st.none() | st.none() | st.integers(1, 6),
    settings=_SETTINGS,
)
