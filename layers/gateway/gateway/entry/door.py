"""The front door of every function that calls models: one request, from its arrival to its record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

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
from gateway.entry.sse import event
from gateway.model.errors import (
    GatewayError,
    InternalError,
    MethodNotAllowed,
    PayloadTooLarge,
    RouteNotFound,
    UnreadableBody,
)
from gateway.model.provider_errors import ProviderTimeout
from gateway.pipeline.conclude import conclude
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound, as_job, preferred_wait_s, prefers_async
from gateway.pipeline.once import freed
from gateway.pipeline.report import explain
from gateway.ports import Clock, World

Answering: TypeAlias = Callable[[Inbound, Exchange, Responder], Awaitable[None]]
"""Runs the pipeline and writes its outcome. What it raises is told to the client, as the only thing or as the last."""


class Operation(Struct, frozen=True):
    """`name`: as records and events call it. `path`: of its route, which takes POST. `takes_prefer`: whether a
    header can make a job of it. `as_job`: the body of a request that a header wants to run as a job, by its content
    type. `larger`: how to send what no body can hold.
    """

    name: str
    path: str
    answer: Answering
    takes_prefer: bool = True
    as_job: Callable[[str, bytes], bytes] = as_job
    larger: str = ""


def inference_app(world: World, *operations: Operation) -> App:
    """An ASGI application. It answers first and concludes after, so accounting is off the latency path."""
    by_path = {operation.path: operation for operation in operations}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await answer_lifespan(receive, send)
        arrival = Arrival.of(scope)
        operation = by_path.get(scope["path"], operations[0])
        exchange = begun(operation.name, arrival, world.clock)

        async def handle(responder: Responder) -> None:
            _check_route(scope, by_path)
            inbound = await _inbound(operation, arrival, receive)
            exchange.inbound = inbound
            await operation.answer(inbound, exchange, responder)

        await attend(exchange, arrival, send, handle, world)

    return app


def with_orders(order: Operation, known: App, world: World) -> App:
    """Orders by the one, and what is known of those that were taken by the other."""
    ordering = inference_app(world, order)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_order = scope["type"] == "lifespan" or (scope["path"], scope["method"]) == (order.path, "POST")
        await (ordering if is_order else known)(scope, receive, send)

    return app


def begun(operation: str, arrival: Arrival, clock: Clock, *, asks_model: bool = True) -> Exchange:
    return Exchange(
        arrival.request_id,
        operation,
        started_s=clock.monotonic_s(),
        trace=arrival.trace,
        lambda_request_id=arrival.lambda_request_id,
        arrived_s=clock.now_s(),
        asks_model=asks_model,
    )


async def attend(
    exchange: Exchange, arrival: Arrival, send: Send, handle: Callable[[Responder], Awaitable[None]], world: World
) -> None:
    """One request that `handle` answers, until it is concluded, whatever becomes of it."""
    name_the_lines(arrival.ids)
    responder = Responder(arrival, send)
    try:
        await handle(responder)
    except GatewayError as error:
        exchange.error = error
        await _refuse(error, responder, arrival, exchange, world)
    except asyncio.CancelledError:
        exchange.error = ProviderTimeout("The function's own deadline came first.", phase="total")
        for observer in exchange.observers:
            observer.cancel()
        raise
    except Exception as defect:  # the last resort: whatever it is, the client gets an answer and the log the place
        exchange.error = unforeseen(defect, exchange)
        await _refuse(exchange.error, responder, arrival, exchange, world)
    finally:
        exchange.status = responder.status
        await conclude(exchange, world)


def unforeseen(defect: Exception, exchange: Exchange) -> GatewayError:
    """A defect, but for what nests so deeply that reading it went well and going through it did not."""
    if isinstance(defect, RecursionError) and not any(attempt.provider_wait_s for attempt in exchange.attempts):
        return UnreadableBody("The request body is nested too deeply.")
    log_defect(defect, exchange.request_id)
    return InternalError("The gateway failed. Quote the request id when you report this.")


def _check_route(scope: Scope, by_path: dict[str, Operation]) -> None:
    path = scope["path"]
    if path not in by_path:
        raise RouteNotFound(f"No such route: {path}.")
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{path} takes POST.")


async def _inbound(operation: Operation, arrival: Arrival, receive: Receive) -> Inbound:
    headers = arrival.headers
    content_type, body = headers.get("content-type", ""), await _body(operation, receive)
    if operation.takes_prefer and prefers_async(headers.get("prefer", "")):
        body = operation.as_job(content_type, body)
    return Inbound(
        headers.get("authorization", ""),
        content_type,
        body,
        accept=headers.get("accept", ""),
        path=operation.path,
        idempotency_key=headers.get("idempotency-key", ""),
        wait_s=preferred_wait_s(headers.get("prefer", "")),
    )


async def _body(operation: Operation, receive: Receive) -> bytes:
    try:
        return await read_body(receive)
    except PayloadTooLarge as error:
        raise PayloadTooLarge(" ".join(filter(None, (error.message, operation.larger)))) from None


async def _refuse(
    error: GatewayError, responder: Responder, arrival: Arrival, exchange: Exchange, world: World
) -> None:
    """Within a stream as its last event, with what it cost until then; bytes that have begun are broken off."""
    explain(error, exchange, world.clock)
    if exchange.leaves_job and error.retryable:
        error.retryable = False  # it would be paid twice
        error.message += f" The request goes on as job '{exchange.job_id}', which can be asked for within minutes."
    await freed(exchange, world)
    if responder.status is None:
        await responder.error(error, limit_headers(exchange.ticket))
        return
    if not responder.takes_events:
        raise error  # the runtime ends the answer so that it is seen to be incomplete
    said = error_body(error, arrival)
    said["error"].setdefault("usage", exchange.usage_report)
    await responder.write(event(said), last=True)
