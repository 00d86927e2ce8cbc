"""`traced` and `tool`: spans around the application's own code."""

from __future__ import annotations

import inspect
import itertools
import os
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from opentelemetry import context as otel
from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode, set_span_in_context

from .. import _attributes, _dispatch, _guard, _recording
from .._active import active
from .._around import Block, Scope, around
from .._failure import describe, outcome_of
from .._operation import Content, Outcome
from .._options import capture_mode, current_session, give_back
from .._payloads import SpanMeasurements, StartMeasurements, ToolMetadata
from .._plain import utf8
from ..semconv import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from .._recorder import Recorder
    from .._recording import Recording

__all__ = ["Tool", "ToolRun", "Traced", "tool", "traced"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_numbers = itertools.count(1)


class _Run:
    """A span of the application's own code, as the `_around.Scope` of one run."""

    __slots__ = ("_context", "_start_time", "_started", "_token", "ended", "span")

    def __init__(self, recorder: Recorder, name: str, attributes: dict[str, Any]) -> None:
        self.ended = False
        self._token: Token[Context] | None = None
        self._start_time = time_ns()
        self._started = perf_counter()
        self.span: Span = recorder.tracer.start_span(
            name, None, SpanKind.INTERNAL, attributes, start_time=self._start_time
        )
        self._context = set_span_in_context(self.span)

    @_guard.guarded
    def enter(self) -> None:
        self._token = otel.attach(self._context)

    @_guard.guarded
    def leave(self, error: BaseException | None = None) -> None:
        if self._token is not None and not isinstance(error, GeneratorExit):
            give_back(self._token)

    def item(self, value: Any) -> None:
        pass

    def result(self, value: Any) -> None:
        pass

    @_guard.guarded
    def end(self, error: BaseException | None) -> None:
        if isinstance(error, GeneratorExit):
            # Perhaps a finaliser closes the generator: that must not record.
            _recording.bury(cast("Recording", _Buried(self)))
        else:
            self.finish(error, perf_counter())

    def finish(self, error: BaseException | None, now: float) -> None:
        """End the span, at a time of `perf_counter`."""
        self.ended = True
        if error is not None and outcome_of(error) is Outcome.FAILED:
            self.span.set_attribute(names.ERROR_TYPE, describe(error).type)
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end(self._start_time + int((now - self._started) * 1e9))


class _Buried:
    """A run that waits for its end among the recordings of streams that have died."""

    __slots__ = ("_run",)

    def __init__(self, run: _Run) -> None:
        self._run = run

    @property
    def ended(self) -> bool:
        return self._run.ended

    def let_go(self) -> Outcome:
        return Outcome.CLOSED

    def end(self, _outcome: Outcome, *, at: float) -> None:
        self._run.finish(None, at)


class _Nothing:
    """The scope of a run that is not recorded."""

    span: Span = INVALID_SPAN

    def enter(self) -> None: ...

    def leave(self, error: BaseException | None = None) -> None: ...

    def item(self, value: Any) -> None: ...

    def result(self, value: Any) -> None: ...

    def end(self, error: BaseException | None) -> None: ...


_NOTHING = _Nothing()


def _name_of(fn: Any, attribute: str) -> str:
    """The name of a function; of a partial one that of what it calls, of an object that can be called its class's."""
    return str(getattr(getattr(fn, "func", fn), attribute, type(fn).__name__))


class Traced(Block["Span"]):
    """What `traced` returns: a decorator, or a `with` or `async with` block, good for one use."""

    __slots__ = ("_attributes", "_name")

    def __init__(self, name: str | None, attributes: dict[str, Any]) -> None:
        super().__init__()
        self._name = name
        self._attributes = attributes

    @_guard.guarded
    def _begin(self, name: str) -> _Run | None:
        return _Run(active(), name, self._attributes) if not _recording.silenced() else None

    def _open(self) -> tuple[Scope, Span]:
        if self._name is None:
            raise TypeError("traced() needs a name for a block")
        run = self._begin(self._name) or _NOTHING
        return run, run.span

    def __call__(self, fn: _F) -> _F:
        name = self._name or _name_of(fn, "__qualname__")
        return around(fn, lambda _args, _kwargs: self._begin(name) or _NOTHING)


@overload
def traced(fn: _F, /) -> _F: ...
@overload
def traced(name: str | None = None, /, **attributes: Any) -> Traced: ...
def traced(name: Any = None, /, **attributes: Any) -> Any:
    """Make a span of the application's own code; calls made inside are its children.

    Decorates functions, coroutines and generators of both kinds (`@traced`, `@traced("name", key="value")`),
    or stands around a block (`with traced("name") as span:`).
    A failure is on the span as `error.type`, without its text, which may quote content.
    """
    return Traced(None, {})(name) if callable(name) else Traced(name, attributes)


class ToolRun:
    """A tool that runs in a `with tool(...)` block."""

    __slots__ = ("_run",)

    def __init__(self, run: _ToolRun | _Nothing) -> None:
        self._run = run

    @property
    def span(self) -> Span:
        """The span of this run."""
        return self._run.span

    def result(self, value: Any) -> None:
        """What the tool gives back: recorded when content is captured."""
        self._run.result(value)


class _ToolRun(_Run):
    __slots__ = ("_config", "_content", "_metadata")

    def __init__(
        self, recorder: Recorder, name: str, facts: dict[str, Any], arguments: Callable[[], Any]
    ) -> None:
        name = utf8(name)  # often the model's own word, as is the id
        attributes: dict[str, Any] = {names.OPERATION_NAME: "execute_tool", names.TOOL_NAME: name}
        attributes.update({key: utf8(value) for key, value in facts.items() if value is not None})
        session = current_session()
        if session is not None:
            if session.conversation_id is not None:
                attributes[names.CONVERSATION_ID] = session.conversation_id
            attributes.update(session.attributes)
        super().__init__(recorder, f"execute_tool {name}", attributes)
        self._config = recorder.config
        mode = capture_mode(recorder.config)
        self._content = mode in ("span_only", "span_and_event") and self.span.is_recording()
        ids = self.span.get_span_context()
        call_id = attributes.get(names.TOOL_CALL_ID)
        self._metadata = (
            f"{os.getpid():x}-t{next(_numbers):x}",
            name,
            call_id,
            f"{ids.trace_id:032x}",
            f"{ids.span_id:016x}",
        )
        self._emit("llm.tool.start", StartMeasurements(self._start_time), None)
        part = {"type": "tool_call", "id": call_id, "name": name}
        self._record(names.TOOL_CALL_ARGUMENTS, "assistant", part, "arguments", arguments)

    def _emit(self, event: str, measurements: object, error: str | None) -> None:
        if _dispatch.wanted(event):
            _dispatch.emit(event, measurements, ToolMetadata(*self._metadata, error))

    def result(self, value: Any) -> None:
        part = {"type": "tool_call_response", "id": self._metadata[2]}
        self._record(names.TOOL_CALL_RESULT, "tool", part, "response", lambda: value)

    @_guard.guarded
    def _record(
        self, attribute: str, role: str, part: dict[str, Any], key: str, read: Callable[[], Any]
    ) -> None:
        """Set an attribute to a value as JSON: redacted like a message's part, and within the size budget.

        A text that is JSON is not encoded again, as the conventions have it.
        """
        if not self._content or (value := read()) is None:
            return
        from .._budget import encode, fit  # noqa: PLC0415 - only who captures content pays for this
        from .._content import settle  # noqa: PLC0415
        from .._plain import parse  # noqa: PLC0415

        config = self._config
        messages: list[dict[str, Any]] = [{"role": role, "parts": [{**part, key: parse(value)}]}]
        settled = settle(Content(input=messages), redact=config.redact, blobs=config.capture_blobs)
        longest = _attributes.longest(self.span)
        most = config.max_attribute_bytes if longest is None else min(config.max_attribute_bytes, longest)
        for kept in settled.input[0]["parts"] if settled.input else ():
            text = encode(kept.get(key))
            if text.size > most:
                fitting = fit(encode([kept]), most)
                if fitting is None:
                    return
                text = encode(fitting[0][0].get(key))
            self.span.set_attribute(attribute, text.text)

    def finish(self, error: BaseException | None, now: float) -> None:
        super().finish(error, now)
        took = SpanMeasurements(now - self._started)
        if error is None:
            self._emit("llm.tool.stop", took, None)
        else:
            self._emit("llm.tool.exception", took, type(error).__qualname__)


class Tool(Block[ToolRun]):
    """What `tool` returns: a decorator, or a `with` or `async with` block, good for one use."""

    __slots__ = ("_arguments", "_facts", "_name")

    def __init__(self, name: str | None, facts: dict[str, Any], arguments: Any) -> None:
        super().__init__()
        self._name = name
        self._facts = facts
        self._arguments = arguments

    @_guard.guarded
    def _begin(self, name: str, facts: dict[str, Any], arguments: Callable[[], Any]) -> _ToolRun | None:
        return _ToolRun(active(), name, facts, arguments) if not _recording.silenced() else None

    def _open(self) -> tuple[Scope, ToolRun]:
        if self._name is None:
            raise TypeError("tool() needs a name for a block")
        run = self._begin(self._name, self._facts, lambda: self._arguments) or _NOTHING
        return run, ToolRun(run)

    def __call__(self, fn: _F) -> _F:
        name = self._name or _name_of(fn, "__name__")
        facts = dict(self._facts)
        if facts[names.TOOL_DESCRIPTION] is None:
            facts[names.TOOL_DESCRIPTION] = (inspect.getdoc(fn) or "").partition("\n")[0] or None
        signature = inspect.signature(fn)

        def arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
            given = signature.bind(*args, **kwargs).arguments
            first = next(iter(given), None)
            if first in ("self", "cls"):
                del given[first]  # no argument of the model's
            return given

        def make(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Scope:
            return self._begin(name, facts, lambda: arguments(args, kwargs)) or _NOTHING

        return around(fn, make)


@overload
def tool(fn: _F, /) -> _F: ...
@overload
def tool(
    name: str | None = None,
    /,
    *,
    call_id: str | None = None,
    description: str | None = None,
    type: str | None = "function",
    arguments: Any = None,
) -> Tool: ...
def tool(
    name: Any = None,
    /,
    *,
    call_id: str | None = None,
    description: str | None = None,
    type: str | None = "function",  # noqa: A002 - the conventions' name
    arguments: Any = None,
) -> Any:
    """Make an `execute_tool` span, as the GenAI conventions have it, for a tool that the application runs.

    Decorates the tool (`@tool`, `@tool("get_weather")`), or stands around its run:

        with otel_llm.tool("get_weather", call_id=call.id, arguments=call.input) as run:
            run.result(get_weather(**call.input))

    call_id      the model's id of the tool call
    description  of a decorated function: the first line of its docstring
    type         `function`, `extension` or `datastore`
    arguments    recorded, as is the result, when content is captured; a decorated function has its own
    """
    facts = {names.TOOL_CALL_ID: call_id, names.TOOL_DESCRIPTION: description, names.TOOL_TYPE: type}
    return Tool(None, facts, None)(name) if callable(name) else Tool(name, facts, arguments)
