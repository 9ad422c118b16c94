"""Embeddings from key to vectors, in reading order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.hooks.embeddings_reply import EmbeddingsReply
from gateway.hooks.embeddings_request import EmbeddingsRequest
from gateway.model.embeddings import EmbeddingList, EmbeddingsCall
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
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import EMBEDDINGS, Route, resolve
from gateway.pipeline.split import account_parts, ask_parts
from gateway.pipeline.timeouts import timed
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import EmbeddingsWire


@dataclass(frozen=True, slots=True)
class EmbeddingsPlan:
    """A call as the client asked it and as its provider can be asked, and the most it can use."""

    asked: EmbeddingsCall
    call: EmbeddingsCall
    route: Route[EmbeddingsWire]
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> EmbeddingList | Job:
    """The vectors, or the job that the request became. Raises GatewayError."""

    def read() -> EmbeddingsCall:
        call = read_embeddings_call(inbound.content_type, inbound.body)
        exchange.note(call)
        return call

    async def plan(call: EmbeddingsCall, principal: Principal) -> Candidates[EmbeddingsPlan]:
        return await plan_embeddings(call, principal, world)

    planned = await enter(inbound.authorization, "embeddings", read, plan, exchange, world)
    asked = planned.asked.asked
    if (job := await accepted(asked, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    request = EmbeddingsRequest(asked, partial(read_embeddings_call, "application/json"))
    planned = await agreed(planned, request, plan, chain, exchange, world)
    made, parts = await answer_of(planned, partial(_made, exchange, world), exchange, world, spare_s=chain.spare_s)
    await chain.after(EmbeddingsReply(len(made.call.inputs), made.route.model_id))
    return embedding_list(parts, made.call, exchange, world.clock)


async def plan_embeddings(asked: EmbeddingsCall, principal: Principal, world: World) -> Candidates[EmbeddingsPlan]:
    async def plan(call: EmbeddingsCall) -> EmbeddingsPlan:
        route = resolve(EMBEDDINGS, call.model, principal, world.catalog, world.clock.now_s())
        check_embeddings(call, route)
        if call is not asked:
            first = resolve(EMBEDDINGS, asked.model, principal, world.catalog, world.clock.now_s())
            check_same_length(call, route, first.facts)
        timely = timed(call, route.model_id, principal.tenant)
        demand = demand_at_most(usage_at_most(call, route.facts), route, principal, lease_s(timely, principal.tenant))
        return EmbeddingsPlan(asked, timely, route, demand)

    return await candidates_of(asked, principal.tenant, world, plan)


async def _made(
    exchange: Exchange, world: World, planned: EmbeddingsPlan, attempt: Attempt
) -> tuple[EmbeddingsPlan, list[VectorsPart]]:
    parts = cut(planned.call, planned.route)
    with account_parts(parts, attempt, exchange, usage_of):
        await ask_parts(parts, attempt, world, PARTS_AT_ONCE, check_number)
    return planned, parts
