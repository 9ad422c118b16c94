"""A video from key to the job that makes it, in reading order, and where it is waited for, to its end.

How it gets on is looked at in `video_look`.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from gateway.hooks.videos import VideoPrompt
from gateway.model.errors import AdmissionUnavailable, GatewayError, JobCancelled, StorageUnavailable
from gateway.model.job import LONGEST_S, Job, RemoteWork, new_job_id
from gateway.model.tenant import Principal
from gateway.model.usage import TokenUsage
from gateway.model.video import VideoCall, VideoOrder
from gateway.pipeline.account import Counted, account, account_interrupted
from gateway.pipeline.agree import agreed
from gateway.pipeline.ask import ask, begin, ending
from gateway.pipeline.contact import contact
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.handed_over import GRACE_S, held_of
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted, started
from gateway.pipeline.job_sweep import LATER_S
from gateway.pipeline.job_webhook import webhook_of
from gateway.pipeline.meters import Demand
from gateway.pipeline.once import stands_for
from gateway.pipeline.remote_taken import taken
from gateway.pipeline.route import VIDEOS, Route, resolve
from gateway.pipeline.video_check import ordered, usage_kept, usage_of
from gateway.pipeline.video_look import Look
from gateway.pipeline.video_picture import picture_of
from gateway.pipeline.video_read import VideoRequest, read_video_request
from gateway.pipeline.watch import Watch, lease_s, patience_s, total_s
from gateway.ports import World
from gateway.providers.contract import VideoWire

ENDPOINT, OPERATION = "/v1/videos", "videos"
BEGIN_MS = 60_000
EVERY_S = 5.0
"""How long what was found of a video is good enough for whoever asks next."""
SENDING_S = 600
"""After which nobody can be sending a request any more."""
WAIT_MS = 210_000
"""From the arrival of who waits for a video until the last look; what is left of the answer's time is to store it."""
BACK_OFF, MAX_PAUSE_S = 1.5, 20.0


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """A call as its provider can be asked, and what it costs. The hold lasts as long as its job may."""

    request: VideoRequest
    order: VideoOrder
    route: Route[VideoWire]
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World, every_s: float) -> Job:
    """The job as the provider has begun it, which tells and settles when it ends; with `async: false` as it stands when
    it has ended or the time is up. Raises GatewayError.
    """

    def read() -> VideoRequest:
        request = read_video_request(inbound.content_type, inbound.body)
        exchange.note(request.call)
        return request

    async def plan(request: VideoRequest, principal: Principal) -> VideoPlan:
        return _plan(request, principal, world)

    planned = await enter(inbound.authorization, "videos", read, plan, exchange, world)
    if (
        accepted_job := await accepted(planned.request.call, inbound, exchange, world, **_kept_of(planned))
    ) is not None:
        return accepted_job
    prompt, chain = VideoPrompt(planned.request.call, _read_again), Chain(exchange, world)
    planned = await agreed(planned, prompt, partial(_replanned, planned, world), chain, exchange, world)
    picture = await picture_of(planned.request, exchange, world)
    job = await _opened(planned, exchange, world)
    attempt = begin(planned.route, exchange, world.clock)
    try:
        with (
            account_interrupted(attempt, lambda: Counted(usage_kept(job.facts)), exchange),
            ending(attempt, world.clock),
        ):
            await stands_for(job, exchange, world)
            order, until_s = replace(planned.order, picture=picture), exchange.answer_by_s
            remote_id = await _begun(order, planned, attempt, until_s, world)
    except GatewayError as error:
        await _given_up(job, error, exchange, world)
        raise
    try:
        job = await taken(job, remote_id, exchange, world, every_s)
    except GatewayError:
        account(attempt, usage_kept(job.facts), exchange)
        raise
    if exchange.job is None:
        await started(job, world)
    if planned.request.call.async_ is not False:
        return job
    look = Look(world, every_s, until_s)
    job = await _waited(job, look, exchange.started_s + patience_s(planned.request.call, WAIT_MS, inbound.wait_s))
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


