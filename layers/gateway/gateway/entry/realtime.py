"""The realtime function: what API Gateway's WebSocket API tells of a client's connection.

    $connect      the handshake: 200 lets the client in, anything else refuses it with that status
    $default      what the client says, one event for each message
    $disconnect   it has gone

Besides, what Lambda tells of a function that held a session and failed: the next one is asked to.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gateway.adapters.telemetry import log_defect, name_the_lines
from gateway.entry.door import begun, unforeseen
from gateway.entry.http import Arrival, error_body
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.handler import EventHandler
from gateway.model.errors import GatewayError, InternalError
from gateway.model.realtime_call import Terms
from gateway.model.realtime_events import error_event
from gateway.model.realtime_session import Frame, Link
from gateway.pipeline.conclude import conclude
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.realtime_connect import Handshake, connect
from gateway.pipeline.realtime_frame import Lookout, client_left, follow, log_frame
from gateway.pipeline.realtime_read import client_event_id
from gateway.ports import World
from gateway.realtime_ports import ClientGone, ClientUnreachable, Voice

ROUTE = "/v1/realtime"
OPERATION = "realtime"
PATIENCE_S = 20.0
"""For a holder to end the session of a client that has gone; API Gateway allows a function 29 seconds."""
_TAKEN: dict[str, Any] = {"statusCode": 200}


class RealtimeFunction:
    def __init__(self, world: World, voice: Voice, terms: Terms) -> None:
        self._world, self._voice, self._terms = world, voice, terms
        self._lookout = Lookout(world, voice)

    async def handle(self, event: Any, invocation: Invocation) -> dict[str, Any]:
        if "requestPayload" in event:
            return await self._holder_failed(event["requestPayload"])
        context = event["requestContext"]
        match context["eventType"]:
            case "CONNECT":
                return await self._connect(event, invocation)
            case "DISCONNECT":
                name_the_lines({"lambda_request_id": invocation.request_id})
                await client_left(context["connectionId"], self._world, self._voice, PATIENCE_S)
                return _TAKEN
            case _:
                return await self._say(event, context)

    # -- $connect ---------------------------------------------------------------------------------------------------

    async def _connect(self, event: Any, invocation: Invocation) -> dict[str, Any]:
        arrival = _arrival(event, invocation)
        name_the_lines(arrival.ids)
        exchange = begun(OPERATION, arrival, self._world.clock)
        exchange.inbound = Inbound("", "", b"", path=ROUTE)
        handshake = _handshake(event, arrival)
        try:
            await connect(handshake, exchange, self._terms, self._world, self._voice)
        except GatewayError as error:
            return await self._refused(error, exchange, arrival)
        except Exception as defect:  # the last resort: a client that is not let in has to be told something
            return await self._refused(unforeseen(defect, exchange), exchange, arrival)
        protocol = {"Sec-WebSocket-Protocol": handshake.protocol} if handshake.protocol else {}
        return {"statusCode": 200, "headers": protocol}

    async def _refused(self, error: GatewayError, exchange: Exchange, arrival: Arrival) -> dict[str, Any]:
        exchange.error, exchange.status = error, error.status
        await conclude(exchange, self._world)
        body = msgspec.json.encode(error_body(error, arrival)).decode()
        return {"statusCode": error.status, "headers": {"content-type": "application/json"}, "body": body}

    # -- $default ---------------------------------------------------------------------------------------------------

    async def _say(self, event: Any, context: Any) -> dict[str, Any]:
        connection_id, said = context["connectionId"], (event.get("body") or "").encode()
        frame = Frame(int(context["requestTimeEpoch"]), context.get("messageId") or context["requestId"], said)
        logging = log_frame(connection_id, frame, self._terms.window_ms, self._world, self._voice)
        try:
            await asyncio.gather(logging, self._lookout.look(connection_id))
        except GatewayError as error:
            await self._tell(context, error, said)
        except Exception as defect:  # API Gateway would tell the client something that is no event
            log_defect(defect, context["requestId"])
            await self._tell(context, InternalError("The gateway failed to take this message."), said)
        return _TAKEN

    async def _tell(self, context: Any, error: GatewayError, said: bytes) -> None:
        told = error_event(error, f"event_{context['requestId']}", cause=client_event_id(said))
        try:
            await self._voice.clients.post(_link(context), msgspec.json.encode(told))
        except (ClientGone, ClientUnreachable):
            self._world.records.trouble("realtime.not_told", reason=error.message)

    # -- a holder that failed ---------------------------------------------------------------------------------------

    async def _holder_failed(self, order: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-async-destinations

        It has died, or Lambda had no room for it and it never began: then it is asked again. Nobody need wait until
        it is no longer believed to be there: the next one waits for that.
        """
        lease = await self._voice.sessions.lease(order["connection_id"])
        if lease is None or lease.is_ended or order["epoch"] - lease.epoch not in (0, 1):
            return _TAKEN
        left_s = lease.alive_until_s - self._world.clock.now_s()
        if left_s > 0:
            await self._world.clock.sleep(left_s)
            lease = await self._voice.sessions.lease(order["connection_id"])
        if lease is not None:
            await follow(order["connection_id"], lease, self._world, self._voice)
        return _TAKEN


def _arrival(event: Any, invocation: Invocation) -> Arrival:
    headers = [(name.encode(), value.encode()) for name, value in (event.get("headers") or {}).items()]
    aws = {"request_id": invocation.request_id, "trace_id": invocation.trace_id}
    return Arrival.of({"headers": headers, "path": ROUTE, "extensions": {"aws": aws}})


def _handshake(event: Any, arrival: Arrival) -> Handshake:
    headers = arrival.headers
    offered = headers.get("sec-websocket-protocol", "")
    return Handshake(
        _link(event["requestContext"]),
        (event.get("queryStringParameters") or {}).get("model") or "",
        headers.get("authorization", ""),
        tuple(one.strip() for one in offered.split(",") if one.strip()),
    )


def _link(context: Any) -> Link:
    return Link(connection_id=context["connectionId"], api_id=context["apiId"], stage=context["stage"])


def realtime_handler(world: World, voice: Voice, terms: Terms) -> EventHandler:
    """What API Gateway calls."""
    return EventHandler(RealtimeFunction(world, voice, terms).handle)
