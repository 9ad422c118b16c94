"""Where the end of a job is to be told, as its order says it or else its tenant's settings."""

from __future__ import annotations

from typing import Protocol

from gateway.model.errors import InvalidRequest
from gateway.model.tenant import Tenant
from gateway.model.webhook import Webhook
from gateway.ports import World

PARAM = "webhook_url"


class Ordering(Protocol):
    @property
    def webhook_url(self) -> str | None: ...


def check_webhook(call: Ordering, world: World) -> None:
    """Raises InvalidRequest (400) for a URL that nobody would be told at."""
    if call.webhook_url is not None and (refusal := world.webhook_urls.refusal(call.webhook_url)):
        raise InvalidRequest(f"Nobody can be told at this URL. {refusal}", param=PARAM)


def webhook_of(call: Ordering, tenant: Tenant) -> Webhook | None:
    url = tenant.webhooks.url if call.webhook_url is None else call.webhook_url
    return None if url is None else Webhook(url=url)
