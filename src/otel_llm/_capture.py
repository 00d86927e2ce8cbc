"""What is said in one call: collected while the call runs, settled at its end.

A `Capture` is made only for a call whose content goes somewhere; no other call does any work for content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _guard
from ._content import render, settle
from ._operation import Content
from ._plain import is_list, is_object, utf8
from ._redact import redact_text
from ._secrets import scrub
from .semconv import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._config import Config
    from ._operation import Operation
    from .providers._base import Endpoint, OutputAccumulator

    Upload = Callable[[Content, Any], Content]

__all__ = ["Capture", "Captured", "begin"]

_ATTRIBUTES = {
    "system": names.SYSTEM_INSTRUCTIONS,
    "input": names.INPUT_MESSAGES,
    "output": names.OUTPUT_MESSAGES,
    "tools": names.TOOL_DEFINITIONS,
}
"""The attribute of each field of `Content`."""

_ON_SPAN = frozenset({"span_only", "span_and_event"})
_ON_EVENT = frozenset({"event_only", "span_and_event"})


class Captured(NamedTuple):
    """The attributes that hold a call's content; both empty where it goes to the operation or a hook only."""

    on_span: dict[str, str]
    """As JSON."""
    on_event: dict[str, list[dict[str, Any]]]
    """As structures."""


def begin(
    config: Config, asked: str | None, endpoint: Endpoint | None, upload: Upload | None
) -> Capture | None:
    """The capture of a call for which an `options(...)` block asks the mode `asked`; None if none is to be.

    A completion hook is given the content whatever the mode, unless the call itself or the hard off forbids it.
    """
    if config.content_off:
        return None
    mode = config.capture_content if asked is None else asked
    if mode == "no_content" and (asked is not None or upload is None):
        return None
    return Capture(config, mode, endpoint, upload)


class Capture:
    """The content of one call."""

    __slots__ = ("_accumulator", "_config", "_content", "_endpoint", "_mode", "_upload")

    def __init__(self, config: Config, mode: str, endpoint: Endpoint | None, upload: Upload | None) -> None:
        self._mode = mode
        self._config = config
        self._endpoint = endpoint
        self._upload = upload
        self._content = Content()
        self._accumulator: OutputAccumulator | None = None

    @_guard.guarded
    def request(self, body: Any) -> None:
        """Take in what was asked, before the application can change it."""
        if self._endpoint is not None and self._endpoint.content is not None and is_object(body):
            self._content = self._endpoint.content(body)

    @_guard.guarded
    def response(self, body: Any) -> None:
        """Take in what was answered."""
        if self._endpoint is not None and self._endpoint.output is not None:
            self._content.output = self._endpoint.output(body)

    def stream(self) -> None:
        """The answer streams: be ready for its chunks."""
        if self._endpoint is not None and self._endpoint.output_accumulator is not None:
            self._accumulator = self._endpoint.output_accumulator()

    def chunk(self, chunk: Any) -> None:
        """Take in a chunk. May raise."""
        if self._accumulator is not None:
            self._accumulator.add(chunk)

    def error_text(self, text: str, secrets: tuple[str, ...]) -> str | None:
        """What may be recorded of an exception's text; `secrets` are those that the request carried."""
        if self._mode == "no_content":
            return None
        text = utf8(scrub(text, secrets))
        if self._config.redact is None:
            return text
        try:
            redacted = redact_text(text, self._config.redact, kind="exception", role="exception")
            return None if redacted is None else utf8(redacted)
        except Exception as error:  # noqa: BLE001 - the user's redactor
            _guard.caught(error, what="a redactor, so an exception's text is not recorded")
            return None

    @_guard.guarded
    def settle(self, op: Operation, span: Any, *, longest: int | None) -> Captured | None:
        """Redact, upload and render the content at the call's end; the operation is given what is recorded.

        `longest` is the most characters the span takes in one attribute; None is no limit.
        """
        content = self._content
        if self._accumulator is not None:
            content.output = self._accumulator.output()
        config = self._config
        try:
            content = settle(content, redact=config.redact, blobs=config.capture_blobs)
        except Exception as error:  # noqa: BLE001 - the user's redactor
            _guard.caught(error, what="a redactor, so the content of a call is not recorded")
            return None
        if self._upload is not None:
            content = self._upload(content, span)
        if self._mode == "no_content":
            return None
        most = config.max_attribute_bytes
        rendered = render(
            content,
            attribute_bytes=most if longest is None else min(most, longest),
            span_bytes=config.max_span_bytes,
        )
        op.content = rendered.content
        return Captured(
            {_ATTRIBUTES[name]: text for name, text in rendered.json.items()}
            if self._mode in _ON_SPAN
            else {},
            {
                _ATTRIBUTES[name]: _named(getattr(rendered.content, name), text)
                for name, text in rendered.json.items()
            }
            if self._mode in _ON_EVENT and op.name != "embeddings"  # the event is of inference
            else {},
        )


def _named(value: Any, text: str) -> Any:
    """`value`, whose JSON is `text`, without keys that have no name: OpenTelemetry warns about each and drops it."""
    if '"":' not in text:
        return value
    if is_object(value):
        return {key: _named(inner, text) for key, inner in value.items() if key}
    return [_named(inner, text) for inner in value] if is_list(value) else value
