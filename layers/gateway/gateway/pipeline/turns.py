"""Whose turn it is to be asked, of the models that may answer a call: held for, and given what it has to have."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias

from gateway.model.errors import GatewayError, InvalidRequest, PayloadTooLarge
from gateway.model.provider_errors import ProviderFailure
from gateway.pipeline.ask import begin
from gateway.pipeline.candidates import Candidates, P, health_of, left_out_for
from gateway.pipeline.exchange import Attempt, Exchange, Switch
from gateway.pipeline.generated_media import discard_made
from gateway.pipeline.meters import Demand, together
from gateway.pipeline.retry import Retries
from gateway.pipeline.route import none_of
from gateway.pipeline.top_up import top_up
from gateway.pipeline.watch import has_time
from gateway.ports import World

Readying: TypeAlias = Callable[[P], Awaitable[P]]


class Turns(Generic[P]):
    """`candidate`: the one whose turn it is."""

    candidate: P

    def __init__(self, candidates: Candidates[P], ready: Readying[P], exchange: Exchange, world: World) -> None:
        self._others, self._ready = deque(candidates.all), ready
        self._exchange, self._world = exchange, world
        self._failure: GatewayError | None = None
        self._retries = Retries.of(exchange)
        self._held_for = candidates.asked.route.model_id
        self._named = None if candidates.is_group else self._held_for
        self._refusals: list[tuple[str, GatewayError]] = []

    @classmethod
    async def of(cls, candidates: Candidates[P], ready: Readying[P], exchange: Exchange, world: World) -> Turns[P]:
        """With the first one ready. Raises what the model that the client names is refused with; of a group, when none
        can be made ready.
        """
        turns = cls(candidates, ready, exchange, world)
        exchange.left_out = candidates.left_out
        turns._leave_out_those_without_room(candidates)
        exchange.model_asked = turns._held_for
        turns.candidate = await turns._first()
        model_id = turns.candidate.route.model_id
        if exchange.model_asked in (model_id, *(name for name, _ in turns._refusals)):
            exchange.model_asked = model_id
        elif candidates.strategy == "sequential":
            passed_by = next(one for one in candidates.all if one.route.model_id == exchange.model_asked)
            turns.note(exchange.model_asked, turns.candidate, health_of(passed_by, world.health))
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
        await self._exchange.left()  # its place among its provider's calls may be what the next one needs
        while self._others and has_time(self._exchange, self._world):
            if (candidate := await self._entered(self._others.popleft())) is not None:
                self.candidate = candidate
                self.note(failed.route.model_id, candidate, error.code)
                return
        if not self._others and await self._retries.waited(failed, error, self._exchange.ask_until_s, self._world):
            return
        raise self._failure or self._refused_by_all() or error

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

    def is_passed_on(self, error: GatewayError, model_id: str) -> bool:
        """Whether what the gateway itself refuses to ask one model leaves the request to the others. Of the model that
        the client names it is the client's own; of a member of a group, and of one that is fallen back on, it says
        nothing of the request.
        """
        return isinstance(error, InvalidRequest | PayloadTooLarge) and model_id != self._named

    def _goes_on_after(self, error: GatewayError) -> bool:
        if isinstance(error, ProviderFailure) and not error.blames_request:
            self._failure = error
            return True
        model_id = self._exchange.attempts[-1].route.model_id
        if self.is_passed_on(error, model_id):
            self._refusals.append((model_id, error))
            return True
        return False

    def _leave_out_those_without_room(self, candidates: Candidates[P]) -> None:
        """Members of the group before the one that the request was admitted for."""
        ticket = self._exchange.ticket
        no_room = {} if ticket is None else dict(ticket.no_room)
        if not no_room:
            return
        for model_id, refusal in no_room.items():
            self._leave_out(model_id, refusal)
        self._others = deque(one for one in self._others if one.route.model_id not in no_room)
        self._held_for = next(one.model_id for one in candidates.demand.any_of if one.model_id not in no_room)

    async def _first(self) -> P:
        while self._others:
            if (candidate := await self._entered(self._others.popleft())) is not None:
                return candidate
        _, last = self._refusals[-1]
        raise self._refused_by_all() or last

    def _refused_by_all(self) -> GatewayError | None:
        return none_of(self._exchange.model_requested or "", self._refusals) if self._refusals else None

    async def _entered(self, candidate: P, beside: Sequence[P] = ()) -> P | None:
        """Held for and ready; None for one that is left out for what that is refused with. `beside`: those that are
        asked at the same time. Raises what `ready` does for the model that the client names.
        """
        model_id = candidate.route.model_id
        try:
            await self._hold_for(candidate, beside)
        except GatewayError as refusal:
            self._leave_out(model_id, refusal)
            return None
        try:
            return await self._ready(candidate)
        except GatewayError as refusal:
            if model_id == self._named:
                raise
            self._leave_out(model_id, refusal)
            return None

    def _leave_out(self, model_id: str, refusal: GatewayError) -> None:
        self._exchange.left_out += (left_out_for(model_id, refusal),)
        self._refusals.append((model_id, refusal))

    async def _hold_for(self, candidate: P, beside: Sequence[P]) -> None:
        """And for what was spent until now, in all limits and budgets of this model. Raises as `top_up`."""
        exchange, demand = self._exchange, candidate.demand
        is_admitted = candidate.route.model_id == self._held_for and not exchange.attempts and not beside
        if exchange.ticket is None or is_admitted:
            return
        wanted = together([demand, *(one.demand for one in beside), *map(_spent, exchange.attempts)], adds_up=True)
        await top_up(exchange.ticket, wanted, self._world.clock.now_s())


def _spent(attempt: Attempt) -> Demand:
    tokens = 0 if attempt.usage is None else attempt.usage.total_tokens
    return Demand(attempt.route.model_id, tokens, attempt.cost_nano_usd or 0, lease_s=0.0)
