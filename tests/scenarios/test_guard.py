"""Whatever of ours fails, the application notices nothing and one line is logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from doors import CHAT, MESSAGE

import otel_llm.instrumentor  # noqa: F401 - its import makes the guarded functions
from otel_llm import _guard, _recording
from otel_llm.testing._capture import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERYTHING = [
    # Guarded functions: replaced in their guard, so that the guard itself is what is tested.
    *(("site", index) for index in range(len(_guard.SITES))),
    # What the inline guards stand around.
    ("otel_llm.drivers._clients", "Clients.facts"),
    ("otel_llm.drivers._headers", "read"),
    ("otel_llm.providers._parameters", "words"),
    ("otel_llm._recording", "Recording.enter"),
    ("otel_llm._recording", "Recording.response"),
    ("otel_llm._attributes", "SpanAttributes.of"),
    ("otel_llm._attributes", "points"),
    ("otel_llm._recorder", "describe"),
    ("otel_llm._recording", "Recording.chunk"),
    ("otel_llm._recorder", "Recorder.flush"),
    ("otel_llm.providers.openai", "ChatStream.finish"),
    ("otel_llm.providers.openai", "ChatStream.add"),
    ("otel_llm.providers.openai", "usage_of"),
]


class Fault(Exception):
    """What is put into our own code."""


def fail(*args: Any, **kwargs: Any) -> Any:
    raise Fault


@pytest.fixture(
    params=EVERYTHING,
    ids=lambda where: str(where[1]) if where[0] != "site" else _guard.SITES[where[1]].__qualname__,
)
def fault(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_guard, "strict", False)
    where, what = request.param
    if where == "site":
        site = _guard.SITES[what]
        [cell] = [cell for cell in site.__closure__ or () if cell.cell_contents is site.__wrapped__]  # type: ignore[attr-defined]
        original = cell.cell_contents
        cell.cell_contents = fail
        yield
        cell.cell_contents = original
    else:
        monkeypatch.setattr(f"{where}.{what}", fail)
        yield


def _everything(make: Callable[..., Any]) -> list[Any]:
    openai, claude = make("openai"), make("anthropic")
    answers: list[Any] = [
        openai.chat.completions.create(**CHAT).choices[0].message.content,
        claude.messages.create(**MESSAGE).content[0].text,
        [chunk.choices[0].delta.content for chunk in openai.chat.completions.create(**CHAT, stream=True)],
        openai.chat.completions.with_raw_response.create(**CHAT).parse().choices[0].message.content,
    ]
    with openai.chat.completions.create(**CHAT, stream=True) as stream:
        answers.append(next(stream).choices[0].delta.role)
    with openai.chat.completions.with_streaming_response.create(**CHAT) as response:
        answers.append(response.parse().choices[0].message.content)
    with pytest.raises(Exception, match="Error code: 400") as caught:
        make("openai").chat.completions.create(model="broken", messages=[])
    answers.append((type(caught.value).__name__, str(caught.value)))
    return answers


def _answers(make: Callable[..., Any], server: Any) -> list[Any]:
    from otel_llm.testing import Reply

    server.reply(lambda request: Reply.error(400) if request.json["model"] == "broken" else Reply())
    return _everything(make)


def test_a_fault_of_ours_is_invisible(
    fault: None, make: Callable[..., Any], server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    plain = _answers(make, server)
    with caplog.at_level(logging.WARNING, logger="otel_llm"), capture() as captured:
        captured.instrument()
        assert _answers(make, server) == plain
        first = [record for record in caplog.records if record.name == "otel_llm"]
        caplog.clear()
        assert _answers(make, server) == plain
        again = [record for record in caplog.records if record.name == "otel_llm"]
    lines = {record.getMessage() for record in first}
    assert len(lines) == len(first)  # one line per code line that failed
    assert again == []  # and then no more
    _recording.running.clear()


def test_without_a_fault_nothing_is_logged(
    make: Callable[..., Any], server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="otel_llm"), capture() as captured:
        captured.instrument()
        _answers(make, server)
    assert [record.getMessage() for record in caplog.records if record.name == "otel_llm"] == []


def test_hooks_and_filters_of_the_user_that_raise(
    make: Callable[..., Any], server: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    plain = _answers(make, server)
    with caplog.at_level(logging.WARNING, logger="otel_llm"), capture() as captured:
        captured.instrument(request_hook=fail, response_hook=fail, filters=[fail])
        assert _answers(make, server) == plain
        assert len(captured.spans()) == 7
    assert len([record for record in caplog.records if record.name == "otel_llm"]) == 1


def test_a_span_that_cannot_say_whether_it_records_costs_no_metrics(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    with capture() as telemetry:
        telemetry.instrument()
        monkeypatch.setattr("opentelemetry.sdk.trace.Span.is_recording", fail)
        assert make("openai").chat.completions.create(**CHAT).choices
        monkeypatch.undo()
        assert telemetry.points()["gen_ai.client.operation.duration"]
