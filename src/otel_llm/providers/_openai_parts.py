"""What messages of OpenAI's APIs are made of: parts of content, and definitions of tools.

Chat completions and Responses name their parts differently, but a part is never ambiguous: one table reads both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._plain import blob, from_url, is_list, known, plain, record
from ._base import words
from ._parts import Part, file, generic, reasoning, refusal, text, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PARTS", "parts", "tool_definitions"]


def _image(part: Mapping[str, Any]) -> Part:
    """`image_url` is an object in chat completions, a text in Responses; a file's id stands apart."""
    image = part.get("image_url")
    url = words(image) or words(known(image).get("url"))
    return from_url(url, "image") if url else file(part.get("file_id"), "image")


def _url(name: str, modality: str) -> Callable[[Mapping[str, Any]], Part]:
    def read(part: Mapping[str, Any]) -> Part:
        return from_url(words(known(part.get(name)).get("url")) or words(part.get(name)) or "", modality)

    return read


def _audio(part: Mapping[str, Any]) -> Part:
    sound = known(part.get("input_audio"))
    kind = words(sound.get("format"))
    return blob(sound.get("data"), f"audio/{kind}" if kind else None, "audio")


def _file(part: Mapping[str, Any]) -> Part:
    """A file by id, URL or as data; nested in chat completions, flat in Responses."""
    facts = known(part["file"]) if "file" in part else part
    name = words(facts.get("filename"))
    if facts.get("file_id") is not None:
        return file(facts["file_id"], filename=name)
    data = facts.get("file_data")
    url = words(facts.get("file_url")) or (data if isinstance(data, str) and data[:5] == "data:" else None)
    read = from_url(url) if url else blob(data, None)
    if name:
        read["filename"] = name
    return read


def _text(part: Mapping[str, Any]) -> Part:
    return text(part.get("text"))


PARTS: Mapping[str, Callable[[Mapping[str, Any]], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": lambda part: refusal(part.get("refusal")),
    "image_url": _image,
    "input_image": _image,
    "computer_screenshot": _image,
    "input_audio": _audio,
    "audio_url": _url("audio_url", "audio"),  # vLLM
    "video_url": _url("video_url", "video"),  # vLLM
    "file": _file,
    "input_file": _file,
    "reasoning_text": lambda part: reasoning(part.get("text")),
    "summary_text": lambda part: reasoning(part.get("text")),
}


def parts(content: Any) -> list[Part]:
    """The parts of a message's content: a text or a list of typed objects."""
    if isinstance(content, str):
        return [text(content)]
    if content is None:
        return []
    if is_list(content):
        return [_part(item) for item in content]
    return [_part(content)] if "type" in known(content) else [unread(content)]


def _part(item: Any) -> Part:
    facts = known(item)
    kind = facts.get("type")
    read = PARTS.get(kind) if isinstance(kind, str) else None
    if read is not None:
        return read(facts)
    if isinstance(item, str):
        return text(item)
    return generic(item) if record(item) else unread(item)


def tool_definitions(*lists: Any) -> list[dict[str, Any]] | None:
    """Tools as the conventions want them.

    Of tools that the provider runs only type and name: their settings hold credentials.
    """
    read: list[dict[str, Any]] = []
    for value in lists:
        if is_list(value):
            read += [_definition(tool) for tool in value]
        elif value is not None:
            read.append({"type": "omitted", "name": "", "reason": type(value).__qualname__})
    return read or None


def _definition(tool: object) -> dict[str, Any]:
    outer = known(tool)
    kind = words(outer.get("type")) or "function"
    facts = known(outer[kind]) if kind in outer else outer
    name = words(facts.get("name")) or words(facts.get("server_label"))
    read: dict[str, Any] = {"type": kind, "name": name or kind}
    if kind not in ("function", "custom"):
        return read
    if words(facts.get("description")):
        read["description"] = facts["description"]
    if facts.get("parameters") is not None:
        read["parameters"] = plain(facts["parameters"])
    return read
