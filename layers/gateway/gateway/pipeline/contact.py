"""How the provider of a route is reached: at the owner's base URL, with the owner's credential."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.http import Credential, HttpRequest
from gateway.pipeline.route import AnyRoute
from gateway.ports import World
from gateway.providers.contract import Target, base_url_of


@dataclass(frozen=True, slots=True)
class Contact:
    route: AnyRoute
    target: Target
    credential: Credential

    def authorized(self, request: HttpRequest, now_s: float) -> HttpRequest:
        return self.route.provider.authorize(request, self.credential, now_s)


async def contact(route: AnyRoute, world: World) -> Contact:
    """Raises ProviderError (502) without a credential, or without a setting that the base URL needs."""
    credential = await world.credentials.find(route.provider.name)
    base_url = base_url_of(route.provider, credential)
    return Contact(route, Target(route.provider.name, route.facts, base_url, credential.settings), credential)
