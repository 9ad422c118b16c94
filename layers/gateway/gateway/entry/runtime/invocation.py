"""Serve one event: run the app or handler until it is done, within the time that Lambda allows."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Protocol

from gateway.entry.runtime.client import Invocation, RuntimeApi
from gateway.entry.runtime.event import http_request
from gateway.entry.runtime.exchange import HttpExchange
from gateway.entry.runtime.failure import describe, error_document, log
from gateway.entry.runtime.handler import AsgiApp, EventHandler
from gateway.entry.runtime.stream import ResponseStream

SETTLE_MARGIN_S = 0.5
CANCEL_GRACE_S = 0.25
_ACCEPTED = (200, 202)


class DeadlineExceeded(Exception):
    """The app was still running half a second before Lambda would have killed it."""


class IncompleteResponse(Exception):
    """The app returned without ending its response."""


class Function(Protocol):
    """What a poller serves."""

    async def serve(self, api: RuntimeApi, invocation: Invocation, payload: bytes) -> None: ...


class HttpFunction:
    """Answers API Gateway requests with an ASGI app, streaming.

    The client has its whole answer at the app's last body message. What the app does after it (settle, record) still
    belongs to the invocation: `serve` returns when the app does, so the next event is not asked for before that.
    """

    def __init__(self, app: AsgiApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state

    async def serve(self, api: RuntimeApi, invocation: Invocation, payload: bytes) -> None:
        try:
            scope, body = http_request(json.loads(payload), invocation, self._state)
        except Exception as error:  # outermost for the event: whoever invokes directly may send anything
            log("ERROR", "event_refused", request_id=invocation.request_id, error=describe(error))
            await api.fail(invocation, error_document(error, "The event is not an API Gateway request."))
            return
        stream = ResponseStream(api.endpoint, invocation)
        exchange = HttpExchange(stream, body)
        call = asyncio.create_task(self._call(invocation, scope, exchange))
        asyncio.get_running_loop().call_soon(stream.open)  # after the app's first step: while it waits, not before
        if failure := await outcome(call, invocation.deadline_s):
            _break_off(invocation, exchange, failure)
        status = await stream.outcome(invocation.deadline_s - CANCEL_GRACE_S - time.time())
        if status not in _ACCEPTED:
            log(
                "ERROR",
                "response_not_taken",
                request_id=invocation.request_id,
                status=status,
                sent_bytes=stream.sent_bytes,
            )

    async def _call(self, invocation: Invocation, scope: dict[str, Any], exchange: HttpExchange) -> None:
        """A failure is answered here, in the app's own last tick: what it wrote in that tick has not left yet."""
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            _break_off(invocation, exchange, error)
        else:
            if not exchange.complete:
                _break_off(invocation, exchange, IncompleteResponse())


class EventFunction:
    """Answers any other event with an EventHandler's result, not streaming."""

    def __init__(self, handler: EventHandler) -> None:
        self._handler = handler

    async def serve(self, api: RuntimeApi, invocation: Invocation, payload: bytes) -> None:
        call = asyncio.create_task(self._call(invocation, payload))
        failure = await outcome(call, invocation.deadline_s)
        if failure is None:
            status = await api.respond(invocation, call.result())
        else:
            log("ERROR", "application_failed", request_id=invocation.request_id, error=describe(failure))
            status = await api.fail(invocation, error_document(failure, "The log has the cause under the request id."))
        if status not in _ACCEPTED:
            log("ERROR", "response_not_taken", request_id=invocation.request_id, status=status)

    async def _call(self, invocation: Invocation, payload: bytes) -> bytes:
        result = await self._handler.handle(json.loads(payload), invocation)
        return json.dumps(result, separators=(",", ":")).encode()


async def outcome(task: asyncio.Task[Any], deadline_s: float) -> BaseException | None:
    """Wait until `task` ends; what it raised, None if nothing.

    Half a second before `deadline_s` (epoch seconds) the task is cancelled and the answer is DeadlineExceeded; a task
    that does not end within another quarter of a second is left behind.
    """
    await asyncio.wait({task}, timeout=max(0.0, deadline_s - SETTLE_MARGIN_S - time.time()))
    if task.done():
        return _raised(task)
    task.cancel()
    await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
    exceeded = DeadlineExceeded()
    if task.done():
        exceeded.__cause__ = _raised(task)
    return exceeded


def _raised(task: asyncio.Task[Any]) -> BaseException | None:
    """What a finished task raised; a cancellation keeps the place that it struck."""
    try:
        task.result()
    except (Exception, asyncio.CancelledError) as error:
        return error
    return None


def _break_off(invocation: Invocation, exchange: HttpExchange, failure: BaseException) -> None:
    log(
        "ERROR",
        "application_failed",
        request_id=invocation.request_id,
        phase=exchange.phase,
        error=describe(failure),
    )
    exchange.fail(invocation.request_id, failure)
