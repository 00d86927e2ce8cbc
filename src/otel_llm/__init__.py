"""Every call to an LLM provider SDK as one true OpenTelemetry span."""

from ._version import __version__

__all__ = ["__version__"]
