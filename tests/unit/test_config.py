"""Settings: keywords over environment over defaults, and what is wrong with a value."""

from __future__ import annotations

import logging
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_llm._config import Config, page

OURS = "OTEL_INSTRUMENTATION_LLM_"
TEXTS = {
    "capture_content": "span_and_event",
    "content_off": "true",
    "capture_blobs": "true",
    "max_attribute_bytes": "1000",
    "max_span_bytes": "5000",
    "completion_hook": "upload",
    "semconv": "latest",
    "metrics": "basic",
    "chunk_metrics": "all",
    "providers": "llm.corp=openai",
    "propagate_hosts": "a.example",
    "anthropic_native": "adopt",
    "stream_usage": "inject",
    "estimate_usage": "true",
    "cost": "true",
    "cost_threshold": "0.05",
    "cost_budget": "5",
    "cost_window": "60",
    "log": "debug",
    "live": "localhost:8000",
    "live_token": "a token",
    "progress_interval": "0.5",
}
"""A text for every setting that can be one."""
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        (CONTENT, "SPAN_ONLY", "capture_content", "span_only"),
        (CONTENT, "No_Content", "capture_content", "no_content"),
        (OURS + "SEMCONV", "latest", "semconv", "latest"),
        (OURS + "METRICS", "Basic", "metrics", "basic"),
        (OURS + "CHUNK_METRICS", "off", "chunk_metrics", "off"),
        (OURS + "CHUNK_METRICS", "true", "chunk_metrics", "gaps"),
        (OURS + "PROVIDERS", "llm.corp=openai, b=c", "providers", {"llm.corp": "openai", "b": "c"}),
        (OURS + "PROPAGATE_HOSTS", "a.example, B.example,", "propagate_hosts", ("a.example", "b.example")),
        (OURS + "COST", "true", "cost", True),
        (OURS + "COST_THRESHOLD", "0.05", "cost_threshold", Decimal("0.05")),
        (OURS + "LOG", "INFO", "log", "info"),
        (OURS + "CONTENT_OFF", "1", "content_off", True),
        (OURS + "PROGRESS_INTERVAL", "0.5", "progress_interval", 0.5),
    ],
)
def test_environment(variable: str, text: str, name: str, value: Any) -> None:
    assert getattr(Config.load({variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        (OURS + "SEMCONV", "1.0"),
        (OURS + "COST_THRESHOLD", "-1"),
        (OURS + "COST_THRESHOLD", "many"),
        (OURS + "PROVIDERS", "nothing"),
        (OURS + "PROGRESS_INTERVAL", "inf"),
        (OURS + "MAX_SPAN_BYTES", "0"),
        (CONTENT, "sometimes"),
    ],
)
def test_a_typing_error_in_the_environment_warns_and_leaves_the_default(
    variable: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="otel_llm"):
        assert Config.load({variable: text}) == Config()
    [record] = caplog.records
    assert variable in record.getMessage()


def test_true_means_span_only_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="otel_llm"):
        assert Config.load({CONTENT: "true"}).capture_content == "span_only"
    assert len(caplog.records) == 1


def test_keywords_win() -> None:
    assert Config.load({OURS + "SEMCONV": "latest"}, semconv="both").semconv == "both"


def test_an_empty_variable_is_none() -> None:
    assert Config.load({OURS + "SEMCONV": " "}) == Config()


@pytest.mark.parametrize(
    "keywords",
    [
        {"semconv": "2"},
        {"cost_threshold": 0},
        {"providers": 5},
        {"redact": "secrets"},
        {"on_progress": 5},
        {"filters": max},
        {"filters": ["gpt-4o"]},
        {"request_hook": "hook"},
        {"response_hook": {}},
        {"capture_raw_chunks": "sometimes"},
        {"content_off": "sometimes"},
    ],
)
def test_a_bad_keyword_raises_and_is_named(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(keywords))):
        Config.load({}, **keywords)


@pytest.mark.parametrize("keyword", [None, False, "false", 0, "no"])
@pytest.mark.parametrize("text", ["true", "ON", "yes, please", "True!"])
def test_no_keyword_lifts_the_hard_off_of_the_environment_and_doubt_sets_it(keyword: Any, text: str) -> None:
    assert Config.load({OURS + "CONTENT_OFF": text}, content_off=keyword).content_off is True


@pytest.mark.parametrize("text", ["false", " ", "0"])
def test_a_hard_off_that_is_not_set(text: str) -> None:
    assert Config.load({OURS + "CONTENT_OFF": text}).content_off is False
    assert Config.load({OURS + "CONTENT_OFF": text}, content_off=True).content_off is True


def test_every_variable_is_named_after_its_keyword_and_has_a_keyword_of_the_same_meaning() -> None:
    for item in fields(Config):
        variable = item.metadata["env"]
        if variable is not None:
            tail = variable.removeprefix(OURS).removeprefix("OTEL_INSTRUMENTATION_GENAI_")
            assert tail.lower().replace("message_", "") == item.name
            text = TEXTS[item.name]
            assert getattr(Config.load({variable: text}), item.name) == getattr(
                Config.load({}, **{item.name: text}), item.name
            )
            assert Config.load({variable: text}) != Config()


def test_an_unknown_keyword_raises() -> None:
    with pytest.raises(TypeError, match="known are"):
        Config.load({}, capture="x")


def test_the_page_is_fresh() -> None:
    document = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert document.read_text() == page(), "run `make docs`"
