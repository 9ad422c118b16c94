"""Which way a batch's line is carried out: in a batch of its provider, at the price of that, or as a request."""

from __future__ import annotations

from msgspec import Struct

from gateway.model.call import Call
from gateway.model.catalog import ModelFacts
from gateway.model.errors import GatewayError
from gateway.model.money import BATCH_TIER
from gateway.model.tenant import Principal
from gateway.pipeline.batch_endpoints import LineEndpoint
from gateway.pipeline.batch_halves import Item, Wires
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import find_approved
from gateway.ports import World
from gateway.providers.contract import Filling, Target
from gateway.providers.lookup import provider_named

SOME_ID = "0" * 64
"""As long as an item's can be."""


class NativeLine(Struct, frozen=True):
    """`demand`: at the price of a batch. `api`: that its provider's batch is for."""

    demand: Demand
    api: str


async def native_line(call: Call, endpoint: LineEndpoint, principal: Principal, world: World) -> NativeLine | None:
    """None for one that is carried out as a request: its model has no batches or no price for them, or they do not take
    this. Raises what the call is refused with either way.
    """
    provider_name, facts = find_approved(call.model, principal, world.catalog, world.clock.now_s())
    wires = endpoint.halves.wires(provider_named(provider_name).batches)
    if not wires or not has_batches(facts):
        return None
    planned = await endpoint.plan(call, principal, world, of_batch=True)
    item = endpoint.halves.item(planned)
    if item is None or not _is_taken(item, wires):
        return None
    return NativeLine(planned.demand, item.route.facts.api)


def has_batches(facts: ModelFacts) -> bool:
    """Whether the catalog says so, and what they cost."""
    return facts.is_known and facts.can("batch") and BATCH_TIER in facts.service_tiers


def _is_taken(item: Item, wires: Wires) -> bool:
    """As far as can be told without its media, and where it goes."""
    wire = wires.get(item.route.facts.api)
    if wire is None:
        return False
    target = Target(item.route.provider.name, item.route.facts, item.route.provider.base_url or "")
    try:
        piece = wire.piece(SOME_ID, item.call, target)
    except GatewayError:
        return False
    return Filling(wire.limits, wire.frame).takes(piece, item.inputs)
