"""How the chat completions of other providers differ from OpenAI's, told by the SDK that asks.

Shapes: the types of the SDKs; when usage comes in a stream: the providers' own documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._wire import CREATED, Ask, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["dressed", "error_event", "usage_unasked"]

_NAMED_ERRORS = frozenset({"llamaapiclient", "perplexity", "sambanova", "writer"})
"""SDKs that know an error in a stream by the name of its event."""
_USAGE_UNASKED = frozenset({"cerebras", "fireworks", "perplexity", "together"})
"""Providers whose last chunk has the usage, asked or not."""


def usage_unasked(ask: Ask) -> bool:
    """Whether the last chunk of a stream has the usage though `stream_options` does not ask for it."""
    return ask.client in _USAGE_UNASKED


def error_event(ask: Ask, body: Mapping[str, Any]) -> Event:
    """An error within a stream of chat completions, as the asking SDK recognises it."""
    return Event(body, "error" if ask.client in _NAMED_ERRORS else None)


def dressed(ask: Ask, body: dict[str, Any], usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """A completion, or a chunk of one, with what the provider of the asking SDK adds.

    `usage` is given for the last chunk and for a whole completion.
    """
    dress = _DRESSES.get(ask.client)
    if dress is not None:
        dress(body, usage)
    return body


def _together(body: dict[str, Any], usage: dict[str, Any] | None) -> None:  # noqa: ARG001
    if body["object"] == "chat.completion.chunk":
        for choice in body["choices"]:
            choice["delta"].setdefault("role", "assistant")
    else:
        body["prompt"] = []


def _cerebras(body: dict[str, Any], usage: dict[str, Any] | None) -> None:
    for choice in body["choices"]:
        for call in choice.get("delta", {}).get("tool_calls", ()):
            call.setdefault("type", "function")  # its SDK takes the chunk for something else without it
    if usage is not None:
        body["time_info"] = {
            "queue_time": 0.001,
            "prompt_time": 0.002,
            "completion_time": 0.039,
            "total_time": 0.042,
            "created": CREATED,
        }


def _groq(body: dict[str, Any], usage: dict[str, Any] | None) -> None:
    if usage is not None:
        body["x_groq"] = {"id": "req_fake"} if "usage" in body else {"id": "req_fake", "usage": usage}


def _perplexity(body: dict[str, Any], usage: dict[str, Any] | None) -> None:
    """Each choice has both a message and a delta; usage says what the call cost."""
    for choice in body["choices"]:
        told = choice.get("message") or choice.get("delta")
        plain = {"role": "assistant", "content": told.get("content") or ""}
        choice.setdefault("message", plain)
        choice.setdefault("delta", {"role": "assistant", "content": ""})
        choice["delta"].setdefault("role", "assistant")
    if usage is not None and "usage" in body:
        cost = {"input_tokens_cost": 0.000012, "output_tokens_cost": 0.000008, "total_cost": 0.00502}
        body["usage"] = {**usage, "cost": {**cost, "request_cost": 0.005}, "search_context_size": "low"}


def _writer(body: dict[str, Any], usage: dict[str, Any] | None) -> None:
    if usage is not None and "prompt_tokens_details" in body.get("usage", {}):
        body["usage"] = {**usage, "prompt_token_details": usage["prompt_tokens_details"]}
        del body["usage"]["prompt_tokens_details"]


_DRESSES: Mapping[str, Callable[[dict[str, Any], dict[str, Any] | None], None]] = {
    "together": _together,
    "cerebras": _cerebras,
    "groq": _groq,
    "perplexity": _perplexity,
    "writer": _writer,
}
