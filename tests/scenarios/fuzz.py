"""Random programs for the differential fuzzer: what they are, and what happens when one runs.

A `Plan` is a sequence of calls through the doors, each with the answers the fake provider gives it and the way the
program lets go of what it gets.
`Bench.run` runs one and returns everything a program can see of it, and the requests that were sent.
Run twice, without and with instrumentation, the two must be equal.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from doors import CHAT, DOORS, MESSAGE, RESPONSE, Door, Use, lacking, settled
from hypothesis import strategies as st
from scene import drive

from otel_llm.testing import FakeProvider, Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from opentelemetry import trace

    from otel_llm.testing import RecordedRequest

__all__ = ["Bench", "Plan", "Seen", "Step", "plans"]

STEP = "x-fuzz-step"
CHANGING = {"idempotency-key", "x-stainless-idempotency-key", "host"}
"""Headers that two runs of one program have different values of, or that carry the port."""


class Boom(Exception):
    """What the program's own loop raises."""


@dataclass(frozen=True)
class Step:
    """One call."""

    door: Door
    replies: tuple[Reply, ...]
    """The answers to its attempts, in order; the last one serves all later ones."""
    how: str = "exhaust"
    """How the program lets go of a stream; a call that is no stream knows `exhaust`, `thread` and `cancel` only."""
    after: int = 0
    """The number of events that it reads before that."""
    asynchronous: bool = False
    retries: int = 0

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
        return f"Step({self.door.name} {side} {self.how} after={self.after} retries={self.retries} {told})"


@dataclass(frozen=True)
class Plan:
    """A program: its calls one after the other, or all at the same time."""

    steps: tuple[Step, ...]
    together: bool
    settings: dict[str, Any]


@dataclass
class Seen:
    """What one call gave the program."""

    values: list[Any] = field(default_factory=list)
    error: Any = None
    timed: bool = False
    """How many events came before a cancellation depends on the machine: only the end is compared."""

    def comparable(self) -> Any:
        return (len(self.values) > 0, self.error) if self.timed else (self.values, self.error)


# What is drawn.

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_COUNT = st.integers(0, 40)
_SHAPE_KEYS = st.sampled_from(
    [
        "id",
        "model",
        "choices",
        "usage",
        "content",
        "output",
        "data",
        "status",
        "type",
        "stop_reason",
        "delta",
        "message",
    ]
)
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
    import json

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
        arguments = draw(st.sampled_from(["{}", '{"city": "Paris"}', "not json", "[1]"]))
        facts["tool_calls"] = tuple(ToolCall("weather", arguments) for _ in range(draw(st.integers(1, 2))))
    elif draw(st.integers(0, 6)) == 0:
        facts["refusal"] = "no"
    return Reply(**facts)


_STATUS = st.sampled_from([400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529])
_ERRORS = st.builds(
    Reply.error,
    _STATUS,
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

_HELD = (
    "exhaust",
    "exhaust",
    "break",
    "close",
    "close-twice",
    "read-after-close",
    "drop",
    "raise",
    "thread",
    "hold",
    "final",
)
_HELD_ASYNC = (
    "exhaust",
    "exhaust",
    "break",
    "close",
    "close-twice",
    "read-after-close",
    "drop",
    "raise",
    "cancel",
    "cancel-read",
    "final",
)


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
    content = st.one_of(
        _JSON,
        st.lists(
            st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "odd"]), "text": _JSON}),
            max_size=2,
        ),
    )
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system", "odd"]), "content": content},
        optional={"tool_calls": _JSON, "tool_call_id": _JSON},
    )
    body = dict(base)
    body[key] = draw(_JSON | st.lists(message, max_size=3))
    for name, strategy in {
        "temperature": st.floats(allow_nan=False, allow_infinity=False) | st.integers() | _JSON,
        "model": st.sampled_from(["gpt-4o", "", None, 7]),
        "tools": _JSON,
        "extra_body": st.dictionaries(st.text(max_size=5), _JSON, max_size=2),
        "extra_query": st.just({"a": "b"}),
        "metadata": _JSON,
    }.items():
        if draw(st.integers(0, 3)) == 0:
            body[name] = draw(strategy)
    streaming = draw(st.booleans())
    if streaming:
        body["stream"] = True
    kind = "stream" if streaming else "plain"
    return Door(name=f"odd-{path}({body})", sdk=sdk, path=path, kind=kind, arguments=body)


_DOORS = [door for door in DOORS if lacking(door) is None]


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    door = draw(
        st.one_of(st.sampled_from(_DOORS), st.sampled_from(_DOORS), st.sampled_from(_DOORS), _odd_doors())
    )
    asynchronous = draw(st.booleans())
    if not door.streams:
        ways: tuple[str, ...] = ("exhaust", "exhaust", "exhaust", "cancel" if asynchronous else "thread")
    else:
        ways = _HELD_ASYNC if asynchronous else _HELD
    how = draw(st.sampled_from(ways))
    after = draw(st.integers(0, 5))
    if how == "cancel":
        replies: tuple[Reply, ...] = (Reply(delay=20),)
    elif how == "cancel-read":
        replies = (Reply(chunks=5, hang_after=after),)
    else:
        replies = tuple(draw(st.lists(_REPLIES, min_size=1, max_size=3)))
    return Step(door, replies, how, after, asynchronous, draw(st.integers(0, 2)))


