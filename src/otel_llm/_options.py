"""Settings of single calls and the conversation they belong to: values of the current context.

Both live in the OpenTelemetry context, which is a context variable: they follow `await`, tasks, and
threads under `opentelemetry-instrumentation-threading`, and end with their block.
They are no baggage: nothing of them is ever sent to anybody.

A generator that yields inside such a block leaves it current in its caller, as with every context variable.
"""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from opentelemetry import context as otel

from . import _dispatch
from ._config import Config
from ._plain import utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from types import ModuleType

    from opentelemetry.context import Context

__all__ = [
    "Options",
    "Session",
    "capture_mode",
    "current",
    "current_session",
    "give_back",
    "options",
    "session",
]

_T = TypeVar("_T")


_NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})
OPTIONS = otel.create_key("otel_llm.options")
SESSION = otel.create_key("otel_llm.session")


class Options(NamedTuple):
    """What `options(...)` says for the calls inside it; None leaves the setting of `instrument()`.

    A tuple, because it is made per call: a frozen dataclass costs five times as much.
    """

    enabled: bool | None = None
    capture_content: str | None = None
    on_progress: Callable[[Any], object] | None = None
    progress_interval: float | None = None
    capture_raw_chunks: bool | None = None
    max_raw_bytes: int | None = None


class Session(NamedTuple):
    """The conversation that the calls of a block belong to."""

    conversation_id: str | None = None
    """`gen_ai.conversation.id` of their spans and events."""
    user_id: str | None = None
    attributes: Mapping[str, Any] = _NO_ATTRIBUTES
    """What their spans and events carry besides: the attributes given to `session`, and `user.id`."""


def current(context: Context | None = None) -> Options | None:
    """What the `options(...)` blocks around this point say together; None outside of any."""
    found = otel.get_value(OPTIONS, context)
    return found if isinstance(found, Options) else None


def current_session(context: Context | None = None) -> Session | None:
    """The session of the innermost `session(...)` block; None outside of any."""
    found = otel.get_value(SESSION, context)
    return found if isinstance(found, Session) else None


def capture_mode(config: Config, context: Context | None = None) -> str:
    """Where the content of a call made now goes: what the innermost block says about it, else `config`.

    `content_off` wins over everything.
    """
    if config.content_off:
        return "no_content"
    found = current(context)
    return config.capture_content if found is None or found.capture_content is None else found.capture_content


def give_back(token: Token[Context]) -> None:
    """Make current again what was before `token`.

    A block may end in another context than it began in: a generator that is finalised elsewhere, a fixture or a
    dependency whose two halves run in two threads.
    There it was never current, so there is nothing to give back; `detach` of OpenTelemetry would log an error.
    """
    try:  # noqa: SIM105 - `suppress` takes a fifth of what a block costs
        token.var.reset(token)
    except ValueError:
        pass


class _Block(Generic[_T]):
    """A `with` block during which the context holds a value; good for one use."""

    __slots__ = ("_token", "_value")

    _key: str

    def __init__(self, value: _T) -> None:
        self._value = value
        self._token: Token[Context] | None = None

    def _within(self, outer: Any) -> _T:
        """What this block means inside a block that holds `outer`."""
        raise NotImplementedError

    def __enter__(self) -> _T:
        if self._token is not None:
            raise RuntimeError("this block has been entered before: make a new one")
        context = otel.get_current()
        outer = context.get(self._key)
        if outer is not None:
            self._value = self._within(outer)
        self._token = otel.attach(otel.Context({**context, self._key: self._value}))
        return self._value

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            give_back(self._token)


def _progress() -> ModuleType:
    from . import _progress as module  # noqa: PLC0415 - it reads the options that this module holds

    return module


class _OptionsBlock(_Block[Options]):
    __slots__ = ()
    _key = OPTIONS

    def _within(self, outer: Options) -> Options:
        return Options._make(old if new is None else new for old, new in zip(outer, self._value, strict=True))


class _ReportingBlock(_OptionsBlock):
    """Options with a callback: streams are listened to as long as the block is open."""

    __slots__ = ()

    def __enter__(self) -> Options:
        value = super().__enter__()
        _progress().want("options", 1)
        return value

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        _progress().want("options", -1)


class _SessionBlock(_Block[Session]):
    __slots__ = ("_started",)
    _key = SESSION

    def __enter__(self) -> Session:
        value = super().__enter__()
        self._started = perf_counter()
        self._tell("llm.session.start")
        return value

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._tell("llm.session.stop", perf_counter() - self._started)

    def _tell(self, event: str, seconds: float | None = None) -> None:
        if _dispatch.wanted(event):
            from ._events import session as tell  # noqa: PLC0415 - loaded with the handler

            tell(event, self._value, seconds)

    def _within(self, outer: Session) -> Session:
        own = self._value
        return Session(
            conversation_id=outer.conversation_id if own.conversation_id is None else own.conversation_id,
            user_id=outer.user_id if own.user_id is None else own.user_id,
            attributes=MappingProxyType({**outer.attributes, **own.attributes}),
        )


@lru_cache(maxsize=16)
def _mode(value: bool | str) -> str:  # noqa: FBT001 - a cache's key
    try:
        return Config.load({}, capture_content=value).capture_content
    except ValueError as error:
        raise ValueError(str(error).replace("instrument", "options", 1)) from None


def options(
    *,
    enabled: bool | None = None,
    capture_content: bool | str | None = None,
    on_progress: Callable[[Any], object] | None = None,
    progress_interval: float | None = None,
    capture_raw_chunks: bool | None = None,
    max_raw_bytes: int | None = None,
) -> _Block[Options]:
    """Override settings of `instrument()` for the calls made inside the block, in this task or thread only.

    `enabled=False`: no telemetry at all.
    The other options mean what they mean for `instrument()`; None leaves what holds outside the block.
    Raises ValueError for a bad value.
    """
    if progress_interval is not None and not 0 < progress_interval < float("inf"):
        raise ValueError(f"options(progress_interval={progress_interval!r}): expected positive seconds")
    if max_raw_bytes is not None and max_raw_bytes <= 0:
        raise ValueError(f"options(max_raw_bytes={max_raw_bytes!r}): expected a positive number of bytes")
    value = Options(
        enabled,
        None if capture_content is None else _mode(capture_content),
        on_progress,
        progress_interval,
        capture_raw_chunks,
        max_raw_bytes,
    )
    return _OptionsBlock(value) if on_progress is None else _ReportingBlock(value)


def session(conversation_id: object = None, *, user_id: object = None, **attributes: Any) -> _Block[Session]:
    """Say which conversation and user the calls made inside the block belong to.

    `conversation_id` becomes `gen_ai.conversation.id` and `user_id` becomes `user.id`; other keywords become
    attributes of their own names.
    All of it goes on spans and events, never on metrics.
    What is not given, or None, holds from an outer block; ids that are no texts (a UUID, a number) become texts.
    """
    conversation_id, user_id = _text(conversation_id), _text(user_id)
    named = {"user.id": None, **attributes}  # first: a limit on the number of attributes costs the last ones
    if user_id is not None:
        named["user.id"] = user_id
    given = {
        name: utf8(value) if isinstance(value, str) else value
        for name, value in named.items()
        if value is not None
    }
    return _SessionBlock(Session(conversation_id, user_id, MappingProxyType(given)))


def _text(value: object) -> str | None:
    return None if value is None else utf8(str(value))
