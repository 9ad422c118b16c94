"""The `gateway` member of every reply: who served it, and what the gateway itself took."""

from __future__ import annotations

from msgspec import UNSET

from gateway.model.completion import AttemptReport, GatewayReport, HookReport
from gateway.model.errors import GatewayError
from gateway.model.hook import HookRun
from gateway.model.money import NANO_PER_USD
from gateway.pipeline.exchange import Attempt, Exchange, milliseconds
from gateway.ports import Clock


def report(exchange: Exchange, clock: Clock) -> GatewayReport:
    """What happened so far; `overhead_ms` covers everything from arrival that was not waiting."""
    used, now_s = exchange.attempts[-1].route, clock.monotonic_s()
    return GatewayReport(
        request_id=exchange.request_id,
        provider=used.provider.name,
        model_requested=exchange.model_requested or used.model_id,
        model_used=used.model_id,
        fallback_used=exchange.model_asked not in (None, used.model_id),
        attempts=_attempts(exchange, now_s),
        latency_ms=exchange.latency_ms(now_s),
        overhead_ms=exchange.overhead_ms(now_s),
        schemas_used=exchange.schemas_used or UNSET,
        hooks=[_hook_report(run) for run in exchange.hooks] or UNSET,
        left_out=exchange.left_out or UNSET,
    )


def explain(error: GatewayError, exchange: Exchange, clock: Clock) -> None:
    """Adds what the request has cost all the same, and who was asked where there were several."""
    exchange.charge(error)
    if len(exchange.attempts) > 1:
        error.attempts = _attempts(exchange, clock.monotonic_s())


def _attempts(exchange: Exchange, now_s: float) -> list[AttemptReport]:
    return [_attempt_report(attempt, now_s) for attempt in exchange.attempts]


def _hook_report(run: HookRun) -> HookReport:
    return HookReport(id=run.id, stage=run.stage, mode=run.mode, action=run.action, latency_ms=run.latency_ms)


def _attempt_report(attempt: Attempt, now_s: float) -> AttemptReport:
    ended_s = now_s if attempt.ended_s is None else attempt.ended_s
    return AttemptReport(
        provider=attempt.route.provider.name,
        model=attempt.route.model_id,
        status="cancelled" if attempt.is_overtaken else "error" if attempt.error else "ok",
        code=attempt.error.code if attempt.error else None,
        latency_ms=milliseconds(ended_s - attempt.started_s),
        ttft_ms=None if attempt.ttft_s is None else milliseconds(attempt.ttft_s),
        cost_estimate=_cost_usd(attempt),
    )


def _cost_usd(attempt: Attempt) -> float | None:
    """None while it is not known, or never will be."""
    if attempt.usage is None and (attempt.error is not None or attempt.is_overtaken):
        return 0.0
    return None if attempt.cost_nano_usd is None else attempt.cost_nano_usd / NANO_PER_USD
