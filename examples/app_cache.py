"""`cache`: count what a cache of your own does, without its keys."""

from __future__ import annotations

import otel_llm
from otel_llm.testing import capture

answers: dict[str, str] = {}
counted = otel_llm.cache("answers")


def ask(question: str) -> str:
    """Look into the cache first."""
    if question in answers:
        counted.hit()
        return answers[question]
    counted.miss()
    answers[question] = answer = question[::-1]
    counted.put(len(answer.encode()))
    return answer


with capture() as telemetry:
    telemetry.instrument()
    for question in ("one", "two", "one", "one"):
        ask(question)
    counted.evict(sum(len(answer.encode()) for answer in answers.values()), len(answers))
    for name, points in telemetry.points().items():
        for point in points:
            print(name, *point.attributes.values(), point.value)

# Prints:
# otel_llm.cache.operations answers evict 2
# otel_llm.cache.operations answers hit 2
# otel_llm.cache.operations answers miss 2
# otel_llm.cache.operations answers put 2
# otel_llm.cache.size answers 0
