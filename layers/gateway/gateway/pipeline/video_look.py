"""How a video gets on: whoever asks looks, one at a time and not too often; who finds it finished stores it.

A look is leased in the job's record, so that of many readers one asks the provider and the others are told what is
known. Its execution is one of them, so that a video that nobody else asks for is stored and paid too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf
from typing import Any

from msgspec.structs import replace

from gateway.model.errors import AdmissionUnavailable, GatewayError, StorageUnavailable
from gateway.model.file import Origin
from gateway.model.http import HttpResponse
from gateway.model.job import Job, JobResult
from gateway.model.provider_errors import (
    ProviderError,
    ProviderFailure,
    ProviderGone,
    ProviderRejected,
    ProviderTimeout,
    is_gone,
)
from gateway.model.usage import TokenUsage
from gateway.model.video import VideoState
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import ANSWER_S
from gateway.pipeline.generated_media import keep_media
from gateway.pipeline.job_end import FINISHING_S, settled
from gateway.pipeline.job_sweep import LATER_S
from gateway.pipeline.remote_attempt import attempt_of
from gateway.pipeline.video_check import usage_kept, usage_of
from gateway.pipeline.video_download import opened
from gateway.pipeline.video_end import Ending, end
from gateway.ports import World

LOOK_TIMEOUT_S = 20.0
STORE_TIMEOUT_S = 240.0
LEASE_S = ANSWER_S + 15.0
_NO_VIDEO = "no_medium"


def is_on_the_way(job: Job, now_s: float) -> bool:
    """Whether it is yet to be begun: until then the record belongs to who asks for that, a job's to its worker."""
    if job.remote is None or job.is_begun:
        return False
    return job.request is not None or now_s < job.alive_until_s


@dataclass(frozen=True, slots=True)
class Look:
    """`every_s`: how long what one who asks found is good enough for the next.

    `until_s`: by when the answer has to begin, by the monotonic clock.
    """

    world: World
    every_s: float
    until_s: float = inf

    async def at(self, job: Job) -> Job:
        """The job as it is now. Raises AdmissionUnavailable and StorageUnavailable (503), also when a finished video
        cannot be stored: it will be tried again by whoever asks next.
        """
        now_s = self.world.clock.now_s()
        if job.has_ended:
            is_left = now_s >= (job.finished_at_s or 0) + FINISHING_S
            return await settled(job, self.world) if is_left else job
        assert job.remote is not None  # noqa: S101 - no video is without
        if now_s < job.remote.look_at_s or is_on_the_way(job, now_s):
            return job
        remote = replace(job.remote, polls=job.remote.polls + 1, look_at_s=now_s + LEASE_S)
        leased = job.changed(remote=remote)
        if not await self.world.jobs.change(leased, int(now_s) + LATER_S):
            return await self.world.jobs.get(job.tenant_id, job.id)
        return await self._looked(leased)

    async def _looked(self, job: Job) -> Job:
        now_s, remote = self.world.clock.now_s(), job.remote
        assert remote is not None  # noqa: S101 - as above
        if remote.id is None or now_s >= job.expires_at_s:
            return await self._lost(job, ProviderTimeout("The video was not finished in time.", phase="total"))
        try:
            reached = await contact(attempt_of(job, self.world), self.world)
            state = await self._state(remote.id, reached)
            return await self._after(job, state, reached)
        except ProviderFailure as error:
            if isinstance(error, ProviderGone) or error.provider_code == _NO_VIDEO:
                return await self._lost(job, error)
            self.world.records.trouble("video.not_looked_at", request_id=job.request_id, reason=error.message)
            return await self._later(job)

    async def _state(self, remote_id: str, reached: Contact) -> VideoState:
        wire = reached.route.wire
        request = reached.authorized(wire.look(remote_id, reached.target), self.world.clock.now_s())
        try:
            async with asyncio.timeout(self._left_s(LOOK_TIMEOUT_S)), self.world.outbound.open(request) as incoming:
                answer: HttpResponse = await incoming.whole()
        except TimeoutError:
            raise ProviderTimeout(f"{reached.route.provider.name} did not answer in time.", phase="total") from None
        if is_gone(answer.status):
            raise ProviderGone(f"{reached.route.provider.name} no longer knows the video.")
        if not 200 <= answer.status < 300:
            raise wire.fail(answer, reached.target)
        found: VideoState = wire.state(answer, reached.target)
        return found

    def _left_s(self, at_most_s: float) -> float:
        return min(at_most_s, self.until_s - self.world.clock.monotonic_s())

    async def _after(self, job: Job, state: VideoState, reached: Contact) -> Job:
        if state.progress == "failed":
            failed = ProviderRejected if state.is_refused else ProviderError
            said = f"{reached.route.provider.name} made no video" + (f": {state.message}" if state.message else ".")
            return await self._ended(job, failed(said, provider_code=state.code), _charged(job, state))
        if state.progress == "completed":
            return await self._stored(job, state, reached)
        known = job.begun(self.world.clock.now_s()) if state.progress == "running" else job.changed()
        percent = max(job.progress or 0, min(state.percent or 0, 99))
        return await self._later(job, replace(known, progress=percent))

    async def _stored(self, job: Job, state: VideoState, reached: Contact) -> Job:
        usage = _usage(job, state, reached)
        origin, left_s = Origin(reached.route.model_id, job.request_id), self._left_s(STORE_TIMEOUT_S)
        try:
            async with asyncio.timeout(left_s), opened(state.source or "", reached, self.world) as chunks:
                kept = await keep_media(job.tenant_id, origin, chunks, "video/mp4", self.world, left_s)
        except (StorageUnavailable, TimeoutError) as error:
            self.world.records.trouble("video.not_stored", request_id=job.request_id, reason=str(error))
            await self._later(job)
            raise StorageUnavailable("The video is finished and cannot be stored at the moment. Ask again.") from error
        file = kept.file
        body = {"filename": file.filename, "content_type": file.content_type, "size_bytes": file.size_bytes}
        result = JobResult(body=body, file_id=file.id, files=(file.id,))
        try:
            ended = await end(job, Ending("completed", usage, result=result), self.world)
        except AdmissionUnavailable:  # before anything was recorded; the next look stores it again
            await self.world.files.delete(job.tenant_id, file.id)
            raise
        if ended.result is None or ended.result.file_id != file.id:
            await self.world.files.delete(job.tenant_id, file.id)  # somebody cancelled it meanwhile
        return ended

    async def _lost(self, job: Job, error: GatewayError) -> Job:
        """A provider that was asked is paid, unless it says itself that it made nothing."""
        return await self._ended(job, error, usage_kept(job.facts))

    async def _ended(self, job: Job, error: GatewayError, usage: TokenUsage | None) -> Job:
        return await end(job, Ending("failed", usage, error=error), self.world)

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


def _usage(job: Job, state: VideoState, reached: Contact) -> TokenUsage:
    """By the length that was made, and at the cost, where the provider says it."""
    facts: dict[str, Any] = job.facts
    usage = usage_kept(facts)
    if state.seconds is not None:
        has_picture = "images" in facts["units"]
        usage = usage_of(state.seconds, facts["resolution"], reached.route.facts, has_picture=has_picture)
    return replace(usage, stated_cost_nano_usd=state.stated_cost_nano_usd)


def _charged(job: Job, state: VideoState) -> TokenUsage | None:
    """Of a video that came to nothing: None where the provider charges nothing for that."""
    stated = state.stated_cost_nano_usd
    is_charged = state.is_charged if stated is None else stated > 0
    return replace(usage_kept(job.facts), stated_cost_nano_usd=stated) if is_charged else None
