"""The files of deploy/: well formed, and about names that we emit."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from otel_llm._recorder import SCOPE
from otel_llm.semconv import Instrument

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GOLDEN = {
    version: json.loads((ROOT / "tests" / "golden" / f"semconv-{version}.json").read_text())
    for version in ("1.41", "latest", "both")
}
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


@cache
def prometheus_series(version: str) -> dict[str, frozenset[str]]:
    """Every series that the golden metrics become in Prometheus, with its labels: asked of the real exporter."""
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry, disable_target_info=True)])
    meter = provider.get_meter(SCOPE)
    for name, item in GOLDEN[version]["metrics"].items():
        point = dict.fromkeys((*item["required"], *(item.get("optional") or ())), "x")

        def observe(_: CallbackOptions, point: dict[str, str] = point) -> Iterable[Observation]:
            return [Observation(1, point)]

        observable = item.get("observable", False)
        made = Instrument(name, item["kind"], item["unit"], item["type"], observable=observable).create(
            meter, [observe]
        )
        if not observable:
            getattr(made, {"histogram": "record", "gauge": "set"}.get(item["kind"], "add"))(1, point)
    found: dict[str, frozenset[str]] = {}
    for line in generate_latest(registry).decode().splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition("{")
            found[name] = frozenset(re.findall(r'(\w+)="', rest)) | {"job", "instance"}
    provider.shutdown()
    return found


LABELS = re.compile(r"\{([^{}]*)\}|\b(?:by|on) \(([^()]*)\)")


def names_in(query: str) -> tuple[set[str], set[str]]:
    """Metrics and labels that a query names."""
    without_texts = re.sub(r'"[^"]*"', '""', query)
    labels: set[str] = set()
    for matchers, listed in LABELS.findall(without_texts):
        labels |= set(re.findall(r"(\w+)\s*(?:=|!)", matchers)) | set(re.findall(r"\w+", listed))
    bare = LABELS.sub(" ", without_texts)
    metrics = set(re.findall(r"\b(?:gen_ai|otel_llm)_\w+|llm:[\w:]+", bare))
    assert metrics, query
    return metrics, labels


def rules(name: str) -> list[dict[str, Any]]:
    parsed = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
    return [rule for group in parsed["groups"] for rule in group["rules"]]


RECORDING = rules("recording.rules.yaml")
ALERTS = rules("alert.rules.yaml")
PROMTOOL_TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.test.yaml"))
KNOWN_LABELS = {"le", "job", "instance", "limit"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_file_parses(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        assert json.loads(text)
    elif path.suffix == ".yaml":
        assert yaml.safe_load(text)
    elif path.suffix == ".py":
        compile(text, str(path), "exec")
    else:
        assert path.suffix in (".md", ".sql")
        assert text.strip()


# Prometheus ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RECORDING + ALERTS, ids=lambda rule: rule.get("record") or rule["alert"])
def test_rules_ask_for_what_there_is(rule: dict[str, Any]) -> None:
    series = prometheus_series("both")
    recorded = {item["record"] for item in RECORDING}
    metrics, labels = names_in(rule["expr"])
    assert metrics <= set(series) | recorded
    # What a recorded series has of labels is held by the rules' own unit tests.
    theirs = series if metrics & recorded else {name: series[name] for name in metrics}
    assert labels <= KNOWN_LABELS | frozenset().union(*theirs.values())


@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_each_version_alone_feeds_every_recording_rule(version: str) -> None:
    series = set(prometheus_series(version))
    for rule in RECORDING:
        metrics, _ = names_in(rule["expr"])
        assert metrics & (series | {item["record"] for item in RECORDING}), rule["record"]


def test_what_the_text_of_an_alert_names_exists() -> None:
    attributes = {name for span in GOLDEN["1.41"]["spans"].values() for name in span["attributes"]}
    series = set(prometheus_series("both"))
    for rule in ALERTS:
        words = set(re.findall(r"\b(?:gen_ai|otel_llm)[\w.]+\b", " ".join(rule["annotations"].values())))
        labels = {word for word in words if f"$labels.{word}" in " ".join(rule["annotations"].values())}
        assert words - labels <= attributes | series | {"otel_llm_error_category"}


def test_every_alert_and_every_recording_rule_has_a_unit_test() -> None:
    tests = " ".join(path.read_text() for path in PROMTOOL_TESTS)
    assert {rule["alert"] for rule in ALERTS if f"alertname: {rule['alert']}\n" not in tests} == set()
    assert {rule["record"] for rule in RECORDING if f"expr: {rule['record']}\n" not in tests} <= {
        # These are rounded before they are compared.
        record
        for record in (rule["record"] for rule in RECORDING)
        if f"round({record}, " in tests
    }


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "recording.rules.yaml", "alert.rules.yaml"],
        ["check", "config", "prometheus.yaml"],
        ["test", "rules", *(f"tests/{path.name}" for path in PROMTOOL_TESTS)],
    ],
    ids=["check rules", "check config", "test rules"],
)
def test_promtool_agrees(arguments: list[str]) -> None:
    run = subprocess.run(
        ["promtool", *arguments],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr


# Grafana ------------------------------------------------------------------------------------------------------------


def dashboard(version: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(
        (DEPLOY / "grafana" / "dashboards" / f"llm-{version}.json").read_text()
    )
    return parsed


def queries(version: str) -> list[str]:
    parsed = dashboard(version)
    found = [target["expr"] for panel in parsed["panels"] for target in panel.get("targets", ())]
    found += [item["query"]["query"] for item in parsed["templating"]["list"] if item["type"] == "query"]
    return found


@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_dashboards_ask_for_what_that_version_emits(version: str) -> None:
    series = prometheus_series(version)
    asked = queries(version)
    assert len(asked) > 40
    for query in asked:
        labelled = re.sub(r"^label_values\((.*), (\w+)\)$", r"count by (\2) (\1)", query)
        metrics, labels = names_in(labelled)
        assert metrics <= set(series), query
        assert labels - KNOWN_LABELS <= frozenset().union(*(series[metric] for metric in metrics)), query


@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_dashboards_are_what_their_program_writes(version: str) -> None:
    program = runpy.run_path(str(DEPLOY / "grafana" / "dashboards.py"))
    written = (DEPLOY / "grafana" / "dashboards" / f"llm-{version}.json").read_text()
    assert written == program["text"](version), "run python deploy/grafana/dashboards.py"


@pytest.mark.parametrize("version", ["1.41", "latest"])
def test_panels_do_not_overlap(version: str) -> None:
    taken: set[tuple[int, int]] = set()
    numbers = [panel["id"] for panel in dashboard(version)["panels"]]
    assert len(numbers) == len(set(numbers))
    for panel in dashboard(version)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_metric_of_a_call_is_on_a_dashboard() -> None:
    """Helpers, the live view and what a percentile of the same thing shows better are left out."""
    for version in ("1.41", "latest"):
        asked = " ".join(queries(version))
        own_usage = (
            "otel_llm.usage." if version == "latest" else "otel_llm.live."
        )  # latest has names of its own
        missing = {
            name
            for name in GOLDEN[version]["metrics"]
            if name.replace(".", "_") not in asked
            and not name.startswith(
                ("otel_llm.cache.", "otel_llm.circuit_breaker.", "otel_llm.live.", own_usage)
            )
        }
        assert missing <= {
            "otel_llm.ratelimit.reset.requests",
            "otel_llm.ratelimit.reset.tokens",
            "otel_llm.usage.cache_write.input_tokens",
            "gen_ai.client.inference.operation.input_tokens",
            "gen_ai.client.inference.operation.output_tokens",
            "gen_ai.client.inference.usage.cache_write.input_tokens",
        }, version


# Collector and compose ----------------------------------------------------------------------------------------------


def config(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((DEPLOY / "collector" / f"{name}.yaml").read_text())
    return parsed


@pytest.mark.parametrize("name", ["collector", "gateway"])
def test_pipelines_use_every_component_and_only_those_that_are_there(name: str) -> None:
    parsed = config(name)
    for kind in ("receivers", "processors", "exporters"):
        used = {part for pipeline in parsed["service"]["pipelines"].values() for part in pipeline[kind]}
        assert used == set(parsed[kind])
    assert set(parsed["service"]["extensions"]) == set(parsed["extensions"])
    for pipeline in parsed["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
    assert set(parsed["service"]["pipelines"]) == {"traces", "metrics", "logs"}


def test_traces_go_whole_to_one_collector() -> None:
    gateway = config("gateway")
    balanced = gateway["exporters"]["loadbalancing/traces"]
    assert balanced["routing_key"] == "traceID"
    assert (
        balanced["resolver"]["dns"]["hostname"]
        in yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())["services"]
    )
    assert gateway["service"]["pipelines"]["traces"]["exporters"] == ["loadbalancing/traces"]


def test_sampling_keeps_errors_slow_and_costly_calls_by_attributes_that_spans_have() -> None:
    parsed = config("collector")
    assert "tail_sampling" in parsed["service"]["pipelines"]["traces"]["processors"]
    policies = {policy["name"]: policy for policy in parsed["processors"]["tail_sampling"]["policies"]}
    assert policies["errors"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["slow"]["latency"]["threshold_ms"] > 0
    assert 'attributes["otel_llm.cost"] >' in policies["costly"]["ottl_condition"]["span"][0]
    named = set(re.findall(r'attributes\["([^"]+)"\]', json.dumps(policies).replace('\\"', '"')))
    named |= {
        policy["string_attribute"]["key"] for policy in policies.values() if "string_attribute" in policy
    }
    assert len(named) == 5
    for golden in GOLDEN.values():
        for span in golden["spans"].values():
            if span["kind"] == "client" and "otel_llm.stream.gap.max" in span["attributes"]:
                assert named - {"gen_ai.response.time_to_first_chunk"} <= set(span["attributes"])
        chat = golden["spans"]["chat,text_completion,generate_content"]["attributes"]
        assert named <= set(chat)
        assert set(policies["not-read-to-its-end"]["string_attribute"]["values"]) <= set(
            chat["otel_llm.outcome"]["values"]
        )


def test_queries_of_the_columnar_store_name_attributes_that_there_are() -> None:
    text = (DEPLOY / "clickhouse" / "queries.sql").read_text()
    golden = GOLDEN["1.41"]
    on_spans = {name for span in golden["spans"].values() for name in span["attributes"]}
    assert set(re.findall(r"SpanAttributes\['([^']+)'\]", text)) <= on_spans
    in_events = {name for event in golden["events"].values() for name in event["attributes"]}
    assert set(re.findall(r"LogAttributes\['([^']+)'\]", text)) <= in_events


def test_compose_mounts_what_is_there_and_listens_on_loopback_alone() -> None:
    parsed = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
    for name, service in parsed["services"].items():
        assert re.fullmatch(r"[\w./-]+:v?\d+(\.\d+)+", service["image"]), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in parsed["volumes"], (
                volume
            )
        for other in service.get("depends_on", ()):
            assert other in parsed["services"]
    sources = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "datasources.yaml").read_text()
    )["datasources"]
    exporters = config("collector")["exporters"]
    addresses = [source["url"] for source in sources]
    addresses += [
        exporters["otlp/jaeger"]["endpoint"],
        exporters["clickhouse"]["endpoint"],
        exporters["prometheusremotewrite"]["endpoint"],
    ]
    for address in addresses:
        host = re.sub(r"^\w+://", "", address).partition(":")[0]
        assert host in parsed["services"], address


@pytest.mark.parametrize("name", ["docs/cost.md", "docs/metrics-backends.md", "deploy/README.md"])
def test_the_documentation_names_telemetry_that_there_is(name: str) -> None:
    golden = GOLDEN["both"]
    known = {*golden["metrics"], *golden["events"], *golden["points"]}
    known |= {attribute for span in golden["spans"].values() for attribute in span["attributes"]}
    named = set(re.findall(r"`((?:gen_ai|otel_llm)\.[\w.]+)`", (ROOT / name).read_text()))
    assert named <= known
    series = set(re.findall(r"`((?:gen_ai|otel_llm)_\w+)`", (ROOT / name).read_text()))
    assert series <= set(prometheus_series("both"))
