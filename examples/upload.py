"""Content in files instead of on spans, through the hook of opentelemetry-util-genai; the span refers to it.

Needs `pip install 'opentelemetry-util-genai[upload]'`. Any storage that fsspec knows will do.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_llm
from otel_llm.testing import FakeProvider

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))

with tempfile.TemporaryDirectory() as folder, FakeProvider() as server:
    os.environ["OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"] = folder
    otel_llm.LLMInstrumentor().instrument(tracer_provider=provider, completion_hook="upload")
    client = openai.OpenAI(base_url=server.openai_url, api_key="none")
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

    attributes = spans.get_finished_spans()[0].attributes or {}
    uploaded = {
        name: Path(str(value).removeprefix("file://"))
        for name, value in attributes.items()
        if name.endswith("_ref")
    }
    while not all(path.exists() and path.read_text(encoding="utf-8") for path in uploaded.values()):
        time.sleep(0.01)  # the hook writes in the background
    asked = uploaded["gen_ai.input.messages_ref"]
    print(json.loads(asked.read_text(encoding="utf-8"))[0]["parts"])
    print("gen_ai.input.messages" in attributes)

# Prints:
# [{'content': 'Hi', 'type': 'text'}]
# False
