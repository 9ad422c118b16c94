"""In which order the members of a group are asked, of those that can do what a call asks. Pure but for the dice.

Their health comes before all of this (`candidates.by_health`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, log
from typing import TypeAlias

from msgspec import Struct

from gateway.model.group import Routing
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import AnyRoute
from gateway.ports import World

TRIED = 0.1
"""Of the calls by latency, so many ask first a member of which nothing is known: enough to know it soon, too few for a
slow one to matter."""


class Standing(Struct, frozen=True):
    """A member that can do what the call asks, with the most that this can use."""

    weight: int
    route: AnyRoute
    demand: Demand


Ranks: TypeAlias = Sequence[float]
"""For each member a number: the lowest is asked first, of equals the one that is listed first."""


def order_of(routing: Routing, members: Sequence[Standing], world: World) -> list[int]:
    """Their positions. Those of weight 0 come after all others."""
    ranks = _RANKS[routing](members, world)
    return sorted(range(len(members)), key=lambda place: (not members[place].weight, ranks[place]))


def _as_listed(members: Sequence[Standing], _world: World) -> Ranks:
    return [0] * len(members)


def _by_lot(members: Sequence[Standing], world: World) -> Ranks:
    """Who comes first, and of the rest who is next, each time by the weights: the order of waiting times that are
    exponential at these rates (https://doi.org/10.1016/j.ipl.2005.11.003).
    """
    return [-log(1 - world.dice()) / one.weight if one.weight else inf for one in members]


def _by_latency(members: Sequence[Standing], world: World) -> Ranks:
    """The figures of the last minutes. A member without any is asked last, but by some calls first, so that it has one
    soon; so is one again that was slow and that nobody has asked since.
    """
    figures = [world.health.p95_ms(one.route.provider.name, one.route.facts.id) for one in members]
    ranks = [inf if figure is None else float(figure) for figure in figures]
    unknown = [place for place, one in enumerate(members) if figures[place] is None and one.weight]
    if unknown and len(unknown) < len(members) and world.dice() < TRIED:
        ranks[unknown[0]] = -inf
    return ranks


def _by_cost(members: Sequence[Standing], _world: World) -> Ranks:
    """The most that this very call can cost, in nano-USD, with replies of one length: the longest that all of them can
    give. A member without a known price is asked last.
    """
    priced = [one.demand.cost_by_reply for one in members]
    reply_tokens = min((most for most, _ in filter(None, priced)), default=0)
    return [inf if one is None else one[1](reply_tokens) for one in priced]


_RANKS: Mapping[Routing, Callable[[Sequence[Standing], World], Ranks]] = {
    "ordered": _as_listed,
    "weighted": _by_lot,
    "lowest_latency": _by_latency,
    "lowest_cost": _by_cost,
}
