"""What a span, a metric point or an event says of an `Operation`: dicts of attributes, built once each.

`start` comes first: samplers see it, and every metric point carries it.
Identity and usage are set before content, so that no limit on the number of attributes can cost them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._operation import RateLimit
from .semconv import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._operation import ErrorInfo, Operation, Server, StreamStats
    from .cost import Crossing
    from .semconv import Convention

__all__ = ["answered", "description", "end", "ended", "exception", "shared", "start"]

_MAX_VALUES = 200
_AT_START = 64
"""More attributes than a span has before its end: to look how many it has costs more than to fill it."""
_OTHER = "_OTHER"


def start(op: Operation) -> dict[str, Any]:
    """The attributes that are known when the call starts, for samplers and for every metric point."""
    attributes: dict[str, Any] = {names.OPERATION_NAME: op.name, names.PROVIDER_NAME: op.provider}
    if op.request_model is not None:
        attributes[names.REQUEST_MODEL] = op.request_model
    if op.server_address is not None:
        attributes[names.SERVER_ADDRESS] = op.server_address
        if op.server_port is not None:
            attributes[names.SERVER_PORT] = op.server_port
    return attributes


def end(op: Operation, conventions: Sequence[Convention]) -> dict[str, Any]:
    """The span's attributes that are known when the call has ended."""
    attributes: dict[str, Any] = {}
    _fill(
        attributes,
        (names.RESPONSE_ID, op.response_id),
        (names.RESPONSE_MODEL, op.response_model),
        (names.CONVERSATION_ID, op.conversation_id),
        (names.FINISH_REASONS, op.finish_reasons or None),
        (names.OPENAI_API_TYPE, op.api),
        (names.OUTCOME, str(op.outcome)),
        (names.RESPONSE_TOOL_CALLS, op.tool_calls or None),
    )
    for convention in conventions:
        if op.usage is not None:
            convention.fill_usage(op, attributes)
        if op.parameters:
            convention.fill_request(op, attributes)
    if op.stream_stats is not None:
        _stream(op.stream_stats, attributes)
        attributes[names.USAGE_SOURCE] = "absent" if op.usage is None else op.usage.source
    elif op.usage is not None and op.usage.source != "provider":
        attributes[names.USAGE_SOURCE] = op.usage.source
    if op.server is not None:
        _server(op, op.server, attributes)
    if op.error is not None:
        _error(op.error, attributes)
    if op.attempts:
        _attempts(op, attributes)
    if op.cost is not None:
        attributes[names.COST] = float(op.cost)
    if op.attributes:
        attributes.update(op.attributes)
    return attributes


def _fill(attributes: dict[str, Any], *pairs: tuple[str, Any]) -> None:
    for name, value in pairs:
        if value is not None:
            attributes[name] = value  # noqa: PERF403 - a comprehension would cost a frame


def _stream(stats: StreamStats, attributes: dict[str, Any]) -> None:
    _fill(
        attributes,
        (names.REQUEST_STREAM, True),
        (names.STREAM_CHUNKS, stats.chunks),
        (names.STREAM_SIZE, stats.bytes),
        (names.TIME_TO_FIRST_CHUNK, stats.first_chunk),
        (names.STREAM_GAP_P50, stats.gap_p50),
        (names.STREAM_GAP_P99, stats.gap_p99),
        (names.STREAM_GAP_MAX, stats.gap_max),
        (names.STREAM_TOKEN_RATE, stats.token_rate),
    )


def _server(op: Operation, server: Server, attributes: dict[str, Any]) -> None:
    openai = op.api is not None
    limit = server.rate_limit or _NO_LIMIT
    _fill(
        attributes,
        (names.RESPONSE_REQUEST_ID, server.request_id),
        (names.RESPONSE_ORGANIZATION, server.organization),
        (names.RESPONSE_PROCESSING_TIME, server.processing),
        (names.RESPONSE_STATUS_CODE, server.status),
        (
            names.OPENAI_RESPONSE_SERVICE_TIER if openai else names.OWN_RESPONSE_SERVICE_TIER,
            server.service_tier,
        ),
        (names.OPENAI_SYSTEM_FINGERPRINT, server.system_fingerprint if openai else None),
        (names.RATELIMIT_REMAINING_REQUESTS, limit.remaining_requests),
        (names.RATELIMIT_REMAINING_TOKENS, limit.remaining_tokens),
        (names.RATELIMIT_LIMIT_REQUESTS, limit.limit_requests),
        (names.RATELIMIT_LIMIT_TOKENS, limit.limit_tokens),
        (names.RATELIMIT_RESET_REQUESTS, limit.reset_requests),
        (names.RATELIMIT_RESET_TOKENS, limit.reset_tokens),
    )


_NO_LIMIT = RateLimit()


def _error(error: ErrorInfo, attributes: dict[str, Any]) -> None:
    attributes[names.ERROR_TYPE] = error.type
    attributes[names.ERROR_CATEGORY] = error.category
    attributes[names.ERROR_RETRYABLE] = error.retryable
    if error.status is not None:
        attributes[names.RESPONSE_STATUS_CODE] = error.status
    if error.code is not None and error.code != error.type:
        attributes[names.ERROR_CODE] = error.code


