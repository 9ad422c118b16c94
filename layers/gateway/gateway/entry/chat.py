"""The chat completions function: POST /v1/chat/completions."""

from __future__ import annotations

import contextlib

from gateway.entry.door import Operation, inference_app
from gateway.entry.http import App, Responder
from gateway.entry.job_answer import answer_job
from gateway.entry.limit_headers import limit_headers
from gateway.entry.sse import KEEP_ALIVE_S, SSE_HEADERS, Patience, Pulse, event
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.job import Job
from gateway.pipeline import chat
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.ports import World

ROUTE = "/v1/chat/completions"


def chat_app(world: World, keep_alive_s: float = KEEP_ALIVE_S) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        outcome = await chat.run(inbound, exchange, world)
        if isinstance(outcome, Completion):
            await responder.json(200, outcome, limit_headers(exchange.ticket))
        elif isinstance(outcome, Job):
            await answer_job(outcome, exchange, responder)
        else:
            head = {**SSE_HEADERS, **limit_headers(exchange.ticket)}
            pulse = Pulse(responder, head, keep_alive_s, begins=exchange.is_held_back)
            await _write_stream(outcome, pulse, Patience(exchange, world.clock))

    return inference_app(world, Operation("chat", ROUTE, answer))


async def _write_stream(stream: chat.Stream, pulse: Pulse, patience: Patience) -> None:
    """The status waits for the first chunk, so that a refusal keeps its own."""
    async with contextlib.aclosing(stream):
        try:
            async for chunks in stream:
                if chunks:
                    await patience.wait(pulse.write(*_events(chunks)))
        finally:
            pulse.stop()


def _events(chunks: list[CompletionChunk]) -> tuple[bytes, bool]:
    """Server-sent events for the chunks, and whether they end the stream."""
    last = chunks[-1].gateway is not None
    events = b"".join(event(chunk) for chunk in chunks)
    return (events + b"data: [DONE]\n\n" if last else events), last
