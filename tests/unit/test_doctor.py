"""What the doctor finds, from made-up environments and from endpoints that answer as scripted."""

from __future__ import annotations

import importlib.metadata
import json
import socket
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from otel_llm import _doctor
from otel_llm._doctor._exporters import Export, exports, general, misfits
from otel_llm._doctor._others import others
from otel_llm._doctor._probe import probe
from otel_llm._doctor._report import Finding, Section, as_data, as_text, failed
from otel_llm._doctor._sdks import own_tracing, sdks, uncovered
from otel_llm._doctor._settings import content, settings
from otel_llm.instrumentor import drivers
from support.otlp_sink import OtlpSink

if TYPE_CHECKING:
    from collections.abc import Iterator

_HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests."""
    import os

    for name in os.environ:
        if name.startswith(("OTEL_", "ANTHROPIC_", "OPENAI_")):
            monkeypatch.delenv(name)


class TestExporters:
    def test_defaults_are_otlp_over_grpc_with_the_distro_and_nothing_without(self) -> None:
        assert [(export.signal, export.protocol, export.endpoint) for export in exports({}, distro=True)] == [
            ("traces", "grpc", "http://localhost:4317"),
            ("metrics", "grpc", "http://localhost:4317"),
            ("logs", "grpc", "http://localhost:4317"),
        ]
        assert exports({}, distro=False) == []

    def test_http_adds_the_path_to_the_common_endpoint_and_leaves_that_of_a_signal(self) -> None:
        environ = {
            **_HTTP,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://example.test/otlp/",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://metrics.example.test/api",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20eDp5, x-a = b",
            "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-logs=1",
        }
        found = exports(environ, distro=True)
        assert [export.endpoint for export in found] == [
            "https://example.test/otlp/v1/traces",
            "https://metrics.example.test/api",
            "https://example.test/otlp/v1/logs",
        ]
        assert [dict(export.headers) for export in found] == [
            {"authorization": "Basic eDp5", "x-a": "b"},
            {"authorization": "Basic eDp5", "x-a": "b"},
            {"x-logs": "1"},
        ]

    def test_headers_are_secrets_and_stay_out_of_the_repr(self) -> None:
        environ = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=canary"}
        assert "canary" not in repr(exports(environ, distro=True))

    def test_a_password_in_an_endpoint_is_used_as_the_sdk_uses_it_and_never_shown(self) -> None:
        environ = {**_HTTP, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:c%61nary@localhost:4318"}
        export = exports(environ, distro=True)[0]
        assert export.endpoint == "http://localhost:4318/v1/traces"
        assert export.headers == {"authorization": "Basic dXNlcjpjYW5hcnk="}  # user:canary
        for endpoint in ("http://user:canary@localhost:4317", "user:canary@localhost:4317"):
            (export, *_) = exports({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, distro=True)
            (finding,) = misfits(export)
            assert finding == Finding(
                "problem", "traces: otlp_proto_grpc: gRPC takes no user and password in an endpoint."
            )

    def test_several_exporters_none_and_one_that_is_not_installed(self) -> None:
        environ = {
            "OTEL_TRACES_EXPORTER": "console, zipkin",
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_LOGS_EXPORTER": "none",
        }
        found = exports(environ, distro=True)
        assert [(export.signal, export.exporter, export.installed) for export in found] == [
            ("traces", "console", True),
            ("traces", "zipkin", False),
            ("metrics", "prometheus", True),
        ]
        assert [list(misfits(export)) for export in found] == [
            [],
            [Finding("problem", "traces: zipkin is not installed.")],
            [],
        ]

    @pytest.mark.parametrize(
        ("environ", "said", "advice"),
        [
            pytest.param(
                {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"},
                "speaks gRPC to http://localhost:4318, a port that is OTLP's for HTTP",
                "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                id="grpc-to-4318",
            ),
            pytest.param(
                {**_HTTP, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"},
                "speaks HTTP to http://localhost:4317/v1/traces, a port that is OTLP's for gRPC",
                "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
                id="http-to-4317",
            ),
            pytest.param(
                {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"},
                "is taken for one with TLS",
                "Write http://localhost:4317.",
                id="grpc-without-scheme",
            ),
            pytest.param(
                {**_HTTP, "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"},
                "cannot be used",
                "Write http://localhost:4318/v1/traces.",
                id="http-without-scheme",
            ),
            pytest.param(
                {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
                "the protocol 'http/json' is not supported",
                "Use grpc or http/protobuf.",
                id="protocol",
            ),
        ],
    )
    def test_a_configuration_that_cannot_work_is_a_problem(
        self, environ: dict[str, str], said: str, advice: str
    ) -> None:
        (finding,) = misfits(exports(environ, distro=True)[0])
        assert finding.level == "problem"
        assert said in finding.text
        assert advice in finding.advice

    def test_the_endpoint_of_a_signal_without_the_path_is_a_warning(self) -> None:
        environ = {**_HTTP, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318"}
        traces, metrics, _ = exports(environ, distro=True)
        assert [finding.level for finding in misfits(traces)] == ["warning"]
        assert list(misfits(metrics)) == []

    @pytest.mark.parametrize(
        ("environ", "level", "said"),
        [
            ({"OTEL_SDK_DISABLED": "TRUE"}, "problem", "OTEL_SDK_DISABLED=true: nothing is recorded."),
            ({"OTEL_TRACES_EXPORTER": "none"}, "problem", "There is no exporter of traces"),
            ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, "warning", "drops every new trace"),
            ({"OTEL_CONFIG_FILE": "otel.yaml"}, "note", "OTEL_CONFIG_FILE is set"),
        ],
    )
    def test_what_holds_for_all(self, environ: dict[str, str], level: str, said: str) -> None:
        environ = {"OTEL_SERVICE_NAME": "test", **environ}
        (finding,) = general(environ, exports(environ, distro=True), sdk=True, distro=True)
        assert (finding.level, said in finding.text) == (level, True), finding

    def test_a_program_without_a_name_is_told(self) -> None:
        found = exports({}, distro=True)
        assert [finding.level for finding in general({}, found, sdk=True, distro=True)] == ["warning"]
        named = {"OTEL_RESOURCE_ATTRIBUTES": "service.version=1,service.name=test"}
        assert list(general(named, found, sdk=True, distro=True)) == []

    def test_what_is_missing_names_the_extra(self) -> None:
        named = {"OTEL_SERVICE_NAME": "test"}
        findings = list(general(named, [], sdk=False, distro=False))
        assert [finding.level for finding in findings] == ["problem", "problem"]
        assert findings[0].advice == 'pip install "otel-llm[otlp]"'
        findings = list(general(named, exports({}, distro=True), sdk=True, distro=False))
        assert [(finding.level, finding.advice) for finding in findings] == [
            ("warning", 'pip install "otel-llm[otlp]"')
        ]


@pytest.fixture(scope="module")
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as running:
        yield running


@pytest.fixture
def answering() -> Iterator[Any]:
    """A server that answers with a status, and keeps the headers it was sent."""
    made: list[HTTPServer] = []

    def serve(status: int) -> tuple[str, list[dict[str, str]]]:
        seen: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made.append(server)
        return f"http://127.0.0.1:{server.server_port}", seen

    yield serve
    for server in made:
        server.shutdown()
        server.server_close()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _http_export(url: str, signal: Any = "traces", **headers: str) -> Export:
    endpoint = f"{url}/v1/{signal}"
    return Export(
        signal=signal,
        exporter="otlp_proto_http",
        protocol="http/protobuf",
        endpoint=endpoint,
        headers=headers,
    )


def _grpc_export(url: str, signal: Any = "traces") -> Export:
    return Export(signal=signal, exporter="otlp_proto_grpc", protocol="grpc", endpoint=url)


class TestProbe:
    @pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
    def test_a_receiver_answers_and_is_told_nothing(self, sink: OtlpSink, signal: str) -> None:
        http, grpc = _http_export(sink.http_url, signal), _grpc_export(sink.grpc_url, signal)
        assert probe(http) == Finding("ok", f"{signal}: {http.endpoint} (http/protobuf) answers.")
        assert probe(grpc) == Finding("ok", f"{signal}: {grpc.endpoint} (grpc) answers.")
        assert [export.size for export in sink.exports[-2:]] == [0, 0]
        assert (sink.spans, sink.points, sink.logs) == ([], [], [])

    @pytest.mark.parametrize(
        ("status", "signal", "level"),
        [
            (401, "traces", "problem"),
            (403, "traces", "problem"),
            (404, "traces", "problem"),
            (404, "metrics", "warning"),
            (405, "logs", "warning"),
            (400, "traces", "ok"),
            (415, "traces", "ok"),
            (429, "traces", "warning"),
            (503, "traces", "warning"),
        ],
    )
    def test_what_a_status_means(self, answering: Any, status: int, signal: str, level: str) -> None:
        url, seen = answering(status)
        finding = probe(_http_export(url, signal, **{"x-key": "canary"}))
        assert finding.level == level
        assert f"answers {status}" in finding.text
        assert "canary" not in finding.text + finding.advice
        assert seen[0]["x-key"] == "canary"
        assert seen[0]["content-type"] == "application/x-protobuf"

    def test_a_signal_that_is_not_taken_can_be_switched_off(self, answering: Any) -> None:
        url, _ = answering(404)
        assert probe(_http_export(url, "metrics")).advice == "Set OTEL_METRICS_EXPORTER=none."

    def test_nobody_there(self) -> None:
        url = f"http://127.0.0.1:{_free_port()}"
        for export in (_http_export(url), _grpc_export(url)):
            finding = probe(export)
            assert finding.level == "problem"
            assert "does not answer" in finding.text
            assert "refused" in finding.text

    def test_grpc_to_a_server_that_speaks_http(self, answering: Any) -> None:
        url, _ = answering(200)
        assert probe(_grpc_export(url)).level == "problem"

    def test_a_grpc_server_that_knows_no_otlp(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        server = grpc.server(ThreadPoolExecutor(1))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            assert probe(_grpc_export(f"http://127.0.0.1:{port}", "logs")) == Finding(
                "warning",
                f"logs: http://127.0.0.1:{port} (grpc) answers UNIMPLEMENTED: it takes no logs.",
                "Set OTEL_LOGS_EXPORTER=none.",
            )
        finally:
            server.stop(None).wait()


class TestSdks:
    def test_the_installed_ones_are_looked_at_and_left_as_they_were(self) -> None:
        import openai

        before = openai._base_client.SyncAPIClient.__dict__["request"]
        section = sdks()
        assert openai._base_client.SyncAPIClient.__dict__["request"] is before
        found = {entry["name"]: entry for entry in section.data}
        assert found["openai"]["version"] == openai.__version__
        assert found["openai"]["seams"]["SyncAPIClient.request"] is True
        assert all(found["openai"]["seams"].values())
        assert found["openai"]["paths"][0] == "/v1/chat/completions"
        count = len(found["openai"]["seams"])
        assert f"openai {openai.__version__} is instrumented, all {count} seams." in [
            finding.text for finding in section.findings if finding.level == "ok"
        ]

    def test_one_that_is_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "flask, anthropic")
        section = sdks()
        assert {entry["name"]: entry["disabled"] for entry in section.data} | {"openai": False} == {
            entry["name"]: entry["name"] == "anthropic" for entry in section.data
        }
        assert any(
            "anthropic" in finding.text and "switched off" in finding.text for finding in section.findings
        )

    def test_one_that_cannot_be_imported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "openai", None)
        (finding,) = [finding for finding in sdks().findings if finding.level == "problem"]
        assert "cannot be imported: ModuleNotFoundError" in finding.text

    @pytest.mark.parametrize(
        ("lost", "level"), [("BaseClient._should_retry", "warning"), ("SyncAPIClient.request", "problem")]
    )
    def test_seams_that_are_not_there(self, monkeypatch: pytest.MonkeyPatch, lost: str, level: str) -> None:
        driver = next(driver for driver in drivers() if driver.provider.name == "openai")
        seams = {**dict.fromkeys(driver.seams(), True), lost: False}
        monkeypatch.setattr(type(driver), "seams", lambda self: seams)
        findings = [finding for finding in sdks().findings if lost in finding.text]
        assert {finding.level for finding in findings} == {level}

    def test_spans_that_an_sdk_makes_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import anthropic  # noqa: F401

        assert own_tracing().data == [{"sdk": "anthropic", "mode": "replace", "environment": None}]
        assert [finding.level for finding in own_tracing().findings] == ["ok"]
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_ANTHROPIC_NATIVE", "coexist")
        monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY", "0")
        section = own_tracing()
        assert section.data == [{"sdk": "anthropic", "mode": "coexist", "environment": "0"}]
        assert [finding.level for finding in section.findings] == ["warning", "note"]

    def test_what_is_not_covered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = importlib.metadata.version
        have = {"mistralai": "9.9"}
        monkeypatch.setattr("otel_llm._doctor._sdks.version", lambda name: have.get(name) or real(name))
        section = uncovered()
        assert {"distribution": "mistralai", "version": "9.9"} in section.data
        assert Finding("note", "mistralai 9.9 is not instrumented.") in section.findings
        assert any(
            finding.text.startswith("openai: covered are /v1/chat/completions,")
            for finding in section.findings
        )

    def test_without_any_sdk_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> str:
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr("otel_llm._doctor._sdks.version", missing)
        monkeypatch.setattr("otel_llm._doctor._sdks.installed", lambda _: None)
        assert uncovered().findings == [Finding("note", "No known SDK is installed.")]


def _point(name: str, package: str) -> Any:
    return types.SimpleNamespace(
        name=name, value=f"{package}:Instrumentor", dist=types.SimpleNamespace(name=package)
    )


class TestOthers:
    @pytest.fixture(autouse=True)
    def _points(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.points = [_point("openai", "otel_llm.instrumentor"), _point("flask", "opentelemetry-flask")]
        monkeypatch.setattr("otel_llm._doctor._others.entry_points", lambda group: self.points)

        def missing(name: str) -> str:
            raise importlib.metadata.PackageNotFoundError(name)

        self.have: dict[str, str] = {}
        monkeypatch.setattr(
            "otel_llm._doctor._others.version", lambda name: self.have.get(name) or missing(name)
        )

    def test_nobody_else(self) -> None:
        section = others()
        assert section.data == []
        assert [finding.level for finding in section.findings] == ["ok"]

    def test_one_with_a_name_of_its_own_can_be_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.points.append(_point("openai_v2", "opentelemetry-instrumentation-openai-v2"))
        (finding,) = others().findings
        assert finding.level == "warning"
        assert finding.advice.endswith("or set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=openai_v2.")
        monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "openai_v2")
        assert [finding.level for finding in others().findings] == ["ok"]

    def test_one_with_our_name_can_only_be_uninstalled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.points.append(_point("openai", "openinference-instrumentation-openai"))
        (finding,) = others().findings
        assert finding.level == "warning"
        assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS" not in finding.advice
        monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "openai")
        (finding,) = others().findings
        assert finding.level == "warning"
        assert "so is our instrumentation" in finding.text

    def test_packages_that_trace_on_demand(self) -> None:
        self.have["logfire"] = "4.0"
        (finding,) = others().findings
        assert finding.level == "note"
        assert "logfire 4.0 can trace the same calls" in finding.text


class TestSettings:
    def test_defaults(self) -> None:
        assert settings().data == {}
        assert [finding.level for finding in settings().findings] == ["ok"]

    def test_what_is_set_what_cannot_be_read_and_what_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_SEMCONV", "latest")
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_METRICS", "some")
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_COSTS", "true")
        section = settings()
        assert section.data["OTEL_INSTRUMENTATION_LLM_SEMCONV"] == "latest"
        texts = {finding.text: finding.level for finding in section.findings}
        assert texts["OTEL_INSTRUMENTATION_LLM_COSTS is no setting."] == "warning"
        assert texts["OTEL_INSTRUMENTATION_LLM_SEMCONV is latest."] == "note"
        assert any(
            text.startswith("OTEL_INSTRUMENTATION_LLM_METRICS is ignored") and level == "warning"
            for text, level in texts.items()
        )

    def test_a_token_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_LIVE_TOKEN", "canary")
        section = settings()
        assert [finding.text for finding in section.findings] == [
            "OTEL_INSTRUMENTATION_LLM_LIVE_TOKEN is set."
        ]
        assert section.data == {"OTEL_INSTRUMENTATION_LLM_LIVE_TOKEN": "set"}

    def test_content_is_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert content(exports({}, distro=True)).data == {
            "mode": "no_content",
            "goes_to": [],
            "completion_hook": None,
        }
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
        monkeypatch.setenv("OTEL_INSTRUMENTATION_LLM_CONTENT_OFF", "true")
        assert content(exports({}, distro=True)).data["mode"] == "no_content"

    def test_where_content_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_and_event")
        found = exports({"OTEL_LOGS_EXPORTER": "none"}, distro=True)
        section = content(found)
        assert section.data["goes_to"] == [
            {"on": "spans", "exporter": "otlp_proto_grpc", "endpoint": "http://localhost:4317"}
        ]
        assert section.findings == [
            Finding("note", "Prompts and answers are put on spans and go to http://localhost:4317."),
            Finding(
                "warning",
                "Prompts and answers are put on events, and there is no exporter of logs.",
                "Set OTEL_LOGS_EXPORTER=otlp.",
            ),
        ]

    def test_a_completion_hook_that_nobody_provides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "nowhere")
        assert [finding.level for finding in content([]).findings] == ["ok", "problem"]


class TestReport:
    def test_text_and_data(self) -> None:
        sections = [
            Section("a", "First", [Finding("ok", "Fine."), Finding("warning", "Hm.", "Do this.")], {"x": 1}),
            Section("b", "Second", [Finding("problem", "Bad.")], [1]),
        ]
        assert failed(sections)
        assert as_text(sections) == (
            "First\n  ok       Fine.\n  warning  Hm.\n           > Do this.\n\n"
            "Second\n  problem  Bad.\n\n1 problem, 1 warning\n"
        )
        assert as_data(sections) == {
            "a": {"x": 1},
            "b": [1],
            "findings": [
                {"section": "a", "level": "ok", "text": "Fine.", "advice": ""},
                {"section": "a", "level": "warning", "text": "Hm.", "advice": "Do this."},
                {"section": "b", "level": "problem", "text": "Bad.", "advice": ""},
            ],
        }
        assert not failed(sections[:1])

    def test_the_command_says_json_and_fails_for_a_problem(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sink: OtlpSink
    ) -> None:
        monkeypatch.setenv("OTEL_SERVICE_NAME", "test")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.http_url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary")
        assert _doctor.run(["--json"]) == 0
        out = capsys.readouterr().out
        report = json.loads(out)
        assert report["ok"] is True
        assert report["instrumented"] is False
        assert report["export"] == [
            {
                "signal": signal,
                "exporter": "otlp_proto_http",
                "protocol": "http/protobuf",
                "endpoint": f"{sink.http_url}/v1/{signal}",
                "headers": ["x-key"],
                "answers": True,
            }
            for signal in ("traces", "metrics", "logs")
        ]
        assert "canary" not in out
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
        assert _doctor.run([]) == 1
        assert "1 problem, 0 warnings" in capsys.readouterr().out

    def test_offline_tries_nothing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("OTEL_SERVICE_NAME", "test")
        assert _doctor.run(["--offline", "--json"]) == 0
        assert [export["answers"] for export in json.loads(capsys.readouterr().out)["export"]] == [None] * 3
