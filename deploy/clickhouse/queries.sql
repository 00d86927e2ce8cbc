-- What to ask the tables that the Collector's ClickHouse exporter makes.
-- otel_traces holds the sampled spans: for sums over all calls ask the metrics in Prometheus.

-- The dearest calls of the last day.
SELECT
    Timestamp,
    ServiceName,
    SpanAttributes['gen_ai.request.model'] AS model,
    toFloat64OrZero(SpanAttributes['otel_llm.cost']) AS dollars,
    SpanAttributes['gen_ai.usage.input_tokens'] AS input_tokens,
    SpanAttributes['gen_ai.usage.output_tokens'] AS output_tokens,
    TraceId
FROM otel.otel_traces
WHERE Timestamp >= now() - INTERVAL 1 DAY AND SpanAttributes['gen_ai.request.model'] != ''
ORDER BY dollars DESC
LIMIT 50;

-- Why calls fail, by provider and kind of error.
SELECT
    SpanAttributes['gen_ai.provider.name'] AS provider,
    SpanAttributes['otel_llm.error.category'] AS category,
    SpanAttributes['error.type'] AS error,
    count() AS calls,
    max(Timestamp) AS last
FROM otel.otel_traces
WHERE Timestamp >= now() - INTERVAL 1 DAY AND StatusCode = 'Error' AND category != ''
GROUP BY provider, category, error
ORDER BY calls DESC;

-- Streams that stalled, the worst first.
SELECT
    Timestamp,
    SpanAttributes['gen_ai.request.model'] AS model,
    toFloat64OrZero(SpanAttributes['otel_llm.stream.gap.max']) AS longest_pause,
    toFloat64OrZero(SpanAttributes['gen_ai.response.time_to_first_chunk']) AS first_chunk,
    SpanAttributes['otel_llm.response.request_id'] AS request_id,
    TraceId
FROM otel.otel_traces
WHERE Timestamp >= now() - INTERVAL 1 DAY AND longest_pause > 2
ORDER BY longest_pause DESC
LIMIT 50;

-- Sessions and what they cost (`otel_llm.session(...)`).
SELECT
    SpanAttributes['gen_ai.conversation.id'] AS conversation,
    count() AS calls,
    sum(toFloat64OrZero(SpanAttributes['otel_llm.cost'])) AS dollars
FROM otel.otel_traces
WHERE Timestamp >= now() - INTERVAL 7 DAY AND conversation != ''
GROUP BY conversation
ORDER BY dollars DESC
LIMIT 50;

-- The exceptions behind failed calls: events are log records.
SELECT Timestamp, ServiceName, LogAttributes['exception.type'] AS exception, LogAttributes['error.type'] AS error, TraceId
FROM otel.otel_logs
WHERE Timestamp >= now() - INTERVAL 1 DAY AND exception != ''
ORDER BY Timestamp DESC
LIMIT 100;
