"""The end of a video that was begun: recorded with what is owed for it, then told and settled as every job's end is."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.errors import GatewayError, StorageUnavailable
from gateway.model.file import GENERATED_KEPT_S, created_at_s
from gateway.model.job import Job, JobResult, Status
from gateway.model.money import NANO_PER_USD
from gateway.model.usage import TokenUsage
from gateway.model.video import VideoUsage
from gateway.pipeline.account import account
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.job_end import due_of, late_exchange_of, owed_of, settled
from gateway.pipeline.job_record import BUSY, TRIES
from gateway.pipeline.request_line import line_of
from gateway.ports import World


class Ending(msgspec.Struct, frozen=True):
    """`usage`: what is paid, None for nothing."""

    status: Status
    usage: TokenUsage | None
    result: JobResult | None = None
    error: GatewayError | None = None


async def end(job: Job, ending: Ending, world: World) -> Job:
    """The job as it ended: so, or as somebody else who came first ended it. What else was written meanwhile stays.

    Raises StorageUnavailable and AdmissionUnavailable (503).
    """
    exchange = await _exchange_of(job, ending, world)
    for _ in range(TRIES):
        ended = _ended(job, ending, exchange, world)
        if await world.jobs.change(ended, due_of(ended, world.clock.now_s())):
            world.records.write(line_of(exchange, exchange.ended_s))
            return await settled(ended, world)
        job = await world.jobs.get(job.tenant_id, job.id)
        if job.has_ended:
            return job
    raise StorageUnavailable(BUSY)


def _ended(job: Job, ending: Ending, exchange: Exchange, world: World) -> Job:
    error, now_s = ending.error, world.clock.now_s()
    return job.ended(
        ending.status,
        now_s,
        _kept_s(ending.result, now_s),
        progress=100 if ending.status == "completed" else job.progress,
        result=ending.result,
        error=None if error is None else msgspec.to_builtins(error.wire(job.request_id)["error"]),
        usage=None if ending.usage is None else _told(ending.usage, exchange),
        cost_nano_usd=exchange.cost_nano_usd,
        owed=owed_of(exchange, world),
    )


def _kept_s(result: JobResult | None, now_s: float) -> int:
    """As long as its file, which was there a moment before."""
    from_s = created_at_s(result.file_id) if result is not None and result.file_id else int(now_s)
    return from_s + GENERATED_KEPT_S - int(now_s)


def _told(usage: TokenUsage, exchange: Exchange) -> dict[str, Any]:
    """As the video has it."""
    cost_nano_usd = exchange.whole_cost_nano_usd
    cost = None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD
    return msgspec.to_builtins(VideoUsage(units=usage.units, cost_estimate=cost))  # type: ignore[no-any-return]  # a struct's


async def _exchange_of(job: Job, ending: Ending, world: World) -> Exchange:
    """Raises AdmissionUnavailable (503)."""
    exchange = await late_exchange_of(job, world)
    attempt = exchange.attempts[-1]
    exchange.error = attempt.error = ending.error
    exchange.ended_s = world.clock.monotonic_s()
    if ending.usage is not None:
        account(attempt, ending.usage, exchange)
    return exchange
