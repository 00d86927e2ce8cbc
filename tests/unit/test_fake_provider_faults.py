"""The fake provider's faults, delays and connections, as real clients meet them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import http.client
import json
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.testing import FakeProvider, RecordedRequest, Reply, ToolCall
from otel_llm.testing._reply import cut
from otel_llm.testing._wire import AWSEventStream, Event
from support.sdk_calls import call_async, call_sync

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
CLAUDE: dict[str, Any] = {"model": "claude-x", "max_tokens": 100, "messages": MESSAGES}
RESPONSES: dict[str, Any] = {"model": "gpt-5", "input": "hi"}

CLIENTS: dict[str, tuple[Any, Any, Any]] = {
    # The caller, the class of the client and the module of its errors.
    "openai": (call_sync, openai.OpenAI, openai),
    "openai-async": (call_async, openai.AsyncOpenAI, openai),
    "anthropic": (call_sync, anthropic.Anthropic, anthropic),
    "anthropic-async": (call_async, anthropic.AsyncAnthropic, anthropic),
}


class Door:
    """A call of one SDK: chat completions or messages."""

    def __init__(self, name: str, server: FakeProvider) -> None:
        self.call, self.made, self.errors = CLIENTS[name]
        self.is_openai = self.errors is openai
        self.url = server.openai_url if self.is_openai else server.url

    def __call__(self, *, stream: bool = False, **options: Any) -> Any:
        """The answer, or its events as a list."""
        more = {"api_key": "k", "max_retries": 0, **options}
        method, body = ("chat.completions.create", CHAT) if self.is_openai else ("messages.create", CLAUDE)
        stream_option = {"stream": True} if stream else {}
        return self.call(lambda: self.made(base_url=self.url, **more), method, **body, **stream_option)


@pytest.fixture(params=list(CLIENTS))
def door(request: Any, fake_provider: FakeProvider) -> Door:
    return Door(request.param, fake_provider)


# -- errors


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
    ],
)
def test_an_error_status_is_the_error_of_the_sdk(fake_provider: FakeProvider, status: int, name: str) -> None:
    fake_provider.reply(Reply.error(status))
    for client in ("openai", "anthropic"):
        door = Door(client, fake_provider)
        with pytest.raises(door.errors.APIStatusError) as raised:
            door()
        # Anthropic has classes of its own below these, for 503 for instance.
        assert name in {base.__name__ for base in type(raised.value).__mro__}
        assert raised.value.status_code == status


def test_error_bodies_are_those_of_the_api(fake_provider: FakeProvider) -> None:
    fake_provider.script(
        Reply.error(429),
        Reply.error(400, code="context_length_exceeded", message="Too long.", param="messages"),
    )
    door = Door("openai", fake_provider)
    with pytest.raises(openai.RateLimitError) as limited:
        door()
    assert limited.value.body == {
        "message": "Rate limit reached.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    with pytest.raises(openai.BadRequestError) as refused:
        door()
    assert (refused.value.code, refused.value.param, refused.value.type) == (
        "context_length_exceeded",
        "messages",
        "invalid_request_error",
    )
    fake_provider.script(Reply.error(529), Reply.error(400, message="prompt is too long"))
    door = Door("anthropic", fake_provider)
    with pytest.raises(anthropic.APIStatusError) as busy:
        door()
    assert busy.value.body == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_000003",
    }
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        door()


def test_a_path_that_no_api_has_is_not_found(fake_provider: FakeProvider) -> None:
    for path, key in (("/v1/elsewhere", "code"), ("/v1/chat/completions", "code")):
        answer = httpx2.get(fake_provider.url + path)
        assert (answer.status_code, answer.json()["error"][key]) == (404, "model_not_found")
    answer = httpx2.get(fake_provider.url + "/v1/elsewhere", headers={"anthropic-version": "2023-06-01"})
    assert answer.json()["error"]["type"] == "not_found_error"


def test_a_retry_waits_as_told_and_is_told_apart(fake_provider: FakeProvider, door: Door) -> None:
    fake_provider.script(Reply.error(429, retry_after_ms=1), Reply.error(500, retry_after_ms=1))
    door(max_retries=2)
    assert [request.headers["x-stainless-retry-count"] for request in fake_provider.requests] == [
        "0",
        "1",
        "2",
    ]
    answer = httpx2.post(fake_provider.url + "/v1/chat/completions", json=CHAT)
    assert "retry-after-ms" not in answer.headers
    fake_provider.script(Reply.error(429, retry_after_ms=1500))
    headers = httpx2.post(fake_provider.url + "/v1/chat/completions", json=CHAT).headers
    assert (headers["retry-after-ms"], headers["retry-after"]) == ("1500", "2")


# -- faults on the way


def test_a_dropped_connection(fake_provider: FakeProvider, door: Door) -> None:
    fake_provider.script(Reply(drop=True))
    with pytest.raises(door.errors.APIConnectionError):
        door()
    fake_provider.script(Reply(drop=True))
    door(max_retries=1)
    assert len(fake_provider.requests) == 3


def read_some(door: Door, events: list[Any], **options: Any) -> None:
    """Read a stream into `events` until it ends or fails."""
    more = {"api_key": "k", "max_retries": 0, **options}
    body = {**(CHAT if door.is_openai else CLAUDE), "stream": True}
    if door.call is call_sync:
        with door.made(base_url=door.url, **more) as client:
            made = client.chat.completions if door.is_openai else client.messages
            events.extend(made.create(**body))
        return

    async def read() -> None:
        async with door.made(base_url=door.url, **more) as client:
            made = client.chat.completions if door.is_openai else client.messages
            async for event in await made.create(**body):
                events.append(event)  # noqa: PERF401 - what came before an error counts

    asyncio.run(read())


def texts(door: Door, events: list[Any]) -> list[str]:
    if door.is_openai:
        return [event.choices[0].delta.content for event in events if event.choices[0].delta.content]
    return [event.delta.text for event in events if event.type == "content_block_delta"]


WORDS = ["word1", " word2", " word3"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stream_that_dies(fake_provider: FakeProvider, door: Door, after: int) -> None:
    fake_provider.reply(Reply(die_after=after))
    events: list[Any] = []
    broken = openai.APIConnectionError if door.is_openai else httpx2.RemoteProtocolError
    with pytest.raises(broken):
        read_some(door, events)
    assert texts(door, events) == WORDS[:after]


def test_a_stream_shorter_than_its_fault_is_whole(fake_provider: FakeProvider, door: Door) -> None:
    fake_provider.reply(Reply(die_after=4))
    events: list[Any] = []
    read_some(door, events)
    assert texts(door, events) == WORDS


@pytest.mark.parametrize("after", [0, 2])
def test_an_error_event_in_a_stream(fake_provider: FakeProvider, door: Door, after: int) -> None:
    fake_provider.reply(Reply(error_after=after, error_type="rate_limit_error", error_message="slow down"))
    events: list[Any] = []
    with pytest.raises(door.errors.APIError, match="slow down") as raised:
        read_some(door, events)
    assert texts(door, events) == WORDS[:after]
    assert "rate_limit_error" in json.dumps(raised.value.body)


def test_an_error_event_of_responses(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(error_after=1, error_code="server_error", error_message="broke"))
    with openai.OpenAI(base_url=fake_provider.openai_url, api_key="k") as client:
        events = list(client.responses.create(**RESPONSES, stream=True))
    assert [event.type for event in events[-2:]] == ["response.output_text.delta", "error"]
    assert events[-1].model_dump() == {
        "type": "error",
        "code": "server_error",
        "message": "broke",
        "param": None,
        "sequence_number": len(events) - 1,
    }


def test_a_malformed_event(fake_provider: FakeProvider, door: Door) -> None:
    fake_provider.reply(Reply(malformed_after=2))
    events: list[Any] = []
    with pytest.raises(json.JSONDecodeError):
        read_some(door, events)
    assert texts(door, events) == WORDS[:2]


@pytest.mark.parametrize(("name", "after"), [("openai", 0), ("openai-async", 2), ("anthropic", 2)])
def test_a_stream_that_hangs(fake_provider: FakeProvider, name: str, after: int) -> None:
    fake_provider.reply(Reply(hang_after=after))
    door = Door(name, fake_provider)
    events: list[Any] = []
    with pytest.raises(openai.APITimeoutError if door.is_openai else httpx2.ReadTimeout):
        read_some(door, events, timeout=httpx2.Timeout(30, read=1))
    assert texts(door, events) == WORDS[:after]
    fake_provider.wait_closed()


def test_plain_bodies_that_break(fake_provider: FakeProvider, door: Door) -> None:
    fake_provider.script(Reply(die_after=0), Reply(malformed_after=0))
    with pytest.raises(door.errors.APIConnectionError):
        door()
    with pytest.raises((json.JSONDecodeError, door.errors.APIError)):
        door()
    fake_provider.script(Reply(hang_after=0), Reply(delay=60), Reply(first_delay=60))
    for _ in range(3):
        with pytest.raises(door.errors.APITimeoutError):
            door(timeout=0.2)
    fake_provider.wait_closed()


def test_compressed_bodies(fake_provider: FakeProvider, door: Door) -> None:
    fake_provider.reply(Reply(gzip=True))
    answer = door()
    assert (answer.choices[0].message if door.is_openai else answer.content[0]) is not None
    events: list[Any] = []
    read_some(door, events)
    assert texts(door, events) == WORDS


def test_raw_bodies(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(status=202, body=b"whatever", headers={"content-type": "text/plain"}))
    answer = httpx2.put(fake_provider.url + "/anywhere")
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (
        202,
        "whatever",
        "text/plain",
    )
    fake_provider.reply(Reply(body=[b"data: 1\n\n", b"", b"data: 2\n\n"]))
    assert httpx2.post(fake_provider.url).content == b"data: 1\n\ndata: 2\n\n"
    fake_provider.reply(Reply(body=[b"a", b"b", b"c"], die_after=2))
    received: list[bytes] = []
    with httpx2.stream("POST", fake_provider.url) as stream, pytest.raises(httpx2.RemoteProtocolError):
        received.extend(stream.iter_raw())
    assert b"".join(received) == b"ab"


# -- real streaming and real connections


@pytest.mark.parametrize("compress", [False, True])
def test_bodies_really_stream(fake_provider: FakeProvider, compress: bool) -> None:
    """The first chunk is with the client while the server has sent no other, and never will."""
    fake_provider.reply(Reply(hang_after=1, gzip=compress))
    for name in ("openai", "anthropic"):
        door = Door(name, fake_provider)
        with door.made(base_url=door.url, api_key="k", max_retries=0, timeout=10) as client:
            made = client.chat.completions if door.is_openai else client.messages
            stream = made.create(**(CHAT if door.is_openai else CLAUDE), stream=True)
            events: list[Any] = []
            while not texts(door, events):
                events.append(next(stream))
            assert texts(door, events) == ["word1"]
            assert fake_provider.open_connections == 1
            stream.close()
        fake_provider.wait_closed()


def test_events_are_flushed_one_by_one(fake_provider: FakeProvider) -> None:
    """Each event is one chunk of the transfer coding: read off the socket, nothing decoded."""
    fake_provider.reply(Reply(chunks=["a", "b"]))
    where = urlsplit(fake_provider.url)
    body = json.dumps({**CHAT, "stream": True}).encode()
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as client:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        raw = client.makefile("rb").read()
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding: chunked" in head
    chunks: list[bytes] = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    assert chunks[-1] == b""
    assert [chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks[:-1]] == [True] * 5
    assert chunks[-2] == b"data: [DONE]\n\n"


def test_three_hundred_connections_at_once(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(hang_after=1))
    where = urlsplit(fake_provider.url)
    body = json.dumps({**CHAT, "stream": True}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def one(all_open: asyncio.Event) -> bytes:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        received = await reader.readuntil(b"word1")
        await all_open.wait()
        writer.close()
        await writer.wait_closed()
        return received

    async def all_of_them() -> list[bytes]:
        all_open = asyncio.Event()
        tasks = [asyncio.create_task(one(all_open)) for _ in range(300)]
        await asyncio.to_thread(fake_provider.wait_for, 300, 60)
        assert fake_provider.open_connections == 300
        all_open.set()
        return await asyncio.gather(*tasks)

    received = asyncio.run(asyncio.wait_for(all_of_them(), 90))
    assert len(received) == 300
    fake_provider.wait_closed(30)
    assert {request.connection for request in fake_provider.requests} == set(range(1, 301))


def test_connections_are_kept(fake_provider: FakeProvider) -> None:
    with openai.OpenAI(base_url=fake_provider.openai_url, api_key="k") as client:
        client.chat.completions.create(**CHAT)
        # Read whole: the SDK itself leaves a stream at `[DONE]`, before the body's end, and so its connection.
        client.chat.completions.with_raw_response.create(**CHAT, stream=True).http_response.read()
        client.embeddings.create(model="e", input="x")
        assert [request.connection for request in fake_provider.requests] == [1, 1, 1]
        assert fake_provider.open_connections == 1
    fake_provider.wait_closed()
    httpx2.post(f"{fake_provider.url}/v1/chat/completions", json=CHAT, headers={"connection": "close"})
    fake_provider.wait_closed()


def test_a_request_body_may_be_chunked(fake_provider: FakeProvider) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"model": "m", '
        yield b'"messages": []}'

    answer = httpx2.post(f"{fake_provider.url}/v1/chat/completions", content=pieces())
    assert answer.json()["model"] == "m"
    (request,) = fake_provider.requests
    assert (request.headers["transfer-encoding"], request.json) == ("chunked", {"model": "m", "messages": []})


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_not_http_is_refused(fake_provider: FakeProvider, sent: bytes) -> None:
    where = urlsplit(fake_provider.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as client:
        client.sendall(sent)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert fake_provider.requests == []


def test_a_warming_request_is_no_call(fake_provider: FakeProvider) -> None:
    fake_provider.script(Reply(text="kept"))
    assert httpx2.get(f"{fake_provider.url}/v1/tcp_warming").status_code == 200
    assert (fake_provider.requests, len(fake_provider.unused)) == ([], 1)


# -- the server's life


def test_stopping_ends_streams_that_hang() -> None:
    before = set(threading.enumerate())
    server = FakeProvider().start()
    server.reply(Reply(hang_after=1))
    client = openai.OpenAI(base_url=server.openai_url, api_key="k", max_retries=0)
    stream = client.chat.completions.create(**CHAT, stream=True)
    next(stream)
    server.stop()
    with pytest.raises(openai.APIConnectionError):
        list(stream)
    client.close()
    server.stop()
    assert server.open_connections == 0
    assert "otel-llm-fake-provider" not in {thread.name for thread in set(threading.enumerate()) - before}
    with pytest.raises(RuntimeError, match="started before"):
        server.start()


def test_stopping_while_clients_connect_leaves_nothing_open() -> None:
    """A socket or a task that was left would be a warning when it is collected, and warnings are errors."""
    for i in range(10):
        server = FakeProvider().start()
        server.reply(Reply(hang_after=1))
        where = ("127.0.0.1", urlsplit(server.url).port or 0)
        clients: list[socket.socket] = []

        def connect(where: tuple[str, int] = where, clients: list[socket.socket] = clients) -> None:
            with contextlib.suppress(OSError):
                for _ in range(30):
                    clients.append(socket.create_connection(where, timeout=5))
                    body = b'{"stream":true}'
                    clients[-1].sendall(
                        b"POST /chat/completions HTTP/1.1\r\ncontent-length: 15\r\n\r\n" + body
                    )

        thread = threading.Thread(target=connect)
        thread.start()
        if i % 2:
            server.wait_for(1)
        server.stop()
        assert server.open_connections == 0
        thread.join()
        for client in clients:
            client.close()
    gc.collect()


def test_stopping_what_was_not_started_does_nothing() -> None:
    FakeProvider().stop()


def test_a_taken_port_is_an_error(fake_provider: FakeProvider) -> None:
    with pytest.raises(OSError, match="ddress already in use"):
        FakeProvider(port=urlsplit(fake_provider.url).port or 0).start()


def test_an_error_in_a_reply_function_is_raised_at_the_end() -> None:
    def broken(request: RecordedRequest) -> Reply:
        raise LookupError(request.path)

    server = FakeProvider().start()
    server.reply(broken)
    with (
        pytest.raises(openai.APIConnectionError),
        openai.OpenAI(base_url=server.openai_url, api_key="k", max_retries=0) as client,
    ):
        client.chat.completions.create(**CHAT)
    with pytest.raises(LookupError, match="/v1/chat/completions"):
        server.stop()


def test_waiting_for_requests(fake_provider: FakeProvider) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        fake_provider.wait_for(1, timeout=0.01)
    threading.Timer(0.05, httpx2.get, [f"{fake_provider.url}/v1/models"]).start()
    assert [request.path for request in fake_provider.wait_for(1)] == ["/v1/models"]


def test_waiting_for_open_connections_ends(fake_provider: FakeProvider) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(fake_provider.url).port or 0)
    connection.request("GET", "/v1/models")
    connection.getresponse().read()
    with pytest.raises(TimeoutError, match="1 connections are open"):
        fake_provider.wait_closed(timeout=0.01)
    connection.close()
    fake_provider.wait_closed()


def test_the_program_serves_until_its_input_ends() -> None:
    command = [sys.executable, "-m", "otel_llm.testing.server", "--port", "0", "--chunks", "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answer = httpx2.post(f"{url}/v1/chat/completions", json=CHAT).json()
        assert answer["choices"][0]["message"]["content"] == "word1 word2"
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_program_ends_when_it_is_told_to(fake_provider: FakeProvider) -> None:
    command = [sys.executable, "-m", "otel_llm.testing.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        assert process.wait(timeout=20) == 0
    taken = [*command, "--port", fake_provider.url.rpartition(":")[2]]
    done = subprocess.run(taken, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ddress already in use" in done.stderr


def test_importing_it_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, otel_llm.testing as t; t.FakeProvider().start().stop(); "
        "print([m for m in ('opentelemetry.sdk', 'pytest', 'openai', 'httpx2', 'grpc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- replies as data


def test_replies_that_contradict_themselves_are_refused() -> None:
    for wrong in (
        {"input_tokens": 5, "cached_tokens": 3, "cache_write_tokens": 3},
        {"cache_write_tokens": 1, "cache_write_1h_tokens": 2},
        {"output_tokens": 1, "reasoning_tokens": 2},
    ):
        with pytest.raises(ValueError, match="part of"):
            Reply(**wrong)


@given(st.text(max_size=200), st.integers(-1, 50))
def test_cutting_loses_nothing(text: str, count: int) -> None:
    pieces = cut(text, count)
    assert "".join(pieces) == text
    assert len(pieces) == min(max(count, 1), len(text))
    lengths = {len(piece) for piece in pieces}
    assert not lengths or max(lengths) - min(lengths) <= 1


def test_pieces() -> None:
    assert Reply(chunks=0).pieces() == ()
    assert Reply(text="", chunks=3).pieces() == ()
    assert Reply(text="ab", chunks=0).pieces() == ("ab",)
    assert Reply(chunks=["", "x"]).pieces("asked") == ("", "x")
    assert Reply(tool_calls=[ToolCall("f")]).pieces() == ()
    assert Reply(tool_calls=[ToolCall("f")], text="x").pieces() == ("x",)
    assert ToolCall("f", "not json").input == {}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=5))
def test_events_in_amazons_framing_are_read_by_botocore(data: dict[str, str]) -> None:
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    framed = AWSEventStream().frame(Event(data, "x"))
    buffer.add_data(framed[:7])
    assert list(buffer) == []
    buffer.add_data(framed[7:])
    (message,) = list(buffer)
    assert message.headers == {
        ":event-type": "chunk",
        ":message-type": "event",
        ":content-type": "application/json",
    }
    assert set(json.loads(message.payload)) == {"bytes"}


def test_a_compressed_body_is_a_whole_gzip_file(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(gzip=True))
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(fake_provider.url).port or 0)
    connection.request("GET", "/v1/models")
    assert json.loads(gzip.decompress(connection.getresponse().read()))["object"] == "list"
    body = json.dumps({**CHAT, "stream": True})
    connection.request("POST", "/v1/chat/completions", body)
    assert gzip.decompress(connection.getresponse().read()).endswith(b"data: [DONE]\n\n")
    connection.close()
