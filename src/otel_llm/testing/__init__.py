"""For tests of programs that call LLM providers: a fake provider, and telemetry captured in memory.

    with FakeProvider() as server, capture() as telemetry:
        telemetry.instrument()
        server.script(Reply.error(429, retry_after_ms=1), Reply(text="Hello!", chunks=2))
        client = OpenAI(base_url=server.openai_url, api_key="none")
        client.chat.completions.create(model="gpt-4o", messages=[...])
        assert telemetry.tree() == "chat gpt-4o"

The standard library is enough to import it; using `capture` needs the OpenTelemetry SDK.
The pytest fixtures are in `otel_llm.testing.plugin`.
"""

from ._capture import Capture, capture
from ._points import Point
from ._reply import Reply, ToolCall
from ._server import FakeProvider
from ._wire import RecordedRequest

__all__ = ["Capture", "FakeProvider", "Point", "RecordedRequest", "Reply", "ToolCall", "capture"]
