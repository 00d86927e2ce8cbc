"""What kind of error a failed call had: one small vocabulary for every provider and SDK.

`classify` reads the names of an exception's class and of its bases, the HTTP status and the provider's code.
No SDK is imported; all SDKs of the Stainless family share these class names.
A code that names a cause decides, else the class, else the status, else the words in a code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CATEGORIES", "Kind", "classify"]

CATEGORIES: Final = (
    "authentication",
    "permission_denied",
    "quota",
    "rate_limit",
    "timeout",
    "network",
    "server_error",
    "validation",
    "context_length",
    "content_filter",
    "not_found",
    "conflict",
    "invalid_response",
    "unknown",
)
"""The values of `otel_llm.error.category`.

authentication     no credentials, or wrong or expired ones
permission_denied  the credentials are good, but not for this
quota              credit, spending limit or contract used up: waiting a minute does not help
rate_limit         too many requests or tokens for now
timeout            no answer in time, or the wait for it was given up
network            no connection, or it broke
server_error       the provider failed or is overloaded
validation         the request, or the use of the SDK, is wrong
context_length     more tokens than the model, or the limit in the request, allows
content_filter     refused for what the prompt or the answer says
not_found          no such model, file, response
conflict           the state of a resource forbids it now
invalid_response   an answer came and cannot be used
unknown            none of these
"""


class Kind(NamedTuple):
    """The kind of an error."""

    category: str
    """One of `CATEGORIES`."""
    retryable: bool
    """Whether the same request can succeed when it is sent again."""


_RETRYABLE: Final = frozenset({"rate_limit", "timeout", "network", "server_error", "conflict"})
"""What the SDKs themselves retry (408, 409, 429, 5xx, connections, timeouts), less used-up quota."""

_CODES: Final = {
    "context_length_exceeded": "context_length",
    "max_tokens_exceeded": "context_length",
    "model_context_window_exceeded": "context_length",
    "prompt_too_long": "context_length",
    "tokens_limit_reached": "context_length",
    "bio_policy": "content_filter",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "image_content_policy_violation": "content_filter",
    "invalid_prompt": "content_filter",
    "misalignment_policy_violation": "content_filter",
    "moderation_blocked": "content_filter",
    "responsibleaipolicyviolation": "content_filter",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "contract_spend_limit_reached": "quota",
    "enforced_spend_limit_reached": "quota",
    "insufficient_quota": "quota",
    "linked_organization_spend_limit_reached": "quota",
    "invalid_api_key": "authentication",
    "account_deactivated": "permission_denied",
    "data_residency_mismatch": "permission_denied",
    "model_not_found": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "request_body_timeout": "timeout",
    "vector_store_timeout": "timeout",
}
"""Codes that name a cause, in lower case: OpenAI and who copies its API, Azure, `error_code` of Anthropic."""

_WORDS: Final = (
    ("timeout|timed_out|time_exceeded", "timeout"),
    ("not_found|expired", "not_found"),
    ("quota|billing|spend|credit", "quota"),
    ("rate_limit|too_many_requests|^(requests|tokens)$", "rate_limit"),
    ("auth|api_key|credential|invalid_grant|subject_token", "authentication"),
    ("permission|denied|forbidden|not_allowed|restricted", "permission_denied"),
    ("conflict|precondition|already", "conflict"),
    ("policy|moderation|safety", "content_filter"),
    ("overloaded|unavailable|server_error|api_error|internal", "server_error"),
    ("invalid|unsupported|too_large|too_small|image", "validation"),
)
"""What other codes say, for an error in a stream or in a response, which has no status; the first that fits.

