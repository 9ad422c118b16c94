"""The answer to a request that has become a job: 202, and where to ask how it gets on."""

from __future__ import annotations

from gateway.entry.http import Responder
from gateway.entry.limit_headers import limit_headers
from gateway.model.job import Job
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.job_respond import place_headers, without_result


async def answer_job(job: Job, exchange: Exchange, responder: Responder) -> None:
    place = place_headers(job, is_asked_for=not exchange.is_out_of_time)
    await responder.json(202, without_result(job), {**limit_headers(exchange.ticket), **place})
