"""Whether a job's record is still a job to its tenant."""

from __future__ import annotations

from typing import NoReturn

from gateway.model.errors import JobExpired, JobNotFound
from gateway.model.job import Job

PARAM = "job_id"


def found(job: Job, now_s: float, param: str = PARAM) -> Job:
    """That job. Raises JobExpired (410) when its result is gone, JobNotFound (404) when it is deleted or forgotten,
    or was never shown.
    """
    if job.is_forgotten(now_s) or job.facts.get("deleted") or job.is_hidden:
        not_found(job.id, param)
    if job.is_gone(now_s):
        raise JobExpired("The job's result was kept as long as promised and is gone.", param=param)
    return job


def not_found(job_id: str, param: str = PARAM) -> NoReturn:
    raise JobNotFound(f"No such job: '{job_id[:64]}'.", param=param)
