"""For tests of programs that call LLM providers: a fake provider, and telemetry captured in memory.

Nothing here needs more than the standard library to be imported; `capture` needs the OpenTelemetry SDK to be used.
The pytest fixtures are in `otel_llm.testing.plugin`.
"""

from ._reply import Reply, ToolCall
from ._server import FakeProvider
from ._wire import RecordedRequest

__all__ = ["FakeProvider", "RecordedRequest", "Reply", "ToolCall"]
