"""The end of a video: recorded, told, settled, in this order, and each of it once whatever dies in between.

The record decides who ends it. What is held stands in the record until it is settled, so an end that was recorded and
not told is finished by whoever asks next; what is told twice has the same id, and a hold is settled once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from gateway.model.caller import Caller
from gateway.model.catalog import ModelFacts
from gateway.model.errors import GatewayError, JobCancelled, StorageUnavailable
from gateway.model.file import GENERATED_KEPT_S
from gateway.model.job import Job, JobResult, Status
from gateway.model.provider_errors import ProviderError, ProviderRejected, ProviderTimeout
from gateway.model.tenant import ApiKey, Principal, User
from gateway.model.trace import Trace
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import account
from gateway.pipeline.conclude import conclude
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.handed_over import ticket_of
from gateway.pipeline.route import Route
from gateway.ports import World
from gateway.providers.lookup import provider_named

FINISHING_S = 60
"""How long the one who ended a video may take to tell and settle that."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`usage`: what is paid, None for nothing."""

    status: Status
    usage: TokenUsage | None
    result: JobResult | None = None
    error: GatewayError | None = None


async def end(job: Job, ending: Ending, caller: Caller, world: World, **changes: Any) -> Job:
    """The job as it ended: so, or as somebody else who came first ended it. Raises StorageUnavailable (503)."""
    exchange = await _exchange_of(job, ending, caller, world)
    error = ending.error
    ended = job.ended(
        ending.status,
        world.clock.now_s(),
        GENERATED_KEPT_S,
        progress=100 if ending.status == "completed" else job.progress,
        result=ending.result,
        error=None if error is None else {"code": error.code, "message": error.message},
        usage=None if ending.usage is None else _kept(ending.usage),
        cost_nano_usd=exchange.cost_nano_usd,
        **changes,
    )
    if not await world.jobs.change(ended):
        return await world.jobs.get(job.tenant_id, job.id)
    return await _told(ended, exchange, world)


def _kept(usage: TokenUsage) -> dict[str, Any]:
    return {"units": usage.units, "stated_cost_nano_usd": usage.stated_cost_nano_usd}


async def finish(job: Job, caller: Caller, world: World, *, at_once: bool = False) -> Job:
    """An end that is recorded, and may not have been told. `at_once`: even if somebody may just be at it."""
    if not at_once and world.clock.now_s() < (job.finished_at_s or 0) + FINISHING_S:
        return job
    usage = None if job.usage is None else TokenUsage(**job.usage)
    ending = Ending(job.status, usage, job.result, _error_of(job))
    return await _told(job, await _exchange_of(job, ending, caller, world), world)


async def _told(job: Job, exchange: Exchange, world: World) -> Job:
    await conclude(exchange, world)
    settled = job.changed(held=None)
    try:
        await world.jobs.change(settled)
    except StorageUnavailable:
        return job
    return settled


async def _exchange_of(job: Job, ending: Ending, caller: Caller, world: World) -> Exchange:
    """The request as if it had lasted until now."""
    principal = await _principal_of(job, caller, world)
    clock, facts = world.clock, job.facts
    lasted_s = max(0.0, clock.now_s() - job.created_at_s)
    exchange = Exchange(
        job.request_id,
        job.operation,
        clock.monotonic_s() - lasted_s,
        trace=_trace_of(job),
        arrived_s=float(job.created_at_s),
        principal=principal,
        model_requested=job.model,
        conversation_id=facts.get("conversation_id"),
        job_id=job.id,
        error=ending.error,
    )
    if job.held is not None:
        exchange.ticket = ticket_of(job.held, principal, world)
    attempt = attempt_of(job, world)
    attempt.started_s, attempt.ended_s = exchange.started_s, clock.monotonic_s()
    attempt.provider_wait_s, attempt.error = lasted_s, ending.error
    exchange.attempts.append(attempt)
    if ending.usage is not None:
        account(exchange, ending.usage)
    return exchange


async def _principal_of(job: Job, caller: Caller, world: World) -> Principal:
    """Whom it was made for, which may be another one than who asks, of the same tenant."""
    found = await world.access.read(caller.naming(job.user_id))
    key = ApiKey(id=job.key_id, tenant_id=job.tenant_id, user_id=job.user_id)
    if found is None:  # a key that was revoked this very moment
        raise StorageUnavailable("The video cannot be settled at the moment. Ask again.")
    user = found.user if found.user.id == job.user_id else User(id=job.user_id)
    return replace(found, key=key, user=user)


def attempt_of(job: Job, world: World) -> Attempt:
    """To ask the job's provider once more, as the catalog has the model now, or by its name alone."""
    assert job.remote is not None  # noqa: S101 - no video is without
    provider = provider_named(job.remote.provider)
    found = world.catalog.find(provider.name, job.remote.model)
    facts = found or ModelFacts(id=job.remote.model, name=job.remote.model, api="videos")
    route = Route(provider, facts, provider.videos[facts.api])
    return Attempt(route, world.clock.monotonic_s(), _trace_of(job).headers())


def _trace_of(job: Job) -> Trace:
    return Trace(job.facts["trace_id"], is_sampled=False)


def _error_of(job: Job) -> GatewayError | None:
    if job.error is None:
        return None
    code, message = job.error["code"], job.error["message"]
    if code == ProviderTimeout.code:
        return ProviderTimeout(message, phase="total")
    known: tuple[type[GatewayError], ...] = (JobCancelled, ProviderRejected, StorageUnavailable)
    return next((kind(message) for kind in known if kind.code == code), ProviderError(message))
