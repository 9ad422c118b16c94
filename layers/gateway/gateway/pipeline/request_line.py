"""The log's line of a finished request: who, what, which model, tokens, nano-USD, times, whose doing a failure was."""

from __future__ import annotations

import msgspec

from gateway.model.money import has_price_for
from gateway.model.telemetry import RequestLine, outcome_of, provider_name
from gateway.pipeline.exchange import Attempt, Exchange

LONGEST_NAME = 128


def line_of(exchange: Exchange, now_s: float) -> RequestLine:
    """`now_s`: of the monotonic clock."""
    principal, error = exchange.principal, exchange.error
    models = {attempt.route.model_id for attempt in exchange.attempts}
    line = RequestLine(
        event="request.failed" if error else "request.completed",
        request_id=exchange.request_id,
        lambda_request_id=exchange.lambda_request_id,
        trace_id=exchange.trace.id,
        operation=exchange.operation,
        tenant_id=principal.tenant.id if principal else None,
        user_id=principal.user.id if principal else None,
        key_id=principal.key.id if principal else None,
        conversation_id=exchange.conversation_id,
        model_requested=exchange.model_requested,
        stream=exchange.stream,
        status=exchange.status or (error.status if error else 200),
        outcome=outcome_of(error),
        error=error.code if error else None,
        provider_code=error.provider_code if error else None,
        attempts=len(exchange.attempts),
        retries=max(0, len(exchange.attempts) - len(models)),
        fallbacks=len(exchange.switches),
        cost_nano_usd=exchange.cost_nano_usd,
        unpriced_attempts=exchange.unpriced_attempts,
        latency_ms=exchange.latency_ms(now_s),
        overhead_ms=exchange.overhead_ms(now_s),
        queue_ms=exchange.queue_ms,
    )
    return _with_attempt(line, exchange.attempts[-1], now_s) if exchange.attempts else line


def _with_attempt(line: RequestLine, last: Attempt, now_s: float) -> RequestLine:
    """What only a call to a provider can tell. The reply's own words are cut, for anybody may have written them."""
    ended_s = now_s if last.ended_s is None else last.ended_s
    line = msgspec.structs.replace(
        line,
        provider=provider_name(last.route.provider.name),
        request_model=last.route.facts.id,
        response_model=last.answered.model[:LONGEST_NAME] or None,
        finish_reasons=tuple(reason for _, reason in sorted(last.answered.finish_reasons.items())),
        service_tier=(last.answered.service_tier or "")[:LONGEST_NAME] or None,
        priced_as_default=not has_price_for(last.route.facts, last.answered.service_tier),
        duration_s=round(ended_s - last.started_s, 6),
        time_to_first_chunk_s=None if last.ttft_s is None else round(last.ttft_s, 6),
    )
    if (usage := last.usage) is None:
        return line
    return msgspec.structs.replace(
        line,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=usage.prompt.cached_tokens,
        cache_write_tokens=usage.prompt.cache_write_tokens,
        reasoning_tokens=usage.completion.reasoning_tokens,
        units=usage.units,
        usage_estimated=usage.estimated,
    )


def without_usage(line: RequestLine) -> RequestLine:
    """Of an answer whose job goes on: what that has cost is in the job's line."""
    return msgspec.structs.replace(
        line,
        input_tokens=None,
        output_tokens=None,
        cache_read_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        units={},
        usage_estimated=False,
        cost_nano_usd=None,
        unpriced_attempts=0,
    )
