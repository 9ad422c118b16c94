"""The last step, after the client has its answer: what happened is told, then what was held is settled. Never content.

In this order, because a hold is also the note that something has yet to be told: whatever dies in between, the sweeper
finds the hold, sees by the usage record what the request cost, and settles that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.model.errors import AdmissionUnavailable, GatewayError, InvalidApiKey
from gateway.model.ledger import booking, suffix
from gateway.model.money import has_price_for
from gateway.model.record import Attribution, AuditEvent, AuditName, Told, UsageRecord
from gateway.model.tenant import Principal
from gateway.pipeline.admit import Ticket, Used, give_back, settle
from gateway.pipeline.alerts import settled_of, tell_alerts
from gateway.pipeline.exchange import OVERTAKEN, Attempt, Exchange, milliseconds
from gateway.pipeline.meters import rules_of
from gateway.pipeline.once import end_claim
from gateway.pipeline.request_line import line_of, without_usage
from gateway.pipeline.upload import delete_uploads
from gateway.pipeline.used import used_of
from gateway.pipeline.vital_signs import tell_health
from gateway.ports import World

_DENIED = ("invalid_api_key", "tenant_disabled", "scope_missing")
"""At the door, where nothing is limited yet."""
_BLOCKED = (*_DENIED, "request_blocked", "response_blocked", "rate_limited", "budget_exceeded", "model_not_approved")


async def conclude(exchange: Exchange, world: World) -> None:
    """Records, tells and settles a finished request, refused ones included. Never raises for what it cannot deliver."""
    await _concluded(exchange, world)
    await tell_health(exchange, world)


async def _concluded(exchange: Exchange, world: World) -> None:
    exchange.ended_s = world.clock.monotonic_s()
    await exchange.left()
    if exchange.closing is not None:
        await exchange.closing()
    await end_claim(exchange, world)
    if exchange.goes_on:
        if exchange.leaves_job and exchange.error is not None and exchange.error.status >= 500:
            world.records.write(without_usage(line_of(exchange, exchange.ended_s)))
        await _go_on(exchange, world)
        if exchange.leaves_job:
            await delete_uploads(exchange, world, goes_on=True)
        return
    world.records.write(line_of(exchange, exchange.ended_s))
    await close(exchange, world)


async def close(exchange: Exchange, world: World) -> None:
    """Tells and settles a request of which the log has its line."""
    if exchange.principal is None:
        return  # of a stranger there is nothing to tell but the log's line
    left_out = _left_out(exchange, exchange.principal, world)
    if left_out is None:
        return  # of a flood the log's lines are enough
    if told := [*told_of(exchange, world, left_out)]:
        await world.events.send(told)
    await _settle(exchange, used_of(told, was_executed=exchange.was_executed), world)
    await delete_uploads(exchange, world)


def _left_out(exchange: Exchange, principal: Principal, world: World) -> int | None:
    """As `Denials.enter` says; 0 for everything that is no refusal at the door, or that was let in before."""
    code = exchange.error.code if exchange.error else None
    if code not in _DENIED or exchange.ticket is not None:
        return 0
    return world.denials.enter(principal.key.id, code, world.clock.now_s())


async def _go_on(exchange: Exchange, world: World) -> None:
    """Whoever ends the job tells and settles the rest, but for what this environment alone counts."""
    await world.events.send([_started(exchange, attribution_of(exchange))])
    ticket = exchange.ticket
    if ticket is not None and ticket.stands_for is not None:
        await settle(ticket, Used(ticket.demand.cost_nano_usd, ticket.demand.tokens), world.clock.now_s())
        await give_back(ticket.stands_for)


async def _settle(exchange: Exchange, used: Used, world: World) -> None:
    if exchange.ticket is None:
        return
    if exchange.ticket.stands_for is not None:
        await give_back(exchange.ticket.stands_for)  # an account that did answer; its cost comes with the usage record
    try:
        await settle_and_alert(exchange.ticket, used, world)
    except AdmissionUnavailable as error:
        # The hold stands until its lease ends; then the sweeper settles it by the usage record.
        world.records.trouble("ledger.unsettled", request_id=exchange.request_id, reason=error.message)


async def settle_and_alert(ticket: Ticket, used: Used, world: World) -> None:
    """Raises AdmissionUnavailable (503)."""
    now_s = world.clock.now_s()
    settled = await settle(ticket, used, now_s, world.clock)
    await tell_alerts(settled_of(ticket, settled, used.cost_nano_usd), ticket.ledger, world.events, now_s)


def told_of(exchange: Exchange, world: World, left_out: int = 0) -> Iterator[Told]:
    """A start and an end, and a usage record for each attempt; one without an attempt where something was held.

    Of a quiet request nothing, but that it was refused. `left_out`: refusals like this one that were not told.
    """
    ending = ending_of(exchange.error.code if exchange.error else None, was_asked=bool(exchange.attempts))
    if exchange.is_quiet and ending != "request.blocked":
        return
    now_s = world.clock.now_s()
    of = attribution_of(exchange)
    yield _started(exchange, of)
    for number, attempt in enumerate(exchange.attempts, start=1):
        yield _usage_of(attempt, number, exchange, of, world)
    yield from _switches(exchange, of)
    if not exchange.attempts and exchange.ticket is not None and not exchange.is_quiet:
        yield _usage_without_attempt(exchange, of, now_s)
    yield AuditEvent(
        id=f"{of.request_id}.ended",
        event=ending,
        at_s=now_s,
        tenant_id=of.tenant_id,
        of=of,
        facts=_end_facts(exchange) | ({"left_out": left_out} if left_out else {}),
    )


def _started(exchange: Exchange, of: Attribution) -> AuditEvent:
    at_s = exchange.arrived_s
    return AuditEvent(id=f"{of.request_id}.started", event="request.started", at_s=at_s, tenant_id=of.tenant_id, of=of)


def _switches(exchange: Exchange, of: Attribution) -> Iterator[AuditEvent]:
    for number, switch in enumerate(exchange.switches, start=1):
        yield AuditEvent(
            id=f"{of.request_id}.fallback.{number}",
            event="fallback.triggered",
            at_s=switch.at_s,
            tenant_id=of.tenant_id,
            of=of,
            facts={"from": switch.model, "to": switch.to, "code": switch.code},
        )


def attribution_of(exchange: Exchange) -> Attribution:
    principal = exchange.principal
    assert principal is not None  # noqa: S101 - what is told is told of somebody
    return Attribution(
        request_id=exchange.request_id,
        tenant_id=principal.tenant.id,
        user_id=principal.user.id,
        key_id=principal.key.id,
        operation=exchange.operation,
        conversation_id=exchange.conversation_id,
        job_id=exchange.job_id,
        batch_id=exchange.batch_id,
        trace_id=exchange.trace.id,
    )


def ending_of(code: str | None, *, was_asked: bool) -> AuditName:
    """The terminal event of a request that ended with this error, or with none. `was_asked`: whether a provider was,
    for a rate that is limited then is that of the gateway's account there.
    """
    if code is None:
        return "request.completed"
    if code == "rate_limited" and was_asked:
        return "request.failed"
    return "request.blocked" if code in _BLOCKED else "request.failed"


def _usage_of(attempt: Attempt, number: int, exchange: Exchange, of: Attribution, world: World) -> UsageRecord:
    ended_s = world.clock.monotonic_s() if attempt.ended_s is None else attempt.ended_s
    error = attempt.error
    if number == len(exchange.attempts) or attempt.is_beside_others:
        error = error or exchange.error
    code = OVERTAKEN if attempt.is_overtaken else error.code if error else None
    return UsageRecord(
        of=of,
        attempt=number,
        at_s=world.clock.now_s(),
        outcome="ok" if code is None else "error",
        code=code,
        provider=attempt.route.provider.name,
        model=attempt.route.model_id,
        model_requested=exchange.model_requested,
        stream=exchange.stream,
        usage=None if attempt.usage is None else msgspec.structs.replace(attempt.usage, units={}),
        units=attempt.usage.units if attempt.usage is not None else {},
        service_tier=attempt.answered.service_tier,
        priced_as_default=not has_price_for(attempt.route.facts, attempt.answered.service_tier),
        cost_nano_usd=attempt.cost_nano_usd if attempt.usage is not None else 0,
        latency_ms=milliseconds(ended_s - attempt.started_s),
        ttft_ms=None if attempt.ttft_s is None else milliseconds(attempt.ttft_s),
        overhead_ms=exchange.overhead_ms(exchange.ended_s) if number == len(exchange.attempts) else None,
        queue_ms=exchange.queue_ms if number == len(exchange.attempts) else None,
        unbooked=_unbooked(attempt, exchange),
    )


def _unbooked(attempt: Attempt, exchange: Exchange) -> dict[str, dict[str, int]]:
    """What of an attempt's cost no account will know but by its record, under the rules of its own model."""
    ticket, cost_nano_usd = exchange.ticket, attempt.cost_nano_usd
    if ticket is None or not cost_nano_usd:
        return {}
    booked = {}
    for account_id, hold in ticket.later:
        allowance = ticket.principal.tenant.allowance if account_id.startswith("T#") else ticket.principal.allowance
        own = {suffix(models) for models in rules_of(allowance, attempt.route.model_id)}
        rules = tuple(rule for rule in hold.rules if rule in own)
        booked[account_id] = booking(msgspec.structs.replace(hold, rules=rules), cost_nano_usd)
    return booked


