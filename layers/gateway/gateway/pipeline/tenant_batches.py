"""Batches of one tenant: found, listed, cancelled, and their results."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from gateway.job_ports import JobPage
from gateway.model.batch import KEPT_S, KIND, batch_of, with_batch
from gateway.model.errors import BatchNotFound, JobExpired, JobNotFound, StorageUnavailable
from gateway.model.job import LONGEST_S, Job, is_job_id, oldest_id
from gateway.pipeline.batch_page import Cursor, Page, page_of
from gateway.pipeline.job_record import BUSY, TRIES
from gateway.ports import World

LATE_S = 3_600
LOOK_S = 600
PARAM = "batch_id"


class TenantBatches(Struct, frozen=True):
    """Methods with an id raise BatchNotFound (404), JobExpired (410); all StorageUnavailable (503)."""

    tenant_id: str
    world: World

    async def find(self, batch_id: str) -> Job:
        now_s = self.world.clock.now_s()
        if not is_batch_id(batch_id):
            raise _not_found(batch_id)
        try:
            job = await self.world.jobs.get(self.tenant_id, batch_id)
        except JobNotFound:
            raise _not_found(batch_id) from None
        if job.is_forgotten(now_s):
            raise _not_found(batch_id)
        if job.is_gone(now_s):
            raise JobExpired("The batch was kept as long as promised and is gone.", param=PARAM)
        return job

    async def page(self, limit: int, after: str | None) -> JobPage:
        """Newest first, without those that are gone."""
        now_s = self.world.clock.now_s()
        until = oldest_id(now_s - LONGEST_S - KEPT_S - LATE_S, KIND)
        listed: list[Job] = []
        after = after or f"{KIND}_"
        while True:
            page = await self.world.jobs.page(self.tenant_id, limit + 1, after, None, until)
            listed += [job for job in page.jobs if not job.is_gone(now_s)]
            if len(listed) > limit or not page.has_more:
                return JobPage(listed[:limit], has_more=len(listed) > limit)
            after = page.jobs[-1].id

    async def cancel(self, batch_id: str) -> Job:
        """To be cancelled by those who are at it, or as it had ended before: what is asked for comes to its end."""
        job = await self.find(batch_id)
        for _ in range(TRIES):
            batch, now_s = batch_of(job), int(self.world.clock.now_s())
            if job.has_ended or batch.cancels or batch.finalizing_at_s is not None:
                return job
            told = with_batch(job, replace(batch, cancelling_at_s=now_s))
            if await self.world.jobs.change(told, now_s + LOOK_S):
                return told
            job = await self.world.jobs.get(self.tenant_id, batch_id)
        raise StorageUnavailable(BUSY)

    async def results(self, batch_id: str, after: str | None, limit: int) -> Page:
        """Raises InvalidRequest (400) for a cursor that is none."""
        batch = batch_of(await self.find(batch_id))
        cursor = Cursor.of(after, batch_id, batch)
        parts = await self.world.batch_parts.all(self.tenant_id, batch_id)
        return await page_of(batch, parts, cursor, limit, self.world)


def is_batch_id(text: str) -> bool:
    return is_job_id(text) and text.startswith(f"{KIND}_")


def _not_found(batch_id: str) -> BatchNotFound:
    return BatchNotFound(f"No such batch: '{batch_id[:64]}'.", param=PARAM)
