"""The seam into SDKs that Stainless generates: openai, anthropic and their family.

One choke point starts and ends a call (`request`), small seams give the rest; methods of resources are not patched.

seam                                       what it gives
`Sync/AsyncAPIClient.request`              start, end, errors, the request's body
`Sync/AsyncAPIClient._process_response`    the HTTP response: headers, binding to the recording
`Stream.__stream__`, `AsyncStream...`      parsed events
`response.stream`                          close, unparsed bytes
`APIResponse.close`, `AsyncAPI...`         close, when a dropped iterator has closed the bytes before
`BaseClient._build_request`                the moment an attempt is sent
`BaseClient._should_retry`                 the status of an attempt that failed
`BaseClient._calculate_retry_timeout`      the wait before the next attempt
`Provider.key_seams`                       keys and tokens fetched anew

Each is optional: one that an SDK's version lacks is skipped, and its facts are missing.
All of it is on classes, so clients and bound methods from before `instrument()` are seen too.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import wrapt

from .. import _dispatch, _guard
from .._operation import Operation
from .._recording import Recording, current, free, running
from . import _calls, _headers
from ._bodies import AsyncBody, Body, left, tie, watch_collections
from ._clients import Clients
from ._native import NativeSpans
from ._streams import AsyncEvents, AsyncHidingEvents, Events, HidingEvents
from ._versions import notice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .._recorder import Recorder
    from ..providers._base import Endpoint, Provider

__all__ = ["StainlessDriver"]

_log = logging.getLogger("otel_llm")
_MAX_RAW = 1024 * 1024
_ALWAYS = frozenset({"_base_client", "_streaming"})
"""The modules whose seams every SDK of the family has."""


class _Patch(NamedTuple):
    owner: type
    name: str
    original: Any
    wrapper: Any


_meanwhile: ContextVar[Recording | None] = ContextVar("otel_llm_meanwhile", default=None)
"""The recording during whose call another request is made, by a middleware for instance: none of its business."""


@contextmanager
def _aside() -> Generator[None]:
    """Keep a request that is not recorded from the call that is being recorded around it."""
    token = _meanwhile.set(current.get())
    try:
        yield
    finally:
        if not isinstance(
            sys.exception(), GeneratorExit
        ):  # a coroutine that is thrown away, in a foreign context
            _meanwhile.reset(token)


def _own() -> Recording | None:
    """The recording that the request under way belongs to."""
    recording = current.get()
    return None if recording is None or recording is _meanwhile.get() else recording


class StainlessDriver:
    """Instruments one SDK of the family: on and off, any number of times, whether the SDK is imported or not."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.clients = Clients(provider)
        self.recorder: Recorder | None = None
        self._native = NativeSpans(
            lambda options: self._endpoint(options.method, options.url) is not None, _own
        )
        self._patches: list[_Patch] = []
        self._waiting = False
        self._endpoint = lru_cache(maxsize=512)(self._match)

    def on(self, recorder: Recorder) -> None:
        """Record calls of the SDK with `recorder` from now on; an SDK not imported yet is patched when it is."""
        self.recorder = recorder
        self.clients.forget()
        self._attach()

    def off(self) -> None:
        """Put back the very functions that were there, unless clients with recorders of their own need them."""
        self.recorder = None
        self.clients.forget()
        if not self.clients.own:
            self._detach()

    def record_only(self, client: Any, recorder: Recorder | None) -> None:
        """Give one client a recorder of its own, or take it away again."""
        self.clients.record_with(client, recorder)
        if recorder is not None:
            self._attach()
        elif self.recorder is None and not self.clients.own:
            self._detach()

    def seams(self) -> dict[str, bool]:
        """Each seam by name, and whether it is patched now; for `otel-llm doctor`."""
        patched = {(patch.owner.__name__, patch.name) for patch in self._patches}
        table = (seam for seams in self._seams().values() for seam in seams)
        return {f"{owner}.{name}": (owner, name) in patched for owner, name, _ in table}

    def makes_spans(self) -> bool:
        """Whether the SDK, which has been imported, makes spans of its own."""
        module = sys.modules.get(f"{self.provider.module}._base_client")
        return module is not None and self._native.found(module)

    def _attach(self) -> None:
        watch_collections()
        for module in self._seams():
            name = f"{self.provider.module}.{module}"
            if not self._waiting:
                wrapt.register_post_import_hook(self._imported, name)
            elif name in sys.modules:
                self._imported(sys.modules[name])
        self._waiting = True

    def _detach(self) -> None:
        """Unpatch; what others have wrapped since stays, and goes quiet."""
        for patch in reversed(self._patches):
            if patch.owner.__dict__.get(patch.name) is patch.wrapper:
                setattr(patch.owner, patch.name, patch.original)
        self._patches.clear()
        self._native.off()

    def _seams(self) -> dict[str, list[tuple[str, str, Callable[..., Any]]]]:
        return {
            "_base_client": [
                ("SyncAPIClient", "request", self._request),
                ("AsyncAPIClient", "request", self._async_request),
                ("SyncAPIClient", "_process_response", partial(self._process_response, Body)),
                ("AsyncAPIClient", "_process_response", partial(self._process_response, AsyncBody)),
                ("BaseClient", "_build_request", self._build_request),
                ("BaseClient", "_should_retry", self._should_retry),
                ("BaseClient", "_calculate_retry_timeout", self._calculate_retry_timeout),
            ],
            "_streaming": [
                ("Stream", "__stream__", self._stream),
                ("AsyncStream", "__stream__", self._async_stream),
            ],
            "_response": [
                ("APIResponse", "close", self._left),
                ("AsyncAPIResponse", "close", self._async_left),
            ],
            **{
                module: [(owner, name, partial(self._refresh, source)) for owner, name, source in seams]
                for module, seams in self.provider.key_seams.items()
            },
        }

    @_guard.guarded
    def _imported(self, module: Any) -> None:
        """Patch what the module has of the seams."""
        if self.recorder is None and not self.clients.own:
            return
        short = module.__name__.removeprefix(f"{self.provider.module}.")
        missing: list[str] = []
        for owner, name, wrapper in self._seams()[short]:
            cls = getattr(module, owner, None)
            original = cls.__dict__.get(name) if cls is not None else None
            if original is None:
                if short in _ALWAYS:
                    missing.append(f"{owner}.{name}")
            elif not any(patch.wrapper is original for patch in self._patches):
                self._patch(cls, name, original, wrapper)
        if short == "_base_client":
            self._native.on(module)
            notice(self.provider, missing)

    def _patch(self, cls: Any, name: str, original: Any, wrapper: Callable[..., Any]) -> None:
        if isinstance(original, wrapt.FunctionWrapper):
            _log.warning(
                "%s is already instrumented by another package (%s.%s is wrapped): calls may have two spans. "
                "Run one of the two; OTEL_PYTHON_DISABLED_INSTRUMENTATIONS switches off by name.",
                self.provider.module,
                cls.__name__,
                name,
            )
        make: Any = wrapt.FunctionWrapper
        wrapped = make(original, wrapper)
        setattr(cls, name, wrapped)
        self._patches.append(_Patch(cls, name, original, wrapped))

    def _match(self, method: str, url: str) -> Endpoint | None:
        """The endpoint that a request goes to, by the end of its path."""
        path = url.partition("?")[0].rstrip("/")
        if path.endswith(self.provider.queues):
            return None
        for endpoint in self.provider.endpoints:
            if endpoint.method == method.lower() and endpoint.matches(path):
                return endpoint
        return None

    # Start and end of a call.

    def _request(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        recording = self._begin(client, args, kwargs)
        if recording is None:
            if current.get() is None:
                return wrapped(*args, **kwargs)
            with _aside():
                return wrapped(*args, **kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            recording.leave(error)
            _calls.failed(recording, error)
            raise
        recording.leave()
        _calls.returned(recording, result)
        return result

    async def _async_request(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        recording = self._begin(client, args, kwargs)
        if recording is None:
            if current.get() is None:
                return await wrapped(*args, **kwargs)
            with _aside():
                return await wrapped(*args, **kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            recording.leave(error)
            _calls.failed(recording, error)
            raise
        recording.leave()
        _calls.returned(recording, result)
        return result

    def _begin(self, client: Any, args: Any, kwargs: Any) -> Recording | None:
        """Start recording a call, unless it is none of a model or not to be recorded; never raises."""
        recording: Recording | None = None
        try:
            options = args[1] if len(args) > 1 else kwargs["options"]
            endpoint = self._endpoint(options.method, options.url)
            if endpoint is None:
                return None
            context = free()
            if context is None:
                return None
            known = self.clients.facts(client, self.recorder, options.url)
            if known is None:
                return None
            recorder = known.recorder
            api = endpoint.api if known.is_openai else None
            op = Operation.like(known.facts, name=endpoint.operation, endpoint=endpoint.path, api=api)
            body = _calls.asked(endpoint, op, options)
            op.stream = bool(kwargs.get("stream")) and endpoint.accumulator is not None
            adopting = recorder.adopts and self._native.adopts(client, options)
            recording = recorder.start(op, endpoint, context, adopting=adopting)
            if recording is None:
                return None
            if op.stream or recorder.extras or recording.capture is not None:
                _calls.equip(recording, known, options, body)
            if known.propagate:
                recording.propagate = True
            recording.enter()
        except Exception as error:  # noqa: BLE001
            if recording is not None:
                running.discard(recording)
            _guard.caught(error)
            return None
        return recording

    # The HTTP response of a call.

    def _process_response(self, body: type, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        recording = current.get()
        if recording is not None and recording is not _meanwhile.get():
            try:
                recording.http = response = kwargs["response"]
                _headers.read(recording.op, response.headers.raw, response.status_code)
                if recording.op.stream or not response.is_closed:
                    tie(recording, response, body)
            except Exception as error:  # noqa: BLE001
                _guard.caught(error)
        return wrapped(*args, **kwargs)

    def _stream(self, wrapped: Any, stream: Any, args: Any, kwargs: Any) -> Any:
        recording = _calls.watched(stream)
        events = wrapped(*args, **kwargs)
        if recording is None:
            return events
        return HidingEvents(events, recording) if recording.hides else Events(events, recording)

    def _async_stream(self, wrapped: Any, stream: Any, args: Any, kwargs: Any) -> Any:
        recording = _calls.watched(stream)
        events = wrapped(*args, **kwargs)
        if recording is None:
            return events
        return AsyncHidingEvents(events, recording) if recording.hides else AsyncEvents(events, recording)

    def _left(self, wrapped: Any, response: Any, args: Any, kwargs: Any) -> Any:
        try:
            return wrapped(*args, **kwargs)
        finally:
            left(response)

    async def _async_left(self, wrapped: Any, response: Any, args: Any, kwargs: Any) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        finally:
            left(response)

    def _refresh(self, source: str, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        recording = _own()
        if recording is not None and getattr(client, source, None) is not None:
            recording.recorder.own.refreshed(recording.op.provider)
            _dispatch.refreshed(recording.op.provider)
        return wrapped(*args, **kwargs)

    # Attempts.

    def _build_request(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        request = wrapped(*args, **kwargs)
        recording = current.get()
        if recording is not None and recording is not _meanwhile.get():
            recording.sent = perf_counter()
            if recording.propagate:
                _calls.propagate(recording, request)
        return request

    def _should_retry(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        recording = _own()
        if recording is not None:
            _calls.refused(recording, args[0] if args else kwargs.get("response"))
        return wrapped(*args, **kwargs)

    def _calculate_retry_timeout(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
        wait = wrapped(*args, **kwargs)
        recording = _own()
        if recording is not None:
            _calls.retrying(recording, wait, client, args[1] if len(args) > 1 else kwargs["options"])
        return wait
