"""A job with its result, whose links are fresh."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.errors import FileNotFound
from gateway.model.job import Job
from gateway.model.job_view import JobView, ResultView
from gateway.pipeline.fresh_links import with_fresh_links
from gateway.pipeline.job_respond import without_result
from gateway.pipeline.video_respond import video
from gateway.ports import Files


async def job_view(job: Job, files: Files) -> JobView:
    """Raises StorageUnavailable (503)."""
    return replace(without_result(job), result=await _result(job, files))


async def _result(job: Job, files: Files) -> ResultView | None:
    result = job.result
    if result is None:
        return None
    if job.operation == "videos":
        return ResultView(status_code=200, content_type="application/json", body=await video(job, files))
    found = ResultView(status_code=result.status, content_type=result.content_type)
    if result.file_id is None:
        return replace(found, body=await with_fresh_links(result.body, job.tenant_id, files))
    try:
        link = await files.link(job.tenant_id, await files.head(job.tenant_id, result.file_id))
    except FileNotFound:  # its owner has deleted it
        return replace(found, file_id=result.file_id)
    return replace(found, file_id=result.file_id, url=link.url, url_expires_at=link.expires_at_s)
