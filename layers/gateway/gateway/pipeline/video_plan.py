"""Which models may make a video, and what each of them is asked for and costs."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs
from msgspec.structs import replace

from gateway.model.job import LONGEST_S, RemoteWork
from gateway.model.tenant import Principal, Tenant
from gateway.model.usage import TokenUsage
from gateway.model.video import VideoCall, VideoOrder
from gateway.pipeline.candidates import Candidates, candidates_of
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.handed_over import GRACE_S
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import VIDEOS, Route, resolve
from gateway.pipeline.video_check import ordered, usage_of
from gateway.pipeline.video_read import VideoRequest
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import VideoWire


class VideoPlan(Struct, frozen=True):
    """A call as the client asked it and as its provider can be asked, and what it costs. The hold lasts as long as its
    job may.
    """

    request: VideoRequest
    order: VideoOrder
    route: Route[VideoWire]
    usage: TokenUsage
    demand: Demand

    @property
    def kept(self) -> dict[str, Any]:
        """What a job's record has of it."""
        order = self.order
        facts = {"seconds": order.seconds, "size": order.size, "resolution": order.resolution}
        remote = RemoteWork(provider=self.route.provider.name, model=self.route.facts.id)
        return {"remote": remote, "facts": {**facts, "units": self.usage.units}}


async def plan_videos(request: VideoRequest, principal: Principal, world: World) -> Candidates[VideoPlan]:
    """Each model with the picture that came with the request."""

    async def plan(call: VideoCall) -> VideoPlan:
        return _planned(request, call, principal, world)

    return await candidates_of(request.call, _in_turn(principal.tenant), world, plan)


def _in_turn(tenant: Tenant) -> Tenant:
    """With its rules for all that it asks for, as they hold for videos: nobody would pay for a race."""
    rules = tuple(structs.replace(rule, strategy="sequential") for rule in tenant.fallbacks)
    return structs.replace(tenant, fallbacks=rules)


def _planned(asked: VideoRequest, call: VideoCall, principal: Principal, world: World) -> VideoPlan:
    """`call`: as it was asked, but for the model."""
    route = resolve(VIDEOS, call.model, principal, world.catalog, world.clock.now_s())
    order = ordered(replace(asked, call=call), route)
    has_picture = asked.picture is not None or call.input_reference is not None
    usage = usage_of(order.seconds, order.resolution, route.facts, has_picture=has_picture)
    lease = lease_s(call, principal.tenant) if call.async_ else LONGEST_S + GRACE_S
    return VideoPlan(asked, order, route, usage, demand_at_most(usage, route, principal, lease))
