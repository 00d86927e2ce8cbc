"""Captured content of any dialect as messages of the GenAI conventions (docs/live-api.md, `MESSAGE`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ._json import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["CONTENT_PREFIXES", "Content", "content_of", "from_events", "preview"]

Content: TypeAlias = "dict[str, list[dict[str, Any]] | None]"
"""`system` and `tools`: lists of parts and definitions; `input` and `output`: lists of messages."""

CONTENT_PREFIXES: Final = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.prompt.", "gen_ai.completion.", "llm.request.functions.", "llm.input_messages.",
    "llm.output_messages.",
    "llm.tools.", "llm.prompts.", "llm.choices.", "input.value", "input.mime_type", "output.value",
    "output.mime_type",
    "embedding.embeddings.",
)  # fmt: skip
"""What an attribute's name starts with if it is content."""

_FLAT_SIDES: Final = (
    ("input", "llm.input_messages."),
    ("input", "gen_ai.prompt."),
    ("input", "llm.prompts."),
    ("input", "embedding.embeddings."),
    ("output", "llm.output_messages."),
    ("output", "gen_ai.completion."),
    ("output", "llm.choices."),
    ("tools", "llm.tools."),
    ("tools", "llm.request.functions."),
)
"""Where a dialect writes each member of each message as an attribute of its own."""
_FLAT: Final = tuple(prefix for _, prefix in _FLAT_SIDES)
_PREVIEW: Final = 200
_MAX_LEVELS: Final = 12


def content_of(attributes: Mapping[str, Any]) -> Content | None:
    """The content on a span (or in a details event), None when it has none."""
    content: Content = {
        "system": _listed(attributes.get("gen_ai.system_instructions"), _part),
        "input": _listed(attributes.get("gen_ai.input.messages"), _message),
        "output": _listed(attributes.get("gen_ai.output.messages"), _message),
        "tools": _listed(attributes.get("gen_ai.tool.definitions"), _definition),
    }
    flat = {key: value for key, value in attributes.items() if key.startswith(_FLAT)}
    for side, prefix in _FLAT_SIDES if flat else ():
        if content[side] is None and (items := _unflatten(flat, prefix)):
            make = _flat_tool if side == "tools" else _flat_message
            content[side] = [make(item, side) for item in items]
    return content if any(content.values()) else None


def preview(content: Content | None) -> str | None:
    """The start of the last user message's text."""
    for message in reversed((content or {}).get("input") or []):
        if message["role"] == "user":
            for part in message["parts"]:
                if part.get("type") == "text" and isinstance(part.get("content"), str):
                    return str(part["content"])[:_PREVIEW]
    return None


def _listed(value: Any, make: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]] | None:
    value = _parsed(value)
    if value is None or value in ("", [], {}):
        return None
    items = value if is_list(value) else [value]
    return [make(item) for item in items]


