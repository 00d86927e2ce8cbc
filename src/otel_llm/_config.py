"""Every setting of the package: one frozen `Config`, and the only reader of our environment variables.

Each setting has a keyword of `instrument()` and, where its value can be written as text, an environment variable;
the keyword wins.
A value in the environment that cannot be used warns and leaves the default, as a typing error there must not stop
a program; a wrong keyword raises.
docs/configuration.md is generated from this module (`python -m otel_llm._config`).
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from ._operation import Operation

__all__ = ["Config"]

_log = logging.getLogger("otel_llm")

CAPTURE_MODES = ("no_content", "span_only", "event_only", "span_and_event")
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off", "")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"expected true or false, not {value!r}")


def _choice(*allowed: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = str(value).strip().lower()
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}, not {value!r}")
        return text

    return parse


def _capture(value: Any) -> str:
    """The capture mode; `true` is what other packages document, and means `span_only` here."""
    if isinstance(value, bool):
        return "span_only" if value else "no_content"
    text = str(value).strip().lower()
    if text in _TRUE:
        _log.warning("The content capture mode %r means span_only; say so to silence this warning", value)
        return "span_only"
    return "no_content" if text in _FALSE else _choice(*CAPTURE_MODES)(text)


def _per_chunk(value: Any) -> str:
    if isinstance(value, bool):
        return "gaps" if value else "off"
    return _choice("off", "gaps", "all")(
        {"true": "gaps", "false": "off"}.get(str(value).strip().lower(), value)
    )


def _seconds(value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(f"expected a positive number of seconds, not {value!r}")
    return number


def _positive(value: Any) -> int:
    number = int(value)
    if number <= 0:
        raise ValueError(f"expected a positive whole number, not {value!r}")
    return number


def _dollars(value: Any) -> Decimal:
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - only who has a budget needs it

    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"expected an amount of US dollars, not {value!r}") from None
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"expected a positive amount of US dollars, not {value!r}")
    return amount


def _names(value: Any) -> tuple[str, ...]:
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value
    return tuple(text for part in parts if (text := str(part).strip().lower()))


def _pairs(value: Any) -> Mapping[str, str]:
    given: Any = value
    if hasattr(given, "items"):
        return {str(host).lower(): str(name) for host, name in given.items()}
    pairs: dict[str, str] = {}
    for part in str(value).split(","):
        host, equals, name = part.partition("=")
        if not equals or not host.strip() or not name.strip():
            raise ValueError(f"expected host=provider, not {part!r}")
        pairs[host.strip().lower()] = name.strip()
    return pairs


def _function(value: Any) -> Any:
    if not callable(value):
        raise ValueError(f"expected a function, not {value!r}")  # noqa: TRY004 - as for every bad value
    return value


def _as_is(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    return str(value).strip()


def _setting(
    default: Any,
    doc: str,
    *,
    env: str | None = None,
    parse: Callable[[Any], Any] = _as_is,
    forbids: bool = False,
) -> Any:
    """One setting; `forbids` is for one that only the environment can lift, and that doubt sets."""
    return field(default=default, metadata={"doc": doc, "env": env, "parse": parse, "forbids": forbids})


_OURS = "OTEL_INSTRUMENTATION_LLM_"
_GENAI = "OTEL_INSTRUMENTATION_GENAI_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What `instrument()` was told, by keywords and environment."""

    capture_content: str = _setting(
        "no_content",
        "Where prompts and answers go: `no_content`, `span_only`, `event_only` or `span_and_event`.",
        env=_GENAI + "CAPTURE_MESSAGE_CONTENT",
        parse=_capture,
    )
    content_off: bool = _setting(
        False,
        "Never record content, whatever any other setting or a single call asks for; where the variable says so, "
        "no keyword lifts it, and a value of it that is neither true nor false says so too.",
        env=_OURS + "CONTENT_OFF",
        parse=_flag,
        forbids=True,
    )
    capture_blobs: bool = _setting(
        False,
        "Record images, audio and files themselves instead of their type, size and hash.",
        env=_OURS + "CAPTURE_BLOBS",
        parse=_flag,
    )
    max_attribute_bytes: int = _setting(
        256 * 1024,
        "The longest content attribute in bytes; longer texts are shortened, the JSON stays valid.",
        env=_OURS + "MAX_ATTRIBUTE_BYTES",
        parse=_positive,
    )
    max_span_bytes: int = _setting(
        1024 * 1024,
        "The most content one span holds, in bytes.",
        env=_OURS + "MAX_SPAN_BYTES",
        parse=_positive,
    )
    redact: Callable[[dict[str, Any]], Any] | None = _setting(
        None,
        "A function that is given each message part before anything else sees it, and returns what is recorded.",
        parse=_function,
    )
    completion_hook: str | None = _setting(
        None,
        "An entry point of the group `opentelemetry_genai_completion_hook`, such as `upload`.",
        env=_GENAI + "COMPLETION_HOOK",
        parse=_text,
    )
    semconv: str = _setting(
        "1.41",
        "The convention version of span attributes and metrics: `1.41`, `latest` (merged, unreleased) or `both`.",
        env=_OURS + "SEMCONV",
        parse=_choice("1.41", "latest", "both"),
    )
    metrics: str = _setting(
        "all",
        "Which metrics: `all`, `basic`, `cost` or `off`.",
        env=_OURS + "METRICS",
        parse=_choice("all", "basic", "cost", "off"),
    )
    chunk_metrics: str = _setting(
        "gaps",
        "What is recorded at every chunk, the one cost per chunk worth knowing: `off`, `gaps` (the time between "
        "chunks) or `all` (their sizes too, which doubles it).",
        env=_OURS + "CHUNK_METRICS",
        parse=_per_chunk,
    )
    providers: Mapping[str, str] | None = _setting(
        None,
        "Who answers at a host: `host=provider`, comma separated (a mapping as keyword). Wins over the built-in table.",
        env=_OURS + "PROVIDERS",
        parse=_pairs,
    )
    propagate_hosts: tuple[str, ...] = _setting(
        (),
        "Hosts that are sent a `traceparent` naming our span (a gateway of yours); comma separated.",
        env=_OURS + "PROPAGATE_HOSTS",
        parse=_names,
    )
    anthropic_native: str = _setting(
        "replace",
        "What becomes of the spans that the anthropic SDK makes itself: `replace`, `adopt` or `coexist`.",
        env=_OURS + "ANTHROPIC_NATIVE",
        parse=_choice("replace", "adopt", "coexist"),
    )
    stream_usage: str = _setting(
        "off",
        "`inject` asks hosts known to support it for token counts of streams, and hides the extra chunk.",
        env=_OURS + "STREAM_USAGE",
        parse=_choice("off", "inject"),
    )
    estimate_usage: bool = _setting(
        False,
        "Estimate token counts that the provider does not give (extra `tokenizer` for exact ones).",
        env=_OURS + "ESTIMATE_USAGE",
        parse=_flag,
    )
    cost: Any = _setting(
        None,
        "Price calls: true for the price table of the extra `cost`, or a function of the operation, or a table.",
        env=_OURS + "COST",
        parse=lambda value: _flag(value) if isinstance(value, str) else value,
    )
    cost_threshold: Decimal | None = _setting(
        None,
        "US dollars one call may cost before a budget event is sent.",
        env=_OURS + "COST_THRESHOLD",
        parse=_dollars,
    )
    cost_budget: Decimal | None = _setting(
        None,
        "US dollars a window may cost before a budget event is sent.",
        env=_OURS + "COST_BUDGET",
        parse=_dollars,
    )
    cost_window: float = _setting(
        3600.0, "Length of the budget's window in seconds.", env=_OURS + "COST_WINDOW", parse=_seconds
    )
    log: str = _setting(
        "off",
        "The level from which the default logger writes: `off`, `debug`, `info`, `warning`, `error`.",
        env=_OURS + "LOG",
        parse=_choice("off", "debug", "info", "warning", "error"),
    )
    live: str | None = _setting(
        None,
        "`host:port` at which the program serves its own live view (extra `live`).",
        env=_OURS + "LIVE",
        parse=_text,
    )
    live_token: str | None = _setting(
        None,
        "The token that the program's own live view asks for; without one it serves the loopback interface only.",
        env=_OURS + "LIVE_TOKEN",
        parse=_text,
    )
    on_progress: Callable[[Any], None] | None = _setting(
        None, "A function that is given reports of running streams, in the background.", parse=_function
    )
    progress_interval: float = _setting(
        1.0, "Seconds between progress reports.", env=_OURS + "PROGRESS_INTERVAL", parse=_seconds
    )
    capture_raw_chunks: bool = _setting(
        False,
        "Hand raw chunks to `on_progress` (needs content capture, and no `redact`; never exported).",
        parse=_flag,
    )
    max_raw_bytes: int = _setting(1024 * 1024, "The most raw chunk bytes kept per stream.", parse=_positive)
    filters: Sequence[Callable[[Operation], bool]] = _setting(
        (),
        "Functions of the operation at its start; a call for which one returns false leaves no telemetry.",
        parse=lambda value: tuple(map(_function, value)),
    )
    request_hook: Callable[[Any, Any], None] | None = _setting(
        None, "Called with the span and the SDK's request options when a call starts.", parse=_function
    )
    response_hook: Callable[[Any, Any], None] | None = _setting(
        None, "Called with the span and the SDK's response object when there is one.", parse=_function
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, /, **keywords: Any) -> Config:
        """Merge keywords over `environ` (default: the process's) over defaults.

        Raises TypeError for an unknown keyword and ValueError for a keyword's bad value.
        """
        environ = os.environ if environ is None else environ
        table = {item.name: item for item in fields(cls)}
        unknown = sorted(set(keywords) - set(table))
        if unknown:
            raise TypeError(f"instrument() got unknown options {unknown}; known are {sorted(table)}")
        values: dict[str, Any] = {}
        for name, item in table.items():
            metadata, given = item.metadata, keywords.get(name)
            if given is not None:
                values[name] = _checked(name, metadata["parse"], given)
            text = environ.get(metadata["env"] or "", "").strip()
            if text and (given is None or (metadata["forbids"] and not values[name])):
                _from_environment(values, name, metadata, text)
        return cls(**values)


