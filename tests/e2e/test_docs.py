"""docs/getting-started.md does what it says: each block is parsed, and each set of variables is run."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_llm.providers import PROVIDERS
from support.programs import ours

if TYPE_CHECKING:
    from support.otlp_sink import OtlpSink
    from support.programs import Runner

_PAGE = Path(__file__).parents[2] / "docs" / "getting-started.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECRETS = {
    "HONEYCOMB_API_KEY": "hcaik_01",
    "GRAFANA_ZONE": "prod-eu-west-2",
    "GRAFANA_INSTANCE_ID": "123456",
    # Long enough that base64 would break lines, and with a value that needs padding.
    "GRAFANA_TOKEN": "glc_" + "x" * 90,
}
_BASIC = base64.b64encode(f"123456:glc_{'x' * 90}".encode()).decode()

LOCAL_HTTP, LOCAL_GRPC = "http://localhost:4318", "http://localhost:4317"
EXPECTED = {
    # Heading, protocol -> the endpoint, and the headers that a backend must be sent.
    ("Without touching the code", "http/protobuf"): (LOCAL_HTTP, {}),
    ("The live view", "http/protobuf"): (LOCAL_HTTP, {}),
    ("Jaeger", "http/protobuf"): (LOCAL_HTTP, {}),
    ("Jaeger", "grpc"): (LOCAL_GRPC, {}),
    ("Honeycomb", "http/protobuf"): ("https://api.honeycomb.io", {"x-honeycomb-team": "hcaik_01"}),
    ("Grafana", "http/protobuf"): (LOCAL_HTTP, {}),
    ("Grafana Cloud", "http/protobuf"): (
        "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp",
        {"authorization": f"Basic {_BASIC}"},
    ),
    ("Datadog", "http/protobuf"): (LOCAL_HTTP, {}),
    ("A collector", "grpc"): (LOCAL_GRPC, {}),
    ("Kubernetes", "http/protobuf"): (
        "http://otel-collector.observability.svc.cluster.local:4318",
        {},
    ),
}


@dataclass(frozen=True)
class Block:
    heading: str
    language: str
    text: str


def _blocks() -> list[Block]:
    page = _PAGE.read_text()
    found = []
    for match in _BLOCK.finditer(page):
        before = _BLOCK.sub("", page[: match.start()])  # a comment in a block is no heading
        heading = re.findall(r"^#+ (.*)$", before, re.MULTILINE)[-1]
        if heading == "Grafana" and before.rstrip().endswith("in your stack:"):
            heading = "Grafana Cloud"
        found.append(Block(heading, match[1], match[2]))
    return found


def _is_settings(block: Block) -> bool:
    """Whether a shell block only sets variables."""
    lines = [line for line in block.text.splitlines() if line and not line.startswith("#")]
    return block.language == "sh" and all(re.match(r"(export )?[A-Z_]+=", line) for line in lines)


def _shell(text: str) -> dict[str, str]:
    """The OTEL_ variables that a block sets, as the shell sees them."""
    done = subprocess.run(
        ["sh", "-eu", "-c", f"{text}\nenv -0"],
        env={"PATH": "/usr/bin:/bin", **_SECRETS},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    pairs = (pair.partition("=") for pair in done.stdout.split("\0") if pair)
    return {name: value for name, _, value in pairs if name.startswith("OTEL_")}


def _settings() -> list[tuple[str, dict[str, str]]]:
    found = [(block.heading, _shell(block.text)) for block in _blocks() if _is_settings(block)]
    for block in _blocks():
        if block.language == "yaml" and isinstance(entries := yaml.safe_load(block.text).get("env"), list):
            found += [(block.heading, {entry["name"]: entry["value"] for entry in entries})]
    return found


_SETTINGS = _settings()
_EXPORTING = [
    # What several backends have in common is run once.
    pytest.param(heading, settings, id=f"{heading}-{settings['OTEL_EXPORTER_OTLP_PROTOCOL']}")
    for number, (heading, settings) in enumerate(_SETTINGS)
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in settings
    and settings not in [other for _, other in _SETTINGS[:number]]
]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {block.language for block in _blocks()} == {"sh", "python", "yaml"}
    commands = {"pip", "docker", "otel-llm", "opentelemetry-instrument"}
    for block in _blocks():
        if block.language == "sh" and not _is_settings(block):
            assert {line.split()[0] for line in block.text.splitlines()} <= commands, block


def test_every_endpoint_is_the_right_one() -> None:
    found = {
        (heading, settings["OTEL_EXPORTER_OTLP_PROTOCOL"]): settings["OTEL_EXPORTER_OTLP_ENDPOINT"]
        for heading, settings in _SETTINGS
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in settings
    }
    assert found == {key: endpoint for key, (endpoint, _) in EXPECTED.items()}


def test_the_receivers_in_yaml_listen_where_otlp_is_sent() -> None:
    receivers = []
    for block in _blocks():
        if block.language == "yaml":
            document: dict[str, Any] = yaml.safe_load(block.text)
            if "otlp_config" in document:
                receivers.append(document["otlp_config"]["receiver"]["protocols"])
            elif "receivers" in document:
                receivers.append(document["receivers"]["otlp"]["protocols"])
            else:
                assert "env" in document
    assert len(receivers) == 2
    for protocols in receivers:
        ports = {name: protocols[name]["endpoint"].rpartition(":")[2] for name in protocols}
        assert ports == {"grpc": "4317", "http": "4318"}


@pytest.mark.parametrize(("heading", "settings"), _EXPORTING)
def test_the_settings_of_a_backend_deliver(
    run: Runner, sink: OtlpSink, heading: str, settings: dict[str, str]
) -> None:
    protocol = settings["OTEL_EXPORTER_OTLP_PROTOCOL"]
    _, headers = EXPECTED[heading, protocol]
    # The sink's address in place of the backend's, which the test above has looked at.
    local = sink.grpc_url if protocol == "grpc" else sink.http_url
    run("ask.py", env={**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": local})

    assert [span.name for span in ours(sink)] == ["chat gpt-4o", "chat claude-haiku-5-5"]
    silent = {
        signal for signal in ("metrics", "logs") if settings.get(f"OTEL_{signal.upper()}_EXPORTER") == "none"
    }
    assert {export.signal for export in sink.exports} == {"traces", "metrics"} - silent
    for export in sink.exports:
        assert {name: export.headers.get(name) for name in headers} == headers
    if "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" in settings:
        histograms = {point.temporality for point in sink.points if point.type == "histogram"}
        assert histograms == {"DELTA"}


@pytest.mark.parametrize(
    "text", [pytest.param(block.text, id=block.heading) for block in _blocks() if block.language == "python"]
)
def test_the_code_runs(run: Runner, tmp_path: Path, text: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(text)
    assert run(program, instrument=False).stderr == ""


STAND_INS = """
import types
from openai import OpenAI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

