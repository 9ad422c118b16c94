"""The speech function: POST /v1/audio/speech."""

from __future__ import annotations

import contextlib

import msgspec

from gateway.entry.door import Operation, inference_app
from gateway.entry.http import USAGE_HEADER, App, Responder
from gateway.entry.job_answer import answer_job
from gateway.entry.limit_headers import limit_headers
from gateway.entry.sse import KEEP_ALIVE_S, SSE_HEADERS, Patience, Pulse, write_events
from gateway.model.job import Job
from gateway.model.speech import Speech, SpeechDone
from gateway.pipeline import speech
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.ports import World

ROUTE = "/v1/audio/speech"


def speech_app(world: World, keep_alive_s: float = KEEP_ALIVE_S) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        outcome = await speech.run(inbound, exchange, world)
        limits, patience = limit_headers(exchange.ticket), Patience(exchange, world.clock)
        if isinstance(outcome, Speech):
            await responder.json(200, outcome, limits)
        elif isinstance(outcome, Job):
            await answer_job(outcome, exchange, responder)
        elif isinstance(outcome, speech.SpokenBytes):
            await _write_bytes(outcome, responder, limits, patience)
        else:
            pulse = Pulse(responder, {**SSE_HEADERS, **limits}, keep_alive_s, begins=exchange.is_held_back)
            await write_events(outcome, SpeechDone, pulse, patience)

    return inference_app(world, Operation("speech", ROUTE, answer))


async def _write_bytes(
    spoken: speech.SpokenBytes, responder: Responder, limits: dict[str, str], patience: Patience
) -> None:
    """The status waits for the first byte, so that a refusal keeps its own."""
    async with contextlib.aclosing(spoken.pieces) as pieces:
        async for piece in pieces:
            if responder.status is None:
                usage = msgspec.json.encode(spoken.usage).decode()
                head = {"content-type": spoken.planned.content_type, USAGE_HEADER: usage, **limits}
                await responder.start(200, head)
            await patience.wait(responder.write(piece))
    await responder.write(b"", last=True)
