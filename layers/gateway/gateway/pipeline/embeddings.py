"""Embeddings from key to vectors, in reading order."""

from __future__ import annotations

from functools import partial

from msgspec import Struct

from gateway.hooks.embeddings_reply import EmbeddingsReply
from gateway.hooks.embeddings_request import EmbeddingsRequest
from gateway.model.embeddings import EmbeddingList, Embeddings, EmbeddingsCall
from gateway.model.errors import CapabilityNotSupported
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.pipeline.agree import agreed
from gateway.pipeline.candidates import Candidates, candidates_of
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.embeddings_check import check_embeddings, check_same_length, usage_at_most
from gateway.pipeline.embeddings_parts import PARTS_AT_ONCE, VectorsPart, check_number, cut, usage_of
from gateway.pipeline.embeddings_read import read_embeddings_call
from gateway.pipeline.embeddings_respond import embedding_list
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of
from gateway.pipeline.halfway import BegunCall
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import EMBEDDINGS, Route, resolve
from gateway.pipeline.split import Part, account_parts, ask_parts
from gateway.pipeline.timeouts import timed
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import EmbeddingsWire

JSON = "application/json"


class EmbeddingsPlan(Struct, frozen=True):
    """A call as the client asked it and as its provider can be asked, and the most it can use."""

    asked: EmbeddingsCall
    call: EmbeddingsCall
    route: Route[EmbeddingsWire]
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> EmbeddingList | Job:
    """The vectors, or the job that the request became. Raises GatewayError."""

    async def plan(call: EmbeddingsCall, principal: Principal) -> Candidates[EmbeddingsPlan]:
        return await plan_embeddings(call, principal, world)

    read = partial(_read, inbound, exchange)
    planned = await enter(inbound.authorization, "embeddings", read, plan, exchange, world)
    if (job := await accepted(planned.asked.asked, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    planned = await agreed(planned, _request(planned), plan, chain, exchange, world)
    made, parts = await answer_of(planned, partial(_made, exchange, world), exchange, world, spare_s=chain.spare_s)
    return await _agreed(made.call, parts, chain, exchange, world)


async def made_ready(inbound: Inbound, exchange: Exchange, world: World) -> tuple[EmbeddingsPlan, BegunCall]:
    """As its provider is given it in a batch, and what is needed to give its vectors later.

    Raises GatewayError, CapabilityNotSupported (400) for what takes several requests.
    """

    async def plan(call: EmbeddingsCall, principal: Principal) -> Candidates[EmbeddingsPlan]:
        return await plan_embeddings(call, principal, world, of_batch=True)

    read = partial(_read, inbound, exchange)
    planned = await enter(inbound.authorization, "embeddings", read, plan, exchange, world)
    chain = Chain(exchange, world)
    ready = (await agreed(planned, _request(planned), plan, chain, exchange, world)).asked
    if len(cut(ready.call, ready.route)) > 1:
        raise CapabilityNotSupported("These are too many inputs for one item of a batch.", param="input")
    await exchange.left()
    return ready, BegunCall.of(ready.call, chain.masking, exchange)


async def given_late(kept: BegunCall, made: Embeddings, exchange: Exchange, world: World) -> EmbeddingList:
    """The vectors of a call, which came when nobody waited. Raises GatewayError; their cost is accounted for before."""
    call = read_embeddings_call(JSON, bytes(kept.call))
    chain = kept.goes_on(exchange, world)
    parts: list[VectorsPart] = [Part(call, made)]
    with account_parts(parts, exchange.attempts[-1], exchange, usage_of):
        check_number(call, made)
    return await _agreed(call, parts, chain, exchange, world)


def _read(inbound: Inbound, exchange: Exchange) -> EmbeddingsCall:
    call = read_embeddings_call(inbound.content_type, inbound.body)
    exchange.note(call)
    return call


def _request(planned: Candidates[EmbeddingsPlan]) -> EmbeddingsRequest:
    return EmbeddingsRequest(planned.asked.asked, partial(read_embeddings_call, JSON))


async def _agreed(
    call: EmbeddingsCall, parts: list[VectorsPart], chain: Chain, exchange: Exchange, world: World
) -> EmbeddingList:
    await chain.after(EmbeddingsReply(len(call.inputs), exchange.attempts[-1].route.model_id))
    return embedding_list(parts, call, exchange, world.clock)


async def plan_embeddings(
    asked: EmbeddingsCall, principal: Principal, world: World, *, of_batch: bool = False
) -> Candidates[EmbeddingsPlan]:
    """`of_batch`: as its provider is given it in a batch, at the price of that."""

    async def plan(call: EmbeddingsCall) -> EmbeddingsPlan:
        route = resolve(EMBEDDINGS, call.model, principal, world.catalog, world.clock.now_s())
        check_embeddings(call, route)
        if call is not asked:
            first = resolve(EMBEDDINGS, asked.model, principal, world.catalog, world.clock.now_s())
            check_same_length(call, route, first.facts)
        timely = timed(call, route.model_id, principal.tenant)
        most, lease = usage_at_most(call, route.facts), lease_s(timely, principal.tenant)
        demand = demand_at_most(most, route, principal, lease, of_batch=of_batch)
        return EmbeddingsPlan(asked, timely, route, demand)

    return await candidates_of(asked, principal.tenant, world, plan)


async def _made(
    exchange: Exchange, world: World, planned: EmbeddingsPlan, attempt: Attempt
) -> tuple[EmbeddingsPlan, list[VectorsPart]]:
    parts = cut(planned.call, planned.route)
    with account_parts(parts, attempt, exchange, usage_of):
        await ask_parts(parts, attempt, world, PARTS_AT_ONCE, check_number)
    return planned, parts
