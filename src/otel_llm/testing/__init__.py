"""For tests of programs that call LLM providers: a fake provider, and telemetry captured in memory.

The standard library is enough to import it; using `capture` needs the OpenTelemetry SDK.
The pytest fixtures are in `otel_llm.testing.plugin`.
"""

from ._capture import Capture, capture
from ._points import Point
from ._reply import Reply, ToolCall
from ._server import FakeProvider
from ._wire import RecordedRequest

__all__ = ["Capture", "FakeProvider", "Point", "RecordedRequest", "Reply", "ToolCall", "capture"]
