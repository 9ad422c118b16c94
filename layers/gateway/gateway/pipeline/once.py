"""A request that is answered at once, and carries an Idempotency-Key, is executed once.

Its reply is not kept, so whoever comes with the key again is told which request had it: while that runs, and when it
has its answer. A request that failed and cost nothing frees the key before the client hears of it, so that the retries
of an SDK, which carry the same key, are requests like any other.
"""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from gateway.model.claim import Claim, Claimed
from gateway.model.errors import StorageUnavailable
from gateway.model.idempotency_errors import IdempotencyConflict, RequestRunning
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.idempotency_key import claim_of
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_claim import job_behind
from gateway.pipeline.job_record import WORK_S
from gateway.ports import World

RETRY_AFTER_S = 5
LATE_S = 1.0
"""After which a write that was not answered is looked for once more: it may come even after its undo."""


async def claim_once(principal: Principal, lease_s: float, exchange: Exchange, world: World) -> None:
    """The key is this request's from now on, or of the job that it became before, which is in the exchange then.

    `lease_s`: how long the request can run. Where no hook is asked first the claim says from the beginning that a
    provider may have been asked: that costs no second write, and nobody asks twice whoever dies when.

    Raises IdempotencyConflict, RequestRunning (409), InvalidRequest (400) for the key, StorageUnavailable (503), and as
    `job_behind`.
    """
    inbound, claimed, now_s = exchange.inbound, exchange.claimed, world.clock.now_s()
    if inbound is None or not inbound.idempotency_key or exchange.is_async or (claimed and claimed.is_sure):
        return
    if claimed is None:
        claimed = claim_of(inbound, principal.tenant.id, exchange.request_id, now_s)
        until_s = int(now_s + min(lease_s, WORK_S)) + 1
        own = replace(claimed.claim, until_s=until_s, is_asked=not principal.tenant.hooks)
        exchange.claimed = claimed = replace(claimed, claim=own, is_sure=False)
    stands = await world.claims.claim(claimed.tenant_id, claimed.key_hash, claimed.claim, now_s)
    if stands == claimed.claim:
        exchange.claimed = replace(claimed, is_sure=True)
        return
    exchange.claimed = None
    exchange.ordered = await _answer(stands, inbound, claimed, now_s, world)


async def _answer(stands: Claim, inbound: Inbound, claimed: Claimed, now_s: float, world: World) -> Job:
    if stands.request_hash != claimed.claim.request_hash:
        raise IdempotencyConflict(first_request_id=stands.request_id)
    job = None if stands.job_id is None else await job_behind(stands, inbound, claimed.tenant_id, world)
    if job is not None and not job.is_hidden:
        return job
    first = f"The first request with this Idempotency-Key, {stands.request_id},"
    if (job is not None and not job.has_ended) or (not stands.is_over and stands.until_s > now_s):
        raise RequestRunning(f"{first} is still running.", RETRY_AFTER_S, first_request_id=stands.request_id)
    became = "was carried out" if stands.is_over else "broke off, and its provider may have been asked"
    where = f"GET /v1/usage/requests/{stands.request_id} says what it used"
    said = f"{first} {became}. Replies are not kept; {where}. To ask again take another key."
    raise IdempotencyConflict(said, first_request_id=stands.request_id)


async def asks_now(exchange: Exchange, world: World) -> None:
    """Before a provider is asked the claim says so.

    Raises RequestRunning (409) where another has the key by now, StorageUnavailable (503).
    """
    claimed = exchange.claimed
    if claimed is None or claimed.claim.is_asked:
        return
    if not await _change(claimed, exchange, world, is_asked=True):
        exchange.claimed = None
        raise RequestRunning("Another request has this Idempotency-Key by now.", RETRY_AFTER_S)


async def stands_for(job: Job, exchange: Exchange, world: World) -> None:
    """Whoever comes with the key again is answered with that job. Raises as `asks_now`."""
    if exchange.claimed is not None and not await _change(exchange.claimed, exchange, world, job_id=job.id):
        exchange.claimed = None
        raise RequestRunning("Another request has this Idempotency-Key by now.", RETRY_AFTER_S)


async def _change(claimed: Claimed, exchange: Exchange, world: World, **changes: str | bool) -> bool:
    changed = replace(claimed.claim, **changes)
    exchange.claimed = replace(claimed, claim=changed, is_sure=False, before=claimed.claim)
    is_done = await world.claims.change(claimed.tenant_id, claimed.key_hash, claimed.claim, changed)
    exchange.claimed = replace(claimed, claim=changed)
    return is_done


async def freed(exchange: Exchange, world: World) -> None:
    """Frees the key of a request that is about to be answered with an error, if that cost nothing."""
    claimed = exchange.claimed
    if claimed is None or not claimed.is_sure or not _came_to_nothing(exchange):
        return
    with suppress(StorageUnavailable):  # then it is freed when the request is concluded
        await world.claims.change(claimed.tenant_id, claimed.key_hash, claimed.claim, claimed.claim.freed())
        exchange.claimed = None


async def end_claim(exchange: Exchange, world: World) -> None:
    """Frees the key, or has it say that its request is over. Never raises for what it cannot write."""
    claimed = exchange.claimed
    if claimed is None:
        return
    over = replace(claimed.claim, is_asked=True, is_over=True, job_id=exchange.job_id or claimed.claim.job_id)
    ended = claimed.claim.freed() if _came_to_nothing(exchange) else over
    for is_last in (False, True):
        try:
            if await _ended(claimed, ended, world) or claimed.is_sure or is_last:
                return
        except StorageUnavailable as error:
            if is_last:
                world.records.trouble("claim.not_ended", request_id=exchange.request_id, reason=error.message)
                return
        await world.clock.sleep(LATE_S)


async def _ended(claimed: Claimed, ended: Claim, world: World) -> bool:
    for claim in claimed.may_stand:
        if await world.claims.change(claimed.tenant_id, claimed.key_hash, claim, ended):
            return True
    return False


def _came_to_nothing(exchange: Exchange) -> bool:
    """Of what goes on nobody knows that yet."""
    is_paid = exchange.usage_report is not None and exchange.cost_nano_usd != 0
    return exchange.error is not None and not is_paid and not exchange.leaves_job
