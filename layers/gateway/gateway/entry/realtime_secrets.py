"""The realtime-secrets function: POST /v1/realtime/client_secrets."""

from __future__ import annotations

from gateway.entry.door import Operation, inference_app
from gateway.entry.http import App, Responder
from gateway.entry.limit_headers import limit_headers
from gateway.pipeline import client_secret
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.ports import World
from gateway.realtime_ports import ClientSecrets

ROUTE = "/v1/realtime/client_secrets"


def realtime_secrets_app(world: World, secrets: ClientSecrets) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        made = await client_secret.make(inbound, exchange, world, secrets)
        await responder.json(200, made, {"cache-control": "no-store", **limit_headers(exchange.ticket)})

    return inference_app(world, Operation("realtime.client_secret", ROUTE, answer, takes_prefer=False))