def _attempts(op: Operation, attributes: dict[str, Any]) -> None:
    attributes[names.REQUEST_ATTEMPTS] = op.attempt_count
    attributes[names.ATTEMPT_STATUSES] = [attempt.status or 0 for attempt in op.attempts]
    attributes[names.ATTEMPT_ERRORS] = [attempt.error or str(attempt.status) for attempt in op.attempts]
    attributes[names.ATTEMPT_DURATIONS] = [attempt.duration for attempt in op.attempts]
    attributes[names.ATTEMPT_DELAYS] = [attempt.wait for attempt in op.attempts]
    attributes[names.RETRY_DELAY] = sum(attempt.wait for attempt in op.attempts)


def description(error: ErrorInfo) -> str:
    """A span status that tells what failed without the exception's text, which may quote content or a key."""
    if error.message is not None:
        return error.message
    known = [error.exception, str(error.status) if error.status else "", error.code or ""]
    return " ".join(part for part in known if part) or error.type


def exception(error: ErrorInfo) -> dict[str, Any]:
    """The attributes of the exception event."""
    attributes: dict[str, Any] = {names.EXCEPTION_TYPE: error.exception, names.ERROR_TYPE: error.type}
    if error.message:
        attributes[names.EXCEPTION_MESSAGE] = error.message
    if error.stacktrace is not None:
        attributes[names.EXCEPTION_STACKTRACE] = error.stacktrace
    return attributes


def budget(crossing: Crossing) -> dict[str, Any]:
    """The attributes of the event of an exceeded budget."""
    attributes: dict[str, Any] = {
        names.BUDGET_SCOPE: crossing.scope,
        names.BUDGET_LIMIT: float(crossing.limit),
        names.BUDGET_SPENT: float(crossing.spent),
        names.BUDGET_EXCEEDED_BY: float(crossing.exceeded_by),
        names.PROVIDER_NAME: crossing.operation.provider,
    }
    if crossing.operation.request_model is not None:
        attributes[names.REQUEST_MODEL] = crossing.operation.request_model
    return attributes


def longest(span: Any) -> int | None:
    """The most characters that `span` keeps of an attribute's value; None is no limit, or not known."""
    limit = getattr(getattr(span, "_limits", None), "max_span_attribute_length", None)
    return limit if isinstance(limit, int) else None


def within(span: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """As many of `attributes` as `span` has room for, the first ones.

    The SDK's span makes room for a new attribute by dropping its oldest one, which is what the call is about.
    """
    limit = getattr(getattr(span, "_limits", None), "max_span_attributes", None)
    if limit is None or len(attributes) + _AT_START <= limit:
        return attributes
    room = limit - len(span.attributes)
    return attributes if room >= len(attributes) else dict(list(attributes.items())[: max(room, 0)])


class _Capped:
    """Values that may stand on metrics: the first 200 of their kind, `_OTHER` from then on."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def add(self, value: str) -> str:
        """Remember `value` if there is room; what to put on the metric instead of it."""
        if len(self.known) >= _MAX_VALUES:
            return _OTHER
        return self.known.setdefault(value, value)


_models = _Capped()
_errors = _Capped()
_hosts = _Capped()


def shared(op: Operation) -> dict[str, Any]:
    """What all metric points of a call carry, each with a bounded number of values.

    Not the server: each attribute costs every record four calls, and the duration has it.
    """
    attributes = {names.OPERATION_NAME: op.name, names.PROVIDER_NAME: op.provider}
    if (model := op.request_model) is not None:
        attributes[names.REQUEST_MODEL] = model if model in _models.known else _models.add(model)
    return attributes


def answered(op: Operation, common: dict[str, Any]) -> dict[str, Any]:
    """What the metric points of a call that has ended share; adds to `common`."""
    if (model := op.response_model) is not None:
        common[names.RESPONSE_MODEL] = model if model in _models.known else _models.add(model)
    return common


def low(error: str) -> str:
    """An `error.type` for metrics: as it is, as long as there are few of them."""
    return error if error in _errors.known else _errors.add(error)


def ended(op: Operation, answered: dict[str, Any]) -> dict[str, Any]:
    """The attributes of the duration: how the call ended as well."""
    attributes = answered.copy()
    if (host := op.server_address) is not None:
        attributes[names.SERVER_ADDRESS] = host if host in _hosts.known else _hosts.add(host)
        if op.server_port is not None:
            attributes[names.SERVER_PORT] = op.server_port
    if op.api is not None and op.server is not None and op.server.service_tier is not None:
        attributes[names.OPENAI_RESPONSE_SERVICE_TIER] = op.server.service_tier
    attributes[names.OUTCOME] = str(op.outcome)
    if op.error is not None:
        attributes[names.ERROR_TYPE] = low(op.error.type)
    return attributes
