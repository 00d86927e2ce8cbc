"""Who answers: Azure, and hosts that speak OpenAI's format. Needs the extra `otlp`.

`gen_ai.provider.name` names who answers, not the SDK that asks.
Azure and the well-known hosts are known; your own are named with `providers=`, or with
OTEL_INSTRUMENTATION_LLM_PROVIDERS=llm.example.org=vllm,localhost=ollama.
"""

from __future__ import annotations

from openai import AzureOpenAI, OpenAI

from otel_llm.testing import FakeProvider, capture

with FakeProvider() as server, capture() as telemetry:
    telemetry.instrument(providers={"localhost": "vllm"})
    port = server.url.rpartition(":")[2]
    clients = {
        "Azure": AzureOpenAI(azure_endpoint=server.url, api_key="none", api_version="2025-04-01-preview"),
        "a host of ours": OpenAI(base_url=f"http://localhost:{port}/v1", api_key="none"),
        "a host that nobody knows": OpenAI(base_url=server.openai_url, api_key="none"),
    }
    for client in clients.values():
        client.chat.completions.create(model="a-model", messages=[{"role": "user", "content": "Hi"}])

    for name, span in zip(clients, telemetry.spans(), strict=True):
        found = span.attributes or {}
        print(f"{name:25} {found['gen_ai.provider.name']!s:16} {found.get('openai.api.type', '-')}")
