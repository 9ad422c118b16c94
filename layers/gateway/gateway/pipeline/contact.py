"""How the provider of an attempt is reached: at the owner's base URL, with the owner's credential."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.http import Credential, HttpRequest
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.route import AnyRoute
from gateway.ports import World
from gateway.providers.contract import Target, base_url_of


@dataclass(frozen=True, slots=True)
class Contact:
    """`trace_headers`: those that name the attempt's trace."""

    route: AnyRoute
    target: Target
    credential: Credential
    trace_headers: dict[str, str]

    def authorized(self, request: HttpRequest, now_s: float) -> HttpRequest:
        """The trace is added last: what lies between may change the header, so a signature must not cover it."""
        request = self.route.provider.authorize(request, self.credential, now_s)
        headers = {**request.headers, **self.trace_headers}
        return HttpRequest(request.method, request.url, headers, request.body)


async def contact(attempt: Attempt, world: World) -> Contact:
    """Raises ProviderError (502) without a credential, or without a setting that the base URL needs."""
    route = attempt.route
    credential = await world.credentials.find(route.provider.name)
    base_url = base_url_of(route.provider, credential)
    target = Target(route.provider.name, route.facts, base_url, credential.settings)
    return Contact(route, target, credential, attempt.trace_headers)
