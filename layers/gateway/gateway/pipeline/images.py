"""Images from key to pictures, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from gateway.hooks.images import ImagesReply, ImagesRequest
from gateway.model.errors import CapabilityNotSupported
from gateway.model.images import ImageList, Images, ImagesCall, MadeImage
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.pipeline.agree import agreed
from gateway.pipeline.candidates import Candidates, candidates_of
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of
from gateway.pipeline.halfway import BegunCall
from gateway.pipeline.hooks import Chain
from gateway.pipeline.images_check import checked
from gateway.pipeline.images_keep import image_list, images_in
from gateway.pipeline.images_parts import PARTS_AT_ONCE, ImagesPart, cut, images_of_each
from gateway.pipeline.images_usage import usage_at_most, usage_of
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_json
from gateway.pipeline.route import IMAGES, Route, resolve
from gateway.pipeline.split import Part, account_parts, ask_parts
from gateway.pipeline.timeouts import timed
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import ImagesWire

KEEP_S = 45.0
"""How much of the time for an answer is kept for reading what the provider left at a URL, and for storing."""
_IMAGES = msgspec.json.Decoder(ImagesCall)
_JSON = "application/json"


class ImagesPlan(msgspec.Struct, frozen=True):
    """A call as the client asked it and as its provider can be asked, and the most it can use."""

    asked: ImagesCall
    call: ImagesCall
    route: Route[ImagesWire]
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> ImageList | Job:
    """The images, or the job that the request became. Raises GatewayError."""

    async def plan(call: ImagesCall, principal: Principal) -> Candidates[ImagesPlan]:
        return await plan_images(call, principal, world)

    planned = await enter(inbound.authorization, "images", partial(_read, inbound, exchange), plan, exchange, world)
    if (job := await accepted(planned.asked.asked, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    planned = await agreed(planned, _request(planned), plan, chain, exchange, world)
    made, images = await made_images(planned, chain, exchange, world)
    return await _agreed(made.call, images, chain, exchange, world)


async def made_ready(inbound: Inbound, exchange: Exchange, world: World) -> tuple[ImagesPlan, BegunCall]:
    """As its provider is given it in a batch, and what is needed to give its images later.

    Raises GatewayError, CapabilityNotSupported (400) for what takes several requests.
    """

    async def plan(call: ImagesCall, principal: Principal) -> Candidates[ImagesPlan]:
        return await plan_images(call, principal, world, of_batch=True)

    planned = await enter(inbound.authorization, "images", partial(_read, inbound, exchange), plan, exchange, world)
    chain = Chain(exchange, world)
    ready = (await agreed(planned, _request(planned), plan, chain, exchange, world)).asked
    if len(cut(ready.call, ready.route)) > 1:
        raise CapabilityNotSupported("These are too many images for one item of a batch.", param="n")
    await exchange.left()
    return ready, BegunCall.of(ready.call, chain.masking, exchange)


async def given_late(kept: BegunCall, made: Images, exchange: Exchange, world: World) -> ImageList:
    """The images of a call, which came when nobody waited. Raises GatewayError; their cost is accounted for before."""
    call, attempt = read_images_call(_JSON, bytes(kept.call)), exchange.attempts[-1]
    chain = kept.goes_on(exchange, world)
    parts: list[ImagesPart] = [Part(call, made)]
    with account_parts(parts, attempt, exchange, usage_of):
        images = await images_in(parts, attempt, exchange, world)
    return await _agreed(call, images, chain, exchange, world)


def _read(inbound: Inbound, exchange: Exchange) -> ImagesCall:
    call = read_images_call(inbound.content_type, inbound.body)
    exchange.note(call)
    return call


def _request(planned: Candidates[ImagesPlan]) -> ImagesRequest:
    return ImagesRequest(planned.asked.asked, partial(read_images_call, _JSON))


async def _agreed(
    call: ImagesCall, images: Sequence[MadeImage], chain: Chain, exchange: Exchange, world: World
) -> ImageList:
    said = await chain.after(ImagesReply(tuple(images), exchange.attempts[-1].route.model_id))
    return await image_list(call, said.images, exchange, world)


def read_images_call(content_type: str, body: bytes) -> ImagesCall:
    """Raises as `read_json`."""
    return read_json(_IMAGES, content_type, body)


async def plan_images(
    asked: ImagesCall, principal: Principal, world: World, *, of_batch: bool = False
) -> Candidates[ImagesPlan]:
    """`of_batch`: as its provider is given it in a batch, at the price of that."""

    async def plan(call: ImagesCall) -> ImagesPlan:
        route = resolve(IMAGES, call.model, principal, world.catalog, world.clock.now_s())
        call = timed(checked(call, route), route.model_id, principal.tenant)
        most = usage_at_most(call, route.facts, len(images_of_each(call, route)))
        demand = demand_at_most(most, route, principal, lease_s(call, principal.tenant), of_batch=of_batch)
        return ImagesPlan(asked, call, route, demand)

    return await candidates_of(asked, principal.tenant, world, plan)


async def made_images(
    candidates: Candidates[ImagesPlan], chain: Chain, exchange: Exchange, world: World
) -> tuple[ImagesPlan, list[MadeImage]]:
    """By whom they were made: as many as were asked for, but for what a filter took. What was made is paid, whatever
    comes of it.
    """
    made = partial(_made, exchange, world)
    return await answer_of(candidates, made, exchange, world, spare_s=chain.spare_s + KEEP_S)


async def _made(
    exchange: Exchange, world: World, planned: ImagesPlan, attempt: Attempt
) -> tuple[ImagesPlan, list[MadeImage]]:
    parts = cut(planned.call, planned.route)
    with account_parts(parts, attempt, exchange, usage_of):
        await ask_parts(parts, attempt, world, PARTS_AT_ONCE)
    return planned, await images_in(parts, attempt, exchange, world)
