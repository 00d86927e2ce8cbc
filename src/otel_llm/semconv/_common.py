"""What v1.41 and the merged conventions after it have in common."""

from __future__ import annotations

from typing import Final

from . import names
from ._types import Attribute, SpanForm

INFERENCE_OPERATIONS: Final = ("chat", "text_completion", "generate_content")
"""The operations of the inference span; the conventions' other operations have spans of their own."""

ERROR = Attribute(
    names.ERROR_TYPE,
    "string",
    "conditionally_required",
    when="the call failed",
    brief="The provider's error code, `timeout`, or the exception's class.",
)
OPERATION = Attribute(
    names.OPERATION_NAME,
    "string",
    "required",
    brief="What was asked for.",
    values=(*INFERENCE_OPERATIONS, "embeddings", "execute_tool", "invoke_agent", "create_agent", "retrieval"),
    at_start=True,
)
PROVIDER = Attribute(names.PROVIDER_NAME, "string", "required", brief="Who answers.", at_start=True)
REQUEST_MODEL = Attribute(
    names.REQUEST_MODEL,
    "string",
    "conditionally_required",
    when="the request names a model",
    brief="The model as asked for.",
    at_start=True,
)
SERVER_ADDRESS = Attribute(names.SERVER_ADDRESS, "string", brief="The host of the API.", at_start=True)
SERVER_PORT = Attribute(
    names.SERVER_PORT,
    "int",
    "conditionally_required",
    when="`server.address` is set",
    brief="Its port.",
    at_start=True,
)
COMMON = (OPERATION, PROVIDER, REQUEST_MODEL, SERVER_ADDRESS, SERVER_PORT, ERROR)
"""On every span of a call to a provider."""

RESPONSE_MODEL = Attribute(names.RESPONSE_MODEL, "string", brief="The model that answered.")
INPUT_TOKENS = Attribute(
    names.USAGE_INPUT_TOKENS, "int", brief="Input tokens as billed, cached ones included.", unit="{token}"
)
CONVERSATION = Attribute(
    names.CONVERSATION_ID,
    "string",
    "conditionally_required",
    when="the request or the application gives one",
    brief="The conversation the call belongs to.",
)

REQUEST = (
    Attribute(names.REQUEST_MAX_TOKENS, "int", brief="The most tokens to generate.", unit="{token}"),
    Attribute(
        names.REQUEST_CHOICE_COUNT,
        "int",
        "conditionally_required",
        when="in the request and not 1",
        brief="How many answers to generate.",
    ),
    Attribute(names.REQUEST_TEMPERATURE, "double", brief="The sampling temperature."),
    Attribute(names.REQUEST_TOP_P, "double", brief="The nucleus sampling setting."),
    Attribute(names.REQUEST_STOP_SEQUENCES, "string[]", brief="Texts at which generation stops."),
    Attribute(names.REQUEST_FREQUENCY_PENALTY, "double", brief="The frequency penalty."),
    Attribute(names.REQUEST_PRESENCE_PENALTY, "double", brief="The presence penalty."),
    Attribute(
        names.REQUEST_SEED,
        "int",
        "conditionally_required",
        when="in the request",
        brief="Asks for the same answer to the same request.",
    ),
    Attribute(
        names.REQUEST_STREAM,
        "boolean",
        "conditionally_required",
        when="the request streams; never `false`",
        brief="The answer comes in chunks.",
    ),
    Attribute(
        names.OUTPUT_TYPE,
        "string",
        "conditionally_required",
        when="the request asks for a type of output",
        brief="The type of output asked for.",
        values=("text", "json", "image", "speech"),
        open=False,
    ),
)

RESPONSE = (
    Attribute(names.RESPONSE_ID, "string", brief="The provider's id of the answer."),
    RESPONSE_MODEL,
    Attribute(
        names.FINISH_REASONS,
        "string[]",
        brief="Why generation stopped, one per choice, in order; `error` where a choice never finished.",
    ),
    Attribute(
        names.TIME_TO_FIRST_CHUNK,
        "double",
        when="the request streams",
        brief="From issuing the request to the first chunk.",
        unit="s",
    ),
)

USAGE = (
    INPUT_TOKENS,
    Attribute(
        names.USAGE_OUTPUT_TOKENS, "int", brief="Output tokens as billed, reasoning included.", unit="{token}"
    ),
    Attribute(
        names.USAGE_CACHE_READ_INPUT_TOKENS,
        "int",
        when="the provider counts them",
        brief="Input tokens read from the provider's cache, a part of the input.",
        unit="{token}",
    ),
    Attribute(
        names.USAGE_REASONING_OUTPUT_TOKENS,
        "int",
        when="the provider counts them",
        brief="Output tokens spent on reasoning, a part of the output.",
        unit="{token}",
    ),
)

CONTENT = (
    Attribute(
        names.SYSTEM_INSTRUCTIONS, "any", "opt_in", brief="Instructions given apart from the messages."
    ),
    Attribute(names.INPUT_MESSAGES, "any", "opt_in", brief="The messages sent, in order."),
    Attribute(names.OUTPUT_MESSAGES, "any", "opt_in", brief="The answers, one message per choice."),
    Attribute(names.TOOL_DEFINITIONS, "any", "opt_in", brief="The tools the model may ask for."),
)

