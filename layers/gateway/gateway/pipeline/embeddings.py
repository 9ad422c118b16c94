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
from gateway.pipeline.ask import begin
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.embeddings_check import check_embeddings, usage_at_most
from gateway.pipeline.embeddings_parts import PARTS_AT_ONCE, check_number, cut, usage_of
from gateway.pipeline.embeddings_read import read_embeddings_call
from gateway.pipeline.embeddings_respond import embedding_list
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import EMBEDDINGS, Route, resolve
from gateway.pipeline.split import account_parts, ask_parts
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import EmbeddingsWire


@dataclass(frozen=True, slots=True)
class EmbeddingsPlan:
    """A call as its provider can be asked, and the most it can use."""

    call: EmbeddingsCall
    route: Route[EmbeddingsWire]
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> EmbeddingList | Job:
    """The vectors, or the job that the request became. Raises GatewayError."""

    def read() -> EmbeddingsCall:
        call = read_embeddings_call(inbound.content_type, inbound.body)
        exchange.note(call)
        return call

    async def plan(call: EmbeddingsCall, principal: Principal) -> EmbeddingsPlan:
        return _plan(call, principal, world)

    planned = await enter(inbound.authorization, "embeddings", read, plan, exchange, world)
    if (job := await accepted(planned.call, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    request = EmbeddingsRequest(planned.call, partial(read_embeddings_call, "application/json"))
    planned = await agreed(planned, request, plan, chain, exchange, world)
    parts = cut(planned.call, planned.route)
    attempt = begin(planned.route, exchange, world.clock)
    with account_parts(parts, exchange, usage_of):
        await ask_parts(parts, attempt, world, PARTS_AT_ONCE, check_number, chain.spare_s)
    await chain.after(EmbeddingsReply(len(planned.call.inputs), planned.route.model_id))
    return embedding_list(parts, planned.call, exchange, world.clock)


def _plan(call: EmbeddingsCall, principal: Principal, world: World) -> EmbeddingsPlan:
    route = resolve(EMBEDDINGS, call.model, principal, world.catalog, world.clock.now_s())
    check_embeddings(call, route)
    demand = demand_at_most(usage_at_most(call, route.facts), route, principal, lease_s(call))
    return EmbeddingsPlan(call, route, demand)
