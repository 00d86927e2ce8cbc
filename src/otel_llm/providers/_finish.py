"""Why a model stopped, in the conventions' words: `stop`, `length`, `content_filter`, `tool_call`, `error`.

The conventions have no vocabulary for the attribute yet, the message schema's enum is all they give.
A reason that is not in these tables is recorded as the provider gave it: `FINISH.get(reason, reason)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ANTHROPIC", "CLIENT_TOOLS", "OPENAI", "RESPONSES", "called_tool", "of_response"]

OPENAI: Final[Mapping[str, str]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "eos": "stop",  # Together: the model's end-of-sequence token
    "model_length": "length",  # Mistral: the model's context window is full
}
"""`finish_reason` of chat completions and legacy completions, of OpenAI and of hosts that speak its API."""

ANTHROPIC: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
    "pause_turn": "pause_turn",  # the server paused its own tools: the turn goes on with the next request
}
"""`stop_reason` of messages and of legacy completions."""

RESPONSES: Final[Mapping[str, str]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
"""`incomplete_details.reason` of a Response."""


CLIENT_TOOLS: Final[Mapping[str, str]] = {
    "computer_call": "computer",
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
}
"""Items of a Response that ask for a built-in tool which the application runs, and the tools' names."""


def called_tool(item: Mapping[str, Any]) -> str | None:
    """The tool that an item of a Response asks the application to run; None for any other item."""
    kind = item.get("type")
    if not isinstance(kind, str):
        return None
    name = item.get("name") if kind in ("function_call", "custom_tool_call") else CLIENT_TOOLS.get(kind)
    return name if isinstance(name, str) else None


def of_response(status: str | None, incomplete: object, *, called: bool) -> str | None:
    """The one finish reason of a Response, by its `status`; None while it has not ended.

    `incomplete` is `incomplete_details.reason`, `called` whether the output asks the application for a tool.
    """
    if status == "completed":
        return "tool_call" if called else "stop"
    if status == "incomplete":
        return RESPONSES.get(incomplete, incomplete) if isinstance(incomplete, str) else "error"
    return "error" if status in ("failed", "cancelled") else None
