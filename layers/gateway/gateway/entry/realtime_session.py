"""The realtime session function: holds the provider's connection of one session, for as long as Lambda lets it.

Event:  {"connection_id": "…", "epoch": 1}
Result: {"outcome": "ended" | "handed over" | "fenced" | "not taken"}
"""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import Struct, convert

from gateway.adapters.provider_socket import WebSockets
from gateway.adapters.telemetry import log_defect, name_the_lines
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.failure import log
from gateway.entry.runtime.handler import EventHandler
from gateway.model.errors import GatewayError, InternalError
from gateway.model.realtime_call import Terms
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.realtime_session import Means, Order, hold
from gateway.ports import World
from gateway.realtime_ports import ProviderSockets, Voice


class _Event(Struct, frozen=True, forbid_unknown_fields=True):
    connection_id: str
    epoch: int


async def _handle(means: Means, event: Any, invocation: Invocation) -> dict[str, Any]:
    """Raises msgspec.ValidationError for an event of another shape, and as `hold`."""
    name_the_lines({"lambda_request_id": invocation.request_id})
    said = convert(event, _Event)
    outcome = await hold(Order(said.connection_id, said.epoch, invocation.deadline_s), means)
    log("INFO", "realtime_session", request_id=invocation.request_id, epoch=said.epoch, outcome=outcome)
    return {"outcome": outcome}


def _unforeseen(defect: Exception, exchange: Exchange) -> GatewayError:
    log_defect(defect, exchange.request_id)
    return InternalError("The gateway failed. Quote the request id when you report this.")


def web_sockets() -> ProviderSockets:
    return WebSockets()


def realtime_session_handler(world: World, voice: Voice, sockets: ProviderSockets, terms: Terms) -> EventHandler:
    """What is invoked."""
    return EventHandler(partial(_handle, Means(terms, world, voice, sockets, _unforeseen)))
