"""Every provider that is known: `PROVIDERS` is the whole registry."""

from __future__ import annotations

from ._base import Endpoint, Provider
from .anthropic import ANTHROPIC
from .family import FAMILY
from .openai import OPENAI

__all__ = ["PROVIDERS", "Endpoint", "Provider"]

PROVIDERS: tuple[Provider, ...] = (OPENAI, ANTHROPIC, *FAMILY)
