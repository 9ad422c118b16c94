"""Which figures CloudWatch keeps, in which units and by which dimensions: few, because each combination costs money.

A tenant is never a dimension; its figures are members of the log's lines, and of the usage records.
"""

from __future__ import annotations

from typing import TypeAlias

from gateway.model.money import BATCH_TIER
from gateway.model.telemetry import ERROR, OPERATION, OUTCOME, PROVIDER, SERVICE, RequestLine, Trouble

Dimensions: TypeAlias = tuple[str, ...]

REQUESTS = "gateway.requests"
ERRORS = "gateway.errors"
LATENCY = "gateway.latency_ms"
OVERHEAD = "gateway.overhead_ms"
QUEUE = "gateway.queue_ms"
COST = "gateway.cost_nano_usd"
DURATION = "gen_ai.client.inference.duration"
TIME_TO_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.client.inference.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.client.inference.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.client.inference.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.client.inference.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.client.inference.usage.reasoning.output_tokens"
RETRIES = "gateway.retries"
FALLBACKS = "gateway.fallbacks"
RATE_LIMITED = "gateway.rate_limited"
BUDGET_DENIED = "gateway.budget_denied"
PROVIDER_RATE_LIMITED = "gateway.provider_rate_limited"
PROVIDER_FAULTS = "gateway.provider_faults"
STREAM_ABORTED = "gateway.stream_aborted"
STREAM_FAULTS = "gateway.stream_faults"
COLD_START = "gateway.cold_start"

REST_REQUESTS = "gateway.rest.requests"
REST_FAULTS = "gateway.rest.faults"
REST_LATENCY = "gateway.rest.latency_ms"
REST_COLD_START = "gateway.rest.cold_start"

RECORDS_COUNTED = "gateway.records.counted"
RECORDS_AGAIN = "gateway.records.again"
RECORDS_AGE = "gateway.records.age_s"
RECORDS_LAG = "gateway.records.lag_s"
JOBS_OLDEST_PENDING = "gateway.jobs.oldest_pending_s"

UNITS = {
    LATENCY: "Milliseconds",
    OVERHEAD: "Milliseconds",
    QUEUE: "Milliseconds",
    REST_LATENCY: "Milliseconds",
    DURATION: "Seconds",
    TIME_TO_FIRST_CHUNK: "Seconds",
    RECORDS_AGE: "Seconds",
    RECORDS_LAG: "Seconds",
    JOBS_OLDEST_PENDING: "Seconds",
    COST: "None",
}
"""Of what is not a count."""

_ALL: Dimensions = (SERVICE,)
_BY_OPERATION: Dimensions = (SERVICE, OPERATION)
_BY_OUTCOME: Dimensions = (SERVICE, OUTCOME)
_BY_PROVIDER: Dimensions = (SERVICE, PROVIDER)
_BY_PROVIDER_AND_OUTCOME: Dimensions = (SERVICE, PROVIDER, OUTCOME)
_BY_ERROR: Dimensions = (SERVICE, ERROR)

REQUEST_METRICS: dict[tuple[Dimensions, ...], tuple[str, ...]] = {
    (_ALL, _BY_OPERATION, _BY_OUTCOME, _BY_PROVIDER_AND_OUTCOME): (REQUESTS,),
    (_ALL, _BY_OPERATION): (LATENCY, OVERHEAD, QUEUE),
    (_ALL, _BY_PROVIDER): (
        *(DURATION, TIME_TO_FIRST_CHUNK, COST, INPUT_TOKENS, OUTPUT_TOKENS),
        *(CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, REASONING_TOKENS),
    ),
    (_ALL, _BY_ERROR): (ERRORS,),
    (_ALL,): (
        *(RETRIES, FALLBACKS, RATE_LIMITED, BUDGET_DENIED, PROVIDER_RATE_LIMITED, PROVIDER_FAULTS),
        *(STREAM_ABORTED, STREAM_FAULTS, COLD_START),
    ),
}
"""Of a RequestLine, by the combinations of dimensions that they are kept under."""

JOB_METRICS = (RECORDS_COUNTED, RECORDS_AGAIN, RECORDS_AGE, RECORDS_LAG, JOBS_OLDEST_PENDING)
"""Of a KeptLine, SweptLine or JobsSweptLine, by service and function. How holds ended the troubles count."""


def trouble_metric(trouble: Trouble) -> str:
    """By service alone."""
    return f"gateway.{trouble}"


def figures_of(line: RequestLine, *, is_cold: bool) -> dict[str, float]:
    """By metric, without those that do not apply: a count that is absent is a zero. How long a provider's batch took,
    for which nobody waits, is in no metric of those who do.
    """
    is_ours, is_waited_for = line.outcome == "gateway_error", line.service_tier != BATCH_TIER
    figures: dict[str, float | None] = {
        REQUESTS: 1,
        LATENCY: line.latency_ms if is_waited_for else None,
        OVERHEAD: line.overhead_ms,
        QUEUE: line.queue_ms,
        DURATION: line.duration_s if is_waited_for else None,
        TIME_TO_FIRST_CHUNK: line.time_to_first_chunk_s,
        COST: line.cost_nano_usd,
        INPUT_TOKENS: line.input_tokens,
        OUTPUT_TOKENS: line.output_tokens,
        CACHE_READ_TOKENS: line.cache_read_tokens or None,
        CACHE_WRITE_TOKENS: line.cache_write_tokens or None,
        REASONING_TOKENS: line.reasoning_tokens or None,
        RETRIES: line.retries or None,
        FALLBACKS: line.fallbacks or None,
    }
    counted = {
        ERRORS: line.error is not None,
        RATE_LIMITED: line.outcome == "limited" and line.error == "rate_limited",
        BUDGET_DENIED: line.error == "budget_exceeded",
        PROVIDER_RATE_LIMITED: line.outcome == "provider_error" and line.error == "rate_limited",
        PROVIDER_FAULTS: line.outcome == "provider_error" and line.status >= 500,
        STREAM_ABORTED: line.is_aborted,
        STREAM_FAULTS: line.is_aborted and is_ours,
        COLD_START: is_cold,
    }
    known = {name: figure for name, figure in figures.items() if figure is not None}
    return known | {name: 1.0 for name, happened in counted.items() if happened}
