"""`otel-llm demo`: an agent, a provider and a receiver of telemetry, all on this machine.

module       what it is
`agent`      the program that is traced, in a process of its own under `opentelemetry-instrument`
`_answers`   what the fake provider answers it
`_receiver`  takes in the telemetry it sends, and passes it on to a backend
`_show`      prints it
`_command`   starts and ends all of these
"""

from ._command import run

__all__ = ["run"]
