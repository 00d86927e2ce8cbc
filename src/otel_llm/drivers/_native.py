"""The spans that the anthropic SDK (1.14 and later) makes itself, beside ours.

mode       what happens                                                              spans per call
replace    the SDK is given a stand-in with our span's context: it records nothing,  ours
           and, where the client's own setting says so, sends our `traceparent`
adopt      the SDK's span is kept, and gets what it lacks; no span of ours starts,   the SDK's, or
           unless the SDK starts none, as nobody gave it a provider                  ours
coexist    both, side by side: the SDK's has the parent that it has without us       two

Both functions that this wraps are private names of the SDK: where they are missing, `coexist` is all there is.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import wrapt

from .. import _guard
from .._recording import Recording, current, free

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NativeSpans"]

_START = "start_api_call_span"


class _Adopted(wrapt.ObjectProxy[Any]):
    """The SDK's span as the SDK sees it: it cannot end it, since our recording does, at the call's real end."""

    def __init__(self, span: Any, recording: Recording) -> None:
        super().__init__(span)
        self._self_recording = recording

    def end(self, end_time: int | None = None) -> None:
        """Left to the recording."""

    def set_attribute(self, key: str, value: Any) -> None:
        """As the span's, until the call has ended."""
        if not self._self_recording.ended:
            self.__wrapped__.set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        """As the span's, until the call has ended."""
        if not self._self_recording.ended:
            self.__wrapped__.set_attributes(attributes)

    def set_status(self, *args: Any, **kwargs: Any) -> None:
        """As the span's, until the call has ended."""
        if not self._self_recording.ended:
            self.__wrapped__.set_status(*args, **kwargs)


class NativeSpans:
    """Keeps an SDK's own spans from doubling ours."""

    def __init__(self, is_inference: Callable[[Any], bool], own: Callable[[], Recording | None]) -> None:
        """`own` gives the recording of the call that the SDK is about to start a span for."""
        self._is_inference = is_inference
        self._own = own
        self._module: Any = None
        self._original: Any = None

    def found(self, module: Any) -> bool:
        """Whether `module` (the SDK's `_base_client`) starts spans."""
        return getattr(module, _START, None) is not None

    def on(self, module: Any) -> None:
        """Act on the spans that `module` (the SDK's `_base_client`) starts, if it starts any."""
        original = getattr(module, _START, None)
        if original is not None and self._module is None:
            self._module = module
            self._original = original
            setattr(module, _START, self._start)

    def off(self) -> None:
        """Let the SDK start its spans as it did."""
        if self._module is not None:
            setattr(self._module, _START, self._original)
        self._module = None

    def adopts(self, client: Any, options: Any) -> bool:
        """Whether the SDK is about to start a span, which can be adopted."""
        return (
            self._module is not None
            and getattr(client, "_tracer", None) is not None
            and bool(getattr(options, "span_name", None))
        )

    def _start(self, tracer: Any, base_url: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        handled, stand_in = self._instead(options) or (False, None)
        if handled:
            return stand_in
        recording = self._own()
        with nullcontext() if recording is None else recording.outside():
            span = self._original(tracer, base_url, options, *args, **kwargs)
        return self._adopted(span, recording) or span

    @_guard.guarded
    def _instead(self, options: Any) -> tuple[bool, Any]:
        """What the SDK gets instead of a span of its own; (False, None): let it start its own."""
        if not getattr(options, "span_name", None) or not self._is_inference(options):
            return False, None  # a request that no method of the SDK made has no span of the SDK's
        recording = current.get()
        if recording is not None and not recording.ended:
            replaces = recording.recorder.config.anthropic_native == "replace"
            return replaces, recording.stand_in() if replaces else None
        # Suppressed, or the current span is a framework's span of this very call: a second one would double it.
        return free() is None, None

    @_guard.guarded
    def _adopted(self, span: Any, recording: Recording | None) -> Any:
        if recording is None or not recording.adopting:
            return span
        return _Adopted(span, recording) if recording.take(span) else recording.stand_in()