def _plan(request: VideoRequest, principal: Principal, world: World) -> VideoPlan:
    route = resolve(VIDEOS, request.call.model, principal, world.catalog, world.clock.now_s())
    order = ordered(request, route)
    lease = lease_s(request.call) if request.call.async_ else LONGEST_S + GRACE_S
    demand = demand_at_most(_usage(request, order, route), route, principal, lease)
    return VideoPlan(request, order, route, demand)


async def _replanned(planned: VideoPlan, world: World, call: VideoCall, principal: Principal) -> VideoPlan:
    """For another call, with the picture that came with the first."""
    return _plan(replace(planned.request, call=call), principal, world)


def _usage(request: VideoRequest, order: VideoOrder, route: Route[VideoWire]) -> TokenUsage:
    has_picture = request.picture is not None or request.call.input_reference is not None
    return usage_of(order.seconds, order.resolution, route.facts, has_picture=has_picture)


async def _opened(planned: VideoPlan, exchange: Exchange, world: World) -> Job:
    """Recorded before anybody is asked, so that what is paid for is never without a record."""
    if exchange.job is None:
        job = _job(planned, exchange, world)
        await world.jobs.create(job, job.created_at_s + LATER_S)
        return job
    kept = _kept_of(planned)
    facts = {**exchange.job.now.facts, **kept["facts"]}
    await exchange.job.change(is_asked=True, remote=kept["remote"], facts=facts, held=held_of(exchange, world))
    return exchange.job.now


def _kept_of(planned: VideoPlan) -> dict[str, Any]:
    """What a job's record has of its video."""
    order = planned.order
    units = _usage(planned.request, order, planned.route).units
    return {
        "remote": RemoteWork(provider=planned.route.provider.name, model=planned.route.facts.id),
        "facts": {"seconds": order.seconds, "size": order.size, "resolution": order.resolution, "units": units},
    }


def _job(planned: VideoPlan, exchange: Exchange, world: World) -> Job:
    principal, now_s, kept = exchange.principal, int(world.clock.now_s()), _kept_of(planned)
    assert principal is not None  # noqa: S101 - it was admitted
    return Job(
        id=new_job_id(world.clock.now_s(), secrets.token_bytes(10), "video"),
        tenant_id=principal.tenant.id,
        user_id=principal.user.id,
        key_id=principal.key.id,
        request_id=exchange.request_id,
        endpoint=ENDPOINT,
        operation=OPERATION,
        model=planned.request.call.model,
        status="pending",
        created_at_s=now_s,
        expires_at_s=now_s + LONGEST_S,
        is_asked=True,
        alive_until_s=now_s + SENDING_S,
        remote=kept["remote"],
        webhook=webhook_of(planned.request.call, principal.tenant),
        facts={**kept["facts"], "conversation_id": exchange.conversation_id, "trace_id": exchange.trace.id},
    )


async def _begun(order: VideoOrder, planned: VideoPlan, attempt: Attempt, until_s: float, world: World) -> str:
    reached = await contact(attempt, world)
    limit_s = total_s(planned.request.call, BEGIN_MS)
    watch = Watch(attempt, world, min(world.clock.monotonic_s() + limit_s, until_s))
    answer = await ask(planned.route.wire.render(order, reached.target), reached, watch, attempt.sending)
    return planned.route.wire.parse(answer, reached.target)


async def _given_up(job: Job, error: GatewayError, exchange: Exchange, world: World) -> None:
    """The request tells and settles itself; the record only says that nothing comes of it. A job's worker ends it."""
    if exchange.job is not None:
        return
    told = msgspec.to_builtins(error.wire(exchange.request_id)["error"])
    found = {"error": told, "cost_nano_usd": exchange.cost_nano_usd or 0, "webhook": None}
    try:
        await world.jobs.change(job.ended("failed", world.clock.now_s(), LONGEST_S, **found))
    except StorageUnavailable as unavailable:
        world.records.trouble("video.unrecorded", request_id=exchange.request_id, reason=unavailable.message)