def _parsed(value: Any) -> Any:
    """JSON in a string as what it says; a string that is no JSON stays one."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return _decode(value)
    except (ValueError, RecursionError):
        return value


_decode = json.JSONDecoder(parse_constant=str).decode


def _message(value: Any) -> dict[str, Any]:
    if not is_dict(value):
        return _made("", [_part(value)])
    given = value
    parts = given.get("parts", given.get("content"))
    listed = parts if is_list(parts) else [parts]
    return _made(
        given.get("role"),
        [_part(part) for part in listed if part is not None],
        name=given.get("name"),
        finish_reason=given.get("finish_reason"),
    )


def _made(
    role: Any, parts: list[dict[str, Any]], *, name: Any = None, finish_reason: Any = None
) -> dict[str, Any]:
    return {
        "role": role if isinstance(role, str) else "",
        "parts": parts,
        "name": name if isinstance(name, str) else None,
        "finish_reason": finish_reason if isinstance(finish_reason, str) else None,
    }


def _part(value: Any) -> dict[str, Any]:
    if not is_dict(value):
        return {"type": "text", "content": value if isinstance(value, str) else json.dumps(value)}
    part = value
    kind = part.get("type")
    if not isinstance(kind, str):
        return {**part, "type": "generic"}
    if kind == "text" and "content" not in part:
        return {**part, "content": part.get("text", "")}
    if kind == "image_url":
        return _image(part.get("image_url"))
    return part


def _definition(value: Any) -> dict[str, Any]:
    if not is_dict(value):
        return {"type": "generic", "name": str(value)}
    function = value.get("function")
    if not is_dict(function):
        return value
    return {**{key: item for key, item in value.items() if key != "function"}, **function}


def _image(value: Any) -> dict[str, Any]:
    url = value.get("url") if is_dict(value) else value
    text = url if isinstance(url, str) else ""
    if text.startswith("data:"):
        kind, _, data = text[5:].partition(",")
        return {
            "type": "blob",
            "modality": "image",
            "mime_type": kind.partition(";")[0] or None,
            "content": data,
        }
    return {"type": "uri", "modality": "image", "mime_type": None, "uri": text}


def _unflatten(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """The list that was flattened to `prefix.0.x`, `prefix.1.y`, ...; at every level numbers make a list."""
    root: dict[str, Any] = {}
    for key, value in attributes.items():
        path = key[len(prefix) :].split(".") if key.startswith(prefix) else ()
        if not path or len(path) > _MAX_LEVELS or not path[0].isdecimal():
            continue
        node = root
        for step in path[:-1]:
            below = node.setdefault(step, {})
            if not is_dict(below):
                below = node[step] = {"": below}
            node = below
        node.setdefault(path[-1], value)
    found = _lists(root)
    return found if is_list(found) else []


def _lists(node: Any) -> Any:
    if not is_dict(node):
        return node
    tree = node
    if tree and all(key.isdecimal() and len(key) < _MAX_LEVELS for key in tree):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _lists(value) for key, value in tree.items()}


def _flat_message(item: Any, side: str) -> dict[str, Any]:
    """A message of OpenInference (`message.role`, ...) or of earlier OpenLLMetry (`role`, ...)."""
    for wrapper in ("message", "prompt", "embedding", "completion"):
        if is_dict(item) and wrapper in item:
            item = item[wrapper]
    if not is_dict(item):
        return _made("user" if side == "input" else "assistant", [_part(item)])
    given = item
    body = _parsed(given.get("content", given.get("contents", given.get("text"))))
    parts = [_flat_part(part) for part in _items(body)]
    if given.get("role") == "tool" or "tool_call_id" in given:
        response = body if not is_list(body) else parts
        parts = [{"type": "tool_call_response", "id": given.get("tool_call_id"), "response": response}]
    parts += [_tool_call(call) for call in _items(given.get("tool_calls"))]
    role = given.get("role") or ("user" if side == "input" else "assistant")
    return _made(role, parts, name=given.get("name"), finish_reason=given.get("finish_reason"))


def _items(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return value if is_list(value) else [value]


def _flat_part(value: Any) -> dict[str, Any]:
    if is_dict(value) and "message_content" in value:
        part: Any = value["message_content"]
        if is_dict(part):
            given = part
            if "image" in given:
                image: Any = given["image"]
                return _image(image.get("image", image) if is_dict(image) else image)
            return _part(
                {"type": given.get("type", "text"), "content": given.get("text", given.get("content"))}
            )
    return _part(value)


def _tool_call(value: Any) -> dict[str, Any]:
    call = value if is_dict(value) else {}
    inner: Any = call.get("tool_call", call)
    call = inner if is_dict(inner) else {}
    function: Any = call.get("function", call)
    named = function if is_dict(function) else {}
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": named.get("name"),
        "arguments": _parsed(named.get("arguments")),
    }


def _flat_tool(item: Any, side: str) -> dict[str, Any]:  # noqa: ARG001 - the same shape as _flat_message
    tool: Any = item.get("tool", item) if is_dict(item) else item
    given: Any = tool.get("json_schema", tool) if is_dict(tool) else tool
    return _definition(_parsed(given))


_EVENT_ROLES: Final = {
    "gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool", "gen_ai.choice": "assistant",
}  # fmt: skip


def from_events(events: Iterable[tuple[str, Any]]) -> Content | None:
    """The content of events (name, body or attributes): the details event, or the former one per message."""
    content: Content = {"system": None, "input": None, "output": None, "tools": None}
    for name, body in events:
        if not is_dict(body):
            continue
        given = body
        if name not in _EVENT_ROLES:
            for side, value in (content_of(given) or {}).items():
                content[side] = value or content[side]
            continue
        message: Any = given.get("message", given) if name == "gen_ai.choice" else given
        if is_dict(message):
            message = {"role": _EVENT_ROLES[name], **message}
            if name == "gen_ai.tool.message" and "id" in message:
                message["tool_call_id"] = message["id"]
            message["finish_reason"] = given.get("finish_reason")
        side = "output" if name == "gen_ai.choice" else "input"
        content[side] = [*(content[side] or []), _flat_message(message, side)]
    return content if any(content.values()) else None
