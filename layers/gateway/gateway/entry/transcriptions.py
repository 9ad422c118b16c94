"""The transcriptions function: POST /v1/audio/transcriptions."""

from __future__ import annotations

import msgspec

from gateway.entry.door import Operation, inference_app
from gateway.entry.http import USAGE_HEADER, App, Responder
from gateway.entry.job_answer import answer_job
from gateway.entry.limit_headers import limit_headers
from gateway.entry.sse import KEEP_ALIVE_S, SSE_HEADERS, Patience, Pulse, write_events
from gateway.model.job import Job
from gateway.model.transcription import TranscriptDone, Transcription, TranscriptionVerbose
from gateway.pipeline import transcription
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.form_as_job import form_as_job
from gateway.pipeline.inbound import Inbound
from gateway.ports import World

ROUTE = "/v1/audio/transcriptions"


def transcriptions_app(world: World, keep_alive_s: float = KEEP_ALIVE_S) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        outcome = await transcription.run(inbound, exchange, world)
        limits = limit_headers(exchange.ticket)
        if isinstance(outcome, Transcription | TranscriptionVerbose):
            await responder.json(200, outcome, limits)
        elif isinstance(outcome, Job):
            await answer_job(outcome, exchange, responder)
        elif isinstance(outcome, transcription.WrittenText):
            await _write_text(outcome, responder, limits)
        else:
            pulse = Pulse(responder, {**SSE_HEADERS, **limits}, keep_alive_s, begins=exchange.is_held_back)
            await write_events(outcome, TranscriptDone, pulse, Patience(exchange, world.clock))

    return inference_app(world, Operation("transcriptions", ROUTE, answer, as_job=form_as_job))


async def _write_text(outcome: transcription.WrittenText, responder: Responder, limits: dict[str, str]) -> None:
    body, usage = outcome.text.encode(), msgspec.json.encode(outcome.usage).decode()
    head = {"content-type": outcome.content_type, "content-length": str(len(body)), USAGE_HEADER: usage, **limits}
    await responder.start(200, head)
    await responder.write(body, last=True)
