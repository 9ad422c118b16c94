"""A group of models under one name: deployments of one model at several providers, or models that do the same work."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from gateway.model.call import Name

MAX_MEMBERS = 8
MAX_WEIGHT = 1_000
Weight = Annotated[int, Meta(ge=0, le=MAX_WEIGHT)]
Routing: TypeAlias = Literal["ordered", "weighted", "lowest_latency", "lowest_cost"]


class GroupMember(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model`: "provider/model", or a bare model id that means one provider only. `weight`: its share of the calls, to
    those of the others; with 0 it is asked after all of them, whatever decides among these.
    """

    model: Name
    weight: Weight = 1


class ModelGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`models`: a name alone is a member of weight 1. `routing`: which of those that can do what a call asks comes
    first: as they are listed, by lot, the fastest, the cheapest for this call.
    """

    models: Annotated[tuple[Name | GroupMember, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    routing: Routing = "ordered"

    @property
    def members(self) -> tuple[GroupMember, ...]:
        return tuple(GroupMember(model=one) if isinstance(one, str) else one for one in self.models)
