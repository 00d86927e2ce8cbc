"""Every public method of an SDK's clients, found by looking, and what each asks of the network, found by calling.

A method is called with arguments made from its signature, over a transport that keeps the request and goes no further.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from otel_llm.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLASSES = {"openai": "OpenAI", "anthropic": "Anthropic"}
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens here: what does not use the transport is refused at once."""


class Asked(BaseException):
    """A request has come to the transport; nothing in an SDK catches this."""


@dataclass
class Visit:
    """What one call of a method did."""

    name: str
    requests: list[str] = field(default_factory=list)
    """Method and path of what came to the transport."""
    spans: list[str] = field(default_factory=list)
    """The names of the spans that came of it."""
    error: BaseException | None = None

    def __str__(self) -> str:
        asked = ", ".join(self.requests) or f"nothing asked, {type(self.error).__name__}: {self.error}"
        return f"{self.name} ({asked})"


def client(sdk: str, asked: list[str], *, asynchronous: bool) -> Any:
    """A client whose requests end in `asked`."""
    module = importlib.import_module(sdk)
    http = module.DefaultAsyncHttpxClient if asynchronous else module.DefaultHttpxClient
    transport = importlib.import_module(http.__mro__[1].__module__.partition(".")[0]).MockTransport

    def answer(request: Any) -> Any:
        asked.append(f"{request.method} {request.url.path}")
        raise Asked

    cls = getattr(module, ("Async" if asynchronous else "") + _CLASSES[sdk])
    return cls(
        api_key="k", base_url=f"{NOWHERE}/v1", max_retries=0, http_client=http(transport=transport(answer))
    )


def methods(sdk: str, client: Any) -> list[str]:
    """The public methods of a client and of the resources below it, as attribute paths; `close` is last."""
    resource = importlib.import_module(f"{sdk}._resource")
    kinds = (resource.SyncAPIResource, resource.AsyncAPIResource)
    return sorted(_methods(client, "", kinds), key="close".__eq__)


def _methods(owner: Any, path: str, kinds: tuple[type, ...]) -> Iterator[str]:
    for name in dir(owner):  # the first resources were attributes of the instance
        if name.startswith(("_", "with_")):
            continue
        there = getattr(owner, name)
        if isinstance(there, kinds):
            yield from _methods(there, f"{path}{name}.", kinds)
        elif inspect.ismethod(there) or inspect.isfunction(there):
            yield path + name


_KNOWN: dict[str, Any] = {
    "model": "m",
    "file": b"x",
    "messages": [{"role": "user", "content": "x"}],
    "path": "/nothing",
    "cast_to": object,
    "body": {},
    "stream": False,
    "max_tokens": 1,
    "tools": [],
}
"""Arguments that their annotation does not tell."""


def arguments(method: Callable[..., Any]) -> dict[str, Any]:
    """The least that `method` must be given."""
    needed = (
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in (2, 4)
    )
    return {parameter.name: _argument(parameter) for parameter in needed}


def _argument(parameter: inspect.Parameter) -> Any:
    if parameter.name in _KNOWN:
        return _KNOWN[parameter.name]
    told = str(parameter.annotation)
    if "FileTypes" in told:
        return b"x"
    if told.startswith(("Iterable", "List", "Sequence", "SequenceNotStr")):
        return []
    if told.startswith(("Dict", "Mapping", "int", "bool", "float")) or told.endswith("Param"):
        return {"int": 1, "boo": True, "flo": 1.0}.get(told[:3], {})
    return "x"


def visit(client: Any, name: str, asked: list[str], **more: Any) -> Visit:
    """Call a method of a sync client, and begin what it returns."""
    found = Visit(name)
    asked.clear()
    with capture() as telemetry:
        telemetry.instrument()
        try:
            method = attrgetter(name)(client)
            result = method(**{**arguments(method), **more})
            if not asked:
                _begin(result)
        except BaseException as error:
            found.error = error
        found.spans = [span.name for span in telemetry.spans()]
    found.requests = list(asked)
    return found


def _begin(result: Any) -> None:
    if hasattr(result, "until_done"):
        result.until_done()
    elif hasattr(result, "send"):
        result.send("x")
    elif hasattr(type(result), "__enter__"):
        result.__enter__()
    elif hasattr(type(result), "__next__"):
        next(result)


async def visit_async(client: Any, name: str, asked: list[str], **more: Any) -> Visit:
    """As `visit`, of an async client."""
    found = Visit(name)
    asked.clear()
    with capture() as telemetry:
        telemetry.instrument()
        try:
            method = attrgetter(name)(client)
            result = method(**{**arguments(method), **more})
            if inspect.isawaitable(result):
                result = await result
            if not asked:
                await _begin_async(result)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            found.error = error
        found.spans = [span.name for span in telemetry.spans()]
    found.requests = list(asked)
    return found


async def _begin_async(result: Any) -> None:
    if hasattr(result, "until_done"):
        await result.until_done()
    elif hasattr(result, "send"):
        await result.send("x")
    elif hasattr(type(result), "__aenter__"):
        await result.__aenter__()
    elif hasattr(type(result), "__anext__"):
        await anext(result)
    elif hasattr(type(result), "__aiter__"):
        await anext(aiter(result))
