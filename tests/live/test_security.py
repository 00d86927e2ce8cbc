"""Who may ask what, and what answers carry."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from otel_llm.live import LiveOptions, LiveServer
from otel_llm.live._security import CSP, Policy, is_loopback

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "correct-horse"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.9", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert Policy.of(host, None).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_addresses_need_one(host: str) -> None:
    with pytest.raises(ValueError, match="needs a token"):
        LiveServer(LiveOptions(host=host, port=0)).start()
    assert Policy.of(host, TOKEN).token == TOKEN


@pytest.mark.parametrize("token", ["with space", "ümlaut", "new\nline"])
def test_a_token_can_be_a_header(token: str) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        Policy.of("127.0.0.1", token)


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in values.items()]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"host": "localhost:8000"}, False),
        ({"host": "LOCALHOST"}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "[::1]:8000"}, False),
        ({"host": "view.test:1"}, False),
        ({"host": "evil.example:8000"}, True),
        ({"host": "localhost.evil.example"}, True),
        ({"host": "127.0.0.1:80:80"}, True),
        ({"host": ""}, True),
        ({}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, False),
        ({"host": "localhost:8000", "origin": "HTTPS://localhost:8000"}, False),
        ({"host": "localhost:8000", "origin": "https://page.test"}, False),
        ({"host": "localhost:8000", "origin": "http://localhost:9000"}, True),
        ({"host": "localhost:8000", "origin": "http://evil.example"}, True),
        ({"host": "localhost:8000", "origin": "null"}, True),
        ({"host": "localhost:8000", "origin": ""}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:8000/"}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:8000@evil.example"}, True),
    ],
)
def test_foreign_hosts_and_origins_are_refused(given: dict[str, str], refused: bool) -> None:
    policy = Policy.of("127.0.0.1", None, hosts=["view.test"], origins=["https://page.test/"])
    assert policy.refuses(headers(**given)) is refused


def test_two_hosts_are_none() -> None:
    assert Policy().refuses([(b"host", b"localhost"), (b"host", b"localhost")])


def test_any_name_is_good_for_all_addresses() -> None:
    assert not Policy.of("0.0.0.0", TOKEN).refuses(headers(host="anything.example"))
    assert Policy.of("0.0.0.0", TOKEN, hosts=["view.test"]).refuses(headers(host="anything.example"))


@pytest.mark.parametrize("path", ["/", "/api/calls", "/healthz", "/metrics/events", "/static/js/main.js"])
def test_a_foreign_page_is_refused_before_anything_is_done(shared: Any, path: str) -> None:
    for foreign in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        answer = shared.http.request("GET", path, **foreign)
        assert (answer.status, answer.json()) == (403, {"error": "This origin or host is not allowed"})
        assert "access-control-allow-origin" not in answer.headers
    assert (
        shared.http.request(
            "POST", "/v1/traces", b"", content_type="application/x-protobuf", origin="http://evil.example"
        ).status
        == 403
    )


def test_every_answer_carries_the_headers(shared: Any) -> None:
    for path in ("/", "/api/status", "/api/none", "/api/calls?limit=x", "/static/none", "/healthz"):
        answer = shared.http.request("GET", path)
        assert answer.headers["content-security-policy"] == CSP, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
    assert shared.http.request("GET", "/api/status").headers["cache-control"] == "no-store"
    assert "unsafe" not in CSP


@pytest.fixture
def static(tmp_path: Path, monkeypatch: Any) -> Path:
    folder = tmp_path / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "js" / "main.js").write_text("export {};")
    (folder / "style.css").write_text("body {}")
    (folder / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("SECRET")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setattr("otel_llm.live._app.STATIC", folder)
    return folder


def test_the_page_and_its_files_are_served(static: Path, tools: Any) -> None:
    with tools.running() as live:
        for path, kind in (
            ("/", "text/html"),
            ("/static/js/main.js", "text/javascript"),
            ("/static/style.css", "text/css"),
            ("/static/icon.svg", "image/svg+xml"),
        ):
            answer = live.http.request("GET", path)
            assert (answer.status, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8"), path
            assert answer.headers["cache-control"] == "no-cache"
            again = live.http.request("GET", path, if_none_match=answer.headers["etag"])
            assert again.status == (304 if path != "/" else again.status)
        for path in ("/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/..%2fsecret.txt", "/static/link.txt", "/static/js/",
                     "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/%00", "/static/js/main.js/../../../secret.txt"):  # fmt: skip
            answer = live.http.request("GET", path)
            assert answer.status == 404, path
            assert b"SECRET" not in answer.body


def test_a_token_is_needed_for_everything_but_the_page(static: Path, tools: Any) -> None:
    with tools.running(token=TOKEN) as live:
        for path in ("/", "/healthz", "/static/style.css"):
            assert live.http.request("GET", path).status == 200
        for path in ("/api/status", "/api/calls", "/metrics/events", "/debug/summary", "/api/none"):
            answer = live.http.request("GET", path)
            assert (answer.status, answer.headers["www-authenticate"], answer.json()) == (
                401,
                "Bearer",
                {"error": "A token is needed"},
            )
            assert live.http.request("GET", path, authorization="Bearer wrong").status == 401
            assert live.http.request("GET", path, authorization=f"Basic {TOKEN}").status == 401
        assert (
            live.http.request("POST", "/v1/traces", b"", content_type="application/x-protobuf").status == 401
        )
        bearer = {"authorization": f"bearer {TOKEN}"}
        assert live.http.request("GET", "/api/status", **bearer).json()["token_required"] is True
        assert (
            live.http.request(
                "POST", "/v1/traces", b"", content_type="application/x-protobuf", **bearer
            ).status
            == 200
        )


def test_a_websocket_gives_the_token_by_header_or_first_message(tools: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("otel_llm.live._stream.AUTH_TIME", 0.3)
    with tools.running(token=TOKEN) as live:
        by_header = live.connect(additional_headers={"Authorization": f"Bearer {TOKEN}"})
        assert tools.receive(by_header)["type"] == "historical_data"
        by_message = live.connect()
        by_message.send(json.dumps({"type": "auth", "token": TOKEN}))
        assert tools.receive(by_message)["type"] == "historical_data"
        by_message.send(json.dumps({"type": "auth", "token": "whatever"}))  # too late to matter
        assert tools.ask(by_message, {"type": "ping"})["type"] == "pong"
        for first in (
            '{"type": "auth", "token": "wrong"}', '{"type": "auth", "token": 5}', '{"type": "auth"}', '{"type": "ping"}', "{{{", b"x",
            '{"type": "auth", "token": "\\ud800"}', None,
        ):  # fmt: skip
            socket = live.connect()
            if first is not None:
                socket.send(first)
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv(timeout=10)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1008
        assert live.server.active_connections == 2


def test_everything_can_be_served_over_tls(tools: Any, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
         "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    trust = ssl.create_default_context(cafile=str(cert))
    with tools.running(grpc_port=0, tls=(str(cert), str(key))) as live:
        assert live.server.url.startswith("https://")
        connection = http.client.HTTPSConnection(live.http.netloc, context=trust, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        connection.close()
        with connect(live.server.url.replace("https", "wss") + "/metrics/stream", ssl=trust) as socket:
            assert tools.receive(socket)["type"] == "historical_data"
        credentials = grpc.ssl_channel_credentials(cert.read_bytes())
        with grpc.secure_channel(live.server.otlp["grpc"], credentials) as channel:
            assert (
                channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")(b"") == b""
            )
