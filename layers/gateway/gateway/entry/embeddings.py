"""The embeddings function: POST /v1/embeddings."""

from __future__ import annotations

from gateway.entry.door import Operation, inference_app
from gateway.entry.http import App, Responder
from gateway.entry.job_answer import answer_job
from gateway.entry.limit_headers import limit_headers
from gateway.model.job import Job
from gateway.pipeline import embeddings
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.ports import World

ROUTE = "/v1/embeddings"


def embeddings_app(world: World) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        reply = await embeddings.run(inbound, exchange, world)
        if isinstance(reply, Job):
            return await answer_job(reply, exchange, responder)
        await responder.json(200, reply, limit_headers(exchange.ticket))

    return inference_app(world, Operation("embeddings", ROUTE, answer))
