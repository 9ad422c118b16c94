"""Addresses in a provider's own storage, which it reads with the rights of the owner's credential: a tenant may name
those that its settings allow, and no others.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.chat import AssistantMessage, ChatCall
from gateway.model.errors import InvalidRequest
from gateway.model.tenant import Tenant
from gateway.pipeline.media import places_of
from gateway.pipeline.route import ChatRoute


def check_provider_urls(call: ChatCall, route: ChatRoute, tenant: Tenant) -> None:
    """Raises InvalidRequest (400) that names the part."""
    own = route.provider.own_urls
    for param, url in _urls(call) if own else ():
        if url.startswith(own) and not _is_allowed(url, tenant):
            raise InvalidRequest(
                f"This address lies in the storage of {route.provider.name}, and the tenant's provider_urls do not "
                "allow it.",
                param=param,
            )


def _is_allowed(url: str, tenant: Tenant) -> bool:
    """An address that climbs out of its beginning is not below it."""
    steps = url.partition("?")[0].lower().replace("%2e", ".").replace("%2f", "/").split("/")
    return url.startswith(tenant.provider_urls) and ".." not in steps


def _urls(call: ChatCall) -> Iterator[tuple[str, str]]:
    """Also those of media that an earlier reply is said to have had."""
    for place in places_of(call):
        yield place.param, place.source
    for index, message in enumerate(call.messages):
        for at, entry in enumerate((message.media if isinstance(message, AssistantMessage) else None) or ()):
            if isinstance(url := entry.get("url"), str):
                yield f"messages[{index}].media[{at}].url", url
