"""Values of the application and of SDKs as plain JSON: a copy of our own, made without running foreign code.

Iterators are never consumed, methods of foreign classes never called.
What cannot be read that way, or does not fit into JSON or OTLP (cycles, numbers out of range), is replaced by
something that says so.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "blob",
    "from_url",
    "is_list",
    "is_object",
    "joined_base64",
    "known",
    "modality_of",
    "omitted",
    "parse",
    "plain",
    "record",
    "utf8",
]

_MAX_DEPTH = 48
_NESTED = "a cycle, or nested too deeply"
_LARGEST = 2**63
_PRINTABLE_BITS = 2000  # Python refuses to print integers of more than some thousand digits
_PRINTABLE = frozenset(
    {"datetime.date", "datetime.datetime", "datetime.time", "decimal.Decimal", "uuid.UUID"}
    | {"pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"}
)
"""Classes of the standard library whose text says it all; by name, so that none is imported for it."""
_NONE: Mapping[str, Any] = MappingProxyType({})
_DATA_URL = r"data:[\w.+-]+/[\w.+-]+[;,]"
_MIME_KEYS = ("media_type", "mime_type", "mimeType")


def omitted(reason: str) -> dict[str, Any]:
    """The part that stands for something which is not recorded, and says why."""
    return {"type": "omitted", "reason": reason}


def modality_of(mime_type: str | None) -> str:
    """`image`, `audio` or `video` by the MIME type, else `document`."""
    kind = (mime_type or "").partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"


def blob(content: object, mime_type: str | None, modality: str | None = None) -> dict[str, Any]:
    """A part of binary data; `content` is base64 text or bytes, as the application gave it."""
    if not isinstance(content, str | bytes):
        return omitted(_class_name(content))
    part: dict[str, Any] = {"type": "blob", "modality": modality or modality_of(mime_type)}
    if mime_type:
        part["mime_type"] = mime_type
    part["content"] = content
    return part


def joined_base64(pieces: list[str]) -> str:
    """Base64 text of the data of `pieces`, each of which may be padded for itself."""
    if not any(piece.endswith("=") for piece in pieces[:-1]):
        return "".join(pieces)
    from base64 import b64decode, b64encode  # noqa: PLC0415 - rarely needed

    try:
        return b64encode(b"".join(map(b64decode, pieces))).decode()
    except ValueError:
        return "".join(pieces)


def from_url(url: str, modality: str | None = None) -> dict[str, Any]:
    """A `uri` part, or for a `data:` URL the `blob` part that the conventions ask for instead."""
    if url[:5].lower() != "data:":
        return {"type": "uri", "modality": modality or "document", "uri": url}
    end = url.find(",") if "," in url else len(url)  # the payload is copied once: it may be large
    mime_type, *parameters = url[5:end].split(";")
    payload = url[end + 1 :]
    if "base64" in parameters:
        return blob(payload, mime_type or None, modality)
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415 - rarely needed

    return blob(unquote_to_bytes(payload), mime_type or "text/plain", modality)


def parse(text: object) -> Any:
    """The value of a JSON text (a tool's arguments); the text itself where it is none, as when cut short."""
    if not isinstance(text, str):
        return plain(text)
    try:
        return plain(json.loads(text))
    except (ValueError, RecursionError):
        return text


def utf8(text: str) -> str:
    """`text` with `?` for each half of a surrogate pair.

    UTF-8 has no bytes for one, and an exporter that meets one loses all that it was about to send.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_list(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether `value` can be iterated without consuming it."""
    return isinstance(value, list | tuple)


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether `value` is a dict; those that are looked at here have texts as keys."""
    return isinstance(value, dict)


def record(value: Any) -> Mapping[str, Any]:
    """All fields of an SDK model, undeclared ones included, or of a dict; none of anything else."""
    if is_object(value):
        return value
    cls: Any = value.__class__
    if not hasattr(cls, "__pydantic_fields__") and not hasattr(cls, "__fields__"):
        return _NONE
    declared: dict[str, Any] = getattr(value, "__dict__", {})
    extra: dict[str, Any] | None = getattr(value, "__pydantic_extra__", None)
    return {
        key: item for key, item in ({**declared, **extra} if extra else declared).items() if item is not None
    }


def known(value: Any) -> Mapping[str, Any]:
    """The fields of a dict or an object, with those of a model that the SDK's version does not declare.

    Cheaper than `record`: fields that are not set are left in.
    """
    if is_object(value):
        return value
    facts: dict[str, Any] | None = getattr(value, "__dict__", None)
    if not facts:
        return _NONE
    is_model = hasattr(value.__class__, "__pydantic_extra__")  # asking others might run code of theirs
    extra: Any = getattr(value, "__pydantic_extra__", None) if is_model else None
    return {**facts, **extra} if extra else facts


def plain(value: Any, _path: tuple[int, ...] = ()) -> Any:
    """A copy of `value` out of dicts, lists, texts, whole numbers of 64 bits, finite floats, bools and None.

    Binary data in it (bytes, `data:` URLs, base64 beside its MIME type) becomes a `blob` part.
    """
    if value.__class__ is str:
        return from_url(value) if value[:5] == "data:" and re.match(_DATA_URL, value) else value
    if value is None or value is True or value is False:
        return value
    if is_list(value):
        if id(value) in _path or len(_path) == _MAX_DEPTH:
            return omitted(_NESTED)
        path = (*_path, id(value))
        return [plain(item, path) for item in value]
    if value.__class__ is int or value.__class__ is float:
        return _scalar(value)
    fields = record(value)
    return _object(value, fields, _path) if fields is not _NONE else _scalar(value)


def _object(value: object, fields: Mapping[str, Any], path: tuple[int, ...]) -> dict[str, Any]:
    if id(value) in path or len(path) == _MAX_DEPTH:
        return omitted(_NESTED)
    if "data" in fields and fields.get("type") != "text":
        for name in _MIME_KEYS:
            mime_type = fields.get(name)
            if isinstance(mime_type, str):
                return blob(fields["data"], mime_type)
    path = (*path, id(value))
    return {key if type(key) is str else str_of(key): plain(item, path) for key, item in fields.items()}


def _scalar(value: Any) -> Any:
    """What is neither a text nor a container; subclasses of the JSON types become their base."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        whole = int.__int__(value)
        return whole if -_LARGEST <= whole < _LARGEST else str_of(whole)
    if isinstance(value, float):
        real = float.__float__(value)
        return real if isfinite(real) else str(real)
    if isinstance(value, bytes | bytearray):
        return blob(bytes(value), "application/octet-stream")
    cls: Any = value.__class__
    known = f"{cls.__module__}.{cls.__qualname__}" in _PRINTABLE
    return str(value) if known else omitted(_class_name(value))


def str_of(key: object) -> str:
    """A text for a key or a number: only of builtin types, as any other class's `__str__` is foreign."""
    if isinstance(key, str):
        return str.__str__(key)
    if type(key) is int and key.bit_length() > _PRINTABLE_BITS:
        return "a number of thousands of digits"
    return str(key) if type(key) in (int, float, bool, type(None)) else _class_name(key)


def _class_name(value: object) -> str:
    return type(value).__qualname__
