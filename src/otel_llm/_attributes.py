"""What a span, a metric point or an event says of an `Operation`: dicts of attributes, built once each.

`start` comes first: samplers see it, and every metric point carries it.
Identity and usage are set before content, so that no limit on the number of attributes can cost them.
"""

from __future__ import annotations

from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import TYPE_CHECKING, Any

from ._locks import Lock
from ._operation import RateLimit, Server, StreamStats, Usage
from ._plain import is_list, utf8
from .semconv import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._operation import ErrorInfo, Operation
    from .cost import Crossing
    from .semconv import Convention

__all__ = [
    "OTHER",
    "Capped",
    "SpanAttributes",
    "answered",
    "description",
    "exception",
    "points",
    "shared",
    "start",
]

_MAX_VALUES = 200
_MAX_POINTS = 1000
_AT_START = 64
"""More attributes than a span has before its end: to look how many it has costs more than to fill it."""
OTHER = "_OTHER"
"""What stands on metrics for every value beyond the first 200 of its kind."""


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


_CALL = (
    ("response_id", names.RESPONSE_ID),
    ("response_model", names.RESPONSE_MODEL),
    ("conversation_id", names.CONVERSATION_ID),
    ("api", names.OPENAI_API_TYPE),
)
_OPENAI_SERVER = (
    ("request_id", names.RESPONSE_REQUEST_ID),
    ("organization", names.RESPONSE_ORGANIZATION),
    ("processing", names.RESPONSE_PROCESSING_TIME),
    ("status", names.RESPONSE_STATUS_CODE),
    ("service_tier", names.OPENAI_RESPONSE_SERVICE_TIER),
    ("system_fingerprint", names.OPENAI_SYSTEM_FINGERPRINT),
)
_OTHER_SERVER = (
    *_OPENAI_SERVER[:4],
    ("service_tier", names.OWN_RESPONSE_SERVICE_TIER),
    ("system_fingerprint", names.OWN_SYSTEM_FINGERPRINT),
)
_LIMIT = (
    ("remaining_requests", names.RATELIMIT_REMAINING_REQUESTS),
    ("remaining_tokens", names.RATELIMIT_REMAINING_TOKENS),
    ("limit_requests", names.RATELIMIT_LIMIT_REQUESTS),
    ("limit_tokens", names.RATELIMIT_LIMIT_TOKENS),
    ("reset_requests", names.RATELIMIT_RESET_REQUESTS),
    ("reset_tokens", names.RATELIMIT_RESET_TOKENS),
)
_STREAM = (
    ("chunks", names.STREAM_CHUNKS),
    ("bytes", names.STREAM_SIZE),
    ("first_chunk", names.TIME_TO_FIRST_CHUNK),
    ("gap_p50", names.STREAM_GAP_P50),
    ("gap_p99", names.STREAM_GAP_P99),
    ("gap_max", names.STREAM_GAP_MAX),
    ("token_rate", names.STREAM_TOKEN_RATE),
)
_call, _server, _limit, _stream = (
    attrgetter(*(field for field, _ in part)) for part in (_CALL, _OPENAI_SERVER, _LIMIT, _STREAM)
)
_NO_USAGE = Usage()
_NO_SERVER = Server()
_NO_LIMIT = RateLimit()
_NOTHING: Any = None
_NO_STREAM = StreamStats(_NOTHING, _NOTHING)


class SpanAttributes:
    """What the span of an ended call says in the chosen versions of the conventions.

    The fields of the call and of its parts are read, paired with their attributes and sieved in C: for some thirty of
    them, Python would double what a call costs.
    """

    __slots__ = ("_conventions", "_openai", "_others", "_usage")

    def __init__(self, conventions: Sequence[Convention]) -> None:
        self._conventions = conventions
        usage = [pair for convention in conventions for pair in convention.usage]
        self._usage = attrgetter(*(field for field, _ in usage))
        self._openai, self._others = (
            tuple(attribute for part in (_CALL, usage, server, _LIMIT, _STREAM) for _, attribute in part)
            for server in (_OPENAI_SERVER, _OTHER_SERVER)
        )

    def of(self, op: Operation) -> dict[str, Any]:
        """The attributes that are known when the call has ended."""
        usage, server, stream = op.usage, op.server or _NO_SERVER, op.stream_stats
        values = (
            *_call(op),
            *self._usage(usage or _NO_USAGE),
            *_server(server),
            *_limit(server.rate_limit or _NO_LIMIT),
            *_stream(stream or _NO_STREAM),
        )
        keys = self._others if op.api is None else self._openai
        pairs = zip(keys, values, strict=True)
        attributes: dict[str, Any] = dict(compress(pairs, map(is_not, values, repeat(None))))
        attributes[names.OUTCOME] = str(op.outcome)
        if op.finish_reasons:
            attributes[names.FINISH_REASONS] = op.finish_reasons
        if op.parameters:
            for convention in self._conventions:
                convention.fill_request(op, attributes)
        if usage is not None:
            if usage.modalities is not None:
                for convention in self._conventions:
                    convention.fill_modalities(usage.modalities, attributes)
            if usage.source != "provider":
                attributes[names.USAGE_SOURCE] = usage.source
        if stream is not None:
            attributes[names.REQUEST_STREAM] = True
            attributes[names.USAGE_SOURCE] = "absent" if usage is None else usage.source
        if op.cost is not None:
            attributes[names.COST] = float(op.cost)
        if any(_unusual(op)):
            _fill_unusual(op, attributes)
        told = "".join(map(str, attributes.values()))
        if not told.isascii() or _HALF in told:
            attributes = {name: _clean(value) for name, value in attributes.items()}
        return attributes


