"""The live view: what a program's LLM calls do now, in a browser, from a terminal or as JSON (extra `live`).

`otel-llm live` receives OTLP from any number of programs; `serve()` shows this program's own calls.
docs/live-view.md tells how, docs/live-api.md what the page and scripts can ask for.
Importing this package imports none of the extra's libraries; using it without them raises `ImportError`
naming it.
"""

from __future__ import annotations

from ._forward import ForwardOptions
from ._frames import ClientConnection, MetricSnapshot, MetricType, SubscriptionFilter
from ._keep import Retention
from ._options import LiveOptions
from ._store import Limits
from .server import LiveServer, serve, serve_setting

__all__ = [
    "ClientConnection",
    "ForwardOptions",
    "Limits",
    "LiveOptions",
    "LiveServer",
    "MetricSnapshot",
    "MetricType",
    "Retention",
    "SubscriptionFilter",
    "serve",
    "serve_setting",
]
