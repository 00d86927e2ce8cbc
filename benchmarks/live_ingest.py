"""Spans that `otel-llm live` takes in per second of one core, and its memory: `python -m benchmarks.live_ingest [SECONDS]`.

The server is a process of its own; its processor time is read from the system (Linux), so that the sender's work does not count.
"""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

BATCH = 512
TICK = os.sysconf("SC_CLK_TCK")


def body(first: int, *, calls: int) -> bytes:
    """A batch as an exporter sends it; `calls` of it are calls of a model, with some content, the others plain spans."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns()
    for number in range(first, first + BATCH):
        span = spans.add(
            trace_id=(number // 8 + 1).to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"), name="span", kind=3,
            start_time_unix_nano=now - 10**9, end_time_unix_nano=now,
        )  # fmt: skip
        values: dict[str, str | int | float] = {f"attribute.{at}": "some value" for at in range(5)}
        if number % BATCH < calls:
            values |= {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": f"gpt-{number % 7}",
                "gen_ai.response.model": "gpt-4o", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 20,
                "gen_ai.response.id": "r", "server.address": "api.openai.com", "server.port": 443, "otel_llm.outcome": "completed",
                "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"%s"}]}]' % ("word " * 100),
            }  # fmt: skip
        for key, value in values.items():
            kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
            span.attributes.append(KeyValue(key=key, value=AnyValue(**{kind: value})))
    return request.SerializeToString()


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(seconds: float, *, calls: int, pack: bool, keep: str | None) -> None:
    command = [sys.executable, "-m", "otel_llm.live._cli", "--port", "0", "--otlp-port", "0", "--no-grpc"]
    with subprocess.Popen(
        [*command, *(["--keep", keep] if keep else [])], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        connection = http.client.HTTPConnection(lines[1].split()[-1].removeprefix("http://"))
        headers = {"content-type": "application/x-protobuf", **({"content-encoding": "gzip"} if pack else {})}
        sent, first, busy, begin = 0, 0.0, 0.0, time.monotonic()
        start = cpu(process.pid)
        while time.monotonic() - begin < seconds:
            data = body(sent, calls=calls)
            connection.request("POST", "/v1/traces", gzip.compress(data) if pack else data, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            sent += BATCH
            if sent == 20 * BATCH:
                first = rss(process.pid)
        busy = cpu(process.pid) - start
        what = (
            f"{calls:>3} of {BATCH} are calls{', gzip' if pack else ''}{', kept in a file' if keep else ''}"
        )
        print(
            f"{what:45} {sent / busy:>8,.0f} spans per second of one core (target: 5,000)   "
            f"{rss(process.pid):5.0f} MiB after {sent:,} spans ({first:.0f} after {20 * BATCH:,})"
        )
        process.terminate()
        process.wait()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    run(seconds, calls=0, pack=False, keep=None)
    run(seconds, calls=64, pack=False, keep=None)
    run(seconds, calls=BATCH, pack=False, keep=None)
    run(seconds, calls=64, pack=True, keep=None)
    keep = Path(tempfile.mkdtemp()) / "calls.db"
    try:
        run(seconds, calls=64, pack=False, keep=str(keep))
    finally:
        shutil.rmtree(keep.parent)


if __name__ == "__main__":
    main()
