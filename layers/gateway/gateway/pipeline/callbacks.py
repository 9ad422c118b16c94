"""Jobs whose providers call back: their executions wait for that instead of asking again and again.

What a provider says is a hint and no more. Whatever it says, the next step asks the provider itself, so a message that
is lost, late, doubled or false costs time at most.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gateway.job_ports import Callbacks, CallbackSecrets
from gateway.model.callback import News, RemoteName
from gateway.model.errors import InvalidSignature, RouteNotFound, StorageUnavailable
from gateway.model.job import Job
from gateway.ports import Clock, World
from gateway.providers.lookup import has_provider, provider_named

KEPT_S = 3_600
"""How long a token is kept after it is good for nothing any more, if nobody removes it before."""


class CallbackWorld(Struct, frozen=True):
    """All that a receiver of providers' webhooks needs."""

    secrets: CallbackSecrets
    callbacks: Callbacks
    clock: Clock


class Heard(Struct, frozen=True):
    """`was_awaited`: whether an execution waited for it, or had until a moment ago."""

    news: News
    was_awaited: bool


async def heard(provider: str, headers: Mapping[str, str], body: bytes, world: CallbackWorld) -> Heard | None:
    """What a provider's webhook says, passed on to who waits for it, or kept for who will; None for what says nothing
    of an end. `headers`: by their names in lower case.

    Raises RouteNotFound (404) for a provider without webhooks, InvalidSignature (401), also where none are set up,
    UnreadableBody (400), StorageUnavailable (503): then the provider sends it again.
    """
    callback = provider_named(provider).callback if has_provider(provider) else None
    if callback is None:
        raise RouteNotFound("No such route: this gateway knows no webhooks of that provider.")
    secrets = await world.secrets.find(provider)
    if not secrets:
        raise InvalidSignature
    news = callback.verify(headers, body, secrets, world.clock.now_s())
    if news is None:
        return None
    return Heard(news, await world.callbacks.tell(RemoteName(provider, news.name)))


async def callback_s(job: Job, world: World, at_most_s: int) -> int:
    """How long its execution waits to be called back, in seconds; 0: it asks."""
    waits_s = _waits_s(job)
    if job.has_ended or not waits_s or job.remote is None or not await world.callbacks.are_set_up(job.remote.provider):
        return 0
    return min(waits_s, at_most_s)


async def wait_for_call(job: Job, token: str, world: World) -> Job:
    """Keeps the execution's token; it goes on with the provider's call, or at once where that came before or the job
    has ended meanwhile. Raises StorageUnavailable (503).
    """
    work = remote_name(job)
    if work is None:
        raise ValueError("nobody calls back for this job")
    now_s = int(world.clock.now_s())
    await world.callbacks.wait(work, token, now_s + _waits_s(job) + KEPT_S)
    job = await world.jobs.get(job.tenant_id, job.id)
    if job.has_ended:  # whoever ended it may have looked for the token before it was there
        await world.callbacks.wake(work)
    return job


async def wake(job: Job, world: World) -> None:
    """The execution of a job that has ended need not wait any more. Never raises: else it waits till its time is up."""
    if (work := remote_name(job)) is not None:
        try:
            await world.callbacks.wake(work)
        except StorageUnavailable as error:
            world.records.trouble("callback.not_woken", request_id=job.request_id, reason=error.message)


async def forget(job: Job, world: World) -> None:
    """Of a job that has ended its token, and what was told of it. Never raises: else it ends by itself."""
    work = remote_name(job)
    if not job.has_ended or work is None or not await world.callbacks.are_set_up(work.provider):
        return
    try:
        await world.callbacks.forget(work)
    except StorageUnavailable as error:
        world.records.trouble("callback.not_forgotten", request_id=job.request_id, reason=error.message)


def remote_name(job: Job) -> RemoteName | None:
    """What its provider calls its work when it calls back; None where it does not, or has not begun."""
    remote = job.remote
    if remote is None or remote.id is None or not _waits_s(job):
        return None
    callback = provider_named(remote.provider).callback
    return None if callback is None else RemoteName(remote.provider, callback.name_of(remote.id))


def _waits_s(job: Job) -> int:
    """0 where nobody calls back for such work, or it has not begun. A tenant's own account does not know where to."""
    if not job.is_begun or job.remote is None or job.remote.own_key or not has_provider(job.remote.provider):
        return 0
    callback = provider_named(job.remote.provider).callback
    return 0 if callback is None else callback.waits_s.get(job.operation, 0)
