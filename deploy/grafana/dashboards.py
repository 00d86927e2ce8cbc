"""Write the Grafana dashboards: one per version of the conventions, from one list of panels.

    python deploy/grafana/dashboards.py

The panels are the same; the names of the metrics they ask for differ.
"""

# ruff: noqa: INP001 - a program, not a part of a package
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"

FILTER = 'job=~"$job",gen_ai_provider_name=~"$provider",gen_ai_request_model=~"$model"'
"""Put into queries for `%`: a panel shows what the variables at the top of the page select."""

NAMES = {
    "1.41": {
        "DURATION": "gen_ai_client_operation_duration_seconds",
        "FIRST_CHUNK": "gen_ai_client_operation_time_to_first_chunk_seconds",
        "CHUNK": "gen_ai_client_operation_time_per_output_chunk_seconds",
        "INPUT": 'gen_ai_client_token_usage_sum{gen_ai_token_type="input",%}',
        "OUTPUT": 'gen_ai_client_token_usage_sum{gen_ai_token_type="output",%}',
        "CACHE_READ": "otel_llm_usage_cache_read_input_tokens_total{%}",
        "REASONING": "otel_llm_usage_reasoning_output_tokens_total{%}",
    },
    "latest": {
        "DURATION": "gen_ai_client_inference_duration_seconds",
        "FIRST_CHUNK": "gen_ai_client_inference_time_to_first_chunk_seconds",
        "CHUNK": "gen_ai_client_inference_time_per_output_chunk_seconds",
        "INPUT": "gen_ai_client_inference_usage_input_tokens_total{%}",
        "OUTPUT": "gen_ai_client_inference_usage_output_tokens_total{%}",
        "CACHE_READ": "gen_ai_client_inference_usage_cache_read_input_tokens_total{%}",
        "REASONING": "gen_ai_client_inference_usage_reasoning_output_tokens_total{%}",
        "OTHER": "gen_ai_client_operation_duration_seconds_count"
        '{gen_ai_operation_name!~"chat|text_completion|generate_content",%}',
    },
}
"""What a version calls what panels name in angle brackets; a query for what it has not is left out."""