client = OpenAI()
exporter = InMemorySpanExporter()
question, messages = "?", [{"role": "user", "content": "?"}]
asked = types.SimpleNamespace(id="c", name="get_weather", input={"city": "Bern"})
message = types.SimpleNamespace(content=[asked])


def post(question):
    return {"prompt_tokens": 1, "completion_tokens": 2}


"""
"""What a reader of a page has already."""
PAGES = (
    "README",
    "hooks",
    "helpers",
    "sampling",
    "request-log",
    "content-and-privacy",
    "cost",
    "streaming",
    "testing",
)


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_runs_from_its_top_to_its_end(run: Runner, tmp_path: Path, name: str) -> None:
    page = _PAGE.parents[1] / "README.md" if name == "README" else _PAGE.with_name(f"{name}.md")
    blocks = [text for language, text in _BLOCK.findall(page.read_text()) if language == "python"]
    assert blocks
    program = tmp_path / "program.py"
    program.write_text(STAND_INS + "\n".join(blocks))
    done = run(program, instrument=False)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


def test_the_tests_of_the_page_about_testing_pass(tmp_path: Path) -> None:
    blocks = [text for language, text in _BLOCK.findall(_PAGE.with_name("testing.md").read_text())]
    plugin, _, test = next(text for text in blocks if "pytest_plugins" in text).partition("\n\n\n")
    (tmp_path / "conftest.py").write_text(plugin)
    imports = "from openai import OpenAI\nfrom otel_llm.testing import Reply\n\n\n"
    (tmp_path / "test_mine.py").write_text(imports + test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_page_of_providers_lists_them_all() -> None:
    rows = re.findall(
        r"^\| ([\w-]+) \| `(\w+)` \| (.*) \|$",
        _PAGE.with_name("providers.md").read_text(),
        re.MULTILINE,
    )
    assert rows == [
        (
            provider.distribution,
            provider.name,
            ", ".join(f"`{endpoint.path}`" for endpoint in provider.endpoints),
        )
        for provider in PROVIDERS
    ]


def test_links_lead_somewhere() -> None:
    """Of every page that this project wrote by hand, and of the README."""
    root = _PAGE.parents[1]
    broken = [
        f"{page.name}: {target}"
        for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
