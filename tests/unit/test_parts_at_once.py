"""A request in several parts, where its provider may not be asked for all of them at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.model.catalog import EmbeddingFacts
from gateway.model.slot import Slot
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import Several, answers, fails, model, several
from tests.unit.test_circuits_in_calls import Watched
from tests.unit.test_slots import capped, fill, slots

FIVE = ["a", "b", "c", "d", "e"]


def embeds(gateway: Several) -> dict[str, Any]:
    """Five parts. How many were asked at a time at most."""
    seen = {"now": 0, "most": 0}

    async def embedding() -> Any:
        seen["now"] += 1
        seen["most"] = max(seen.values())
        await asyncio.sleep(0)
        seen["now"] -= 1
        body = {"data": [{"index": 0, "embedding": [0.5, 0.5]}], "model": "m", "usage": {"prompt_tokens": 3}}
        return answers(200, json.dumps(body).encode())

    facts = model("embed", api="embeddings", context_tokens=100, embedding=EmbeddingFacts(dimensions=2, max_inputs=1))
    catalog = gateway.world.catalog
    assert isinstance(catalog, MemoryCatalog)
    catalog.held["openai"]["embed"] = facts
    gateway.provider("openai", embedding)
    return seen


@pytest.mark.parametrize("most", [None, 8, 4, 1])
async def test_parts_of_one_request_do_not_stand_in_each_others_way(most: int | None) -> None:
    gateway = several()
    capped(gateway, most)
    seen = embeds(gateway)
    answer = await gateway.embed(input=FIVE)
    assert (answer.status, len(answer.json["data"])) == (200, 5)
    assert seen["most"] == min(most or 5, 5)
    assert slots(gateway).held == ({} if most is None else {"openai": {}})


async def test_they_take_the_places_that_others_leave() -> None:
    gateway = several()
    capped(gateway, 3)
    seen = embeds(gateway)
    assert await slots(gateway).take(Slot("openai"), 3, int(gateway.world.clock.now_s()) + 600)
    assert ((await gateway.embed(input=FIVE)).status, seen["most"]) == (200, 2)


async def test_where_none_is_left_none_is_asked_and_nothing_is_paid() -> None:
    gateway = several()
    capped(gateway, 1)
    embeds(gateway)
    await fill(gateway)
    answer = await gateway.embed(input=FIVE)
    assert (answer.status, answer.json["error"]["code"], gateway.providers.asked) == (503, "overloaded", [])
    assert [record.cost_nano_usd for record in gateway.usage] == [0]


async def test_parts_of_the_one_that_tries_pass_with_it() -> None:
    watched = Watched()
    gateway = watched.gateway
    embeds(gateway)
    gateway.provider("openai", fails(503))
    assert [(await gateway.embed(input="a")).status for _ in range(5)] == [502] * 5
    assert (await gateway.embed(input=FIVE)).json["error"]["code"] == "circuit_open"
    watched.pass_s(31)
    embeds(gateway)
    assert [(await gateway.embed(input=FIVE)).status for _ in range(3)] == [503, 200, 200]
