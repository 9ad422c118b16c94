"""The chat completions function: POST /v1/chat/completions."""

from __future__ import annotations

import contextlib

from gateway.entry.door import Operation, inference_app
from gateway.entry.http import App, Responder
from gateway.entry.limit_headers import limit_headers
from gateway.entry.sse import KEEP_ALIVE_S, SSE_HEADERS, Pulse, event
from gateway.model.completion import Completion, CompletionChunk
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
        else:
            await _write_stream(outcome, responder, limit_headers(exchange.ticket), keep_alive_s)

    return inference_app(world, Operation("chat", ROUTE, answer))


async def _write_stream(
    stream: chat.Stream, responder: Responder, headers: dict[str, str], keep_alive_s: float
) -> None:
    """The status waits for the first chunk, so that a refusal keeps its own."""
    async with contextlib.aclosing(stream):
        first = await anext(stream)
        await responder.start(200, {**SSE_HEADERS, **headers})
        pulse = Pulse(responder, keep_alive_s)
        try:
            await pulse.write(*_events(first))
            async for chunks in stream:
                await pulse.write(*_events(chunks))
        finally:
            pulse.stop()


def _events(chunks: list[CompletionChunk]) -> tuple[bytes, bool]:
    """Server-sent events for the chunks, and whether they end the stream."""
    last = chunks[-1].gateway is not None
    events = b"".join(event(chunk) for chunk in chunks)
    return (events + b"data: [DONE]\n\n" if last else events), last
