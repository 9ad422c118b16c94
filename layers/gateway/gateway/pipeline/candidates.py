"""Which models may answer a call: the one it names, then those to fall back on when a provider fails.

Each of the others is planned as if it had been asked for itself. What it would have been refused with leaves it out:
that it is not approved, has no price where money is limited, or cannot do what the call asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct, structs
from msgspec.structs import replace

from gateway.health_ports import HealthReading
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS, Call, Strategy
from gateway.model.completion import LeftOut
from gateway.model.errors import GatewayError, ModelNotFound
from gateway.model.reliability import Health
from gateway.model.tenant import Tenant
from gateway.pipeline.meters import Demand, together
from gateway.pipeline.route import AnyRoute, none_of
from gateway.pipeline.routing import Standing, order_of
from gateway.pipeline.watch import BEFORE_AND_AFTER_S
from gateway.ports import World

ORDER: tuple[Health, ...] = ("healthy", "degraded", "unhealthy")


class Candidate(Protocol):
    """A call made ready for one model, with the most that it can use."""

    @property
    def route(self) -> AnyRoute: ...

    @property
    def demand(self) -> Demand: ...


P = TypeVar("P", bound=Candidate)
C = TypeVar("C", bound=Call)


class Candidates(Struct, Generic[P], frozen=True):
    """`asked`: for the model that the call names, of a group the member that comes first. `all`: that one and the
    others, in the order in which they are asked. `demand`: what is held at first. `left_out`: of those that the call
    itself names. `is_group`: whether the call names a group, of which any member will do.
    """

    asked: P
    all: tuple[P, ...]
    demand: Demand
    strategy: Strategy = "sequential"
    left_out: tuple[LeftOut, ...] = ()
    is_group: bool = False


async def candidates_of(call: C, tenant: Tenant, world: World, plan: Callable[[C], Awaitable[P]]) -> Candidates[P]:
    """`plan`: makes the call ready for the model that it names, which is never a group. Raises what that does for the
    call itself, for a group what `none_of` says; ModelNotFound (404) for a name in the call's own list that is none.
    """
    left_out: list[LeftOut] = []
    is_group = tenant.group(call.model) is not None
    if not is_group:
        asked = await plan(call)
        wanted = _wanted(call, tenant, asked.route)
        if wanted is None:
            return Candidates(asked, (asked,), asked.demand)
        found = {asked.route.model_id: asked}
    else:
        able, left_out = await _planned(call.model, call, tenant, world, plan)
        found = {one.route.model_id: one for one in by_health(able, world.health, tenant)}
        asked = next(iter(found.values()))
        wanted = _wanted(call, tenant, asked.route) or _Wanted((), "sequential", "")
    members = [*found.values()]
    for param, name in wanted.names():
        try:
            some, unable = await _planned(name, call, tenant, world, plan)
        except GatewayError as error:
            if param and isinstance(error, ModelNotFound):
                error.param = param
                raise
            some, unable = [], [left_out_for(name, error)]
        for one in some:
            found.setdefault(one.route.model_id, one)
        left_out += unable if param else []
    every = [*found.values()]
    ordered = by_health(every, world.health, tenant) if wanted.strategy == "sequential" else tuple(every)
    demand = _held_for(members, every, wanted, call)
    return Candidates(asked, ordered, demand, wanted.strategy, tuple(left_out), is_group)


async def _planned(
    name: str, call: C, tenant: Tenant, world: World, plan: Callable[[C], Awaitable[P]]
) -> tuple[list[P], list[LeftOut]]:
    """The call for the model of that name; of a group for all members that can do it, in the order in which they are
    asked, and the others. Raises what `plan` does, and for a group what `none_of` says.
    """
    group = tenant.group(name)
    if group is None:
        return [await plan(structs.replace(call, model=name))], []
    able: list[tuple[P, Standing]] = []
    refusals: list[tuple[str, GatewayError]] = []
    for member in group.members:
        try:
            one = await plan(structs.replace(call, model=member.model))
        except GatewayError as refusal:
            refusals.append((member.model, refusal))
        else:
            able.append((one, Standing(member.weight, one.route, one.demand)))
    if not able:
        raise none_of(name, refusals)
    order = order_of(group.routing, [standing for _, standing in able], world)
    return [able[place][0] for place in order], [left_out_for(*refusal) for refusal in refusals]


def left_out_for(name: str, refusal: GatewayError) -> LeftOut:
    return LeftOut(model=name, code=refusal.code, message=refusal.message)


class _Wanted(Struct, frozen=True):
    """`param`: the member of the call that named them; empty for a setting of its tenant."""

    models: Sequence[str]
    strategy: Strategy
    param: str

    def names(self) -> Iterator[tuple[str, str]]:
        for index, name in enumerate(self.models):
            yield (f"{self.param}[{index}]" if self.param else ""), name


def _wanted(call: Call, tenant: Tenant, asked: AnyRoute) -> _Wanted | None:
    if call.fallback is not None:
        return _Wanted(call.fallback.models, call.fallback.strategy, "fallback.models")
    for param, models in (("fallbacks", call.fallbacks), ("models", call.models)):
        if models is not None:
            return _Wanted(models, "sequential", param) if models else None
    if not tenant.fallbacks:
        return None
    names = (asked.model_id,) if tenant.group(call.model) is None else (asked.model_id, call.model)
    rule = tenant.fallback_for(*names)
    return None if rule is None else _Wanted(rule.fallback, rule.strategy, "")


def by_health(candidates: Sequence[P], health: HealthReading, tenant: Tenant) -> tuple[P, ...]:
    """Healthy ones first, unhealthy ones last; of equals the first stays the first. How a model answers the owner says
    nothing of what it does for a tenant's own key.
    """

    def rank(candidate: P) -> int:
        if candidate.route.provider.name in tenant.own_keys:
            return 0
        return ORDER.index(health_of(candidate, health))

    return tuple(sorted(candidates, key=rank))


def health_of(candidate: Candidate, health: HealthReading) -> Health:
    return health.of(candidate.route.provider.name, candidate.route.facts.id)


def _held_for(members: Sequence[Candidate], candidates: Sequence[Candidate], wanted: _Wanted, call: Call) -> Demand:
    """Under the rules of the model that the call names, whoever is asked first; of a group those of one member that
    there is room for, `members` in their order. The dearest of those that the call names, or all of them where all are
    asked at once: under each rule as much as those can use that fall under it. Of a tenant's setting, of which the call
    may know nothing, the model's own. What is not held yet is, before another is asked. It is held for as long as all
    can take after each other.
    """
    demands = [candidate.demand for candidate in candidates]
    longest_s = (MAX_STREAM_MS if call.is_streamed else MAX_BEGIN_MS) / 1000
    longest_s = max(longest_s, *(demand.lease_s - BEFORE_AND_AFTER_S for demand in demands))
    lasts_s = sum(demand.lease_s - BEFORE_AND_AFTER_S for demand in demands)
    lease_s = min(lasts_s, longest_s) + BEFORE_AND_AFTER_S

    def held_under(rules: Demand) -> Demand:
        if not wanted.param:
            return replace(rules, lease_s=lease_s)
        every = [rules, *(demand for demand in demands if demand is not rules)]
        return replace(together(every, adds_up=wanted.strategy == "parallel"), lease_s=lease_s)

    first, *others = [held_under(member.demand) for member in members]
    return replace(first, instead=tuple(others))