def _checked(name: str, parse: Callable[[Any], Any], given: Any) -> Any:
    try:
        return parse(given)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"instrument({name}=...): {error}") from None


def _from_environment(values: dict[str, Any], name: str, metadata: Mapping[str, Any], text: str) -> None:
    try:
        values[name] = metadata["parse"](text)
    except (ValueError, TypeError) as error:
        if metadata["forbids"]:
            values[name] = True
            _log.warning("%s is taken for true: %s", metadata["env"], error)
        else:
            _log.warning("%s is ignored: %s", metadata["env"], error)


def _default(value: Any) -> str:
    if value is None or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def page() -> str:
    """The table of docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Each setting is a keyword of `LLMInstrumentor().instrument(...)` and, unless it needs a function of yours,"
        " an environment variable; the keyword wins.",
        "The standard `OTEL_*` variables do what they do everywhere:"
        " exporters, sampling, resource, propagators, `OTEL_SDK_DISABLED`.",
        "A value in the environment that cannot be used is ignored with a warning; a bad keyword raises.",
        "",
        "| keyword | environment variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for item in fields(Config):
        variable = item.metadata["env"]
        lines.append(
            f"| `{item.name}` | {f'`{variable}`' if variable else ''} | {_default(item.default)} "
            f"| {item.metadata['doc']} |"
        )
    lines += [
        "",
        "`tracer_provider`, `meter_provider` and `logger_provider` take OpenTelemetry providers;"
        " without them the global ones are used, whether they are set before or after.",
        "",
        "## Switching off",
        "",
        "| what | how |",
        "|---|---|",
        "| one provider | `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=anthropic` (names as the SDKs', comma separated) |",
        "| a block of code | `with suppress_instrumentation():` of OpenTelemetry,"
        " or `with otel_llm.options(enabled=False):` |",
        "| some calls | `filters=[lambda op: op.request_model != ...]` |",
        "| everything | `OTEL_SDK_DISABLED=true`, or `LLMInstrumentor().uninstrument()` |",
        "",
        "## Per call",
        "",
        "`with otel_llm.options(...)` overrides `capture_content`, `on_progress`, `progress_interval`,"
        " `capture_raw_chunks` and `max_raw_bytes` for the calls inside it, through `await` and tasks;"
        " `options(enabled=False)` leaves them without telemetry.",
        "`with otel_llm.session(conversation_id=..., user_id=..., **attributes)` names the conversation.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