def _quiet(*_: Any) -> None:
    """A hook that does nothing."""


def _settings() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "capture_content": st.sampled_from(["no_content", "span_only", "event_only", "span_and_event"]),
            "semconv": st.sampled_from(["1.41", "latest", "both"]),
            "metrics": st.sampled_from(["all", "basic", "cost", "off"]),
            "chunk_metrics": st.sampled_from(["off", "gaps", "all"]),
            "estimate_usage": st.booleans(),
            "capture_blobs": st.booleans(),
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
    together=st.sampled_from([False, False, True]),
    settings=_settings(),
)


# Running one.


def value(result: Any) -> Any:
    """A result as something that can be compared: types all the way down, fields, and what was set on it."""
    if hasattr(result, "model_dump"):
        return type(result).__name__, _dump(result), sorted(vars(result))
    if hasattr(result, "http_response"):
        return type(result).__name__, result.http_response.status_code, sorted(vars(result))
    return type(result).__name__, result


def _dump(result: Any) -> str:
    try:
        return repr(result.model_dump(warnings=False))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _told(error: BaseException) -> Any:
    """An exception and what stands behind it."""
    behind = []
    inner: BaseException | None = error
    while inner is not None and len(behind) < 6:
        text = re.sub(r"0x[0-9a-f]+|:\d{4,5}\b", "#", str(inner))
        behind.append(
            (type(inner).__name__, text, sorted(set(vars(inner)) - {"request", "response", "_request"}))
        )
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
    return behind


class Bench:
    """A fake provider, HTTP clients and an event loop that serve many runs."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.server = self._stack.enter_context(FakeProvider())
        self.server.reply(self._reply)
        self.runner = self._stack.enter_context(asyncio.Runner())
        self._scripts: dict[int, list[Reply]] = {}
        self._clients = {
            (sdk, kind): self._client(sdk, kind) for sdk in ("openai", "anthropic") for kind in (False, True)
        }
        self._threads = self._stack.enter_context(ThreadPoolExecutor(8))

    def _client(self, sdk: str, asynchronous: bool) -> Any:
        import httpx2
        from doors import client

        cls = httpx2.AsyncClient if asynchronous else httpx2.Client
        made = client(sdk, self.server, asynchronous=asynchronous, max_retries=0)
        assert isinstance(made._client, cls)
        if asynchronous:
            self._stack.callback(lambda: self.runner.run(made.close()))
        else:
            self._stack.callback(made.close)
        return made

    def close(self) -> None:
        self._stack.close()

    def _reply(self, request: RecordedRequest) -> Reply:
        script = self._scripts[int(request.headers[STEP])]
        return script.pop(0) if len(script) > 1 else script[0]

    def run(self, plan: Plan, tracer: trace.Tracer) -> tuple[list[Any], Any]:
        """Everything the program sees, per step, and the requests: all in order, or per step in order."""
        self.server.clear()
        self.server._received = 0  # ids are made from it
        self._scripts = {number: list(step.replies) for number, step in enumerate(plan.steps)}
        seen = self.runner.run(self._together(plan, tracer)) if plan.together else self._in_turn(plan, tracer)
        return [self._compared(one, plan) for one in seen], self._requests(plan)

    @staticmethod
    def _compared(seen: Seen, plan: Plan) -> Any:
        found = seen.comparable()
        return re.sub(r"\d+", "#", repr(found)) if plan.together else repr(found)

    def _requests(self, plan: Plan) -> Any:
        found = defaultdict(list)
        for request in self.server.requests:
            headers = {name: text for name, text in request.headers.items() if name not in CHANGING}
            if (
                "traceparent" in headers
            ):  # the anthropic SDK names the current span, which is another in each run
                headers["traceparent"] = "there"
            step = request.headers[STEP] if plan.together else "all"
            found[step].append((request.method, request.target, request.body, headers))
        return dict(found)

    def asked(self, step: int) -> bool:
        """Whether a request of this step arrived."""
        return any(request.headers[STEP] == str(step) for request in self.server.requests)

    def _in_turn(self, plan: Plan, tracer: trace.Tracer) -> list[Seen]:
        seen: list[Seen] = []
        later: list[Callable[[], None]] = []
        for number, step in enumerate(plan.steps):
            seen.append(one := Seen())
            if step.asynchronous:
                self.runner.run(self._async(number, step, one, tracer))
            else:
                self._sync(number, step, one, tracer, later)
            gc.collect(1)  # what a step dropped is young
        for finish in later:
            finish()
        later.clear()
        gc.collect(1)
        self.runner.run(asyncio.sleep(0))
        return seen

    async def _together(self, plan: Plan, tracer: trace.Tracer) -> list[Seen]:
        seen = [Seen() for _ in plan.steps]
        later: list[Callable[[], None]] = []
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(
                self._async(number, step, seen[number], tracer)
                if step.asynchronous
                else loop.run_in_executor(
                    self._threads, self._sync, number, step, seen[number], tracer, later
                )
                for number, step in enumerate(plan.steps)
            )
        )
        for finish in later:
            finish()
        later.clear()
        gc.collect(1)
        return seen

    def _own(self, number: int, step: Step) -> Any:
        client = self._clients[step.door.sdk, step.asynchronous]
        return client.with_options(default_headers={STEP: str(number)}, max_retries=step.retries)

    # Sync.

    def _sync(
        self, number: int, step: Step, seen: Seen, tracer: trace.Tracer, later: list[Callable[[], None]]
    ) -> None:
        try:
            with tracer.start_as_current_span(f"step-{number}"):
                client = self._own(number, step)
                if step.door.streams:
                    drive(_stream(step, client, seen, later=later))
                elif step.how == "thread":
                    _in_thread(_called(step.door, client, seen))
                else:
                    drive(_called(step.door, client, seen))
        except Exception as error:
            seen.error = _told(error)

    # Async.

    async def _async(self, number: int, step: Step, seen: Seen, tracer: trace.Tracer) -> None:
        with tracer.start_as_current_span(f"step-{number}"):
            reading = asyncio.Event()
            client = self._own(number, step)
            if step.door.streams:
                work = _stream(step, client, seen, reading=reading)
            else:
                work = _called(step.door, client, seen)
            task = asyncio.create_task(work)
            if step.how in ("cancel", "cancel-read"):
                seen.timed = True
                await self._cancel(number, step, task, reading)
            try:
                await task
            except (Exception, asyncio.CancelledError) as error:
                seen.error = _told(error) if not isinstance(error, asyncio.CancelledError) else "cancelled"
            del task
        gc.collect(1)
        for _ in range(20):  # the event loop closes dropped generators in tasks
            await asyncio.sleep(0)

    async def _cancel(
        self, number: int, step: Step, task: asyncio.Task[None], reading: asyncio.Event
    ) -> None:
        for _ in range(2000):
            if task.done() or (reading.is_set() if step.how == "cancel-read" else self.asked(number)):
                break
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.002)
        task.cancel()


def _in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread that inherits the context; its exception is raised here."""
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(context.run, drive, work).result()


