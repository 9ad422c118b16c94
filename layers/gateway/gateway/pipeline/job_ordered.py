"""From the body of POST /v1/jobs to the request that is to run as a job."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.errors import GatewayError, InvalidRequest
from gateway.model.webhook import WebhookUrl
from gateway.model.wire import Inbound as Wire
from gateway.pipeline.authenticate import caller_of
from gateway.pipeline.decode import check_json_type, decoded
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_endpoints import ENDPOINTS
from gateway.pipeline.job_webhook import PARAM as WEBHOOK
from gateway.pipeline.visit import identified
from gateway.ports import World


class JobOrder(Wire, frozen=True, kw_only=True):
    """`endpoint`: the route that takes `body`, which is JSON. `webhook_url`: as a member of the body."""

    endpoint: str
    body: dict[str, Any]
    webhook_url: WebhookUrl | None = None


_ORDER = msgspec.json.Decoder(JobOrder)


async def ordered(inbound: Inbound, exchange: Exchange, world: World) -> Inbound:
    """Raises UnsupportedMediaType (415), UnreadableBody and InvalidRequest (400); for a stranger InvalidApiKey (401) in
    their place, and whatever else `usable` does.
    """
    caller = await caller_of(inbound.authorization, world)
    try:
        return _ordered(inbound)
    except GatewayError:
        await identified(caller, None, exchange, world)
        raise


def _ordered(inbound: Inbound) -> Inbound:
    check_json_type(inbound.content_type)
    order = decoded(inbound.body, _ORDER)
    if order.endpoint not in ENDPOINTS:
        raise InvalidRequest(f"endpoint is one of {', '.join(ENDPOINTS)}.", param="endpoint")
    if order.body.get("async") is False:
        raise InvalidRequest("What is asked for here runs as a job.", param="async")
    body = {**order.body, "async": True}
    if order.webhook_url is not None:
        if body.get(WEBHOOK) not in (None, order.webhook_url):
            raise InvalidRequest(f"{WEBHOOK} and body.{WEBHOOK} differ; send one.", param=WEBHOOK)
        body[WEBHOOK] = order.webhook_url
    return replace(inbound, path=order.endpoint, called=inbound.path, body=msgspec.json.encode(body))
