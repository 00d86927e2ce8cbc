"""Estimated token counts: exact where a vocabulary is at hand, incremental, and never from the network."""

from __future__ import annotations

import base64
import hashlib
import inspect
import re
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from otel_llm import _estimate, _guard
from otel_llm._operation import Content, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = [
    b"he",
    b"hel",
    b"hello",
    b" w",
    b" wo",
    b" wor",
    b" world",
    b"  ",
    b"\n\n",
    b"12",
    b"123",
    b";\n",
    b"  \n",
]


def vocabulary() -> bytes:
    """A small real vocabulary in tiktoken's format: every byte, and a few longer tokens."""
    tokens = [bytes([byte]) for byte in range(256)] + WORDS
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def cache_file(folder: Path, name: str) -> Path:
    url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    return folder / hashlib.sha1(url.encode()).hexdigest()


@pytest.fixture(autouse=True)
def cached(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder with both vocabularies, and no network."""
    folder = tmp_path_factory.mktemp("tiktoken")
    for name in ("o200k_base", "cl100k_base"):
        cache_file(folder, name).write_bytes(vocabulary())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("an estimate used the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    _estimate.encoding.cache_clear()
    yield folder
    _estimate.encoding.cache_clear()


def estimate(model: str | None, *pieces: str) -> int:
    counted = _estimate.Estimate(model)
    for piece in pieces:
        counted.add(piece)
    return counted.tokens


def exact(text: str, name: str = "o200k_base") -> int:
    found = _estimate.encoding(name)
    assert found is not None
    return len(found.encode_ordinary(text))


def test_a_known_model_is_counted_by_its_vocabulary() -> None:
    assert estimate("gpt-4o", "hello world") == 2
    assert estimate("gpt-4", "hello world") == 2
    assert estimate("gpt-oss-120b", "hello world") == 2
    assert estimate("gpt-4o", "xyz") == 3


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "llama-3", None, "text-davinci-003"])
def test_every_other_model_is_estimated_by_size(model: str | None) -> None:
    assert estimate(model, "hello world!") == 3
    assert estimate(model, "hello world!!") == 4
    assert estimate(model, "h") == 1
    assert estimate(model) == 0
    assert estimate(model, "hel", "lo", " world!") == 3
    assert estimate(model, "日本語") == 3
    assert estimate(model, "\ud800") == 1


PIECES = st.lists(
    st.one_of(
        st.text(max_size=8), st.sampled_from(["hello", " world", "; ", "/\n", " \n", "'s", "  ", "a b", "\t"])
    ),
    max_size=12,
)


@settings(deadline=None)
@given(PIECES)
@pytest.mark.parametrize(("model", "name"), [("gpt-4o", "o200k_base"), ("gpt-4", "cl100k_base")])
def test_pieces_count_as_their_whole(model: str, name: str, pieces: list[str]) -> None:
    assert estimate(model, *pieces) == exact("".join(pieces), name)


class Counting:
    """An encoding that remembers how much text it was given."""

    def __init__(self) -> None:
        self.seen = 0

    def encode_ordinary(self, text: str) -> list[int]:
        self.seen += len(text)
        return [0] * len(text.split())


@pytest.mark.parametrize("piece", [" word", "字", "a"])
def test_the_work_grows_with_the_text_and_no_faster(piece: str) -> None:
    for size in (2_000, 20_000):
        counted, encoding = _estimate.Estimate(None), Counting()
        counted._encoding = encoding  # type: ignore[assignment]
        started = time.perf_counter()
        for _ in range(size):
            counted.add(piece)
        print(f"\n{size} pieces of {piece!r} in {(time.perf_counter() - started) * 1e3:.1f} ms")
        assert encoding.seen <= size * len(piece)
        assert len(counted._tail) <= 4096


def test_without_a_cached_vocabulary_size_decides_and_nothing_is_downloaded(cached: Path) -> None:
    for path in cached.iterdir():
        path.unlink()
    assert _estimate.encoding("o200k_base") is None
    assert estimate("gpt-4o", "hello world!") == 3
    assert list(cached.iterdir()) == []


def test_a_damaged_vocabulary_is_as_good_as_none(cached: Path) -> None:
    _guard.strict = False
    cache_file(cached, "o200k_base").write_bytes(b"no vocabulary at all\n")
    assert estimate("gpt-4o", "hello world!") == 3


def test_a_cache_that_is_switched_off_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert _estimate.encoding("o200k_base") is None


def test_the_older_name_of_the_cache_counts(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(cached))
    assert _estimate.encoding("o200k_base") is not None


def test_without_tiktoken_size_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_estimate, "find_spec", lambda _: None)
    _estimate._encoding_name.cache_clear()
    try:
        assert estimate("gpt-4o", "hello world!") == 3
        assert _estimate.encoding("o200k_base") is None
    finally:
        _estimate._encoding_name.cache_clear()


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_address_and_file_are_those_that_tiktoken_uses(name: str) -> None:
    source = inspect.getsource(getattr(openai_public, name))
    assert _estimate._URL.format(name) in source


@settings(deadline=None)
@given(PIECES)
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_words_are_cut_as_tiktoken_cuts_them(name: str, pieces: list[str]) -> None:
    import tiktoken

    found = _estimate.encoding(name)
    assert found is not None
    source = inspect.getsource(getattr(openai_public, name))
    theirs = "|".join(re.findall(r'r"""(.*?)"""', source))
    text = "".join(pieces)
    other = tiktoken.Encoding(
        "theirs", pat_str=theirs, mergeable_ranks=found._mergeable_ranks, special_tokens={}
    )
    assert other.encode_ordinary(text) == found.encode_ordinary(text)


def text(content: Any) -> dict[str, Any]:
    return {"type": "text", "content": content}


def test_the_usage_of_a_call_is_marked_as_an_estimate() -> None:
    content = Content(
        system=[text("hello")],
        input=[
            {
                "role": "user",
                "parts": [text("hello world"), {"type": "blob", "modality": "image", "content": "A" * 999}],
            },
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "c", "name": "hello", "arguments": {"a": 12}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "hello"}]},
        ],
        tools=[{"type": "function", "name": "hello", "description": "hello", "parameters": {}}],
    )
    pieces = ["hello", "hello world", "hello", '{"a": 12}', "hello", "hello", "hello"]
    answer = _estimate.Estimate("gpt-4o")
    answer.add("hello")
    answer.add(" world")
    assert _estimate.usage("gpt-4o", content, answer) == Usage(
        input=exact("".join(pieces)) + 3 * 4, output=2, source="estimate"
    )


def test_a_call_without_messages_has_its_answer_alone() -> None:
    assert _estimate.usage(None, Content(), _estimate.Estimate(None)) == Usage(0, 0, source="estimate")
