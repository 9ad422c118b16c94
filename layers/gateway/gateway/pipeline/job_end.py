"""The end of a job: recorded, told, settled, in this order, and each of it once whatever dies in between.

The record decides how a job ends. What is to be told and settled stands in the record from then on until it is done, so
whoever comes next finishes it; what is told twice has the same id, and a hold is settled once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, TypeAlias

import msgspec

from gateway.model.caller import Caller
from gateway.model.errors import AdmissionUnavailable, GatewayError, JobCancelled, JobInterrupted, StorageUnavailable
from gateway.model.job import Job, JobResult, Owed, Status, made_at_s
from gateway.model.money import cost_nano_usd as price_of
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.tenant import ApiKey, Principal, Tenant, User
from gateway.model.trace import Trace
from gateway.model.usage import TokenUsage
from gateway.pipeline.admit import Ticket, Used
from gateway.pipeline.asked_before import recall
from gateway.pipeline.conclude import settle_and_alert, told_of, used_of
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of, take_as_it_stands, ticket_of
from gateway.pipeline.hidden import shown
from gateway.pipeline.job_record import BUSY, TRIES, WORK_S, JobBusy, JobRecord
from gateway.pipeline.remote_attempt import attempt_of
from gateway.pipeline.remote_stop import stop
from gateway.pipeline.report import explain
from gateway.pipeline.request_line import line_of
from gateway.pipeline.upload import delete_uploads
from gateway.ports import World

Unforeseen: TypeAlias = Callable[[Exception, Exchange], GatewayError]
"""What is made of a defect once a provider was asked, by whoever can tell of it."""
FINISHING_S = 60
"""After which somebody else tells and settles an end."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0


async def exchange_of(job: Job, world: World) -> Exchange:
    """The request as if it had lasted until now, worked at from now on. Raises AdmissionUnavailable (503)."""
    principal, clock = await principal_of(job, world), world.clock
    lasted_s = max(0.0, clock.now_s() - job.created_at_s)
    exchange = Exchange(
        job.request_id,
        job.operation,
        clock.monotonic_s() - lasted_s,
        trace=Trace(job.facts["trace_id"], is_sampled=False),
        arrived_s=float(job.created_at_s),
        principal=principal,
        model_requested=job.model,
        conversation_id=job.facts.get("conversation_id"),
        job=JobRecord(job, world.jobs, clock),
        worked_from_s=clock.monotonic_s(),
        queued_s=_queued_s(job, clock.now_s()),
        job_id=job.id,
    )
    if job.held is not None:
        exchange.ticket = ticket_of(job.held, principal, world)
    return exchange


async def late_exchange_of(job: Job, world: World) -> Exchange:
    """The request as if its last attempt, which its provider worked at while nobody waited, had lasted from its queue's
    end, or that of the one before, until now. Raises AdmissionUnavailable (503).
    """
    exchange = await exchange_of(job, world)
    attempt = attempt_of(job, world)
    attempt.started_s, attempt.ended_s = recall(job, exchange, world), world.clock.monotonic_s()
    attempt.provider_wait_s = attempt.ended_s - attempt.started_s
    if exchange.attempts and exchange.ticket is not None:
        attempt.most_nano_usd = _left_nano_usd(exchange.ticket, exchange)
    exchange.attempts.append(attempt)
    return exchange


def _left_nano_usd(ticket: Ticket, exchange: Exchange) -> int:
    """Of what is held."""
    return max(0, ticket.demand.cost_nano_usd - (exchange.cost_nano_usd or 0))


def _queued_s(job: Job, now_s: float) -> float:
    """Who was asked for it waits no more; a video that its request has begun has never waited."""
    until_s = now_s if not job.is_asked else job.started_at_s or 0
    return max(0.0, until_s - made_at_s(job.id))


async def principal_of(job: Job, world: World) -> Principal:
    """Whom it is made for, as tenant and user are set now, with what the key was allowed that brought it. A tenant that
    was deleted counts as one that is disabled: what was held for it is settled all the same.
    """
    key = ApiKey(id=job.key_id, tenant_id=job.tenant_id, user_id=job.user_id)
    if job.request is not None:
        key = msgspec.structs.replace(key, scopes=job.request.scopes, models=job.request.models)
    principal = await world.access.read(Caller(token_key=key))
    if principal is None:
        tenant, user = Tenant(id=job.tenant_id, status="disabled"), User(id=job.user_id)
        principal = Principal(key=key, tenant=tenant, user=user)
    return principal


async def end_by(exchange: Exchange, result: JobResult | None, world: World, until_s: float = -inf) -> Job:
    """The end that the exchange has come to; of a job that was cancelled meanwhile only what it cost is kept. What
    cannot be recorded is tried again until `until_s`, by the monotonic clock.

    Raises StorageUnavailable (503): then nobody knows how it ended.
    """
    exchange.ended_s = world.clock.monotonic_s()
    await exchange.left()
    job = await _recorded(exchange, result, world, until_s)
    if job.status != "completed":
        await _discard(exchange.made, job, world)
    world.records.write(line_of(exchange, exchange.ended_s))
    await delete_uploads(exchange, world)
    return job


