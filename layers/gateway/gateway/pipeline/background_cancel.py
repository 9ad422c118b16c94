"""A chat in the background that its tenant wants no more."""

from __future__ import annotations

from gateway.model.errors import JobCancelled
from gateway.model.job import Job
from gateway.model.provider_errors import ProviderError
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import account, account_unseen, charged_by
from gateway.pipeline.job_end import end_by, give_up, late_exchange_of, settled
from gateway.pipeline.remote_stop import stop
from gateway.ports import World
from gateway.providers.contract import BackgroundState

NOTHING_SEEN = TokenUsage(estimated=True)


async def cancelled_in_the_background(job: Job, error: JobCancelled, world: World) -> Job:
    """Recorded before its provider is told, so that nothing of a reply is given any more. It costs what the provider
    says to that, or what its tenant's policy says.

    Raises StorageUnavailable and AdmissionUnavailable (503).
    """
    job = await give_up(job, error, world, stops=False)
    if job.status != "cancelled" or job.owed is not None or job.held is None:
        return await settled(job, world)
    charged = await _charged(job, world)
    exchange = await late_exchange_of(job, world)
    exchange.error = exchange.attempts[-1].error = error
    if charged is None:
        account_unseen(exchange.attempts[-1], NOTHING_SEEN, exchange)
    else:
        account(exchange.attempts[-1], charged, exchange)
    return await settled(await end_by(exchange, None, world), world)


async def _charged(job: Job, world: World) -> TokenUsage | None:
    """None when it does not say."""
    if (said := await stop(job, world)) is None:
        return None
    answer, reached = said
    if not 200 <= answer.status < 300:
        return None
    try:
        state: BackgroundState = reached.route.wire.state(answer, reached.target)
    except ProviderError:
        return None
    return state.reply.usage if state.reply is not None else charged_by(state.failure)
