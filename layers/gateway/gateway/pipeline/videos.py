"""A video from key to the job that makes it, in reading order, and where it is waited for, to its end.

Who makes it is found out in `video_begin`, how it gets on is looked at in `video_look`.
"""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from gateway.hooks.videos import VideoPrompt
from gateway.model.errors import AdmissionUnavailable, JobCancelled, StorageUnavailable
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.model.video import VideoCall
from gateway.pipeline.agree import agreed
from gateway.pipeline.candidates import Candidates
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted, started
from gateway.pipeline.video_begin import Beginning
from gateway.pipeline.video_look import Look
from gateway.pipeline.video_picture import picture_of
from gateway.pipeline.video_plan import VideoPlan, plan_videos
from gateway.pipeline.video_read import VideoRequest, read_video_request
from gateway.pipeline.watch import patience_s
from gateway.ports import World

EVERY_S = 5.0
"""How long what was found of a video is good enough for whoever asks next."""
WAIT_MS = 210_000
"""From the arrival of who waits for a video until the last look; what is left of the answer's time is to store it."""
BACK_OFF, MAX_PAUSE_S = 1.5, 20.0


async def run(inbound: Inbound, exchange: Exchange, world: World, every_s: float) -> Job:
    """The job as the provider has begun it, which tells and settles when it ends; with `async: false` as it stands when
    it has ended or the time is up. Raises GatewayError.
    """

    def read() -> VideoRequest:
        request = read_video_request(inbound.content_type, inbound.body)
        exchange.note(request.call)
        return request

    async def plan(request: VideoRequest, principal: Principal) -> Candidates[VideoPlan]:
        return await plan_videos(request, principal, world)

    planned = await enter(inbound.authorization, "videos", read, plan, exchange, world)
    request = planned.asked.request
    if (job := await accepted(request.call, inbound, exchange, world, **planned.all[0].kept)) is not None:
        return job

    async def replan(call: VideoCall, principal: Principal) -> Candidates[VideoPlan]:
        return await plan(replace(request, call=call), principal)

    prompt, chain = VideoPrompt(request.call, _read_again), Chain(exchange, world)
    planned = await agreed(planned, prompt, replan, chain, exchange, world)
    request, until_s = planned.asked.request, exchange.answer_by_s
    picture = await picture_of(request, exchange, world)
    job = await Beginning(request.call, picture, exchange, world).by_one_of(planned, every_s)
    if exchange.job is None:
        await started(job, world)
    if request.call.async_ is not False:
        return job
    look = Look(world, every_s, until_s)
    job = await _waited(job, look, exchange.started_s + patience_s(request.call, WAIT_MS, inbound.wait_s))
    exchange.is_out_of_time = not job.has_ended
    return job


async def _waited(job: Job, look: Look, until_s: float) -> Job:
    """Looks again and again, more and more seldom. What cannot be stored or settled yet is told as it was before: an
    error would have the client begin another one. Raises JobCancelled (409) when somebody deleted it meanwhile.
    """
    clock, pause_s = look.world.clock, look.every_s
    while not job.has_ended and clock.monotonic_s() + pause_s < until_s:
        await clock.sleep(pause_s)
        pause_s = min(pause_s * BACK_OFF, MAX_PAUSE_S)
        with suppress(AdmissionUnavailable, StorageUnavailable):
            job = await look.for_a_caller(job)
    if job.status == "cancelled":
        raise JobCancelled("The video was deleted before it was finished.")
    return job


def _read_again(body: bytes) -> VideoCall:
    return read_video_request("application/json", body).call
