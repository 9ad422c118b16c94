"""How a chat in the background gets on; who finds it finished gives the reply, as if its caller had waited for it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace as with_members

from gateway.model.errors import AdmissionUnavailable, GatewayError, HookUnavailable, StorageUnavailable
from gateway.model.job import Job
from gateway.model.provider_errors import ProviderGone
from gateway.model.reply import Reply
from gateway.pipeline.account import account_unseen
from gateway.pipeline.background import Begun, raise_failure
from gateway.pipeline.background_cancel import NOTHING_SEEN
from gateway.pipeline.chat import given_late
from gateway.pipeline.contact import Contact
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.job_end import Unforeseen, end_by, late_exchange_of
from gateway.pipeline.job_result import kept_result
from gateway.pipeline.remote_look import RemoteLook
from gateway.pipeline.remote_stop import stop
from gateway.ports import World
from gateway.providers.contract import BackgroundState

HOOKS_S = 240
"""For how long hooks that do not answer are asked again about a reply, which some providers forget after minutes."""
_HOOK_FAILED_AT_S = "hook_failed_at_s"
_BEGUN = msgspec.json.Decoder(Begun)


class BackgroundLook(RemoteLook):
    """`unforeseen`: what is made of a defect that would come again each time that the reply is given."""

    def __init__(self, world: World, every_s: float, unforeseen: Unforeseen | None = None) -> None:
        super().__init__(world, every_s)
        self.unforeseen = unforeseen

    async def _after(self, job: Job, state: BackgroundState, _reached: Contact, /) -> Job:
        if not state.is_over:
            return await self._later(job)
        try:
            return await self._over(job, state)
        except (StorageUnavailable, AdmissionUnavailable):
            await self._later(job)
            raise
        except HookUnavailable as error:
            self.world.records.trouble("job.not_looked_at", request_id=job.request_id, reason=error.message)
            return await self._later(job, self._without_its_hook(job))

    async def _lost(self, job: Job, error: GatewayError) -> Job:
        """A provider that was asked may be paid."""
        exchange = await late_exchange_of(job, self.world)
        exchange.error = exchange.attempts[-1].error = error
        account_unseen(exchange.attempts[-1], NOTHING_SEEN, exchange)
        ended = await end_by(exchange, None, self.world)
        if not isinstance(error, ProviderGone):
            await stop(ended, self.world)
        return ended

    async def _over(self, job: Job, state: BackgroundState) -> Job:
        """What fails for the moment is tried again, and leaves nothing behind."""
        exchange, result = await late_exchange_of(job, self.world), None
        try:
            if state.failure is not None:
                raise_failure(state.failure, NOTHING_SEEN, exchange, self.world)
            assert state.reply is not None  # noqa: S101 - it is over, and did not fail
            completion = await self._given(job, state.reply, exchange)
            result = await kept_result(completion, exchange, self.world)
        except (StorageUnavailable, AdmissionUnavailable):
            raise
        except GatewayError as error:
            if isinstance(error, HookUnavailable) and self._may_answer(job):
                raise
            exchange.error = error
        except Exception as defect:  # nobody need try again, and what it has cost is known here
            if self.unforeseen is None or exchange.usage is None:
                raise
            exchange.error = self.unforeseen(defect, exchange)
        return await end_by(exchange, result, self.world)

    def _without_its_hook(self, job: Job) -> Job:
        """Since when, if it is the first time."""
        assert job.remote is not None  # noqa: S101 - it was begun
        state = {_HOOK_FAILED_AT_S: self.world.clock.now_s(), **(job.remote.state or {})}
        return job.changed(remote=with_members(job.remote, state=state))

    def _may_answer(self, job: Job) -> bool:
        """Whether there is time for a hook that did not."""
        failed_at_s = ((job.remote and job.remote.state) or {}).get(_HOOK_FAILED_AT_S)
        return failed_at_s is None or self.world.clock.now_s() < failed_at_s + HOOKS_S

    async def _given(self, job: Job, reply: Reply, exchange: Exchange) -> Any:
        kept = _BEGUN.decode(await self.world.payloads.get(job))
        return await given_late(kept, reply, exchange, self.world)
