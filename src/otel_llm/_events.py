"""The events that hooks can be attached to, and what each hands over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._payloads import (
    AttemptMeasurements,
    AttemptMetadata,
    AuthMetadata,
    BreakerMeasurements,
    BreakerMetadata,
    BudgetMeasurements,
    BudgetMetadata,
    CacheMeasurements,
    CacheMetadata,
    CallMeasurements,
    CallMetadata,
    ChunkMeasurements,
    CostMeasurements,
    CountMeasurements,
    MessageMetadata,
    RateLimitMeasurements,
    SessionMetadata,
    SpanMeasurements,
    StartMeasurements,
    StreamMetadata,
    StreamReport,
    ToolMetadata,
    UsageMeasurements,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVENTS", "PAYLOADS"]


_ended = (CallMeasurements, CallMetadata)
_began = (StartMeasurements, CallMetadata)

PAYLOADS: Mapping[str, tuple[type, type]] = {
    **{
        f"llm.{component}.{phase}": _began if phase == "start" else _ended
        for component in ("chat", "embeddings", "text_completion", "operation", "stream")
        for phase in ("start", "stop", "exception")
    },
    "llm.stream.chunk": (ChunkMeasurements, StreamMetadata),
    "llm.stream.progress": (StreamReport, StreamMetadata),
    "llm.provider.request.start": (StartMeasurements, AttemptMetadata),
    "llm.provider.request.stop": (AttemptMeasurements, AttemptMetadata),
    "llm.provider.request.exception": (AttemptMeasurements, AttemptMetadata),
    "llm.provider.rate_limit": (RateLimitMeasurements, AttemptMetadata),
    "llm.provider.auth_refresh": (CountMeasurements, AuthMetadata),
    "llm.cost.calculated": (CostMeasurements, StreamMetadata),
    "llm.cost.threshold_exceeded": (BudgetMeasurements, BudgetMetadata),
    "llm.session.start": (StartMeasurements, SessionMetadata),
    "llm.session.message": (CountMeasurements, MessageMetadata),
    "llm.session.usage": (UsageMeasurements, SessionMetadata),
    "llm.session.truncated": (CountMeasurements, SessionMetadata),
    "llm.session.stop": (SpanMeasurements, SessionMetadata),
    "llm.tool.start": (StartMeasurements, ToolMetadata),
    "llm.tool.stop": (SpanMeasurements, ToolMetadata),
    "llm.tool.exception": (SpanMeasurements, ToolMetadata),
    "llm.cache.hit": (CacheMeasurements, CacheMetadata),
    "llm.cache.miss": (CacheMeasurements, CacheMetadata),
    "llm.cache.put": (CacheMeasurements, CacheMetadata),
    "llm.cache.evict": (CacheMeasurements, CacheMetadata),
    "llm.circuit_breaker.state": (BreakerMeasurements, BreakerMetadata),
}
"""Of every event, the classes of its measurements and of its metadata."""

EVENTS: tuple[str, ...] = tuple(PAYLOADS)
"""Every event, `llm.<component>.<phase>`; docs/hooks.md says when each comes.

A call emits the events of its operation (`llm.operation` if that is not chat, embeddings or text completion);
one that streams emits those of `llm.stream` as well.
"""
