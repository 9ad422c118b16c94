"""How the provider of an attempt is reached: with the owner's credential and at his base URL, or with the tenant's."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from gateway.model.http import Credential, HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.route import AnyRoute
from gateway.ports import World
from gateway.providers.contract import Target, base_url_of


class Contact(Struct):
    """`trace_headers`: those that name the attempt's trace. `credential`: another one once that was not let in.
    `key_of`: the tenant whose it is, None: the owner's.
    """

    route: AnyRoute
    target: Target
    credential: Credential
    trace_headers: dict[str, str]
    key_of: str | None = None

    @property
    def name(self) -> str:
        """Of the credential."""
        return _named(self.route, self.key_of)

    def authorized(self, request: HttpRequest, now_s: float) -> HttpRequest:
        """The trace is added last: what lies between may change the header, so a signature must not cover it."""
        request = self.route.provider.authorize(request, self.credential, now_s)
        headers = {**request.headers, **self.trace_headers}
        return HttpRequest(request.method, request.url, headers, request.body)

    async def is_renewed(self, refused: Credential, world: World) -> bool:
        """Whether there is another credential by now than the one that was `refused`, for the same address: a request
        that is rendered for one place is sent to no other.
        """
        found = await world.credentials.renewed(self.name, refused)
        if found == refused or found.settings != refused.settings or found.base_url != refused.base_url:
            return False
        self.credential = found
        return True

    async def answer(
        self, request: HttpRequest, world: World, fail: Callable[[HttpResponse, Target], ProviderFailure]
    ) -> HttpResponse:
        """Whatever the provider says to a request beside those that an attempt is made of: looks, uploads, ends. Sent
        once more when the credential is renewed. `fail`: what an answer means that is not 2xx. Raises ProviderError.
        """
        used = self.credential
        answer = await self._whole(request, world)
        if 400 <= answer.status < 500 and fail(answer, self.target).refuses_credential:
            return await self._whole(request, world) if await self.is_renewed(used, world) else answer
        return answer

    async def _whole(self, request: HttpRequest, world: World) -> HttpResponse:
        async with world.outbound.open(self.authorized(request, world.clock.now_s())) as incoming:
            return await incoming.whole()


async def contact(attempt: Attempt, world: World) -> Contact:
    """Raises ProviderError (502) without a credential, or without a setting that the base URL needs."""
    route = attempt.route
    credential = await world.credentials.find(_named(route, attempt.key_of))
    base_url = base_url_of(route.provider, credential)
    target = Target(route.provider.name, route.facts, base_url, credential.settings)
    return Contact(route, target, credential, attempt.trace_headers, attempt.key_of)


def _named(route: AnyRoute, key_of: str | None) -> str:
    return route.provider.name if key_of is None else f"{route.provider.name}/{key_of}"
