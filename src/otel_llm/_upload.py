"""Completion hooks: the content of a call, redacted, for storage of the user's own.

Hooks are entry points of the group `opentelemetry_genai_completion_hook`, as opentelemetry-util-genai defines
them; `upload`, which comes with it, writes the content wherever fsspec can and puts references on the span.
It reads its own settings itself: `OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH`, `_FORMAT`, `_MAX_QUEUE_SIZE`.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from dataclasses import asdict, fields, make_dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from . import _guard
from ._budget import check
from ._operation import Content

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["load"]

_log = logging.getLogger("otel_llm")
_MORE = "more"
_GROUP = "opentelemetry_genai_completion_hook"


@cache
def _types() -> Any:
    """The dataclasses of messages and parts that hooks expect.

    Raises ImportError without their package, and where it is so old that they have other names.
    """
    types = import_module("opentelemetry.util.genai.types")
    if not hasattr(types, "ServerToolCallResponsePart"):
        raise ImportError("opentelemetry-util-genai is older than 1.2b0")
    return types


def load(name: str) -> Callable[[Content, Any], Content] | None:
    """The hook called `name`: a function of content and span that returns the content as the hook left it.

    None, with a warning, if there is no such hook, or it cannot be made, or opentelemetry-util-genai is missing.
    """
    try:
        _types()
    except ImportError:
        _log.warning(
            "The completion hook %r is not used: opentelemetry-util-genai is not installed, or too old "
            "(pip install 'opentelemetry-util-genai[upload]>=1.2b0')",
            name,
        )
        return None
    found = list(entry_points(group=_GROUP, name=name))
    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=_GROUP)})) or "none"
        _log.warning("The completion hook %r is not used, only these are there: %s", name, known)
        return None
    try:
        hook = found[0].load()()
    except Exception as error:  # noqa: BLE001 - a hook of the user's
        _log.warning(
            "The completion hook %r is not used: it could not be made (%s)", name, type(error).__name__
        )
        return None
    return lambda content, span: _run(hook, content, span)


def _run(hook: Any, content: Content, span: Any) -> Content:
    """Call the hook with its own copy of the content, as the dataclasses that it expects."""
    try:
        system = [_part(part) for part in content.system or ()]
        inputs = [_message(message) for message in content.input or ()]
        outputs = [_message(message) for message in content.output or ()]
        tools = [_tool(tool) for tool in content.tools or ()]
        hook.on_completion(
            inputs=inputs,
            outputs=outputs,
            system_instruction=system,
            tool_definitions=tools or None,
            span=span,
            log_record=None,
        )
        return Content(
            system=None if content.system is None else _back(system),
            input=None if content.input is None else _back(inputs),
            output=None if content.output is None else _back(outputs),
            tools=None if content.tools is None else _back(tools),
        )
    except Exception as error:  # noqa: BLE001 - a hook of the user's
        _guard.caught(error, what="a completion hook")
        return content


def _back(items: list[Any]) -> list[dict[str, Any]]:
    """Dataclasses as our plain shapes: the conventions record what a hook has left of the content.

    Raises TypeError or ValueError for what JSON cannot hold.
    """
    left = [_filled(asdict(item)) for item in items]
    check(left)
    return left


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    """`value` without fields that are not set."""
    filled = {key: item for key, item in value.items() if item is not None}
    filled.update(filled.pop(_MORE, {}))
    if "parts" in filled:
        filled["parts"] = [_filled(part) for part in filled["parts"]]
    if isinstance(filled.get("content"), bytes):
        filled["content"] = b64encode(filled["content"]).decode()
    return filled


def _message(message: dict[str, Any]) -> Any:
    types = _types()
    parts = [_part(part) for part in message["parts"]]
    if "finish_reason" not in message:
        return types.InputMessage(message["role"], parts, message.get("name"))
    return types.OutputMessage(message["role"], parts, message["finish_reason"], message.get("name"))


def _part(part: dict[str, Any]) -> Any:
    """A part as the dataclass of its type, with fields of its own where it has more than that one knows."""
    types = _types()
    known: dict[str, type] = {
        "text": types.TextPart,
        "reasoning": types.ReasoningPart,
        "tool_call": types.ToolCallRequestPart,
        "tool_call_response": types.ToolCallResponsePart,
        "server_tool_call": types.ServerToolCallPart,
        "server_tool_call_response": types.ServerToolCallResponsePart,
        "blob": types.BlobPart,
        "file": types.FilePart,
        "uri": types.UriPart,
    }
    values = dict(part)
    if part["type"] == "blob" and isinstance(part.get("content"), str):
        values["content"] = b64decode(part["content"])
    return _made(known.get(part["type"], types.GenericPart), values)


def _tool(tool: dict[str, Any]) -> Any:
    types = _types()
    known = types.FunctionToolDefinition if tool["type"] == "function" else types.GenericToolDefinition
    return _made(known, tool)


def _made(cls: Any, values: dict[str, Any]) -> Any:
    """`cls` with these values; keys that can be no field's name go into one field together."""
    usable = {key: value for key, value in values.items() if key.isidentifier() and not iskeyword(key)}
    if len(usable) < len(values):
        usable[_MORE] = {key: value for key, value in values.items() if key not in usable}
    own = {item.name for item in fields(cls)}
    made = _with(cls, tuple(sorted(usable.keys() - own)))
    return made(**dict.fromkeys(own - usable.keys()), **usable)


@lru_cache(maxsize=256)
def _with(cls: Any, more: tuple[str, ...]) -> Any:
    """`cls`, or a subclass of it that has these fields besides."""
    if not more:
        return cls
    return make_dataclass(cls.__name__, [(name, Any, None) for name in more], bases=(cls,))
