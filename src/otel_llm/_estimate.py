"""Estimates of token counts that a provider did not give: opt-in (`estimate_usage`), and marked as estimates.

With the extra `tokenizer`, and where tiktoken's cache holds the vocabulary of the model already, text is
counted token by token; everywhere else four bytes of UTF-8 are taken for a token.
Nothing here can reach the network: the vocabulary is read from the cache and never asked of tiktoken, which
would download it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _guard
from ._operation import Content, Usage
from ._plain import is_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tiktoken import Encoding

    from .providers._base import Endpoint

__all__ = ["CallEstimate", "Estimate", "encoding", "texts", "usage"]

_BYTES_PER_TOKEN = 4
"""Of English prose, and near enough for other scripts, whose characters have more bytes and more tokens."""

_PER_MESSAGE = 4
"""What role and separators add to each message of a chat (OpenAI's published format)."""

_LONGEST_TAIL = 4096

_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
"""Where tiktoken gets a vocabulary from: its cache names files by the hash of this. Never opened."""

_LETTERS = r"[^\r\n\p{L}\p{N}]?"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"

_PATTERNS = {
    "cl100k_base": _SHORT + "|" + _LETTERS + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _SPACES,
    "o200k_base": (
        f"{_LETTERS}{_UPPER}*{_LOWER}+{_SHORT}?|{_LETTERS}{_UPPER}+{_LOWER}*{_SHORT}?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _SPACES
    ),
}
"""How an encoding cuts text into words before it looks up tokens; no token crosses a word's border."""


def _cached_file(name: str) -> Path | None:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir(), "data-gym-cache"))
    if not folder:
        return None
    path = Path(folder, hashlib.sha1(_URL.format(name).encode(), usedforsecurity=False).hexdigest())
    return path if path.is_file() else None


@cache
def encoding(name: str) -> Encoding | None:
    """Tiktoken's encoding `name` if it can be had offline, else None; the first call takes a moment."""
    pattern = _PATTERNS.get(name)
    if pattern is None or find_spec("tiktoken") is None or (path := _cached_file(name)) is None:
        return None
    import tiktoken  # noqa: PLC0415 - an extra

    try:
        lines = (line.split() for line in path.read_bytes().splitlines() if line)
        ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
        return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    except (OSError, ValueError) as error:  # a damaged file is as good as none
        _guard.caught(error, what="reading tiktoken's cache")
        return None


@cache
def _encoding_name(model: str) -> str | None:
    if find_spec("tiktoken") is None:
        return None
    from tiktoken.model import encoding_name_for_model  # noqa: PLC0415 - an extra

    try:
        name = encoding_name_for_model(model)
    except KeyError:
        return None
    return "o200k_base" if name == "o200k_harmony" else name  # they differ in special tokens only


class Estimate:
    """Counts the tokens of a text that comes in pieces: each piece is looked at once, and none is kept."""

    __slots__ = ("_bytes", "_encoding", "_tail", "_tokens")

    def __init__(self, model: str | None) -> None:
        """`model` chooses the vocabulary; one that is unknown, or None, is estimated by size."""
        name = _encoding_name(model) if model else None
        self._encoding = encoding(name) if name else None
        self._bytes = 0
        self._tokens = 0
        self._tail = ""

    def add(self, text: str) -> None:
        """Count another piece."""
        if self._encoding is None:
            self._bytes += len(text.encode("utf-8", "replace"))
            return
        known = len(self._tail)
        tail = self._tail + text
        cut = _last_border(tail, known)
        if not cut and len(tail) > _LONGEST_TAIL:
            cut = len(tail)
        self._tokens += self._count(tail[:cut])
        self._tail = tail[cut:]

    @property
    def tokens(self) -> int:
        """Tokens so far."""
        return self._tokens + self._count(self._tail) + math.ceil(self._bytes / _BYTES_PER_TOKEN)

    def _count(self, text: str) -> int:
        return len(self._encoding.encode_ordinary(text)) if self._encoding is not None and text else 0


def _last_border(text: str, start: int) -> int:
    """The last place from `start` on where a space follows a word, which no token crosses; 0 for none."""
    end = len(text)
    while (space := text.rfind(" ", max(start, 1), end)) > 0:
        if not text[space - 1].isspace():
            return space
        end = space
    return 0


def texts(messages: list[dict[str, Any]] | None) -> Iterator[str]:
    """What a tokenizer would see of messages or parts in the conventions' shapes; media count for nothing."""
    for message in messages or ():
        for part in message.get("parts", (message,)):
            yield from _part_texts(part)


def _part_texts(part: Mapping[str, Any]) -> Iterator[str]:
    if part.get("type") in ("blob", "uri", "file"):
        return
    for name in ("name", "description", "content", "arguments", "response", "parameters"):
        value = part.get(name)
        if value:
            yield value if isinstance(value, str) else json.dumps(value, default=str)


def usage(model: str | None, content: Content, output: Estimate | None) -> Usage:
    """The counts of a call whose provider gave none: `content` is its request, `output` what it answered.

    `output` is None for a call that generates nothing.
    """
    asked = Estimate(model)
    for messages in (content.system, content.input, content.tools):
        for text in texts(messages):
            asked.add(text)
    framing = _PER_MESSAGE * len(content.input or ())
    return Usage(asked.tokens + framing, None if output is None else output.tokens, source="estimate")


class CallEstimate:
    """What one call asked and answered, kept as text for as long as the call runs."""

    __slots__ = ("_accumulator", "_asked", "_endpoint", "_model", "_output")

    def __init__(self, endpoint: Endpoint, model: str | None) -> None:
        self._endpoint = endpoint
        self._model = model
        self._asked = Content()
        self._output: list[dict[str, Any]] | None = None
        self._accumulator = endpoint.output_accumulator() if endpoint.output_accumulator else None

    @_guard.guarded
    def request(self, body: Any) -> None:
        """Take in what was asked."""
        if self._endpoint.content is not None and is_object(body):
            self._asked = self._endpoint.content(body)

    @_guard.guarded
    def response(self, body: Any) -> None:
        """Take in what was answered."""
        if self._endpoint.output is not None:
            self._output = self._endpoint.output(body)

    def chunk(self, chunk: Any) -> None:
        """Take in a chunk. May raise."""
        if self._accumulator is not None:
            self._accumulator.add(chunk)

    def usage(self) -> Usage | None:
        """The estimated counts; None where nothing of the call could be read."""
        output = self._output
        if output is None and self._accumulator is not None:
            output = self._accumulator.output()
        if self._asked == Content() and not output:
            return None
        if self._endpoint.output is None:  # embeddings
            return usage(self._model, self._asked, None)
        answered = Estimate(self._model)
        for text in texts(output):
            answered.add(text)
        return usage(self._model, self._asked, answered)
