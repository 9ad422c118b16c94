"""A job with its result, whose links are fresh."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.errors import FileNotFound
from gateway.model.job import Job, JobResult
from gateway.model.job_view import JobView, ResultView
from gateway.pipeline.fresh_links import with_fresh_links
from gateway.pipeline.job_respond import without_result
from gateway.pipeline.video_respond import video
from gateway.ports import World

_JSON = "application/json"


async def job_view(job: Job, world: World) -> JobView:
    """Raises JobExpired (410) where its reply is gone before its time, StorageUnavailable (503)."""
    return replace(without_result(job), result=await _result(job, world))


async def _result(job: Job, world: World) -> ResultView | None:
    result = job.result
    if result is None:
        return None
    if job.operation == "videos":
        return ResultView(status_code=200, content_type=_JSON, body=await video(job, world.files))
    found = ResultView(status_code=result.status, content_type=result.content_type)
    if result.key is not None:
        return replace(found, body=await _body(result, result.key, job.tenant_id, world))
    return await _linked(found, result, job.tenant_id, world)


async def _body(result: JobResult, key: str, tenant_id: str, world: World) -> Any:
    reply = await world.payloads.reply(key)
    if result.content_type != _JSON:
        return reply.decode()
    return await with_fresh_links(msgspec.json.decode(reply), tenant_id, world.files)


async def _linked(found: ResultView, result: JobResult, tenant_id: str, world: World) -> ResultView:
    """A large one."""
    assert result.file_id is not None  # noqa: S101 - it is in one of both places
    try:
        link = await world.files.link(tenant_id, await world.files.head(tenant_id, result.file_id))
    except FileNotFound:  # its owner has deleted it
        return replace(found, file_id=result.file_id)
    return replace(found, file_id=result.file_id, url=link.url, url_expires_at=link.expires_at_s)
