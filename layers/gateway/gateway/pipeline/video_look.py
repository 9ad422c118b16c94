"""How a video gets on, by its provider; who finds it finished stores it."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from gateway.model.errors import AdmissionUnavailable, GatewayError, StorageUnavailable
from gateway.model.file import Origin
from gateway.model.job import Job, JobResult
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderGone, ProviderRejected
from gateway.model.usage import TokenUsage
from gateway.model.video import VideoState
from gateway.pipeline.contact import Contact
from gateway.pipeline.generated_media import keep_media
from gateway.pipeline.remote_look import RemoteLook
from gateway.pipeline.video_check import usage_kept, usage_of
from gateway.pipeline.video_download import opened
from gateway.pipeline.video_end import Ending, end

STORE_TIMEOUT_S = 240.0
_NO_VIDEO = "no_medium"


class Look(RemoteLook):
    def _is_final(self, error: ProviderFailure) -> bool:
        return isinstance(error, ProviderGone) or error.provider_code == _NO_VIDEO

    async def _after(self, job: Job, state: VideoState, reached: Contact, /) -> Job:
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
