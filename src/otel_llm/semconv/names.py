"""The names of attributes, as string constants: the conventions' own, then ours.

They are written out here and not imported from `opentelemetry-semantic-conventions`, where every GenAI name
is marked deprecated since the conventions moved, and the newer ones are missing.
What each means, its type and when it is set is in the tables: `v1_41`, `latest`, `own`.
"""

from __future__ import annotations

from typing import Final

# Conventions of OpenTelemetry itself (stable).

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
USER_ID: Final = "user.id"

# GenAI conventions, the same in v1.41 and later.

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"

USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
AGENT_VERSION: Final = "gen_ai.agent.version"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"

OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"

# GenAI conventions, v1.41 only.

TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no secret
USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"

# GenAI conventions, merged after v1.41 and in no release: for `latest` alone.

TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105 - no secret
USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
REQUEST_STREAM_CURSOR: Final = "gen_ai.request.stream_cursor"
RESPONSE_STATUS: Final = "gen_ai.response.status"

# Ours. What `latest` has and v1.41 lacks keeps its shape under our prefix, since nothing unreleased goes
# under `gen_ai.` unless it was asked for.

OUTCOME: Final = "otel_llm.outcome"
COST: Final = "otel_llm.cost"

USAGE_SOURCE: Final = "otel_llm.usage.source"
OWN_USAGE_CACHE_WRITE_5M: Final = "otel_llm.usage.cache_write_5m.input_tokens"
OWN_USAGE_CACHE_WRITE_1H: Final = "otel_llm.usage.cache_write_1h.input_tokens"

REQUEST_ATTEMPTS: Final = "otel_llm.request.attempts"
REQUEST_MAX_RETRIES: Final = "otel_llm.request.max_retries"
OWN_REQUEST_SERVICE_TIER: Final = "otel_llm.request.service_tier"
OWN_REQUEST_REASONING_LEVEL: Final = "otel_llm.request.reasoning.level"
OWN_REQUEST_PREVIOUS_RESPONSE_ID: Final = "otel_llm.request.previous_response.id"
OWN_REQUEST_STREAM_CURSOR: Final = "otel_llm.request.stream_cursor"

ATTEMPT_OUTCOME: Final = "otel_llm.attempt.outcome"
ATTEMPT_STATUSES: Final = "otel_llm.attempt.statuses"
ATTEMPT_ERRORS: Final = "otel_llm.attempt.errors"
ATTEMPT_DURATIONS: Final = "otel_llm.attempt.durations"
ATTEMPT_DELAYS: Final = "otel_llm.attempt.delays"
RETRY_DELAY: Final = "otel_llm.retry.delay"

RATELIMIT_REMAINING_REQUESTS: Final = "otel_llm.ratelimit.remaining.requests"
RATELIMIT_REMAINING_TOKENS: Final = "otel_llm.ratelimit.remaining.tokens"
RATELIMIT_LIMIT_REQUESTS: Final = "otel_llm.ratelimit.limit.requests"
RATELIMIT_LIMIT_TOKENS: Final = "otel_llm.ratelimit.limit.tokens"
RATELIMIT_RESET_REQUESTS: Final = "otel_llm.ratelimit.reset.requests"
RATELIMIT_RESET_TOKENS: Final = "otel_llm.ratelimit.reset.tokens"

RESPONSE_REQUEST_ID: Final = "otel_llm.response.request_id"
RESPONSE_ORGANIZATION: Final = "otel_llm.response.organization"
RESPONSE_PROCESSING_TIME: Final = "otel_llm.response.processing_time"
RESPONSE_STATUS_CODE: Final = "otel_llm.response.status_code"
"""Not `http.response.status_code`: backends take a span with that for an HTTP span, which is its child."""
RESPONSE_TOOL_CALLS: Final = "otel_llm.response.tool_calls"
OWN_RESPONSE_SERVICE_TIER: Final = "otel_llm.response.service_tier"
OWN_SYSTEM_FINGERPRINT: Final = "otel_llm.response.system_fingerprint"
OWN_RESPONSE_STATUS: Final = "otel_llm.response.status"

ERROR_CATEGORY: Final = "otel_llm.error.category"
ERROR_CODE: Final = "otel_llm.error.code"
ERROR_RETRYABLE: Final = "otel_llm.error.retryable"

STREAM_CHUNKS: Final = "otel_llm.stream.chunks"
STREAM_SIZE: Final = "otel_llm.stream.size"
STREAM_GAP_P50: Final = "otel_llm.stream.gap.p50"
STREAM_GAP_P99: Final = "otel_llm.stream.gap.p99"
STREAM_GAP_MAX: Final = "otel_llm.stream.gap.max"
STREAM_TOKEN_RATE: Final = "otel_llm.stream.token_rate"  # noqa: S105 - no secret

BUDGET_SCOPE: Final = "otel_llm.budget.scope"
BUDGET_LIMIT: Final = "otel_llm.budget.limit"
BUDGET_SPENT: Final = "otel_llm.budget.spent"
BUDGET_EXCEEDED_BY: Final = "otel_llm.budget.exceeded_by"

CACHE_NAME: Final = "otel_llm.cache.name"
CACHE_OPERATION: Final = "otel_llm.cache.operation"
CIRCUIT_BREAKER_NAME: Final = "otel_llm.circuit_breaker.name"
CIRCUIT_BREAKER_STATE: Final = "otel_llm.circuit_breaker.state"

# Names of events.

DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
EXCEPTION_EVENT: Final = "gen_ai.client.operation.exception"
BUDGET_EVENT: Final = "otel_llm.budget.exceeded"
