"""What a session of voice uses: booked after each response, and always enough held for the next one.

The hold is what the session has cost and the most that one more response can. So it grows from response to response,
and a session for which there is no room any more ends before the response that it cannot pay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from gateway.model.errors import (
    AdmissionUnavailable,
    GatewayError,
    ModelNotApproved,
    ModelNotFound,
    PriceUnknown,
    StorageUnavailable,
)
from gateway.model.ledger import minute_of, shard_of
from gateway.model.money import Asked, cost_nano_usd, dearest_prices, most_nano_usd
from gateway.model.realtime import SessionConfig
from gateway.model.realtime_session import Books, Spent
from gateway.model.tenant import Principal
from gateway.model.units import unit_name
from gateway.model.usage import CompletionTokensDetails, TokenUsage
from gateway.pipeline.demand import money_is_limited
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.handed_over import take_as_it_stands
from gateway.pipeline.meters import Demand, account_of
from gateway.pipeline.realtime_demand import AHEAD_TOKENS, configured_tokens, demand_of_next, most_output_tokens
from gateway.pipeline.realtime_lease import Holding
from gateway.pipeline.route import AnyRoute, Route
from gateway.pipeline.top_up import top_up
from gateway.ports import World
from gateway.providers.contract.realtime import Used

PAUSES_S = (0.2, 0.5, 1.0)
"""Between tries to hold more, while limits cannot be checked."""
MINUTE_MS = 60_000


class SessionBooks:
    """`connected_s`: how long the provider took to take the last connection; None before the first one here.

    `_under_way`, `_untold`: the most tokens that were said, by the ids of the responses that go on, and of those that
    are over and of which nobody has told what they have cost. `_is_told`: it was, of one that goes on.
    """

    def __init__(self, books: Books, route: AnyRoute, exchange: Exchange, holding: Holding, world: World) -> None:
        self._books, self._route, self._exchange = books, route, exchange
        self._holding, self._world = holding, world
        self._lock = asyncio.Lock()
        self._room_tokens = 0
        self._output_tokens = 0
        self._beside_nano_usd = 0
        self._counted_at_begin = 0
        self._under_way: dict[str, int] = {}
        self._untold: dict[str, int] = {}
        self._asked_beside = 0
        self._is_told = False
        self._kept_books = books
        self.connected_s: float | None = None

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def usage(self) -> TokenUsage:
        """Of all models together."""
        return sum((spent.usage for spent in self._books.spent.values()), TokenUsage())

    @property
    def cost_nano_usd(self) -> int | None:
        """None where that of one model is unknown."""
        costs = [spent.cost_nano_usd for spent in self._books.spent.values()]
        return None if None in costs else sum(cost or 0 for cost in costs)

    @property
    def is_answering(self) -> bool:
        """A response has begun, and is not in the books yet."""
        return self._books.open_responses > 0

    @property
    def under_way(self) -> tuple[str, ...]:
        return tuple(self._under_way)

    @property
    def told_output_tokens(self) -> int | None:
        """What the provider is told where the client leaves it open; None where nothing is limited."""
        return self._output_tokens if money_is_limited(self._principal, self._route.model_id) else None

    @property
    def _principal(self) -> Principal:
        principal = self._exchange.principal
        assert principal is not None  # noqa: S101 - a session is somebody's
        return principal

    # -- what is held -----------------------------------------------------------------------------------------------

    async def begin(self, config: SessionConfig, also_used: Iterable[str], *, follows: bool) -> None:
        """`follows`: another has held it before, of whose last response nobody may have told.

        Raises as `make_room` and `configure`.
        """
        self._output_tokens = most_output_tokens(config, self._route, self._principal)
        self._allow(also_used)
        self._change(context_tokens=max(self._books.context_tokens, configured_tokens(config)))
        self._room_tokens = self._books.context_tokens + AHEAD_TOKENS
        await self.lose()
        if follows:
            await self._hold()

    async def configure(self, config: SessionConfig, also_used: Iterable[str]) -> None:
        """Before the provider is told. Raises ModelNotFound (404), ModelNotApproved (403), PriceUnknown (400), and as
        `make_room`.
        """
        self._allow(also_used)
        await self.make_room(most_output_tokens(config, self._route, self._principal))

    async def make_room(self, output_tokens: int = 0) -> None:
        """Before more is said than there is room for. `output_tokens`: what a response may have, where that is more.

        Raises BudgetExceeded (402), RateLimited (429), AdmissionUnavailable (503).
        """
        if output_tokens <= self._output_tokens and self._books.context_tokens <= self._room_tokens - AHEAD_TOKENS // 2:
            return
        self._output_tokens = max(self._output_tokens, output_tokens)
        await self._hold()

    async def ask_beside(self, output_tokens: int | None) -> None:
        """For a response beside the conversation, of which there may be several at once. Raises as `make_room`."""
        self._asked_beside += 1
        self._output_tokens = max(self._output_tokens, output_tokens or 0)
        try:
            await self._hold()
        except GatewayError:
            self.one_less_beside()
            raise

    def one_less_beside(self) -> None:
        """One less: it was refused, or has ended."""
        self._asked_beside = max(0, self._asked_beside - 1)

    async def check(self, principal: Principal) -> None:
        """Again, under the limits of today, and what the ledger says is held. Raises as `make_room`."""
        self._exchange.principal = principal
        ticket = self._exchange.ticket
        if ticket is not None and ticket.ledger is self._world.ledger:
            async with self._lock:
                ticket.principal = principal
                await take_as_it_stands(ticket)
        await self._hold()

    async def _hold(self) -> None:
        ticket, context_tokens = self._exchange.ticket, self._books.context_tokens
        if ticket is None:
            return
        demand = demand_of_next(
            self._route,
            self._principal,
            spent_nano_usd=self._owed_nano_usd(),
            context_tokens=context_tokens,
            output_tokens=self._output_tokens,
            lease_s=ticket.demand.lease_s,
        )
        async with self._lock:
            for pause_s in (*PAUSES_S, None):
                try:
                    await top_up(ticket, demand, self._world.clock.now_s())
                    break
                except AdmissionUnavailable:
                    if pause_s is None:
                        raise
                    await self._world.clock.sleep(pause_s)
        self._room_tokens = context_tokens + AHEAD_TOKENS

    def _owed_nano_usd(self) -> int:
        """What was told, and the most of what may yet be: of a response that was broken off, and those beside."""
        told = sum(spent.cost_nano_usd or 0 for spent in self._books.spent.values())
        untold = self._asked_beside + len(self._untold)
        context_tokens = self._books.context_tokens + AHEAD_TOKENS
        prices = dearest_prices(self._route.facts, Asked(prompt_tokens=context_tokens, hears=True, speaks=True))
        most = 0 if prices is None else prices.nano_usd(context_tokens, self._output_tokens)
        return told + untold * most + self._beside_nano_usd

    def _allow(self, also_used: Iterable[str]) -> None:
        """Models that write down what is said are paid as well: for each a minute is held."""
        provider, beside = self._route.provider.name, 0
        for model in also_used:
            named, param = f"{provider}/{model}", "session.audio.input.transcription.model"
            facts = self._world.catalog.find(provider, model)
            if facts is None:
                raise ModelNotFound(f"The model '{named}' does not exist.", param=param)
            if not self._principal.approves(named):
                raise ModelNotApproved(f"The model '{named}' is not approved for this key.", param=param)
            by_tokens = TokenUsage(prompt_tokens=AHEAD_TOKENS, completion_tokens=AHEAD_TOKENS)
            by_length = TokenUsage(units={unit_name("audio_ms"): MINUTE_MS})
            known = most_nano_usd(facts, by_tokens) or most_nano_usd(facts, by_length)
            if known is None and money_is_limited(self._principal, named):
                raise PriceUnknown(f"The price of {named} is not known, and spending is limited here.", param=param)
            beside += known or 0
        self._beside_nano_usd = max(self._beside_nano_usd, beside)

    # -- what is used -----------------------------------------------------------------------------------------------

    def hear(self, tokens: int) -> None:
        """That much at most was said to the provider."""
        if tokens:
            self._change(context_tokens=self._books.context_tokens + tokens)

    def say(self, response_id: str, tokens: int) -> None:
        """That much at most the provider has said of a response that goes on."""
        self._under_way[response_id] = self._under_way.get(response_id, 0) + tokens

    async def response_begins(self, response_id: str) -> None:
        """Raises Fenced."""
        self._counted_at_begin, self._is_told = self._books.context_tokens, False
        self._under_way[response_id] = 0
        self._count_open()
        await self._keep()

    async def response_ends(self, response_ids: Sequence[str], used: Sequence[Used]) -> None:
        """`response_ids`: those that are over by that; none where the client knows it already. Of one that was broken
        off a provider may tell later what it has cost: until then it is not in the books.

        Raises as `make_room`, Fenced; what was used is in the books all the same.
        """
        for one in used:
            self._enter(one)
        over = {name: self._under_way.pop(name) for name in response_ids if name in self._under_way}
        if not self._is_told:
            self._untold |= over
        elif not over:
            self._tell_of_one()
        self._is_told = False
        self._count_open()
        await self._keep()
        await self._count(used)
        await self._hold()

    async def use(self, used: Sequence[Used]) -> None:
        """Beside a response, or after it. Raises as `response_ends`."""
        for one in used:
            self._enter(one)
        was_untold = bool(self._untold) and not self._under_way
        if was_untold and self._is_told:
            self._tell_of_one()
            self._is_told = False
        self._count_open()
        await self._keep()
        await self._count(used)
        if was_untold:
            await self._hold()

    def _tell_of_one(self) -> None:
        """The oldest."""
        if self._untold:
            del self._untold[next(iter(self._untold))]

    def _count_open(self) -> None:
        self._change(open_responses=len(self._under_way) + len(self._untold))

    async def lose_and_hold(self) -> None:
        """Before another connection may begin the next one. Raises as `make_room`, Fenced."""
        was_answering = self.is_answering
        await self.lose()
        if was_answering:
            await self._hold()

    async def lose(self) -> None:
        """Responses of which nobody will tell what they have cost: of each all that was held for it, or what was heard
        of it, as the tenant says. Raises Fenced.
        """
        said = [*self._untold.values(), *self._under_way.values()]
        said += [0] * (self._books.open_responses - len(said))
        self._untold, self._under_way, self._asked_beside = {}, {}, 0
        if not said:
            return
        for tokens in said:
            self._lose_one(tokens)
        self._count_open()
        await self._keep()

    def _lose_one(self, said_tokens: int) -> None:
        said = TokenUsage(
            prompt_tokens=self._books.context_tokens,
            completion_tokens=said_tokens,
            completion=CompletionTokensDetails(audio_tokens=said_tokens),
            estimated=True,
        )
        cost = cost_nano_usd(said, self._route.facts)
        prices = dearest_prices(self._route.facts, Asked(prompt_tokens=said.prompt_tokens, hears=True, speaks=True))
        if self._principal.tenant.lost_requests == "charge" and prices is not None:
            cost = prices.nano_usd(said.prompt_tokens, self._output_tokens)
        self._add(self._route.model_id, said, cost)

    async def _count(self, used: Sequence[Used]) -> None:
        """Tokens, in the minute in which they were used; those of the minute in which it was admitted are in its hold.
        Once only, so that a write that is not answered counts too little and never too much.
        """
        ticket, now_s = self._exchange.ticket, self._world.clock.now_s()
        if ticket is None or minute_of(now_s) == minute_of(ticket.admitted_s):
            return
        tokens = sum(one.usage.total_tokens for one in used)
        demand = Demand(self._route.model_id, tokens, 0, ticket.demand.lease_s)
        for entry in ticket.entries:
            shard = shard_of(entry.account.id)
            account = account_of(entry.account.level, self._principal, demand, now_s, shard)
            counted = {meter.name: meter.amount for meter in account.meters if meter.kind == "tokens"}
            if counted:
                with suppress(AdmissionUnavailable):
                    await ticket.ledger.add(account.id, counted)

    async def keep(self) -> None:
        """What was said since the last response is part of what a follower has to hold for. Raises Fenced."""
        if self._books is not self._kept_books:
            await self._keep()

    async def _keep(self) -> None:
        """What cannot be written now is written with the next response; a follower knows nothing of it until then.
        Raises Fenced.
        """
        books = self._books
        try:
            await self._holding.book(books)
            self._kept_books = books
        except StorageUnavailable as error:
            self._world.records.trouble("realtime.not_kept", reason=error.message)

    def _enter(self, used: Used) -> None:
        route = self._route
        facts = route.facts if used.model is None else self._world.catalog.find(route.provider.name, used.model)
        cost = None if facts is None else cost_nano_usd(used.usage, facts)
        self._add(f"{route.provider.name}/{facts.id if facts else used.model}", used.usage, cost)
        if used.model is None:
            self._is_told = True
            if used.is_beside:
                self.one_less_beside()
                return
            if not used.usage.total_tokens:
                return  # it failed, and says nothing about the conversation
            since = self._books.context_tokens - self._counted_at_begin
            self._change(context_tokens=used.usage.total_tokens + max(0, since))
            self._counted_at_begin = self._books.context_tokens

    def _add(self, model_id: str, usage: TokenUsage, cost: int | None) -> None:
        known = self._books.spent.get(model_id, Spent())
        self._change(spent={**self._books.spent, model_id: known.and_of(usage, cost)})

    def _change(self, **changes: object) -> None:
        self._books = msgspec.structs.replace(self._books, **changes)

    # -- the end ----------------------------------------------------------------------------------------------------

    def attempts(self, *, has_failed: bool = False) -> list[Attempt]:
        """One for each model, the session's own last: what its record tells. `has_failed`: the provider."""
        beside = [model_id for model_id in self._books.spent if model_id != self._route.model_id]
        return [self._attempt(model_id, has_failed=has_failed) for model_id in (*beside, self._route.model_id)]

    def _attempt(self, model_id: str, *, has_failed: bool) -> Attempt:
        """All of its time is the client's and the provider's own. Of the health of a model only the session's own says
        something: by how long its provider took to take the connection.
        """
        began_s, ended_s = self._exchange.started_s, self._world.clock.monotonic_s()
        spent, is_own = self._books.spent.get(model_id), model_id == self._route.model_id
        return Attempt(
            self._route_of(model_id),
            began_s,
            {},
            ended_s=ended_s if is_own and (has_failed or self.connected_s is not None) else None,
            ttft_s=self.connected_s if is_own else None,
            provider_wait_s=ended_s - began_s,
            is_beside_others=True,
            usage=None if spent is None else spent.usage,
            cost_nano_usd=None if spent is None else spent.cost_nano_usd,
        )

    def _route_of(self, model_id: str) -> AnyRoute:
        facts = self._world.catalog.find(self._route.provider.name, model_id.partition("/")[2])
        return self._route if facts is None else Route(self._route.provider, facts, "")
