"""How work that a provider has begun gets on: whoever asks looks, one at a time and not too often.

A look is leased in the job's record, so that of many readers one asks the provider and the others are told what is
known. The job's execution is one of them, so that what nobody else asks for is finished and paid too.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from math import inf
from typing import Any

from msgspec.structs import replace

from gateway.model.errors import GatewayError, StorageUnavailable
from gateway.model.job import Job
from gateway.model.provider_errors import ProviderFailure, ProviderGone, ProviderTimeout, is_gone
from gateway.pipeline.callbacks import wake
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import ANSWER_S
from gateway.pipeline.job_end import FINISHING_S, settled
from gateway.pipeline.job_sweep import LATER_S
from gateway.pipeline.remote_attempt import attempt_of
from gateway.ports import World

LOOK_TIMEOUT_S = 20.0
LEASE_S = ANSWER_S + 15.0


def is_on_the_way(job: Job, now_s: float) -> bool:
    """Whether it is yet to be begun: until then the record belongs to who asks for that, a job's to its worker."""
    if job.remote is None or job.is_begun:
        return False
    return job.request is not None or now_s < job.alive_until_s


async def state_of(remote_id: str, reached: Contact, world: World, timeout_s: float) -> Any:
    """What the provider says of what it has begun, as its wire has it. Raises ProviderFailure: ProviderGone (502) where
    it says that there is nothing any more, else what it means that nobody can tell.
    """
    wire, name = reached.route.wire, reached.route.provider.name
    try:
        async with asyncio.timeout(timeout_s):
            answer = await reached.answer(wire.look(remote_id, reached.target), world, wire.fail)
    except TimeoutError:
        raise ProviderTimeout(f"{name} did not answer in time.", phase="total") from None
    if is_gone(answer.status):
        raise ProviderGone(f"{name} no longer knows what it had begun.")
    if not 200 <= answer.status < 300:
        raise wire.fail(answer, reached.target)
    return wire.state(answer, reached.target)


class RemoteLook(ABC):
    """`every_s`: how long what one who asks found is good enough for the next.

    `until_s`: by when the answer has to begin, by the monotonic clock.
    """

    def __init__(self, world: World, every_s: float, until_s: float = inf) -> None:
        self.world, self.every_s, self.until_s = world, every_s, until_s

    @abstractmethod
    async def _after(self, job: Job, state: Any, reached: Contact, /) -> Job:
        """What becomes of it by what its provider says."""

    @abstractmethod
    async def _lost(self, job: Job, error: GatewayError) -> Job:
        """Its end, of which the provider says nothing."""

    def _is_final(self, error: ProviderFailure) -> bool:
        """Whether looking again would be in vain."""
        return isinstance(error, ProviderGone)

    async def at(self, job: Job) -> Job:
        """The job as it is now. Raises AdmissionUnavailable and StorageUnavailable (503), also when what is finished
        cannot be stored: it will be tried again by whoever asks next.
        """
        now_s = self.world.clock.now_s()
        if job.has_ended:
            is_left = now_s >= (job.finished_at_s or 0) + FINISHING_S
            return await settled(job, self.world) if is_left else job
        assert job.remote is not None  # noqa: S101 - it is known what was to begin
        if now_s < max(job.remote.look_at_s, job.alive_until_s if job.is_begun else 0) or is_on_the_way(job, now_s):
            return job
        remote = replace(job.remote, polls=job.remote.polls + 1, look_at_s=now_s + LEASE_S)
        leased = job.changed(remote=remote)
        if not await self.world.jobs.change(leased, int(now_s) + LATER_S):
            return await self.world.jobs.get(job.tenant_id, job.id)
        return await self._looked(leased)

    async def for_a_caller(self, job: Job) -> Job:
        """As `at`, by somebody else than the job's execution: where that waits to be called back it need not any more
        when this has ended the job, and whoever is to be told is told now.
        """
        seen = await self.at(job)
        if seen.has_ended and not job.has_ended:
            await wake(seen, self.world)
        return seen

    async def _looked(self, job: Job) -> Job:
        now_s, remote = self.world.clock.now_s(), job.remote
        assert remote is not None  # noqa: S101 - as above
        if remote.id is None or now_s >= job.expires_at_s:
            return await self._lost(job, ProviderTimeout("The provider did not finish it in time.", phase="total"))
        try:
            reached = await contact(attempt_of(job, self.world), self.world)
            state = await state_of(remote.id, reached, self.world, self._left_s(LOOK_TIMEOUT_S))
            return await self._after(job, state, reached)
        except ProviderFailure as error:
            if self._is_final(error):
                return await self._lost(job, error)
            self.world.records.trouble("job.not_looked_at", request_id=job.request_id, reason=error.message)
            return await self._later(job)

    async def _later(self, job: Job, known: Job | None = None) -> Job:
        """Gives the lease back. What cannot be written now ends by itself."""
        changed = known or job.changed()
        assert changed.remote is not None  # noqa: S101 - as above
        now_s = self.world.clock.now_s()
        changed = replace(changed, remote=replace(changed.remote, look_at_s=now_s + self.every_s))
        try:
            if not await self.world.jobs.change(changed, int(now_s) + LATER_S):
                return await self.world.jobs.get(job.tenant_id, job.id)
        except StorageUnavailable:
            return job
        return changed

    def _left_s(self, timeout_s: float) -> float:
        return min(timeout_s, self.until_s - self.world.clock.monotonic_s())
