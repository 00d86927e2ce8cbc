"""Runs the random programs of `fuzz` against a fake provider and tells everything a program can see.

Run twice, without and with instrumentation, the two must be equal.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib
import inspect
import re
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from doors import CHAT, MESSAGE, TLS, client
from fuzz_call import END, Call, driven, turns
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from otel_llm import _recording
from otel_llm.testing import FakeProvider, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz import Plan, Step

    from otel_llm.testing import RecordedRequest

__all__ = ["Bench", "Run"]

STEP = "x-fuzz-step"
NESTED = "n"
"""At the end of the step's number: of a call that is made inside the step's own."""
CHANGING = {"idempotency-key", "x-stainless-idempotency-key", "host"}
"""Headers that two runs of one program have different values of, or that carry the port."""
UNWATCHED = TracerProvider(shutdown_on_exit=False)
"""The program has spans of its own in both runs: the anthropic SDK sends their ids."""


class _Stage(trace.TracerProvider):
    """Given to clients once; passes on to the provider of the run."""

    now: trace.TracerProvider = UNWATCHED

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return _StageTracer(lambda: self.now.get_tracer(*args, **kwargs))


class _StageTracer(trace.Tracer):
    def __init__(self, find: Callable[[], trace.Tracer]) -> None:
        self._find = find

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._find().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._find().start_as_current_span(*args, **kwargs)


# All of them.


@dataclass
class Run:
    """What one run of a program showed."""

    seen: list[str]
    requests: Any
    """All in order, or per step in order."""
    unwatched: set[int]
    """The steps that were begun after instrumentation was switched off."""
    wrong: list[str]
    """What must be so in every run, and was not."""

    @property
    def comparable(self) -> Any:
        return self.requests, self.seen


class Bench:
    """A fake provider, clients, threads and an event loop that serve many runs."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.server = self._stack.enter_context(FakeProvider())
        self.server.reply(self._reply)
        self._runner = self._stack.enter_context(asyncio.Runner())
        self._scripts: dict[int, list[Reply]] = {}
        self._stage = _Stage()
        self._native = (
            "open_telemetry" in inspect.signature(importlib.import_module("anthropic").Anthropic).parameters
        )
        self._shared = {
            (sdk, asynchronous, traced): self._shared_client(sdk, asynchronous, traced)
            for sdk, asynchronous, traced in (
                *(("openai", kind, False) for kind in (False, True)),
                *(("anthropic", kind, traced) for kind in (False, True) for traced in (False, True)),
            )
        }
        self._threads = self._stack.enter_context(ThreadPoolExecutor(8))

    def _shared_client(self, sdk: str, asynchronous: bool, traced: bool) -> Any:
        made = self._made(sdk, asynchronous, traced)
        self._stack.callback(lambda: self._runner.run(made.close()) if asynchronous else made.close())
        return made

    def _made(self, sdk: str, asynchronous: bool, traced: bool, **options: Any) -> Any:
        if traced and self._native:
            options["open_telemetry"] = {"tracer_provider": self._stage}
        return client(sdk, self.server, asynchronous=asynchronous, max_retries=0, **options)

    def close(self) -> None:
        self._stack.close()

    def settle(self) -> None:
        """Let the garbage collector and the event loop end what the program dropped."""
        gc.collect()
        self._runner.run(turns())

    def _reply(self, request: RecordedRequest) -> Reply:
        number = request.headers[STEP]
        if number.endswith(NESTED):
            return Reply()
        script = self._scripts[int(number)]
        return script.pop(0) if len(script) > 1 else script[0]

    def asked(self, number: int) -> bool:
        """Whether a request of this step arrived."""
        return any(request.headers[STEP] == str(number) for request in self.server.requests)

    def run(
        self, plan: Plan, provider: trace.TracerProvider = UNWATCHED, off: Callable[[], None] | None = None
    ) -> Run:
        """Run the program, whose spans (and those of SDKs that make some) go to `provider`.

        `off` switches instrumentation off.
        """
        self.server.clear()
        self.server._received = 0  # ids are made from it
        self._scripts = {number: list(step.replies) for number, step in enumerate(plan.steps)}
        self._stage.now = provider
        done = Run([], {}, set(), [])
        tracer = provider.get_tracer("app")
        spans = [tracer.start_span(f"step-{number}", context.Context()) for number in range(len(plan.steps))]
        contexts = [contextvars.copy_context() for _ in spans]
        for inside, span in zip(contexts, spans, strict=True):
            inside.run(context.attach, trace.set_span_in_context(span))
        calls = [
            Call(number, step, partial(self.asked, number), self._client(number, step))
            for number, step in enumerate(plan.steps)
        ]
        if plan.together:
            self._runner.run(self._together(calls, contexts))
        else:
            self._in_turn(plan, calls, contexts, done, off)
        for call, inside, span in zip(calls, contexts, spans, strict=True):
            inside.run(_given_back, span, done.wrong)
            span.end()
            done.seen.append(re.sub(r"\d+", "#", repr(call.seen())) if plan.together else repr(call.seen()))
        done.requests = self._requests(plan)
        return done

    def _client(self, number: int, step: Step) -> Any:
        sdk, asynchronous = step.door.sdk, step.asynchronous
        own = {"default_headers": {STEP: str(number)}, "max_retries": step.retries}
        if step.client == "shared":
            return self._shared[sdk, asynchronous, step.traced].with_options(**own)
        options = {}
        if step.client == "nesting":
            module = importlib.import_module(sdk)
            http = module.DefaultAsyncHttpxClient if asynchronous else module.DefaultHttpxClient
            hook = self._nested_async if asynchronous else self._nested
            options["http_client"] = http(verify=TLS, event_hooks={"request": [hook]})
        return self._made(sdk, asynchronous, step.traced, **options).with_options(**own)

    def _nested(self, request: Any) -> None:
        self._inner(request, asynchronous=False)

    async def _nested_async(self, request: Any) -> None:
        await self._inner(request, asynchronous=True)

    def _inner(self, request: Any, *, asynchronous: bool) -> Any:
        """Another call by another client, as a function that fetches a key by asking a model would make."""
        headers = {STEP: request.headers[STEP] + NESTED}
        if "anthropic-version" in request.headers:
            return self._shared["anthropic", asynchronous, True].messages.create(
                **MESSAGE, extra_headers=headers
            )
        return self._shared["openai", asynchronous, False].chat.completions.create(
            **CHAT, extra_headers=headers
        )

    def _in_turn(
        self,
        plan: Plan,
        calls: list[Call],
        contexts: list[contextvars.Context],
        done: Run,
        off: Callable[[], None] | None,
    ) -> None:
        left = {call.number: deque((*call.step.acts, END)) for call in calls}
        order = iter(plan.order)
        count = 0
        while left:
            number = list(left)[next(order, 0) % len(left)]
            if count == plan.off_after and off is not None:
                off()
            count += 1
            act = left[number].popleft()
            call, inside = calls[number], contexts[number]
            if act.name in ("open", "cancel_open") and plan.off_after is not None and count > plan.off_after:
                done.unwatched.add(number)
            if call.step.asynchronous:
                self._runner.run(call.do(act), context=inside)
            else:
                inside.run(driven, call.do(act))
            inside.run(_given_back, None, done.wrong)
            gc.collect(1)  # what a step dropped is young
            if not left[number]:
                del left[number]
        self._runner.run(turns())

    async def _together(self, calls: list[Call], contexts: list[contextvars.Context]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(
                loop.create_task(call.whole(), context=inside)
                if call.step.asynchronous
                else loop.run_in_executor(self._threads, inside.run, driven, call.whole())
                for call, inside in zip(calls, contexts, strict=True)
            )
        )
        gc.collect(1)
        await turns()

    def _requests(self, plan: Plan) -> Any:
        found = defaultdict(list)
        for request in self.server.requests:
            headers = {name: text for name, text in request.headers.items() if name not in CHANGING}
            if "traceparent" in headers:  # the anthropic SDK names the current span: another one in each run
                headers["traceparent"] = "there"
            step = request.headers[STEP] if plan.together else "all"
            found[step].append((request.method, request.target, request.body, headers))
        return dict(found)


def _given_back(span: trace.Span | None, wrong: list[str]) -> None:
    """The program's own span is current after each act, and no recording is."""
    found = trace.get_current_span()
    name = getattr(found, "name", "")
    if not name.startswith("step-") or (span is not None and found is not span):
        wrong.append(f"the current span is {found}")
    if _recording.current.get() is not None:
        wrong.append("a recording is current")
