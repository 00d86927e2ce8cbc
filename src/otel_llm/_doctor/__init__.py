"""`otel-llm doctor`: what is instrumented here, where telemetry goes, and what is wrong.

module         what it looks at
`_sdks`        the SDKs, the seams that were found in them, and the spans they make themselves
`_others`      other packages that instrument the same SDKs
`_exporters`   where OpenTelemetry's own variables send telemetry
`_probe`       whether somebody answers there
`_settings`    otel-llm's settings, and where content goes
`_report`      the findings, as text and as JSON
`_command`     all of it, in order
"""

from ._command import run

__all__ = ["run"]