def _usage_without_attempt(exchange: Exchange, of: Attribution, now_s: float) -> UsageRecord:
    return UsageRecord(
        of=of,
        attempt=0,
        at_s=now_s,
        outcome=("error" if exchange.error else "ok") if exchange.was_executed else "refused",
        code=exchange.error.code if exchange.error else None,
        model_requested=exchange.model_requested,
        stream=exchange.stream,
        units=exchange.units,
        cost_nano_usd=0,
        queue_ms=exchange.queue_ms,
    )


def _end_facts(exchange: Exchange) -> dict[str, Any]:
    """How it ended, for the audit trail."""
    usage, used = exchange.usage, exchange.attempts[-1] if exchange.attempts else None
    error = exchange.error
    facts = {
        "model_requested": exchange.model_requested,
        "model_used": used.route.model_id if used else None,
        "provider": used.route.provider.name if used else None,
        "stream": exchange.stream if exchange.asks_model else None,
        "status": error.status if error else exchange.status or 200,
        "code": error.code if error else None,
        "provider_code": error.provider_code if error else None,
        "attempts": len(exchange.attempts) if exchange.asks_model else None,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cost_nano_usd": exchange.cost_nano_usd,
        "unpriced_attempts": exchange.unpriced_attempts or None,
        "latency_ms": exchange.latency_ms(exchange.ended_s),
        "overhead_ms": exchange.overhead_ms(exchange.ended_s),
        "queue_ms": exchange.queue_ms,
        "ttft_ms": milliseconds(used.ttft_s) if used and used.ttft_s is not None else None,
        **_hook_facts(exchange),
        **exchange.about,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _hook_facts(exchange: Exchange) -> dict[str, Any]:
    """The hook that ended it and why, and what each of them said."""
    error = exchange.error
    return {
        "hook": getattr(error, "hook", None),
        "reason": _reason_of(error) if error and error.code in _BLOCKED else None,
        "hooks": [msgspec.to_builtins(run) for run in exchange.hooks] or None,
    }


def _reason_of(error: GatewayError) -> str:
    """Of a bad key more than the client is told."""
    return (error.reason if isinstance(error, InvalidApiKey) else None) or error.message
