"""Whose turn it is to be asked, of the models that may answer a call: held for, and given what it has to have."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias

from gateway.model.completion import LeftOut
from gateway.model.errors import GatewayError, InvalidRequest, PayloadTooLarge
from gateway.model.provider_errors import ProviderFailure
from gateway.pipeline.ask import begin
from gateway.pipeline.candidates import Candidates, P
from gateway.pipeline.exchange import Attempt, Exchange, Switch
from gateway.pipeline.generated_media import discard_made
from gateway.pipeline.meters import Demand, together
from gateway.pipeline.retry import Retries
from gateway.pipeline.route import none_of
from gateway.pipeline.top_up import top_up
from gateway.ports import World

Readying: TypeAlias = Callable[[P], Awaitable[P]]


class Turns(Generic[P]):
    """`candidate`: the one whose turn it is."""

    def __init__(self, candidates: Candidates[P], ready: Readying[P], exchange: Exchange, world: World) -> None:
        self.candidate, *others = candidates.all
        self._others, self._ready = deque(others), ready
        self._exchange, self._world = exchange, world
        self._failure: GatewayError | None = None
        self._retries = Retries.of(exchange)
        self._is_group = candidates.members > 0
        self._refusals: list[tuple[str, GatewayError]] = []

    @classmethod
    async def of(cls, candidates: Candidates[P], ready: Readying[P], exchange: Exchange, world: World) -> Turns[P]:
        """With the first one ready. Raises what that raises; of a group, when none can be made ready."""
        turns = cls(candidates, ready, exchange, world)
        exchange.left_out, asked = candidates.left_out, candidates.asked.route.model_id
        try:
            turns.candidate = await ready(turns.candidate)
        except (InvalidRequest, PayloadTooLarge) as refusal:
            if not turns._is_group or not await turns._is_passed_on(refusal):
                raise
            asked = turns.candidate.route.model_id if asked == exchange.left_out[-1].model else asked
        exchange.model_asked = asked
        if turns.candidate.route.model_id != asked and candidates.strategy == "sequential":
            turns.note(asked, turns.candidate, "unhealthy")
        return turns

    def begin(self) -> Attempt:
        return self._begun(self.candidate, chances=len(self._others) + 1)

    async def begin_all(self) -> list[tuple[P, Attempt]]:
        """At once, all that there is room for."""
        ready = [self.candidate]
        while self._others:
            if (candidate := await self._entered(self._others.popleft(), ready)) is not None:
                ready.append(candidate)
        racing = [(candidate, self._begun(candidate, chances=1)) for candidate in ready]
        for _, attempt in racing:
            attempt.is_beside_others = len(racing) > 1
        return racing

    async def after(self, error: GatewayError) -> None:
        """Makes it the next one's turn, or that of the last one again. Raises what a provider failed with where there
        is none, or no time for it.
        """
        failed = self._exchange.attempts[-1]
        failed.error = failed.error or error
        await self.drop(failed)
        if not self._goes_on_after(error):
            raise error
        until_s = min(self._exchange.answer_by_s, self._exchange.ask_until_s)
        while self._others and self._world.clock.monotonic_s() < until_s:
            if (candidate := await self._entered(self._others.popleft())) is not None:
                self.candidate = candidate
                self.note(failed.route.model_id, candidate, error.code)
                return
        if not self._others and await self._retries.waited(failed, error, until_s, self._world):
            return
        raise self._failure or (
            none_of(self._exchange.model_requested or "", self._refusals) if self._refusals else error
        )

    async def drop(self, attempt: Attempt) -> None:
        """What is left of one of which nothing was given."""
        await discard_made(attempt, self._exchange, self._world)

    def note(self, model_id: str, to: P, code: str) -> None:
        switch = Switch(model_id, to.route.model_id, code, self._world.clock.now_s())
        self._exchange.switches.append(switch)

    def _begun(self, candidate: P, chances: int) -> Attempt:
        attempt = begin(candidate.route, self._exchange, self._world.clock, chances=chances)
        attempt.most_nano_usd = candidate.demand.cost_nano_usd
        return attempt

    def _goes_on_after(self, error: GatewayError) -> bool:
        """What the gateway itself refuses to send to one of the others, or of a group, says nothing of the request."""
        if isinstance(error, ProviderFailure) and not error.blames_request:
            self._failure = error
            return True
        if not isinstance(error, InvalidRequest | PayloadTooLarge):
            return False
        failed = self._exchange.attempts[-1]
        if self._is_group and not failed.sending.has_left:
            self._refusals.append((failed.route.model_id, error))
            return True
        return self._failure is not None

    async def _is_passed_on(self, refusal: GatewayError) -> bool:
        """To another that can be made ready; the first one is left out."""
        first = LeftOut(model=self.candidate.route.model_id, code=refusal.code, message=refusal.message)
        while self._others:
            if (candidate := await self._entered(self._others.popleft())) is not None:
                self.candidate = candidate
                self._exchange.left_out += (first,)
                return True
        return False

    async def _entered(self, candidate: P, beside: Sequence[P] = ()) -> P | None:
        """Held for and ready; None for one that is left out for what that is refused with. `beside`: those that are
        asked at the same time.
        """
        try:
            await self._hold_for(candidate, beside)
            return await self._ready(candidate)
        except GatewayError as refusal:
            left_out = LeftOut(model=candidate.route.model_id, code=refusal.code, message=refusal.message)
            self._exchange.left_out += (left_out,)
            return None

    async def _hold_for(self, candidate: P, beside: Sequence[P]) -> None:
        """And for what was spent until now, in all limits and budgets of this model. Raises as `top_up`."""
        exchange, demand = self._exchange, candidate.demand
        if exchange.ticket is None:
            return
        wanted = together([demand, *(one.demand for one in beside), *map(_spent, exchange.attempts)], adds_up=True)
        await top_up(exchange.ticket, wanted, self._world.clock.now_s())


def _spent(attempt: Attempt) -> Demand:
    tokens = 0 if attempt.usage is None else attempt.usage.total_tokens
    return Demand(attempt.route.model_id, tokens, attempt.cost_nano_usd or 0, lease_s=0.0)