Query = tuple[str, str]
"""PromQL and legend."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    text: str = ""
    kind: str = "timeseries"
    width: int = 8


def panel(title: str, unit: str, *queries: Query, text: str = "") -> Panel:
    """Make a panel of lines."""
    return Panel(title, unit, queries, text)


def number(title: str, unit: str, query: str, text: str = "") -> Panel:
    """Make a panel of one big number."""
    return Panel(title, unit, ((query, ""),), text, "stat", 4)


def rate(series: str, *by: str) -> str:
    """Per second, over all that is selected, or by label."""
    return f"sum by ({', '.join(by)}) (rate({series}[$__rate_interval]))"


def per_model(query: str) -> Query:
    """Give a query that is by model its legend."""
    return query, "{{gen_ai_provider_name}} {{gen_ai_request_model}}"


def by_label(series: str, label: str) -> Query:
    """Per second, by the values of a label."""
    return rate(series, label), f"{{{{{label}}}}}"


def quantiles(metric: str, *of: float) -> tuple[Query, ...]:
    """Percentiles of a histogram over all that is selected."""
    buckets = rate(f"{metric}_bucket{{%}}", "le")
    return tuple((f"histogram_quantile({q}, {buckets})", f"p{q * 100:g}") for q in of)


def left(what: str) -> Query:
    """What is left of a limit, where it is least."""
    ratio = f"otel_llm_ratelimit_remaining_{what}{{%}} / otel_llm_ratelimit_limit_{what}{{%}}"
    return per_model(f"min by ({', '.join(MODEL)}) ({ratio})")


MODEL = ("gen_ai_provider_name", "gen_ai_request_model")
FAILED = '<DURATION>_count{error_type!="",%}'
ERRORS = f"{rate(FAILED)} / {rate('<DURATION>_count{%}')}"
HITS = "otel_llm_prompt_cache_hits_total{%}"
CROSSINGS = 'otel_llm_budget_crossings_total{job=~"$job"}'
LOOKUPS = "<DURATION>_count{%}"

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            number("Calls", "reqpm", f"60 * {rate('<DURATION>_count{%}')}"),
            number("Errors", "percentunit", ERRORS, "Calls that failed after all retries."),
            number("Duration, p95", "s", quantiles("<DURATION>", 0.95)[0][0]),
            number("First chunk, p95", "s", quantiles("<FIRST_CHUNK>", 0.95)[0][0]),
            number("Cost, last hour", "currencyUSD", "sum(increase(otel_llm_cost_total{%}[1h]))"),
            number("Running calls", "short", "sum(otel_llm_request_active{%})"),
        ),
    ),
    (
        "Calls",
        (
            panel(
                "Calls by model",
                "reqps",
                per_model(rate("<DURATION>_count{%}", *MODEL)),
                per_model(rate("<OTHER>", *MODEL)),
            ),
            panel("Duration", "s", *quantiles("<DURATION>", 0.5, 0.95, 0.99)),
            panel(
                "Duration by model, p95",
                "s",
                per_model(f"histogram_quantile(0.95, {rate('<DURATION>_bucket{%}', *MODEL, 'le')})"),
            ),
            panel(
                "How calls end",
                "reqps",
                by_label("<DURATION>_count{%}", "otel_llm_outcome"),
                text="Only failed is an error; closed and abandoned streams were not read to their end.",
            ),
            panel("Errors by kind", "reqps", by_label("otel_llm_errors_total{%}", "otel_llm_error_category")),
            panel(
                "Running",
                "short",
                ("sum(otel_llm_request_active{%})", "calls"),
                ("sum(otel_llm_stream_active{%})", "streams"),
            ),
        ),
    ),
    (
        "Streams",
        (
            panel("Time to first chunk", "s", *quantiles("<FIRST_CHUNK>", 0.5, 0.95, 0.99)),
            panel(
                "Time between chunks",
                "s",
                *quantiles("<CHUNK>", 0.5, 0.99, 0.999),
                text="Stalls are at the top.",
            ),
            panel(
                "Tokens per second of a stream",
                "short",
                *quantiles("otel_llm_stream_token_rate_per_second", 0.05, 0.5, 0.95),
            ),
            panel("How streams end", "short", by_label("otel_llm_stream_ended_total{%}", "otel_llm_outcome")),
            panel("Data received", "Bps", per_model(rate("otel_llm_stream_chunk_size_bytes_sum{%}", *MODEL))),
            panel(
                "Chunks received", "cps", per_model(rate("otel_llm_stream_chunk_size_bytes_count{%}", *MODEL))
            ),
        ),
    ),
    (
        "Retries and limits",
        (
            panel(
                "Attempts by how they end",
                "reqps",
                by_label("otel_llm_request_attempts_total{%}", "otel_llm_attempt_outcome"),
            ),
            panel("Wait before a retry", "s", *quantiles("otel_llm_retry_delay_seconds", 0.5, 0.95)),
            panel(
                "Refused (429)", "reqps", per_model(rate("otel_llm_ratelimit_rejections_total{%}", *MODEL))
            ),
            panel("Tokens left of the limit", "percentunit", left("tokens"), text="By the newest answer."),
            panel(
                "Requests left of the limit", "percentunit", left("requests"), text="By the newest answer."
            ),
            panel(
                "Keys fetched anew",
                "short",
                by_label(
                    'otel_llm_auth_refreshes_total{job=~"$job",gen_ai_provider_name=~"$provider"}',
                    "gen_ai_provider_name",
                ),
            ),
        ),
    ),
    (
        "Tokens and cost",
        (
            panel(
                "Tokens",
                "short",
                (rate("<INPUT>"), "input"),
                (rate("<OUTPUT>"), "output"),
                (rate("<CACHE_READ>"), "input from cache"),
                (rate("<REASONING>"), "output for reasoning"),
                text="Per second. Cache and reasoning are parts of input and output.",
            ),
            panel(
                "Prompt cache",
                "percentunit",
                (f"{rate(HITS)} / {rate(LOOKUPS)}", "calls that hit"),
                (f"{rate('<CACHE_READ>')} / {rate('<INPUT>')}", "tokens reused"),
            ),
            panel(
                "Cost per hour", "currencyUSD", per_model(f"3600 * {rate('otel_llm_cost_total{%}', *MODEL)}")
            ),
            panel(
                "Newest call",
                "currencyUSD",
                per_model(f"max by ({', '.join(MODEL)}) (otel_llm_last_cost{{%}})"),
            ),
            panel(
                "Calls without a price",
                "short",
                per_model(f"sum by ({', '.join(MODEL)}) (increase(otel_llm_unpriced_calls_total{{%}}[1h]))"),
                text="In the last hour: what the cost lacks.",
            ),
            panel(
                "Budgets exceeded",
                "short",
                (
                    f"sum by (otel_llm_budget_scope) (increase({CROSSINGS}[1h]))",
                    "per {{otel_llm_budget_scope}}",
                ),
                text="In the last hour.",
            ),
        ),
    ),
)


_WIDTH = 24
"""Columns of Grafana's grid."""


def _query(text: str, version: str) -> str:
    for name, metric in NAMES[version].items():
        text = text.replace(f"<{name}>", metric)
    return text.replace("%", FILTER)


def _panel(shown: Panel, version: str, number: int, x: int, y: int) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "type": shown.kind,
        "title": shown.title,
        "description": shown.text,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": shown.width, "h": 4 if shown.kind == "stat" else 8},
        "fieldConfig": {"defaults": {"unit": shown.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": source,
                "expr": _query(query, version),
                "legendFormat": legend or "__auto",
            }
            for index, (query, legend) in enumerate(shown.queries)
            if "<" not in _query(query, version)
        ],
    }


def _variable(name: str, label: str, of: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": of, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard(version: str) -> dict[str, Any]:
    """The dashboard for `version`: `1.41` or `latest`."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
             "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}}
        )  # fmt: skip
        x, y = 0, y + 1
        for shown in row:
            if x + shown.width > _WIDTH:
                x, y = 0, y + panels[-1]["gridPos"]["h"]
            panels.append(_panel(shown, version, len(panels) + 1, x, y))
            x += shown.width
        y += panels[-1]["gridPos"]["h"]
    metric = _query("<DURATION>_count", version)
    return {
        "uid": f"otel-llm-{version.replace('.', '-')}",
        "title": f"LLM calls (conventions {version})",
        "tags": ["llm", "otel-llm"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("job", "Service", f"label_values({metric}, job)"),
                _variable(
                    "provider", "Provider", f'label_values({metric}{{job=~"$job"}}, gen_ai_provider_name)'
                ),
                _variable(
                    "model",
                    "Model",
                    f'label_values({metric}{{job=~"$job",gen_ai_provider_name=~"$provider"}}, {MODEL[1]})',
                ),
            ]
        },
        "panels": panels,
    }


def text(version: str) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard(version), indent=2) + "\n"


if __name__ == "__main__":
    for version in NAMES:
        (FOLDER / f"llm-{version}.json").write_text(text(version), encoding="utf-8")
