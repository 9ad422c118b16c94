"""Jobs of one tenant: found, listed, cancelled."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from gateway.job_ports import JobPage
from gateway.model.errors import JobNotFound
from gateway.model.file import GENERATED_KEPT_S
from gateway.model.job import LONGEST_S, Job, Status, age_of, is_job_id, oldest_id
from gateway.pipeline.job_cancel import cancel
from gateway.pipeline.job_found import found, not_found
from gateway.pipeline.job_reply import forgotten
from gateway.ports import World

LATE_S = 3_600
MOST_AT_ONCE = 1_000


class TenantJobs(Struct, frozen=True):
    """Methods with an id raise JobNotFound (404), JobExpired (410); all StorageUnavailable (503)."""

    tenant_id: str
    world: World

    async def find(self, job_id: str) -> Job:
        if not is_job_id(job_id) or job_id.partition("_")[0] not in self._kept_s:
            not_found(job_id)
        try:
            job = await self.world.jobs.get(self.tenant_id, job_id)
        except JobNotFound:
            not_found(job_id)
        return found(job, self.world.clock.now_s())

    async def page(self, limit: int, after: str | None, status: Status | None) -> JobPage:
        """Newest first, of all kinds, without those whose result is gone."""
        of_kinds = await asyncio.gather(*(self._of_kind(kind, limit + 1, after, status) for kind in self._kept_s))
        listed = sorted((job for jobs in of_kinds for job in jobs), key=lambda job: age_of(job.id))
        return JobPage(listed[:limit], has_more=len(listed) > limit)

    async def _of_kind(self, kind: str, limit: int, after: str | None, status: Status | None) -> list[Job]:
        """As many, if there are as many; nothing that is so old that it must be gone is read."""
        listed: list[Job] = []
        after = f"{kind}_{age_of(after) if after else ''}"
        until, at_once = oldest_id(self.world.clock.now_s() - self._oldest_s(kind), kind), limit
        while True:
            page = await self.world.jobs.page(self.tenant_id, at_once, after, status, until)
            listed += [job for job in page.jobs if self._is_listed(job)]
            if len(listed) >= limit or not page.has_more:
                return listed[:limit]
            after, at_once = page.jobs[-1].id, min(4 * at_once, MOST_AT_ONCE)  # among many that are gone

    @property
    def _kept_s(self) -> dict[str, int]:
        return {"job": self.world.job_kept_s, "video": GENERATED_KEPT_S}

    def _oldest_s(self, kind: str) -> int:
        """After which nothing is left of one, also when it ended late."""
        return LONGEST_S + self._kept_s[kind] + LATE_S

    async def cancel(self, job_id: str) -> Job:
        """Cancelled, or as it had ended before."""
        return await cancel(await self.find(job_id), self.world)

    async def delete(self, job_id: str) -> Job:
        """Cancelled; of one that had ended nothing is kept but that it was."""
        job = await self.find(job_id)
        return await forgotten(job, self.world) if job.has_ended else await cancel(job, self.world)

    def _is_listed(self, job: Job) -> bool:
        return not job.facts.get("deleted") and not job.is_hidden and not job.is_gone(self.world.clock.now_s())