async def _recorded(exchange: Exchange, result: JobResult | None, world: World, until_s: float) -> Job:
    """More and more seldom. Raises StorageUnavailable (503)."""
    assert exchange.job is not None  # noqa: S101 - it runs here
    job, clock, pause_s = exchange.job.now, world.clock, FIRST_PAUSE_S
    while True:
        try:
            return await _recorded_now(job, exchange, result, world)
        except StorageUnavailable:
            if clock.monotonic_s() + pause_s >= until_s:
                raise
        await clock.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _recorded_now(job: Job, exchange: Exchange, result: JobResult | None, world: World) -> Job:
    for _ in range(TRIES):
        ended = _ended(job, exchange, result, world)
        if ended is None:
            return job
        if await world.jobs.change(ended, int(world.clock.now_s()) + FINISHING_S):
            return ended
        job = await world.jobs.get(job.tenant_id, job.id)
    raise StorageUnavailable(BUSY)


def _ended(job: Job, exchange: Exchange, result: JobResult | None, world: World) -> Job | None:
    """None when somebody else has ended it and accounts for it."""
    found: dict[str, Any] = {
        "usage": None if exchange.usage_report is None else msgspec.to_builtins(exchange.usage_report),
        "cost_nano_usd": exchange.cost_nano_usd,
    }
    if exchange.ticket is not None:
        found["held"] = held_of(exchange, world)
    if job.has_ended:
        if job.owed is not None or job.held is None:
            return None
        exchange.error = JobCancelled("The job was cancelled before it had a result.")
        return job.changed(owed=owed_of(exchange, world), **found)
    error = exchange.error
    if error is not None:
        explain(error, exchange, world.clock)
        found["error"] = msgspec.to_builtins(error.wire(exchange.request_id)["error"])
    status: Status = "completed" if error is None else "failed"
    now_s = world.clock.now_s()
    owed = owed_of(exchange, world)
    return job.ended(status, now_s, world.job_kept_s, result=result, request=None, owed=owed, **found)


def owed_of(exchange: Exchange, world: World) -> Owed:
    told, used = [*told_of(exchange, world)], used_of(exchange)
    return Owed(
        records=tuple(one for one in told if isinstance(one, UsageRecord)),
        events=tuple(one for one in told if isinstance(one, AuditEvent)),
        cost_nano_usd=used.cost_nano_usd,
        tokens=used.tokens,
        was_executed=used.was_executed,
    )


async def _discard(made: Sequence[str], job: Job, world: World) -> None:
    """What nobody is told of."""
    for file_id in made:
        try:
            await world.files.delete(job.tenant_id, file_id)
        except StorageUnavailable as error:
            world.records.trouble("job.result_not_deleted", request_id=job.request_id, reason=error.message)


async def give_up(job: Job, error: GatewayError, world: World, *, stops: bool = True) -> Job:
    """The end of a job of which nothing more comes. Where a provider was asked it costs what its tenant's policy says;
    one that is cancelled meanwhile is accounted for by the worker that asked, and one of which nothing is held here by
    the request that asked, or by the sweeper of its hold. A provider that has begun it is told to stop. What is to be
    cancelled and was begun meanwhile goes on, for nobody is at it any more who would account for it; unless whoever
    gives it up does both himself, and it `stops` nothing.
    """
    exchange = await exchange_of(job, world)
    exchange.error, exchange.ended_s = error, world.clock.monotonic_s()
    principal = exchange.principal
    assert principal is not None  # noqa: S101 - a job is somebody's
    is_cancelled = isinstance(error, JobCancelled)
    if exchange.ticket is not None and job.is_asked and not is_cancelled:
        await take_as_it_stands(exchange.ticket)  # of which its worker may have taken more
    while not (job.has_ended or (is_cancelled and job.is_begun and stops)):
        is_watched = job.is_asked and (is_cancelled or job.held is None)
        owed = None if is_watched else _owed_without_end(job, exchange, world)
        ended = shown(job, principal.tenant).ended(
            "cancelled" if is_cancelled else "failed",
            world.clock.now_s(),
            world.job_kept_s,
            request=None,
            error=error.wire(job.request_id)["error"],
            owed=owed,
            cost_nano_usd=owed.cost_nano_usd if owed else None,
        )
        if await world.jobs.change(ended, due_of(ended, world.clock.now_s())):
            if not is_watched:
                world.records.write(line_of(exchange, exchange.ended_s))
            if stops:
                await stop(ended, world)
            return ended
        job = await world.jobs.get(job.tenant_id, job.id)
    return job


def _owed_without_end(job: Job, exchange: Exchange, world: World) -> Owed:
    """By a job that nobody carries on, and by those who were asked for it before."""
    at_s = recall(job, exchange, world)
    return _lost(job, at_s, exchange, world) if job.is_asked else owed_of(exchange, world)


