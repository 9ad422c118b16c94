"""Videos of one tenant: found, listed, downloaded, deleted. A running one that is deleted is cancelled and paid for."""

from __future__ import annotations

from typing import NoReturn

from msgspec import Struct

from gateway.model.errors import (
    CapabilityNotSupported,
    InvalidRequest,
    JobExpired,
    JobNotFound,
    StorageUnavailable,
)
from gateway.model.file import Link
from gateway.model.job import Job, is_job_id
from gateway.pipeline.exchange import ANSWER_S
from gateway.pipeline.job_cancel import cancel
from gateway.pipeline.job_end import due_of, settled
from gateway.pipeline.video_look import Look
from gateway.ports import World

DELETE_TRIES = 5
PARAM = "video_id"
_DELETED = {"deleted": True}


class VideoPage(Struct, frozen=True):
    jobs: list[Job]
    has_more: bool


class TenantVideos:
    """For one request, which has just arrived.

    Methods with an id raise JobNotFound (404), JobExpired (410); all StorageUnavailable (503).
    """

    def __init__(self, tenant_id: str, world: World, every_s: float) -> None:
        self._tenant_id, self._world = tenant_id, world
        self._look = Look(world, every_s, world.clock.monotonic_s() + ANSWER_S)

    async def find(self, video_id: str) -> Job:
        """As it is now: the provider may be asked for that, and a finished video stored."""
        return _alive(await self._look.for_a_caller(await self._known(video_id)), self._world)

    async def page(self, limit: int, after: str | None) -> VideoPage:
        """As they were last looked at, newest first."""
        found: list[Job] = []
        while True:
            page = await self._world.jobs.page(self._tenant_id, limit + 1, after or "video_", None)
            found += [job for job in page.jobs if _is_listed(job, self._world.clock.now_s())]
            if len(found) > limit or not page.has_more:
                return VideoPage(found[:limit], has_more=len(found) > limit)
            after = page.jobs[-1].id

    async def content(self, video_id: str, variant: str) -> Link:
        """Raises CapabilityNotSupported for what is made of no video here, InvalidRequest (400) for an unfinished one,
        FileNotFound (404) when its file was deleted.
        """
        if variant != "video":
            raise CapabilityNotSupported("No thumbnails or spritesheets are made of videos.", param="variant")
        job = await self.find(video_id)
        if job.status != "completed" or job.result is None or job.result.file_id is None:
            _refuse_content(job)
        file = await self._world.files.head(self._tenant_id, job.result.file_id)
        return await self._world.files.link(self._tenant_id, file)

    async def delete(self, video_id: str) -> None:
        """One that has not ended is cancelled."""
        for _ in range(DELETE_TRIES):
            job = _alive(await self._known(video_id), self._world)
            if await self._removed(await cancel(job, self._world)):
                return
        raise StorageUnavailable("The video changes all the time. Try again.")

    async def _removed(self, job: Job) -> bool:
        """What has not been told is told before nobody can ask for it any more, or by the sweeper."""
        job = await settled(job, self._world)
        for file_id in job.result.files if job.result else ():
            await self._world.files.delete(self._tenant_id, file_id)
        deleted = job.changed(result=None, facts={**job.facts, **_DELETED})
        return await self._world.jobs.change(deleted, due_of(deleted, self._world.clock.now_s()))

    async def _known(self, video_id: str) -> Job:
        if is_job_id(video_id) and video_id.startswith("video_"):
            try:
                job = await self._world.jobs.get(self._tenant_id, video_id)
            except JobNotFound:
                _not_found(video_id)
            if not job.facts.get("deleted"):
                return job
        _not_found(video_id)


def _alive(job: Job, world: World) -> Job:
    now_s = world.clock.now_s()
    if job.is_forgotten(now_s) or job.facts.get("deleted"):
        _not_found(job.id)
    if job.is_gone(now_s):
        raise JobExpired("The video was kept as long as promised and is gone.", param=PARAM)
    return job


def _is_listed(job: Job, now_s: float) -> bool:
    return job.operation == "videos" and not job.facts.get("deleted") and not job.is_gone(now_s)


def _refuse_content(job: Job) -> NoReturn:
    if job.error is not None:
        raise InvalidRequest(f"There is no video: {job.error['message']}", param=PARAM)
    raise InvalidRequest("The video is not finished: ask for its status until it is completed.", param=PARAM)


def _not_found(video_id: str) -> NoReturn:
    raise JobNotFound(f"No such video: '{video_id[:64]}'.", param=PARAM)