async def _called(door: Door, client: Any, seen: Seen) -> None:
    """A call that gives its whole result."""
    use = Use(door, client)
    if door.kind == "body":
        async with use:
            seen.values.append(value(await settled(use.stream.parse())))
        return
    result = (await use.open()).opened
    seen.values.append(value(result))
    if door.kind == "raw":
        seen.values.append(value(await settled(result.parse())))


async def _stream(
    step: Step,
    client: Any,
    seen: Seen,
    *,
    reading: asyncio.Event | None = None,
    later: list[Callable[[], None]] | None = None,
) -> None:
    """A call that gives a stream; `reading` is set before the first read, `later` takes what is held on to."""
    use = await Use(step.door, client).open()
    if not hasattr(use.opened, "__enter__") and not hasattr(use.opened, "__aenter__"):
        seen.values.append(value(use.opened))  # an odd answer is not a stream
        return
    seen.values.append(type(use.opened).__name__)
    if step.how in ("drop", "hold"):
        events = aiter(await use.enter())
        await _read(events, step.after, seen)
        if step.how == "hold" and later is not None:
            later.append(lambda: drive(_rest(events, use, seen)))
        return
    async with use:
        events = aiter(use)
        if reading is not None:
            reading.set()
        if step.how == "thread":
            _in_thread(_read(events, None, seen))
            return
        whole = step.how in ("exhaust", "final", "cancel", "cancel-read")
        await _read(events, None if whole else step.after, seen)
        await _let_go(step, use, seen)
        if step.how == "read-after-close":
            await _read(events, 1, seen)


async def _let_go(step: Step, use: Use, seen: Seen) -> None:
    if step.how == "raise":
        raise Boom
    if step.how in ("close", "close-twice", "read-after-close"):
        for _ in range(2 if step.how == "close-twice" else 1):
            await use.close()
    if step.how == "final":
        for name in _FINALS:
            if callable(getattr(type(use.stream), name, None)):
                seen.values.append(value(await settled(getattr(use.stream, name)())))


_FINALS = ("get_final_completion", "get_final_response", "get_final_message", "get_final_text", "until_done")


async def _read(events: AsyncIterator[Any], count: int | None, seen: Seen) -> None:
    """Read `count` events, or all."""
    number = 0
    while count is None or number < count:
        try:
            event = await anext(events)
        except StopAsyncIteration:
            seen.values.append("end")
            return
        seen.values.append(value(event))
        number += 1


async def _rest(events: AsyncIterator[Any], use: Use, seen: Seen) -> None:
    try:
        await _read(events, None, seen)
        await use.leave(None, None, None)
    except Exception as error:
        seen.error = _told(error)
