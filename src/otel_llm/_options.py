"""Settings of single calls and the conversation they belong to: values of the current context.

Both live in the OpenTelemetry context, which is a context variable: they follow `await` and tasks, and threads
under `opentelemetry-instrumentation-threading`, and end with their block.
They are no baggage: nothing of them is ever sent to anybody.

A generator that yields inside such a block leaves it current in its caller, as with every context variable.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from opentelemetry import context as otel

from ._config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from opentelemetry.context import Context

__all__ = ["Options", "Session", "capture_mode", "current", "current_session", "options", "session"]

_T = TypeVar("_T")

_OPTIONS = otel.create_key("otel_llm.options")
_SESSION = otel.create_key("otel_llm.session")


@dataclass(slots=True, frozen=True, kw_only=True)
class Options:
    """What `options(...)` says for the calls inside it; None leaves the setting of `instrument()`."""

    enabled: bool | None = None
    capture_content: str | None = None
    on_progress: Callable[[Any], object] | None = None
    progress_interval: float | None = None
    capture_raw_chunks: bool | None = None
    max_raw_bytes: int | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Session:
    """The conversation that the calls of a block belong to."""

    conversation_id: str | None = None
    """`gen_ai.conversation.id` of their spans and events."""
    user_id: str | None = None
    attributes: Mapping[str, Any] = MappingProxyType({})
    """What their spans and events carry besides: the attributes given to `session`, and `user.id`."""


def current(context: Context | None = None) -> Options | None:
    """What the `options(...)` blocks around this point say together, the innermost first; None outside of any."""
    found = otel.get_value(_OPTIONS, context)
    return found if isinstance(found, Options) else None


def current_session(context: Context | None = None) -> Session | None:
    """The session of the innermost `session(...)` block; None outside of any."""
    found = otel.get_value(_SESSION, context)
    return found if isinstance(found, Session) else None


def capture_mode(config: Config, context: Context | None = None) -> str:
    """Where the content of a call made now goes: as the innermost block says that names a mode, else `config`.

    `content_off` wins over everything.
    """
    if config.content_off:
        return "no_content"
    found = current(context)
    return config.capture_content if found is None or found.capture_content is None else found.capture_content


class _Block(Generic[_T]):
    """A `with` block during which the context holds a value; good for one use."""

    __slots__ = ("_token", "_value")

    _key: str

    def __init__(self, value: _T) -> None:
        self._value = value
        self._token: Token[Context] | None = None

    def _inside(self, value: _T) -> _T:
        """What `value` means where the block is entered."""
        return value

    def __enter__(self) -> _T:
        if self._token is not None:
            raise RuntimeError("this block has been entered before: make a new one")
        self._value = self._inside(self._value)
        self._token = otel.attach(otel.set_value(self._key, self._value))
        return self._value

    def __exit__(self, *_: object) -> None:
        if self._token is None:
            return
        try:
            self._token.var.reset(self._token)
        except ValueError:
            # The block ends in another context than it began in (a generator finalised elsewhere): there it was
            # never current, so there is nothing to give back. `detach` would log an error.
            return


class _OptionsBlock(_Block[Options]):
    __slots__ = ()
    _key = _OPTIONS

    def _inside(self, value: Options) -> Options:
        outer = current()
        if outer is None:
            return value
        given = {item.name: getattr(value, item.name) for item in fields(value)}
        return replace(outer, **{name: item for name, item in given.items() if item is not None})


class _SessionBlock(_Block[Session]):
    __slots__ = ()
    _key = _SESSION

    def _inside(self, value: Session) -> Session:
        outer = current_session()
        if outer is None:
            return value
        return Session(
            conversation_id=outer.conversation_id if value.conversation_id is None else value.conversation_id,
            user_id=outer.user_id if value.user_id is None else value.user_id,
            attributes=MappingProxyType({**outer.attributes, **value.attributes}),
        )


@lru_cache(maxsize=16)
def _mode(value: bool | str) -> str:  # noqa: FBT001 - a cache's key
    return Config.load({}, capture_content=value).capture_content


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
        raise ValueError(
            f"options(progress_interval={progress_interval!r}): expected a positive number of seconds"
        )
    if max_raw_bytes is not None and max_raw_bytes <= 0:
        raise ValueError(f"options(max_raw_bytes={max_raw_bytes!r}): expected a positive number of bytes")
    return _OptionsBlock(
        Options(
            enabled=enabled,
            capture_content=None if capture_content is None else _mode(capture_content),
            on_progress=on_progress,
            progress_interval=progress_interval,
            capture_raw_chunks=capture_raw_chunks,
            max_raw_bytes=max_raw_bytes,
        )
    )


def session(
    conversation_id: str | None = None, *, user_id: str | None = None, **attributes: Any
) -> _Block[Session]:
    """Say which conversation and user the calls made inside the block belong to.

    `conversation_id` becomes `gen_ai.conversation.id` and `user_id` becomes `user.id`; other keywords become
    attributes of their own names.
    All of it goes on spans and events, never on metrics.
    What is not given holds from an outer block.
    """
    if user_id is not None:
        attributes["user.id"] = user_id
    return _SessionBlock(
        Session(conversation_id=conversation_id, user_id=user_id, attributes=MappingProxyType(attributes))
    )
