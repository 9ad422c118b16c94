"""A video is begun by the first of its models that can: its job's record says who is asked before anybody is."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.errors import GatewayError, StorageUnavailable
from gateway.model.job import LONGEST_S, Job
from gateway.model.video import Picture, VideoCall
from gateway.pipeline.account import Counted, account, account_interrupted
from gateway.pipeline.ask import ask, ending
from gateway.pipeline.asked_before import noted
from gateway.pipeline.candidates import Candidates
from gateway.pipeline.contact import contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of
from gateway.pipeline.handed_over import held_of
from gateway.pipeline.job_accept import created, job_of
from gateway.pipeline.job_record import JobRecord
from gateway.pipeline.job_sweep import LATER_S
from gateway.pipeline.once import stands_for
from gateway.pipeline.remote_taken import taken
from gateway.pipeline.video_plan import VideoPlan
from gateway.pipeline.watch import Watch
from gateway.ports import World

SENDING_S = 600
"""After which nobody can be sending a request any more."""


class Beginning:
    """Of one video. `call`: as it was asked. `picture`: what it begins with."""

    def __init__(self, call: VideoCall, picture: Picture | None, exchange: Exchange, world: World) -> None:
        self._call, self._picture = call, picture
        self._exchange, self._world = exchange, world
        self._record: JobRecord | None = exchange.job

    async def by_one_of(self, candidates: Candidates[VideoPlan], look_after_s: float) -> Job:
        """Raises what the last one failed with, and as `taken`; then none of them is at it."""
        try:
            planned, remote_id = await answer_of(candidates, self._begun, self._exchange, self._world)
        except GatewayError as error:
            await self._given_up(error)
            raise
        assert self._record is not None  # noqa: S101 - it was written before anybody was asked
        try:
            return await taken(self._record.now, remote_id, self._exchange, self._world, look_after_s)
        except GatewayError:
            account(self._exchange.attempts[-1], planned.usage, self._exchange)
            raise

    async def _begun(self, planned: VideoPlan, attempt: Attempt) -> tuple[VideoPlan, str]:
        """By whom, and how its provider calls it."""
        order, world = replace(planned.order, picture=self._picture), self._world
        with (
            account_interrupted(attempt, lambda: Counted(planned.usage), self._exchange),
            ending(attempt, world.clock),
        ):
            await self._written(planned)
            reached = await contact(attempt, world)
            watch = Watch.of_beginning(self._call, attempt, world)
            answer = await ask(planned.route.wire.render(order, reached.target), reached, watch, attempt.sending)
            return planned, planned.route.wire.parse(answer, reached.target)

    async def _written(self, planned: VideoPlan) -> None:
        """Who is asked next, and who was before: what is paid for is never without a record. Raises GatewayError."""
        exchange, world, kept = self._exchange, self._world, planned.kept
        facts = {**kept["facts"], **noted(exchange, world.clock.monotonic_s())}
        if self._record is None:
            job = self._job({**kept, "facts": facts})
            job = await created(job, job.created_at_s + LATER_S, world)
            self._record = JobRecord(job, world.jobs, world.clock, LATER_S)
            return await stands_for(job, exchange, world)
        is_own = exchange.job is None
        at_it = {"alive_until_s": world.clock.now_s() + SENDING_S} if is_own else {"held": held_of(exchange, world)}
        facts = {**self._record.now.facts, **facts}
        await self._record.change(is_asked=True, remote=kept["remote"], facts=facts, **at_it)

    def _job(self, kept: dict[str, Any]) -> Job:
        """As one that is asked for now, without a worker who would need what was asked."""
        exchange, world, inbound = self._exchange, self._world, self._exchange.inbound
        assert inbound is not None  # noqa: S101 - it came by a door
        job = job_of(self._call, inbound, exchange, world, **kept)
        at_it = {"is_asked": True, "alive_until_s": world.clock.now_s() + SENDING_S}
        return replace(job, request=None, held=None, **at_it)

    async def _given_up(self, error: GatewayError) -> None:
        """The request tells and settles itself; its record says that nothing comes of it. A worker ends its own job."""
        exchange, world, record = self._exchange, self._world, self._record
        if exchange.job is not None or record is None:
            return
        told = msgspec.to_builtins(error.wire(exchange.request_id)["error"])
        found = {"error": told, "cost_nano_usd": exchange.cost_nano_usd or 0, "webhook": None}
        try:
            await world.jobs.change(record.now.ended("failed", world.clock.now_s(), LONGEST_S, **found))
        except StorageUnavailable as unavailable:
            world.records.trouble("video.unrecorded", request_id=exchange.request_id, reason=unavailable.message)
