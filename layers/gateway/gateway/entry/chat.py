"""The chat completions function: POST /v1/chat/completions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.adapters.telemetry import log_defect, name_the_lines
from gateway.entry.http import (
    App,
    Arrival,
    Receive,
    Responder,
    Scope,
    Send,
    answer_lifespan,
    error_body,
    read_body,
)
from gateway.entry.limit_headers import limit_headers
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.errors import GatewayError, InternalError, MethodNotAllowed, RouteNotFound
from gateway.model.provider_errors import ProviderTimeout
from gateway.pipeline import chat
from gateway.pipeline.conclude import conclude
from gateway.pipeline.exchange import Exchange
from gateway.ports import Clock, World

ROUTE = "/v1/chat/completions"
KEEP_ALIVE_S = 15.0
_SSE_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_encode = msgspec.json.Encoder().encode


def chat_app(world: World, keep_alive_s: float = KEEP_ALIVE_S) -> App:
    """An ASGI application. It answers first and concludes after, so accounting is off the latency path."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await answer_lifespan(receive, send)
        arrival = Arrival.of(scope)
        name_the_lines(arrival.ids)
        responder = Responder(arrival, send)
        exchange = Exchange(
            arrival.request_id,
            "chat",
            started_s=world.clock.monotonic_s(),
            trace=arrival.trace,
            lambda_request_id=arrival.lambda_request_id,
            arrived_s=world.clock.now_s(),
        )
        try:
            _check_route(scope)
            inbound = chat.Inbound(
                arrival.headers.get("authorization"), arrival.headers.get("content-type", ""), await read_body(receive)
            )
            outcome = await chat.run(inbound, exchange, world)
            if isinstance(outcome, Completion):
                await responder.json(200, outcome, limit_headers(exchange.ticket))
            else:
                head = {**_SSE_HEADERS, **limit_headers(exchange.ticket)}
                pulse = Pulse(responder, head, keep_alive_s, begins=exchange.is_held_back)
                await _write_stream(outcome, pulse, Patience(exchange, world.clock))
        except GatewayError as error:
            exchange.error = error
            await _refuse(error, responder, arrival, exchange)
        except asyncio.CancelledError:
            exchange.error = ProviderTimeout("The function's own deadline came first.", phase="total")
            for observer in exchange.observers:
                observer.cancel()
            raise
        except Exception as defect:  # the last resort: whatever it is, the client gets an answer and the log the place
            log_defect(defect, arrival.request_id)
            exchange.error = InternalError("The gateway failed. Quote the request id when you report this.")
            await _refuse(exchange.error, responder, arrival, exchange)
        finally:
            exchange.status = responder.status
            await conclude(exchange, world)

    return app


def _check_route(scope: Scope) -> None:
    if scope["path"] != ROUTE:
        raise RouteNotFound(f"No such route: {scope['path']}.")
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{ROUTE} takes POST.")


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits for a client that reads slower than its provider speaks, which is no work of the gateway's."""

    exchange: Exchange
    clock: Clock

    async def wait(self, writing: Awaitable[None]) -> None:
        began_s = self.clock.monotonic_s()
        try:
            await writing
        finally:
            self.exchange.client_wait_s += self.clock.monotonic_s() - began_s


async def _write_stream(stream: chat.Stream, pulse: Pulse, patience: Patience) -> None:
    """The status waits for the first chunk, so that a refusal keeps its own."""
    async with contextlib.aclosing(stream):
        try:
            async for chunks in stream:
                await patience.wait(pulse.write(*_events(chunks)))
        finally:
            pulse.stop()


def _events(chunks: list[CompletionChunk]) -> tuple[bytes, bool]:
    """Server-sent events for the chunks, and whether they end the stream."""
    last = chunks[-1].gateway is not None
    events = b"".join(_event(chunk) for chunk in chunks)
    return (events + b"data: [DONE]\n\n" if last else events), last


def _event(value: CompletionChunk | dict[str, Any]) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


async def _refuse(error: GatewayError, responder: Responder, arrival: Arrival, exchange: Exchange) -> None:
    """Within a stream as its last event, with what it cost until then."""
    if responder.status is None:
        await responder.error(error, limit_headers(exchange.ticket))
        return
    said = error_body(error, arrival)
    said["error"].setdefault("usage", exchange.usage_report)
    await responder.write(_event(said), last=True)


class Pulse:
    """Writes the stream, and a comment whenever nothing was written for `every_s`, so that nobody hangs up.

    `head`: of the answer. `begins`: whether the answer may begin with a comment, as a stream that is held back may be
    silent for long; what is refused after that is refused in the stream.
    """

    def __init__(self, responder: Responder, head: dict[str, str], every_s: float, *, begins: bool) -> None:
        self._responder, self._head, self._every_s, self._begins = responder, head, every_s, begins
        self._loop = asyncio.get_running_loop()
        self._written_s = self._loop.time()
        self._task = self._loop.create_task(self._beat())

    async def write(self, body: bytes, last: bool) -> None:
        self._written_s = self._loop.time()
        if last:
            self.stop()
        if self._responder.status is None:
            await self._responder.start(200, self._head)
        await self._responder.write(body, last=last)

    def stop(self) -> None:
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            due_s = self._written_s + self._every_s
            if (wait_s := due_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            elif self._begins or self._responder.status is not None:
                await self.write(b": keep-alive\n\n", last=False)
            else:
                self._written_s = self._loop.time()
