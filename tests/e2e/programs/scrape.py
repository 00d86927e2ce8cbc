"""Makes a call, then reads its own Prometheus page."""

import os
import urllib.request

import openai

openai.OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
page = f"http://localhost:{os.environ['OTEL_EXPORTER_PROMETHEUS_PORT']}/metrics"
with urllib.request.urlopen(page, timeout=10) as response:
    print(response.read().decode())