def _lost(job: Job, at_s: float, exchange: Exchange, world: World) -> Owed:
    """While a provider was asked, since `at_s`, by the monotonic clock."""
    principal, ticket = exchange.principal, exchange.ticket
    assert principal is not None  # noqa: S101 - a job is somebody's
    is_charged = principal.tenant.lost_requests == "charge" and ticket is not None
    cost_nano_usd = _at_most_nano_usd(job, ticket, exchange, world) if is_charged and ticket is not None else 0
    if exchange.attempts:
        exchange.attempts.append(attempt_of(job, world))
        exchange.attempts[-1].started_s = at_s
    owed = owed_of(exchange, world)
    last = {"outcome": "lost", "cost_nano_usd": cost_nano_usd, "usage": TokenUsage(estimated=True)}
    records = [*owed.records[:-1], *(msgspec.structs.replace(record, **last) for record in owed.records[-1:])]
    whole_nano_usd = owed.cost_nano_usd + cost_nano_usd
    return msgspec.structs.replace(owed, records=tuple(records), cost_nano_usd=whole_nano_usd, was_executed=True)


def _at_most_nano_usd(job: Job, ticket: Ticket, exchange: Exchange, world: World) -> int:
    """All that is held, which may be for a dearer model; but a video has a price."""
    left_nano_usd, units = _left_nano_usd(ticket, exchange), job.facts.get("units")
    if units is None:
        return left_nano_usd
    price_nano_usd = price_of(TokenUsage(units=units), attempt_of(job, world).route.facts)
    return left_nano_usd if price_nano_usd is None else min(price_nano_usd, left_nano_usd)


async def settled(job: Job, world: World) -> Job:
    """As `settle`, for whoever has something else to answer: what cannot be settled now is settled by the job's state
    machine or the sweeper.
    """
    if job.owed is None:
        return job
    try:
        return await settle(job, world)
    except (AdmissionUnavailable, StorageUnavailable) as error:
        world.records.trouble("job.unsettled", request_id=job.request_id, reason=error.message)
        return job


async def settle(job: Job, world: World) -> Job:
    """An end that is recorded, told and settled. Raises JobBusy while somebody may yet say what it has cost,
    StorageUnavailable and AdmissionUnavailable (503): it may be repeated as often as it takes.
    """
    if not job.has_ended or (job.held is None and job.owed is None):
        return job
    if job.is_watched and world.clock.now_s() < _known_by_s(job):
        raise JobBusy
    exchange = await exchange_of(job, world)
    if exchange.ticket is not None:
        await take_as_it_stands(exchange.ticket)
    owed, cost_nano_usd = job.owed, job.cost_nano_usd
    if owed is None:
        kind = JobCancelled if job.status == "cancelled" else JobInterrupted
        exchange.error, exchange.ended_s = kind(""), world.clock.monotonic_s()
        owed = _owed_without_end(job, exchange, world)
        cost_nano_usd = owed.cost_nano_usd
    await world.events.send([*owed.records, *owed.events])
    if exchange.ticket is not None:
        await settle_and_alert(exchange.ticket, _used(owed), world)
    await world.payloads.drop(job)
    done = job.changed(held=None, owed=None, cost_nano_usd=cost_nano_usd)
    if not await world.jobs.change(done, due_of(done, world.clock.now_s())):
        return await world.jobs.get(job.tenant_id, job.id)
    return done


def _used(owed: Owed) -> Used:
    costs: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for record in owed.records:
        costs[record.model or ""] += record.cost_nano_usd or 0
        counts[record.model or ""] += 0 if record.usage is None else record.usage.total_tokens
    is_lost = any(record.outcome == "lost" for record in owed.records)
    return Used(owed.cost_nano_usd, owed.tokens, owed.was_executed, costs, counts, is_lost)


def _known_by_s(job: Job) -> float:
    """Until when a worker is believed, or whoever has cancelled it and asks its provider what it has cost."""
    return max(job.alive_until_s, (job.finished_at_s or 0) + FINISHING_S if job.is_begun else 0)


def has_reply(job: Job) -> bool:
    """Which is put away in its time. A video is a file, which has a time of its own."""
    return job.result is not None and job.operation != "videos"


def due_of(job: Job, now_s: float) -> int | None:
    """When somebody should see to a job that has ended; None when nothing is left to do. What is held and not owed is
    accounted for by the worker that asked, as long as there can be one; a reply is dropped in its time, whether its
    caller has been told by then or not.
    """
    if job.owed is not None:
        return int(now_s) + FINISHING_S
    times: list[int] = []
    if job.webhook is not None and job.is_to_be_told:
        times.append(int(max(now_s, job.webhook.again_at_s)) + FINISHING_S)
    if job.held is not None:
        times.append(int(now_s) + WORK_S)
    if has_reply(job):
        times.append(job.expires_at_s)
    return min(times, default=None)
