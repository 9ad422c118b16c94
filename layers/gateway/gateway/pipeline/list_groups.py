"""A group of models described as one: what holds whichever of its members answers. Each has its own row beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from gateway.model.group import GroupMember, ModelGroup

SEVERAL = "several"
HEALTHS = ("healthy", "degraded", "unhealthy")
CIRCUITS = ("closed", "open")
LIFECYCLES = ("production", "preview", "deprecated")
_LEAST = ("context_tokens", "max_output_tokens")
_IN_ALL = ("input", "output", "capabilities")
_NONE_IN_COMMON: dict[str, Any] = {"service_tiers_usd_per_million": {}, "unit_prices": []}


def described_group(
    alias: str, group: ModelGroup, members: Sequence[tuple[GroupMember, dict[str, Any]]]
) -> dict[str, Any]:
    """`members`: those that may be used, described as models. What differs between them is null, or empty."""
    described = [one for _, one in members]
    providers = {one["owned_by"] for one in described}
    return {
        "id": alias,
        "object": "model",
        "created": max(one["created"] for one in described),
        "owned_by": providers.pop() if len(providers) == 1 else SEVERAL,
        "gateway": {
            **_common([one["gateway"] for one in described]),
            "name": alias,
            "routing": group.routing,
            "members": [{"model": one["id"], "weight": member.weight} for member, one in members],
        },
    }


def _common(all_facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first, *others = all_facts
    common = {
        name: value if all(other[name] == value for other in others) else _NONE_IN_COMMON.get(name)
        for name, value in first.items()
    }
    shutdowns = [facts["shutdown"] for facts in all_facts]
    return {
        **common,
        **{name: _least([facts[name] for facts in all_facts]) for name in _LEAST},
        **{name: reduce(_both, (facts[name] for facts in all_facts)) for name in _IN_ALL},
        "health": min((facts["health"] for facts in all_facts), key=HEALTHS.index),
        "circuit": min((facts["circuit"] for facts in all_facts), key=CIRCUITS.index),
        "lifecycle": max((facts["lifecycle"] for facts in all_facts), key=LIFECYCLES.index),
        "shutdown": None if None in shutdowns else max(shutdowns),
        "limits": _strictest([limit for facts in all_facts for limit in facts["limits"]]),
    }


def _least(figures: Sequence[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return min(known) if len(known) == len(figures) else None


def _both(some: Sequence[str], others: Sequence[str]) -> list[str]:
    return [one for one in some if one in others]


def _strictest(limits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A member that has none takes what the others do not."""
    strictest: dict[tuple[str, int], dict[str, Any]] = {}
    for limit in limits:
        key = (limit["of"], limit["above_images"])
        if key not in strictest or limit["most"] < strictest[key]["most"]:
            strictest[key] = limit
    return [*strictest.values()]
