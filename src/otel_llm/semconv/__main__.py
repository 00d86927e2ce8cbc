"""Prints docs/telemetry.md: `python -m otel_llm.semconv > docs/telemetry.md`."""

from __future__ import annotations

import sys

from ._document import document

sys.stdout.write(document())
