"""What the driver does at the steps of one call, each under the guard."""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import _guard
from .._operation import Attempt, Operation, Outcome
from ..providers._base import ABSENT, DICT, NOTHING
from ..providers._hosts import USAGE_OPTION_HOSTS, USAGE_OPTION_PATHS
from . import _headers
from ._bodies import tied

if TYPE_CHECKING:
    from .._recording import Recording
    from ..providers._base import Endpoint
    from ._clients import Client

__all__ = ["asked", "equip", "failed", "propagate", "refused", "retrying", "returned", "watched"]

_MAX_RAW = 1024 * 1024


def asked(endpoint: Endpoint, op: Operation, options: Any) -> Any:
    """Read the request and return its body; what an odd body does to us costs attributes, not the span."""
    try:
        body = options.json_data
        if options.extra_json:
            body = {**body, **options.extra_json} if isinstance(body, DICT) else options.extra_json
        if isinstance(body, DICT):
            endpoint.request(op, body)
        elif endpoint.method == "get":
            op.response_id = options.url.partition("?")[0].rpartition("/")[2]
    except Exception as error:  # noqa: BLE001 - inline, as a call of the guard costs every call two frames
        _guard.caught(error)
        return None
    return body


def equip(recording: Recording, client: Client, options: Any, body: Any) -> None:
    """Make ready what only some calls need: a stream, content, an estimate, a hook of the user's."""
    if recording.capture is not None or recording.estimate is not None:
        body = _given(body)
        if recording.capture is not None:
            recording.capture.request(body)
        if recording.estimate is not None:
            recording.estimate.request(body)
    config = recording.recorder.config
    if recording.op.stream:
        recording.stream()
        if config.stream_usage == "inject" and recording.endpoint is not None:
            recording.hides = ask_for_usage(recording.endpoint, client, options) or False
    if config.request_hook is not None:
        recording.recorder.hook(config.request_hook, recording, options)


def _given(body: Any) -> Any:
    """`body` without what the application has not given."""
    if not isinstance(body, DICT):
        return body
    return {name: value for name, value in body.items() if type(value).__name__ not in ABSENT}


@_guard.guarded
def ask_for_usage(endpoint: Endpoint, client: Client, options: Any) -> bool:
    """Ask for the token counts of a stream that the application did not ask for, where the host takes that.

    Not where the application reads the answer's lines or bytes itself: there the extra chunk could not be hidden.
    """
    body = options.json_data
    headers = options.headers if isinstance(options.headers, DICT) else NOTHING
    if (
        endpoint.path not in USAGE_OPTION_PATHS
        or not client.answerer.known
        or client.answerer.label not in USAGE_OPTION_HOSTS
        or not isinstance(body, DICT)
        or "stream_options" in body
        or "stream_options" in (options.extra_json or NOTHING)
        or any(name.lower() == "x-stainless-raw-response" for name in headers)
    ):
        return False
    options.json_data = {**body, "stream_options": {"include_usage": True}}
    return True


@_guard.guarded
def watched(stream: Any) -> Recording | None:
    recording = tied(stream.response)
    return None if recording is None or recording.ended else recording


@_guard.guarded
def propagate(recording: Recording, request: Any) -> None:
    """Send the span's context with an attempt, to a host that the user allowed."""
    recording.recorder.inject(recording, request.headers)


@_guard.guarded
def refused(recording: Recording, response: Any) -> None:
    """An attempt was answered with an error."""
    recording.status = response.status_code
    _headers.read(recording.op, response.headers.raw, response.status_code)


@_guard.guarded
def retrying(recording: Recording, wait: float, client: Any, options: Any) -> None:
    """The SDK will wait and send again."""
    number = len(recording.op.attempts) + 1
    broken = sys.exception() if recording.status is None else None
    error = None if broken is None else type(broken).__name__
    attempt = Attempt(number, recording.status, perf_counter() - recording.sent, float(wait), error)
    recording.status = None
    recording.recorder.retried(recording, attempt)
    recording.sent = 0.0
    recording.op.parameters["max_retries"] = options.get_max_retries(client.max_retries)


@_guard.guarded
def failed(recording: Recording, error: BaseException) -> None:
    """The call raised."""
    op = recording.op
    if op.attempts and not recording.sent:  # given up while the SDK waited: there was no other attempt
        op.attempts = op.attempts[:-1]
    if recording.adopting and not recording.op.span_id:
        recording.take(None)  # it failed before the SDK started the span that was to be adopted
    response = recording.http
    answer = getattr(error, "response", None)
    if answer is not None and response is None:
        _headers.read(op, answer.headers.raw, answer.status_code)
    elif response is not None and response.is_closed and not op.stream:
        # The answer came and was billed, then something in it could not be parsed.
        recording.response(_json(response))
    recording.fail(error)


def returned(recording: Recording, result: Any) -> None:
    """The call gave the application its result; a stream or an unread body goes on."""
    try:
        response = recording.http
        recorder = recording.recorder
        if recorder.config.response_hook is not None:
            recorder.hook(recorder.config.response_hook, recording, result)
        if response is not None and (recording.op.stream or not response.is_closed):
            recording.http = None  # the stream goes on, and its death must not wait for us
            return
        is_raw = result is response or "http_response" in getattr(result, "__dict__", NOTHING)
        recording.response(_json(response) if is_raw else result)
        recording.end(Outcome.COMPLETED)
    except Exception as error:  # noqa: BLE001 - as in `asked`
        _guard.caught(error)


def _json(response: Any) -> Any:
    """The body of a response that was read, if it is JSON of a size worth parsing a second time."""
    content = response.content
    if len(content) > _MAX_RAW or content.lstrip()[:1] != b"{":
        return None
    try:
        return json.loads(content)
    except ValueError:
        return None  # a body that is no JSON has no facts
