"""Metrics as StatsD lines, read from a UDP socket on loopback."""

from __future__ import annotations

import logging
import math
import os
import socket
import subprocess
import sys
import time
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource

from otel_llm import statsd
from otel_llm.statsd import StatsdMetricExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import Meter


class Daemon:
    """A StatsD daemon that only listens."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self.port: int = self._socket.getsockname()[1]

    def datagrams(self) -> list[bytes]:
        """What has come, until nothing more is waiting; loopback delivers at once."""
        received = [self._socket.recv(1 << 16)]
        self._socket.setblocking(False)
        try:
            while True:
                received.append(self._socket.recv(1 << 16))
        except BlockingIOError:
            return received
        finally:
            self._socket.settimeout(10)

    def lines(self) -> list[str]:
        return b"\n".join(self.datagrams()).decode().split("\n")

    def silent(self) -> bool:
        self._socket.setblocking(False)
        try:
            return not self._socket.recv(1 << 16)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(10)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    listening = Daemon()
    yield listening
    listening.close()


class Program:
    """A meter whose metrics go to the daemon whenever it is told to."""

    def __init__(
        self, daemon: Daemon, *, resource: dict[str, Any] | None = None, views: Any = (), **keywords: Any
    ):
        self._exporter = StatsdMetricExporter(host="127.0.0.1", port=daemon.port, **keywords)
        self._reader = PeriodicExportingMetricReader(self._exporter, export_interval_millis=math.inf)
        self._provider = MeterProvider([self._reader], resource=Resource(resource or {}), views=views)
        self.meter: Meter = self._provider.get_meter("test")

    def send(self) -> None:
        assert self._provider.force_flush()

    def close(self) -> None:
        self._provider.shutdown()


MODEL = {"gen_ai.request.model": "gpt-4o"}


def test_counters_are_deltas_with_tags(daemon: Daemon) -> None:
    program = Program(daemon)
    calls = program.meter.create_counter("calls")
    calls.add(1, MODEL)
    program.send()
    assert daemon.lines() == ["calls:1|c|#gen_ai.request.model:gpt-4o"]
    calls.add(2, MODEL)
    calls.add(0.25, {"b": True, "c": 3})
    program.send()
    assert sorted(daemon.lines()) == ["calls:0.25|c|#b:true,c:3", "calls:2|c|#gen_ai.request.model:gpt-4o"]
    program.send()
    assert daemon.silent()
    program.close()


def test_gauges_and_up_down_counters_are_values(daemon: Daemon) -> None:
    program = Program(daemon)
    active = program.meter.create_up_down_counter("active")
    left = program.meter.create_gauge("left")
    active.add(3)
    active.add(-1)
    left.set(0.000063)
    program.send()
    assert sorted(daemon.lines()) == ["active:2|g", "left:0.000063|g"]
    active.add(-2)
    left.set(-5)
    program.send()
    assert sorted(daemon.lines()) == ["active:0|g", "left:-5|g"]
    program.close()


def test_plain_statsd_has_paths_timings_and_no_signs(daemon: Daemon) -> None:
    program = Program(daemon, flavour="statsd", prefix="llm.", resource={"service.name": "shop"})
    program.meter.create_counter("calls").add(1, {"gen_ai.request.model": "gpt-4.1", "error": ""})
    program.meter.create_gauge("left").set(-5)
    program.meter.create_histogram("took", "s").record(0.25)
    program.meter.create_histogram("size", "By").record(250)
    program.send()
    assert sorted(daemon.lines()) == [
        "llm.calls.error.none.gen_ai_request_model.gpt-4_1:1|c",
        "llm.left:-5|g",
        "llm.left:0|g",
        "llm.size:250|ms",
        "llm.took:250|ms",
    ]
    program.close()


def test_the_zero_comes_before_the_negative_gauge(daemon: Daemon) -> None:
    program = Program(daemon, flavour="statsd")
    program.meter.create_gauge("left").set(-5)
    program.send()
    assert daemon.lines() == ["left:0|g", "left:-5|g"]
    program.close()


def test_the_resource_gives_unified_tags(daemon: Daemon) -> None:
    resource = {
        "service.name": "shop",
        "deployment.environment.name": "prod",
        "service.version": "7",
        "host.id": "h",
    }
    program = Program(daemon, resource=resource)
    program.meter.create_counter("calls").add(1, MODEL)
    program.send()
    assert daemon.lines() == ["calls:1|c|#service:shop,env:prod,version:7,gen_ai.request.model:gpt-4o"]
    program.close()


def test_what_would_break_a_line_is_replaced(daemon: Daemon) -> None:
    program = Program(daemon, prefix="a b:")
    program.meter.create_counter("n/a").add(1, {"k:e": "v|w,x\ny#z", "list": ("a", True), "long": "x" * 300})
    program.send()
    long = "long:" + "x" * 195
    assert daemon.lines() == [f"a_b_.n_a:1|c|#k_e:v_w_x_y#z,list:a+true,{long}"]
    program.close()


def read(line: str) -> tuple[float, int]:
    """The value of a distribution, and for how many measurements it stands."""
    name, _, rest = line.partition(":")
    value, kind, *more = rest.split("|")
    assert (name, kind) == ("took", "d")
    rates = [float(part[1:]) for part in more if part.startswith("@")]
    return float(value), int(1 / rates[0]) if rates else 1


VIEWS = [
    (
        View(
            instrument_name="took",
            aggregation=ExplicitBucketHistogramAggregation([0.1, 1, 10], record_min_max=False),
        )
    ),
    (View(instrument_name="took", aggregation=ExplicitBucketHistogramAggregation(boundaries=[0.1, 1, 10]))),
    (View(instrument_name="took", aggregation=ExponentialBucketHistogramAggregation(max_size=8))),
]


@pytest.mark.parametrize("view", VIEWS, ids=["without extremes", "explicit", "exponential"])
@pytest.mark.parametrize(
    "measured",
    [
        [0.25],
        [0.25] * 7,
        [0.05, 0.5, 0.5, 0.5, 5.0, 50.0],
        [0.0, 0.0, 3.0],
        [0.3, 7.0, 1e-9, 1e9],
        [x / 100 for x in range(1, 101)],
    ],
)
def test_a_distribution_has_the_count_and_the_sum_of_the_measurements(
    daemon: Daemon, view: View, measured: list[float]
) -> None:
    program = Program(daemon, views=[view])
    took = program.meter.create_histogram("took", "s")
    for value in measured:
        took.record(value)
    program.send()
    values = [read(line) for line in daemon.lines()]
    assert sum(count for _, count in values) == len(measured)
    assert math.fsum(value * count for value, count in values) == pytest.approx(math.fsum(measured), rel=1e-9)
    if view is not VIEWS[0]:
        assert min(measured) <= min(values)[0]
        assert max(values)[0] <= max(measured)
    program.close()


def test_each_value_lies_in_its_bucket(daemon: Daemon) -> None:
    program = Program(daemon, views=[VIEWS[1]])
    took = program.meter.create_histogram("took", "s")
    for value in (0.05, 0.5, 0.5, 0.6, 5.0, 50.0):
        took.record(value)
    program.send()
    assert [(0.05 <= value <= 0.1, count) for value, count in map(read, daemon.lines()[:1])] == [(True, 1)]
    took.record(0.4)
    took.record(0.6)
    program.send()
    assert daemon.lines() == ["took:0.5|d|@0.5"]
    program.close()


@settings(deadline=None)
@given(st.integers(1, 10**9))
def test_no_daemon_loses_a_measurement_to_rounding(count: int) -> None:
    text = statsd._rate(count)
    assert text == "" if count == 1 else int(1 / float(text.removeprefix("|@"))) == count


def test_datagrams_fit_the_frame_and_lose_no_line(daemon: Daemon) -> None:
    program = Program(daemon)
    calls = program.meter.create_counter("calls")
    for number in range(300):
        calls.add(1, {"gen_ai.request.model": f"model-{number}"})
    program.send()
    datagrams = daemon.datagrams()
    assert max(map(len, datagrams)) <= 1432
    assert len(datagrams) < 12
    lines = b"\n".join(datagrams).decode().split("\n")
    assert sorted(lines) == sorted(f"calls:1|c|#gen_ai.request.model:model-{number}" for number in range(300))
    program.close()


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), min_size=1, max_size=40)))
def test_packing_keeps_order_and_size(lines: list[str]) -> None:
    datagrams = list(statsd._packed(lines, 50))
    assert b"\n".join(datagrams).decode() == "\n".join(lines)
    assert all(len(datagram) <= 50 for datagram in datagrams)
    assert all(len(one) + 1 + len(two.split(b"\n")[0]) > 50 for one, two in pairwise(datagrams))


def test_a_line_longer_than_a_frame_goes_alone(daemon: Daemon) -> None:
    program = Program(daemon, max_bytes=20)
    program.meter.create_counter("a").add(1, {"key": "v" * 50})
    program.meter.create_counter("b").add(1)
    program.send()
    assert daemon.datagrams() == [b"a:1|c|#key:" + b"v" * 50, b"b:1|c"]
    program.close()


def test_values_that_are_no_numbers_are_left_out(daemon: Daemon) -> None:
    program = Program(daemon)
    left = program.meter.create_gauge("left")
    left.set(math.nan, {"a": 1})
    left.set(math.inf, {"a": 2})
    left.set(1, {"a": 3})
    program.send()
    assert daemon.lines() == ["left:1|g|#a:3"]
    program.close()


def test_a_dead_host_is_harmless(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    program = Program(daemon)
    daemon.close()
    calls = program.meter.create_counter("calls")
    started = time.perf_counter()
    for _ in range(3):
        calls.add(1)
        program.send()
    print(f"\nthree exports to a closed port took {(time.perf_counter() - started) * 1e3:.1f} ms")
    program.close()
    assert caplog.records == []


def test_a_host_without_an_address_is_said_once(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    program = Program(daemon)
    calls = program.meter.create_counter("calls")
    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG, "otel_llm"):
        patch.setattr(socket, "getaddrinfo", fail)
        for _ in range(3):
            calls.add(1)
            program.send()
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]
    assert (
        caplog.records[0].getMessage()
        == f"Metrics were not sent to StatsD at 127.0.0.1:{daemon.port}: gaierror"
    )
    calls.add(1)
    program.send()
    assert daemon.lines() == ["calls:1|c"]
    program.close()


def test_the_result_tells_whether_anything_was_sent(daemon: Daemon) -> None:
    exporter = StatsdMetricExporter(port=daemon.port)
    data: Any = type("Nothing", (), {"resource_metrics": ()})()
    assert exporter.export(data) is MetricExportResult.SUCCESS
    assert exporter.force_flush()
    exporter.shutdown()
    assert daemon.silent()


def test_ipv4_is_where_localhost_is(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET6, 2, 17, "", ("::1", 1, 0, 0)), (socket.AF_INET, 2, 17, "", ("127.0.0.1", 1))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert statsd._resolve("localhost", 1)[4] == ("127.0.0.1", 1)


def test_settings_by_environment(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_STATSD_HOST", " 127.0.0.1 ")
    monkeypatch.setenv("OTEL_EXPORTER_STATSD_PORT", f" {daemon.port} ")
    monkeypatch.setenv("OTEL_EXPORTER_STATSD_PREFIX", "app")
    monkeypatch.setenv("OTEL_EXPORTER_STATSD_FLAVOUR", "StatsD")
    provider = MeterProvider([PeriodicExportingMetricReader(StatsdMetricExporter(), math.inf)])
    provider.get_meter("test").create_counter("calls").add(1, {"k": "v"})
    assert provider.force_flush()
    assert daemon.lines() == ["app.calls.k.v:1|c"]


@pytest.mark.parametrize(
    ("variable", "value"), [("PORT", "http"), ("PORT", "0"), ("PORT", "65536"), ("FLAVOUR", "influx")]
)
def test_a_bad_variable_warns_and_leaves_the_default(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_STATSD_{variable}", value)
    exporter = StatsdMetricExporter()
    assert (exporter._port, exporter._tagged) == (8125, True)
    assert f"OTEL_EXPORTER_STATSD_{variable} is ignored" in caplog.text


@pytest.mark.parametrize(
    "keywords", [{"port": 0}, {"port": 1 << 16}, {"flavour": "influx"}, {"max_bytes": 0}]
)
def test_a_bad_keyword_raises(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|no port"):
        StatsdMetricExporter(**keywords)


def test_it_is_found_by_its_name() -> None:
    [found] = entry_points(group="opentelemetry_metrics_exporter", name="statsd")
    assert found.load() is StatsdMetricExporter


def test_a_program_started_by_opentelemetry_instrument_reports_without_code(daemon: Daemon) -> None:
    environ = {
        **os.environ,
        "OTEL_METRICS_EXPORTER": "statsd",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_STATSD_PORT": str(daemon.port),
    }
    program = "from opentelemetry import metrics; metrics.get_meter('t').create_counter('calls').add(2)"
    command = [
        str(Path(sys.executable).with_name("opentelemetry-instrument")),
        sys.executable,
        "-c",
        program,
    ]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (0, "")
    assert "calls:2|c|#service:shop" in daemon.lines()