OPENAI = (
    Attribute(
        names.OPENAI_API_TYPE,
        "string",
        when="OpenAI's and Azure's hosts",
        brief="The flavour of the API.",
        values=("chat_completions", "responses"),
        open=False,
    ),
    Attribute(
        names.OPENAI_REQUEST_SERVICE_TIER,
        "string",
        "conditionally_required",
        when="in the request and not `auto`; OpenAI's and Azure's hosts",
        brief="The service tier asked for.",
        values=("auto", "default"),
    ),
    Attribute(
        names.OPENAI_RESPONSE_SERVICE_TIER,
        "string",
        "conditionally_required",
        when="in the response; OpenAI's and Azure's hosts",
        brief="The service tier that answered.",
    ),
    Attribute(
        names.OPENAI_SYSTEM_FINGERPRINT,
        "string",
        when="OpenAI's and Azure's hosts",
        brief="Changes when the provider's system does.",
    ),
)

EMBEDDINGS = (
    Attribute(names.REQUEST_ENCODING_FORMATS, "string[]", brief="The encodings asked for."),
    INPUT_TOKENS,
    Attribute(names.EMBEDDINGS_DIMENSION_COUNT, "int", brief="The dimensions asked for."),
    RESPONSE_MODEL,
)

TOOL = (
    OPERATION,
    Attribute(names.TOOL_NAME, "string", "required", brief="The tool's name.", at_start=True),
    Attribute(names.TOOL_CALL_ID, "string", when="known", brief="The model's id of the tool call."),
    Attribute(names.TOOL_DESCRIPTION, "string", when="known", brief="What the tool is for."),
    Attribute(
        names.TOOL_TYPE,
        "string",
        when="known",
        brief="`function`, `extension` or `datastore`.",
        at_start=True,
    ),
    Attribute(names.TOOL_CALL_ARGUMENTS, "any", "opt_in", brief="What the tool was given."),
    Attribute(names.TOOL_CALL_RESULT, "any", "opt_in", brief="What the tool gave back."),
    ERROR,
)

EXCEPTION = (
    *COMMON,
    Attribute(
        names.EXCEPTION_TYPE, "string", "required", brief="The qualified name of the exception's class."
    ),
    Attribute(names.EXCEPTION_MESSAGE, "string", when="content is captured", brief="The exception's text."),
    Attribute(names.EXCEPTION_STACKTRACE, "string", when="content is captured", brief="The stack trace."),
)

PARAMETERS: dict[str, str] = {
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "top_k": names.REQUEST_TOP_K,
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
    "seed": names.REQUEST_SEED,
    "stop_sequences": names.REQUEST_STOP_SEQUENCES,
    "choice_count": names.REQUEST_CHOICE_COUNT,
    "output_type": names.OUTPUT_TYPE,
    "encoding_formats": names.REQUEST_ENCODING_FORMATS,
    "dimension_count": names.EMBEDDINGS_DIMENSION_COUNT,
    "service_tier": names.OPENAI_REQUEST_SERVICE_TIER,
    "max_retries": names.REQUEST_MAX_RETRIES,
}
"""The parameters whose attribute has one name in both versions."""

USAGE_FIELDS: tuple[tuple[str, str], ...] = (
    ("input", names.USAGE_INPUT_TOKENS),
    ("output", names.USAGE_OUTPUT_TOKENS),
    ("cache_read", names.USAGE_CACHE_READ_INPUT_TOKENS),
    ("reasoning", names.USAGE_REASONING_OUTPUT_TOKENS),
    ("cache_write_5m", names.OWN_USAGE_CACHE_WRITE_5M),
    ("cache_write_1h", names.OWN_USAGE_CACHE_WRITE_1H),
)
"""The fields of `Usage` whose attribute has one name in both versions."""

MODALITIES: Final = ("text", "image", "audio")


def modality_attributes(prefix: str) -> dict[str, str]:
    """From keys of `Usage.modalities` to attributes `{prefix}.{modality}.{what}_tokens`."""
    ends = {"input": "input_tokens", "cache_read": "cache_read.input_tokens", "output": "output_tokens"}
    return {f"{kind}.{key}": f"{prefix}.{kind}.{end}" for key, end in ends.items() for kind in MODALITIES}


def modality_brief(key: str) -> str:
    """What a count of `Usage.modalities` is, in words."""
    modality, _, what = key.partition(".")
    return f"{modality.capitalize()} tokens of the {'cached input' if what == 'cache_read' else what}."


REQUIRED: Final = (names.OPERATION_NAME, names.PROVIDER_NAME)
"""On every metric point."""

OPTIONAL: Final = (names.REQUEST_MODEL, names.RESPONSE_MODEL)
"""On every metric point of a call, where known."""

ASKED: Final = (names.REQUEST_MODEL,)
"""On points that are recorded before the answer is known, where known."""

ENDED: Final = (
    *OPTIONAL,
    names.SERVER_ADDRESS,
    names.SERVER_PORT,
    names.OPENAI_RESPONSE_SERVICE_TIER,
    names.ERROR_TYPE,
)
"""On durations, where known. Each attribute costs every record, and one metric by server and tier is enough."""

_OTHER_BRIEF = "A call that the conventions have no span for: an operation of ours, or of `otel_llm.track`."


def other(attributes: tuple[Attribute, ...]) -> SpanForm:
    """The form of spans whose operation has no form of its own."""
    return SpanForm("otel_llm.other", (), "client", attributes, names.REQUEST_MODEL, _OTHER_BRIEF)
