"""From a job's record to the video object that the client receives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from gateway.file_ports import Files
from gateway.model.completion import AttemptReport
from gateway.model.file import File
from gateway.model.job import Job, Status
from gateway.model.money import NANO_PER_USD
from gateway.model.video import Video, VideoFailure, VideoList, VideoReport, VideoUsage
from gateway.pipeline.asked_before import AskedBefore, asked_before
from gateway.pipeline.tenant_videos import VideoPage

Shown = Literal["queued", "in_progress", "completed", "failed"]
_SHOWN: dict[Status, Shown] = {
    "pending": "queued",
    "running": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


async def video(job: Job, files: Files) -> Video:
    """With a fresh link to a finished one. Raises StorageUnavailable (503)."""
    return _video(job, await _report(job, files))


def video_list(page: VideoPage) -> VideoList:
    """Without links, as lists of files are."""
    data = [_video(job, _told(job)) for job in page.jobs]
    first_id, last_id = (data[0].id, data[-1].id) if data else (None, None)
    return VideoList(data=data, first_id=first_id, last_id=last_id, has_more=page.has_more)


def _video(job: Job, report: VideoReport) -> Video:
    error = None if job.error is None else VideoFailure(code=job.error["code"], message=job.error["message"])
    return Video(
        id=job.id,
        status=_SHOWN[job.status],
        model=report.model_used,
        progress=job.progress or 0,
        created_at=job.created_at_s,
        completed_at=job.finished_at_s,
        expires_at=job.expires_at_s if job.status == "completed" else None,
        seconds=str(job.facts["seconds"]),
        size=job.facts["size"],
        error=error,
        usage=_usage(job),
        gateway=report,
    )


def _usage(job: Job) -> VideoUsage | None:
    """Of one that has ended; of one that failed, what is paid all the same."""
    if not job.has_ended:
        return None
    units = (job.usage or {}).get("units", {})
    cost = job.cost_nano_usd if job.usage or asked_before(job).tried else 0
    return VideoUsage(units=units, cost_estimate=None if cost is None else cost / NANO_PER_USD)


def _told(job: Job) -> VideoReport:
    assert job.remote is not None  # noqa: S101 - no video is without
    result, before, model_used = job.result, asked_before(job), f"{job.remote.provider}/{job.remote.model}"
    return VideoReport(
        request_id=job.request_id,
        provider=job.remote.provider,
        model_requested=job.model,
        model_used=model_used,
        fallback_used=before.model_asked not in (None, model_used),
        attempts=[*(one.report for one in before.tried), *_last(job, before)],
        left_out=before.left_out or UNSET,
        file_id=result.file_id if result else None,
        content_type=result.body["content_type"] if result else None,
        size_bytes=result.body["size_bytes"] if result else None,
    )


def _last(job: Job, before: AskedBefore) -> Iterator[AttemptReport]:
    """The one that makes it, as soon as that has begun, or that failed. Its cost is known at the end."""
    remote = job.remote
    assert remote is not None  # noqa: S101 - as above
    if not job.is_asked or not (job.is_begun or job.has_ended):
        return
    lasted_s = (job.finished_at_s or 0) - (job.started_at_s or job.created_at_s)
    cost_nano_usd = None if job.cost_nano_usd is None else job.cost_nano_usd - before.cost_nano_usd
    yield AttemptReport(
        provider=remote.provider,
        model=f"{remote.provider}/{remote.model}",
        status="error" if job.error else "ok",
        code=job.error["code"] if job.error else None,
        latency_ms=lasted_s * 1000.0 if remote.taken_ms is None else remote.taken_ms,
        ttft_ms=None,
        cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
    )


async def _report(job: Job, files: Files) -> VideoReport:
    told, result = _told(job), job.result
    if result is None or result.file_id is None:
        return told
    body = result.body
    file = File(result.file_id, body["filename"], body["content_type"], body["size_bytes"])
    link = await files.link(job.tenant_id, file)
    return replace(told, url=link.url, url_expires_at=link.expires_at_s)
