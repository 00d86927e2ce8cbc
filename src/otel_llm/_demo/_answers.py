"""What the fake provider answers the travel assistant: by what is asked, not by the order of questions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from ..testing import Reply, ToolCall

if TYPE_CHECKING:
    from ..testing import RecordedRequest

__all__ = ["Answers"]

_PLAN = (
    "Pack a light jacket and shoes you can walk in. ",
    "On the first day take the tram up to the old town, ",
    "and have dinner by the river. ",
    "Keep the museum for the second day: it will rain. ",
    "The Pensao Azul has a room, ",
    "five minutes from the water.",
)


class Answers:
    """A function of the request for `FakeProvider.reply`; with `vary` times and sizes differ per call."""

    def __init__(self, *, vary: bool = False) -> None:
        self._dice = random.Random(7)  # noqa: S311 - times and sizes of a demo
        self._vary = vary

    def _about(self, value: float) -> float:
        return value * self._dice.lognormvariate(0, 0.4) if self._vary else value

    def _tokens(self, value: int) -> int:
        return max(1, round(self._about(value)))

    def __call__(self, request: RecordedRequest) -> Reply:
        """The reply to `request`."""
        if request.path.endswith("/embeddings"):
            return Reply(input_tokens=self._tokens(9), first_delay=self._about(0.04))
        if request.path.endswith("/responses"):
            return Reply.error(404, code="model_not_found", message="The model `gpt-4o-2023` does not exist")
        body: dict[str, Any] = request.json or {}
        if request.path.endswith("/messages"):
            return self._title() if body.get("stream") else self._opinion()
        if not body.get("stream"):
            return self._tool_calls()
        if request.headers.get("x-stainless-retry-count", "1") == "0":
            return Reply.error(429, code="rate_limit_exceeded", retry_after_ms=round(self._about(120)))
        return self._plan()

    def _tool_calls(self) -> Reply:
        calls = (
            ToolCall("get_weather", {"city": "Lisbon"}),
            ToolCall("find_hotels", {"wish": "quiet, near the river"}),
        )
        return Reply(
            tool_calls=calls,
            input_tokens=self._tokens(142),
            output_tokens=self._tokens(46),
            first_delay=self._about(0.18),
        )

    def _plan(self) -> Reply:
        return Reply(
            chunks=_PLAN,
            input_tokens=self._tokens(218) + 128,
            cached_tokens=128,
            output_tokens=self._tokens(61),
            first_delay=self._about(0.22),
            chunk_delay=self._about(0.06),
        )

    def _opinion(self) -> Reply:
        return Reply(
            thinking="Two days are short. Is there a way from the airport?",
            text="Say how to get there from the airport.",
            input_tokens=self._tokens(95),
            output_tokens=self._tokens(60) + 40,
            reasoning_tokens=40,
            first_delay=self._about(0.3),
        )

    def _title(self) -> Reply:
        return Reply(
            chunks=("Two slow days", " by the river,", " and a tram", " up the hill"),
            input_tokens=self._tokens(88),
            output_tokens=self._tokens(16),
            first_delay=self._about(0.1),
            chunk_delay=self._about(0.05),
        )
