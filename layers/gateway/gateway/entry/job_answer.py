"""The answer to a request that has become a job: 202, and where to ask how it gets on."""

from __future__ import annotations

from gateway.entry.http import Responder
from gateway.entry.limit_headers import limit_headers
from gateway.model.job import Job
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import prefers_async
from gateway.pipeline.job_respond import place_headers, without_result


async def answer_job(job: Job, exchange: Exchange, responder: Responder) -> None:
    arrival = responder.arrival
    place = place_headers(job, arrival.path, is_preferred=prefers_async(arrival.headers.get("prefer", "")))
    await responder.json(202, without_result(job), {**limit_headers(exchange.ticket), **place})
