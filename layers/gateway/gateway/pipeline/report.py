"""The `gateway` member of every reply: who served it, and what the gateway itself took."""

from __future__ import annotations

from msgspec import UNSET

from gateway.model.completion import AttemptReport, GatewayReport
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.ports import Clock


def report(exchange: Exchange, clock: Clock) -> GatewayReport:
    """What happened so far; `overhead_ms` covers everything from arrival that was not waiting."""
    used = exchange.attempts[-1].route
    latency_s = clock.monotonic_s() - exchange.started_s
    return GatewayReport(
        request_id=exchange.request_id,
        provider=used.provider.name,
        model_requested=exchange.model_requested or used.model_id,
        model_used=used.model_id,
        fallback_used=len({attempt.route.model_id for attempt in exchange.attempts}) > 1,
        attempts=[_attempt_report(attempt, clock.monotonic_s()) for attempt in exchange.attempts],
        latency_ms=_ms(latency_s),
        overhead_ms=_ms(latency_s - exchange.waited_s),
        schemas_used=exchange.schemas_used or UNSET,
    )


def _attempt_report(attempt: Attempt, now_s: float) -> AttemptReport:
    ended_s = now_s if attempt.ended_s is None else attempt.ended_s
    return AttemptReport(
        provider=attempt.route.provider.name,
        model=attempt.route.model_id,
        status="error" if attempt.error else "ok",
        code=attempt.error.code if attempt.error else None,
        latency_ms=_ms(ended_s - attempt.started_s),
        ttft_ms=None if attempt.ttft_s is None else _ms(attempt.ttft_s),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