The `type`s of errors of the Anthropic API are among them.
`re` compiles each when it is first needed: a program without errors needs none."""

_STATUSES: Final = {
    401: "authentication",
    402: "quota",
    403: "permission_denied",
    404: "not_found",
    407: "authentication",
    408: "timeout",
    409: "conflict",
    410: "not_found",
    412: "conflict",
    425: "rate_limit",
    429: "rate_limit",
    499: "network",
    504: "timeout",
}
"""Where a status says something else than the rest of its class: 4xx is `validation`, 5xx `server_error`."""

_CLASSES: Final = {
    # The Stainless family: openai, anthropic, groq, together, cerebras, ...
    "APITimeoutError": "timeout",
    "APIConnectionError": "network",
    "APIResponseValidationError": "invalid_response",
    "APIWebhookValidationError": "authentication",
    "AuthenticationError": "authentication",
    "BadRequestError": "validation",
    "ClientClosedRequestError": "network",
    "ConflictError": "conflict",
    "ContentTooLargeError": "validation",
    "DeadlineExceededError": "timeout",
    "GatewayTimeoutError": "timeout",
    "NotFoundError": "not_found",
    "PaymentRequiredError": "quota",
    "PermissionDeniedError": "permission_denied",
    "PreconditionFailedError": "conflict",
    "RateLimitError": "rate_limit",
    "RequestHeaderFieldsTooLargeError": "validation",
    "RequestTimeoutError": "timeout",
    "RetryableError": "server_error",
    "UnprocessableEntityError": "validation",
    "ContractSpendLimitReachedError": "quota",
    "EnforcedSpendLimitReachedError": "quota",
    "ContentFilterFinishReasonError": "content_filter",
    "LengthFinishReasonError": "context_length",
    "CredentialsError": "authentication",
    "InvalidWebhookSignatureError": "authentication",
    "MutuallyExclusiveAuthError": "authentication",
    "SubjectTokenProviderError": "authentication",
    "WorkloadIdentityError": "authentication",
    "_TransientTokenExchangeError": "network",
    "AgentOutputParseError": "invalid_response",
    "ResponsesWebSocketError": "network",
    "WebSocketConnectionClosedError": "network",
    "WebSocketQueueFullError": "network",
    # What helpers of the SDKs raise for a use of them that cannot work.
    "BrowserError": "validation",
    "ComputerUseError": "validation",
    "DecisionsToolRunnerError": "validation",
    "FileStoreError": "validation",
    "SessionMemoryError": "validation",
    "ToolError": "validation",
    "ToolRunnerError": "validation",
    "BrowserCancelledError": "timeout",
    "DecisionsToolRunnerCancelledError": "timeout",
    "ToolRunnerCancelledError": "timeout",
    "ResponsesWebSocketBufferError": "network",
    # httpx and httpx2, whose errors older SDKs let through while a stream is read.
    "TimeoutException": "timeout",
    "DecodingError": "invalid_response",
    "RequestError": "network",
    "StreamError": "network",
    # Python itself, and pydantic.
    "JSONDecodeError": "invalid_response",
    "UnicodeDecodeError": "invalid_response",
    "ValidationError": "invalid_response",
    "TimeoutError": "timeout",
    "OSError": "network",
    "TypeError": "validation",
    "ValueError": "validation",
}
"""By the name of a class; the most derived name that is listed decides."""

_BASES: Final = {
    "InternalServerError": "server_error",
    "APIStatusError": "server_error",
    "APIError": "server_error",
    "AnthropicError": "validation",
    "OpenAIError": "validation",
}
"""Base classes, which tell less than a status or a code.

An `APIError` without a status came in a stream; the last two the SDK itself raises, for a missing key say."""

_TOO_LONG: Final = (
    r"(?i)prompt is too long|maximum context length|context (?:window|limit)|too many (?:input )?tokens"
)
"""How a 400 says that the context is too small where there is no code for it: Anthropic, vLLM, others."""


def _by_status(status: int | None) -> str | None:
    if status is None:
        return None
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return {4: "validation", 5: "server_error"}.get(status // 100)


def _by_class(exception: type[BaseException] | None, table: Mapping[str, str]) -> str | None:
    """The most derived class that `table` names."""
    for base in exception.__mro__ if exception is not None else ():
        if base.__name__ in table:
            return table[base.__name__]
    return None


def _by_words(code: str) -> str | None:
    return next((category for pattern, category in _WORDS if re.search(pattern, code)), None)


def classify(
    exception: type[BaseException] | None = None,
    *,
    status: int | None = None,
    code: str | None = None,
    message: str | None = None,
) -> Kind:
    """Tell the kind of an error from the class of an exception, an HTTP status and the provider's error code.

    Each may be missing: a response that itself says that it failed has a code alone.
    `message` is only searched, and only for a rejected request without a telling code: the Anthropic API, for
    instance, has no code for a prompt that is too long.
    """
    plain = code.lower() if code else ""
    category = (
        _CODES.get(plain)
        or _by_class(exception, _CLASSES)
        or _by_status(status)
        or _by_words(plain)
        or _by_class(exception, _BASES)
        or "unknown"
    )
    if category == "validation" and message and re.search(_TOO_LONG, message):
        category = "context_length"
    return Kind(category, category in _RETRYABLE)
