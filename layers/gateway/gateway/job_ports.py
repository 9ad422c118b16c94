"""What keeping jobs needs of the world: one record for each, on which changes follow one another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from gateway.model.job import Job, Status


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: list[Job]
    has_more: bool


class Jobs(Protocol):
    """Records of jobs. Another tenant's job is not found. Every method raises StorageUnavailable (503).

    `due_at_s`: Unix seconds, when somebody should look whether a job that has not ended is still worked on.
    """

    async def create(self, job: Job, due_at_s: int) -> None: ...

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """Raises JobNotFound (404)."""
        ...

    async def change(self, job: Job, due_at_s: int | None = None) -> bool:
        """Stores the next revision; False and nothing when somebody else's next revision came first."""
        ...

    async def page(self, tenant_id: str, limit: int, after: str | None, status: Status | None) -> JobPage:
        """At most `limit` of them, newest first, older than the job id `after`."""
        ...

    def due(self, now_s: float) -> AsyncIterator[Job]:
        """Jobs that have not ended and should be looked at by now; perhaps not quite as they are this moment."""
        ...
