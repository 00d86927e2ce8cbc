"""Doing something around a function of any kind: plain, coroutine, generator, asynchronous generator."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

__all__ = ["Block", "Scope", "around"]

_T = TypeVar("_T")
_F = TypeVar("_F", bound="Callable[..., Any]")


class Scope(Protocol):
    """What is done around one run of a function. Nothing of it may raise."""

    def enter(self) -> None:
        """The function's code begins or goes on."""
        ...

    def leave(self, error: BaseException | None = None) -> None:
        """The function's code pauses or ends, with `error` if it raised."""
        ...

    def item(self, value: Any) -> None:
        """The generator has yielded `value`."""
        ...

    def result(self, value: Any) -> None:
        """The function returns `value`."""
        ...

    def end(self, error: BaseException | None) -> None:
        """The function has ended; called once, after `leave`."""
        ...


class _Running:
    """One run of a function."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._scope.enter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._scope.leave(error)
        self._scope.end(error)


class Block(Generic[_T]):
    """A `with` or `async with` block as one run; good for one use."""

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope: Scope | None = None

    def _open(self) -> tuple[Scope, _T]:
        """Begin the scope; what the block is given."""
        raise NotImplementedError

    def __enter__(self) -> _T:
        if self._scope is not None:
            raise RuntimeError("this block has been entered before: make a new one")
        self._scope, value = self._open()
        self._scope.enter()
        return value

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._scope is not None:
            self._scope.leave(error)
            self._scope.end(error)

    async def __aenter__(self) -> _T:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)


class _Steps:
    """A generator of which each step runs inside the scope, for `yield from`."""

    __slots__ = ("_body", "_scope")

    def __init__(self, body: Generator[Any, Any, Any], scope: Scope) -> None:
        self._body = body
        self._scope = scope

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        scope = self._scope
        scope.enter()
        try:
            value = step(*arguments)
        except BaseException as error:
            scope.leave(error)
            raise
        scope.leave()
        scope.item(value)
        return value

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:
        return self._step(self._body.__next__)

    def send(self, value: Any) -> Any:
        return self._step(self._body.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._body.throw, *error)

    def close(self) -> None:
        self._body.close()


def around(fn: _F, make: Callable[[tuple[Any, ...], dict[str, Any]], Scope]) -> _F:
    """`fn` with a scope around each of its runs; `make` is given the arguments and begins the scope."""
    if inspect.isasyncgenfunction(fn):
        wrapper: Any = _async_generator(fn, make)
    elif inspect.isgeneratorfunction(fn):
        wrapper = _generator(fn, make)
    elif inspect.iscoroutinefunction(fn):
        wrapper = _coroutine(fn, make)
    else:
        wrapper = _plain(fn, make)
    return functools.wraps(fn)(wrapper)  # type: ignore[return-value]


def _plain(fn: Callable[..., Any], make: Callable[..., Scope]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        scope = make(args, kwargs)
        with _Running(scope):
            result = fn(*args, **kwargs)
            scope.result(result)
            return result

    return call


def _coroutine(
    fn: Callable[..., Awaitable[Any]], make: Callable[..., Scope]
) -> Callable[..., Awaitable[Any]]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        scope = make(args, kwargs)
        with _Running(scope):
            result = await fn(*args, **kwargs)
            scope.result(result)
            return result

    return call


def _generator(
    fn: Callable[..., Generator[Any, Any, Any]], make: Callable[..., Scope]
) -> Callable[..., Generator[Any, Any, Any]]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        scope = make(args, kwargs)
        error: BaseException | None = None
        try:
            result = yield from cast("Generator[Any, Any, Any]", _Steps(fn(*args, **kwargs), scope))
            scope.result(result)
        except BaseException as raised:
            error = raised
            raise
        else:
            return result
        finally:
            scope.end(error)

    return call


def _async_generator(
    fn: Callable[..., AsyncGenerator[Any, Any]], make: Callable[..., Scope]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        scope = make(args, kwargs)
        body = fn(*args, **kwargs)
        error: BaseException | None = None
        step: Callable[[Any], Awaitable[Any]] = body.asend
        sent: Any = None
        try:
            while True:
                scope.enter()
                try:
                    value = await step(sent)
                except BaseException as raised:
                    scope.leave(raised)
                    if isinstance(raised, StopAsyncIteration):
                        return
                    raise
                scope.leave()
                scope.item(value)
                try:
                    step, sent = body.asend, (yield value)
                except GeneratorExit:
                    await body.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed to the generator, as `yield from` does
                    step, sent = body.athrow, thrown
        except BaseException as raised:
            error = raised
            raise
        finally:
            scope.end(error)

    return call
