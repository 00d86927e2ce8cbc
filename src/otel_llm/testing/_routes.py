"""Which wire format answers a request, by the end of its path, and the headers that come with it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote

from . import _anthropic, _chat, _llama, _openai, _responses
from ._wire import Answer, Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._reply import Reply
    from ._wire import RecordedRequest

__all__ = ["answer", "is_probe", "response_headers"]


def _complete(ask: Ask, reply: Reply) -> Answer:
    """Chat completions, in the shape that the asking SDK reads."""
    return _llama.chat(ask, reply) if ask.client == "llamaapiclient" else _chat.chat(ask, reply)


def _models(ask: Ask, reply: Reply) -> Answer:
    return _anthropic.models(ask, reply) if _asks_anthropic(ask.request) else _openai.models(ask, reply)


class _Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    build: Callable[[Ask, Reply], Answer]
    anthropic: bool = False


_ROUTES = (
    _Route("POST", re.compile(r"/chat(?:/completions)?$"), _complete),  # Writer: /v1/chat
    _Route("POST", re.compile(r"/completions$"), _openai.completions),
    _Route("POST", re.compile(r"/embeddings$"), _openai.embeddings),
    _Route("POST", re.compile(r"/responses$"), _responses.create),
    _Route("GET", re.compile(r"/responses/(?P<id>[^/]+)$"), _responses.retrieve),
    _Route("POST", re.compile(r"/responses/(?P<id>[^/]+)/cancel$"), _responses.cancel),
    _Route("GET", re.compile(r"/models(?:/(?P<id>.+))?$"), _models),
    _Route("POST", re.compile(r"/messages$"), _anthropic.messages, anthropic=True),
    _Route("POST", re.compile(r"/complete$"), _anthropic.complete, anthropic=True),
    _Route("POST", re.compile(r"/messages/count_tokens$"), _anthropic.count_tokens, anthropic=True),
    _Route(
        "POST",
        re.compile(r"/models/(?P<model>[^/]+):(?P<verb>rawPredict|streamRawPredict)$"),
        _anthropic.vertex,
        anthropic=True,
    ),
    _Route(
        "POST",
        re.compile(r"/model/(?P<model>[^/]+)/(?P<verb>invoke|invoke-with-response-stream)$"),
        _anthropic.bedrock,
        anthropic=True,
    ),
)


def is_probe(request: RecordedRequest) -> bool:
    """Whether a request only warms a connection, as the Cerebras SDK does when a client is made."""
    return request.path.endswith("/tcp_warming")


def _asks_anthropic(request: RecordedRequest) -> bool:
    if "anthropic-version" in request.headers:
        return True
    return any(route.anthropic and route.path.search(request.path) for route in _ROUTES)


def answer(request: RecordedRequest, reply: Reply) -> tuple[int, Answer]:
    """The status and the answer to `request`; 404 where there is no such endpoint."""
    if reply.status >= HTTPStatus.BAD_REQUEST:
        return reply.status, _error(request, reply, reply.status)
    for route in _ROUTES:
        found = route.path.search(request.path) if request.method == route.method else None
        if found is not None:
            body = request.json
            captured = {
                name: unquote(value) for name, value in found.groupdict().items() if value is not None
            }
            query = dict(parse_qsl(request.query))
            return reply.status, route.build(
                Ask(request, cast("dict[str, Any]", body) if isinstance(body, dict) else {}, captured, query),
                reply,
            )
    return 404, _error(request, reply, 404)


def _error(request: RecordedRequest, reply: Reply, status: int) -> Answer:
    if _asks_anthropic(request):
        return Answer(body=_anthropic.error_body(reply, status, request.number))
    return Answer(body=_openai.error_body(reply, status))


def response_headers(
    request: RecordedRequest, reply: Reply, more: Mapping[str, str] | None
) -> dict[str, str]:
    """The headers of a response without those of its body: defaults, those of an answer, the reply's own."""
    known = _anthropic_headers if _asks_anthropic(request) else _openai_headers
    headers = {**known(request.number), **(more or {})}
    if reply.retry_after_ms is not None:
        headers["retry-after-ms"] = str(reply.retry_after_ms)
        headers["retry-after"] = str(math.ceil(reply.retry_after_ms / 1000))
    for name, value in (reply.headers or {}).items():
        if value is None:
            headers.pop(name.lower(), None)
        else:
            headers[name.lower()] = value
    return headers


def _openai_headers(number: int) -> dict[str, str]:
    return {
        "x-request-id": f"req_{number:06d}",
        "openai-organization": "org-fake",
        "openai-processing-ms": "42",
        "openai-project": "proj_fake",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "199980",
        "x-ratelimit-reset-requests": "8.64s",
        "x-ratelimit-reset-tokens": "6ms",
    }


def _anthropic_headers(number: int) -> dict[str, str]:
    """As OpenAI's, but each reset is a moment: a minute from now."""
    reset = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {"request-id": f"req_{number:06d}", "anthropic-organization-id": "org-fake"}
    for what, limit, remaining in (
        ("requests", 4000, 3999),
        ("tokens", 480000, 479980),
        ("input-tokens", 400000, 399988),
        ("output-tokens", 80000, 79992),
    ):
        headers[f"anthropic-ratelimit-{what}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{what}-remaining"] = str(remaining)
        headers[f"anthropic-ratelimit-{what}-reset"] = reset
    return headers
