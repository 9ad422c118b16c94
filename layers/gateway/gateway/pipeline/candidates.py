"""Which models may answer a call: the one it names, then those to fall back on when a provider fails.

Each of the others is planned as if it had been asked for itself. What it would have been refused with leaves it out:
that it is not approved, has no price where money is limited, or cannot do what the call asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from msgspec import structs

from gateway.health_ports import HealthReading
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS, Call, Strategy
from gateway.model.completion import LeftOut
from gateway.model.errors import GatewayError, ModelNotFound
from gateway.model.reliability import Health
from gateway.model.tenant import Tenant
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import AnyRoute
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


@dataclass(frozen=True, slots=True)
class Candidates(Generic[P]):
    """`asked`: for the model that the call names. `all`: that one and the others, in the order in which they are asked.
    `demand`: what is held for all of them. `left_out`: of those that the call itself names.
    """

    asked: P
    all: tuple[P, ...]
    demand: Demand
    strategy: Strategy = "sequential"
    left_out: tuple[LeftOut, ...] = ()


async def candidates_of(call: C, tenant: Tenant, world: World, plan: Callable[[C], Awaitable[P]]) -> Candidates[P]:
    """`plan`: makes the call ready for the model that it names. Raises what that does for the call itself, and
    ModelNotFound (404) for a name in the call's own list that is none.
    """
    asked = await plan(call)
    wanted = _wanted(call, tenant, asked.route.model_id)
    if wanted is None:
        return Candidates(asked, (asked,), asked.demand)
    found = {asked.route.model_id: asked}
    left_out: list[LeftOut] = []
    for param, name in wanted.names():
        try:
            one = await plan(structs.replace(call, model=name))
        except GatewayError as error:
            if param and isinstance(error, ModelNotFound):
                error.param = param
                raise
            if param:
                left_out.append(LeftOut(model=name, code=error.code, message=error.message))
        else:
            found.setdefault(one.route.model_id, one)
    ordered = by_health([*found.values()], world.health)
    demand = _held_for(ordered, wanted.strategy, call)
    return Candidates(asked, ordered, demand, wanted.strategy, tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`param`: the member of the call that named them; empty for a setting of its tenant."""

    models: Sequence[str]
    strategy: Strategy
    param: str

    def names(self) -> Iterator[tuple[str, str]]:
        for index, name in enumerate(self.models):
            yield (f"{self.param}[{index}]" if self.param else ""), name


def _wanted(call: Call, tenant: Tenant, model_id: str) -> _Wanted | None:
    if call.fallback is not None:
        return _Wanted(call.fallback.models, call.fallback.strategy, "fallback.models")
    for param, models in (("fallbacks", call.fallbacks), ("models", call.models)):
        if models is not None:
            return _Wanted(models, "sequential", param) if models else None
    rule = tenant.fallback_for(model_id) if tenant.fallbacks else None
    return None if rule is None else _Wanted(rule.fallback, rule.strategy, "")


def by_health(candidates: Sequence[P], health: HealthReading) -> tuple[P, ...]:
    """Healthy ones first, unhealthy ones last; of equals the first stays the first."""

    def rank(candidate: P) -> int:
        return ORDER.index(health.of(candidate.route.provider.name, candidate.route.facts.id))

    return tuple(sorted(candidates, key=rank))


def _held_for(candidates: Sequence[Candidate], strategy: Strategy, call: Call) -> Demand:
    """The dearest of them, or all of them where all are asked at once; under the rules of the first.

    Those of another are entered when it is asked. It is held for as long as all can take after each other.
    """
    demands = [candidate.demand for candidate in candidates]
    gather = sum if strategy == "parallel" else max
    longest_s = (MAX_STREAM_MS if call.is_streamed else MAX_BEGIN_MS) / 1000
    longest_s = max(longest_s, *(demand.lease_s - BEFORE_AND_AFTER_S for demand in demands))
    lasts_s = sum(demand.lease_s - BEFORE_AND_AFTER_S for demand in demands)
    return Demand(
        demands[0].model_id,
        gather(demand.tokens for demand in demands),
        gather(demand.cost_nano_usd for demand in demands),
        min(lasts_s, longest_s) + BEFORE_AND_AFTER_S,
    )