_HALF = r"\ud"
"""How a list shows half a surrogate pair in one of its texts."""


def _clean(value: Any) -> Any:
    """`value`, a text or a list of texts, without half surrogate pairs: an exporter that meets one loses its batch."""
    if isinstance(value, str):
        return utf8(value)
    return [_clean(item) for item in value] if is_list(value) else value


_unusual = attrgetter("tool_calls", "error", "attempts", "attributes")


def _fill_unusual(op: Operation, attributes: dict[str, Any]) -> None:
    """Set what few calls have."""
    if op.tool_calls:
        attributes[names.RESPONSE_TOOL_CALLS] = op.tool_calls
    if op.error is not None:
        _error(op.error, attributes)
    if op.attempts:
        _attempts(op, attributes)
    if op.attributes:
        attributes.update(op.attributes)


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


_lock = Lock()


class Capped:
    """Values that may stand on metrics: the first 200 of their kind, `OTHER` from then on."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}
        """To what is put on metrics for it."""

    def add(self, value: Any) -> Any:
        """Remember `value` if there is room; what to put on the metric instead of it."""
        with _lock:
            if value in self.known or len(self.known) < _MAX_VALUES:
                return self.known.setdefault(value, utf8(value) if isinstance(value, str) else value)
        return OTHER


_operations = Capped()
_providers = Capped()
_models = Capped()
_errors = Capped()
_servers = Capped()
_tiers = Capped()


def shared(op: Operation) -> dict[str, Any]:
    """What the metric points of a call that runs carry, each with a bounded number of values.

    Not the server: each attribute costs every record four calls, and the duration has it.
    """
    name, provider = op.name, op.provider
    attributes = {
        names.OPERATION_NAME: _operations.known.get(name) or _operations.add(name),
        names.PROVIDER_NAME: _providers.known.get(provider) or _providers.add(provider),
    }
    if (model := op.request_model) is not None:
        attributes[names.REQUEST_MODEL] = _models.known.get(model) or _models.add(model)
    return attributes


def answered(op: Operation) -> dict[str, Any]:
    """What the metric points of a call that has ended share: `shared`, and the model that answered."""
    attributes = shared(op)
    if (model := op.response_model) is not None:
        attributes[names.RESPONSE_MODEL] = _models.known.get(model) or _models.add(model)
    return attributes


def low(error: str) -> str:
    """An `error.type` for metrics: as it is, as long as there are few of them."""
    return error if error in _errors.known else str(_errors.add(error))


_points: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Any]]] = {}
_key = attrgetter(
    "name", "provider", "request_model", "response_model", "server_address", "server_port", "outcome", "api"
)


def points(op: Operation) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the metric points of an ended call share (`answered`), and what its duration says.

    Kept, since most calls are like one before; nobody may change them.
    """
    tier = None if op.server is None else op.server.service_tier
    key = (*_key(op), tier, None if op.error is None else op.error.type)
    found = _points.get(key)
    if found is None:
        if len(_points) >= _MAX_POINTS:
            _points.clear()
        common = answered(op)
        found = _points[key] = (common, _ended(op, common))
    return found


def _ended(op: Operation, answered: dict[str, Any]) -> dict[str, Any]:
    """The attributes of the duration: how the call ended as well."""
    attributes = answered.copy()
    if (host := op.server_address) is not None:
        port = op.server_port
        if (host, port) in _servers.known or _servers.add((host, port)) is not OTHER:
            attributes[names.SERVER_ADDRESS] = host
            if port is not None:
                attributes[names.SERVER_PORT] = port
        else:
            attributes[names.SERVER_ADDRESS] = OTHER
    if op.api is not None and op.server is not None and (tier := op.server.service_tier) is not None:
        attributes[names.OPENAI_RESPONSE_SERVICE_TIER] = _tiers.known.get(tier) or _tiers.add(tier)
    attributes[names.OUTCOME] = str(op.outcome)
    if op.error is not None:
        attributes[names.ERROR_TYPE] = low(op.error.type)
    return attributes
