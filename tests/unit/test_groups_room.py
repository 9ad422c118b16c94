"""Limits and budgets of some members of a group: a call is refused only when there is room for none of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget, Limits
from tests.unit.several_providers import Several, fails
from tests.unit.test_fallback import COST
from tests.unit.test_fallback_around import done
from tests.unit.test_groups import CHAT, GROQ, MISTRAL, OPENAI, group, left_out, of_a_group
from tests.unit.test_without_ledger import ALICE_ACCOUNT, Moody


def none_of(*models: str) -> tuple[Limits, ...]:
    return tuple(Limits(models=one, requests_per_minute=0) for one in models)


@pytest.fixture
def gateway() -> Several:
    return of_a_group()


async def held(gateway: Several) -> Any:
    return (await gateway.world.ledger.read("T#acme#0")).holds


def limited(gateway: Several, *limits: Limits, budgets: tuple[Budget, ...] = (), **more: Any) -> None:
    allowance = Allowance(limits=limits, budgets=budgets)
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ, MISTRAL)}, allowance=allowance, **more)


@pytest.mark.parametrize("known", [False, True])
async def test_the_first_that_there_is_room_for_answers_and_is_no_fallback(gateway: Several, known: bool) -> None:
    """Also by what is remembered of a tenant."""
    if known:
        await gateway.chat(CHAT)
        gateway.providers.asked.clear()
    limited(gateway, *none_of("openai/*"))
    reply = (await gateway.chat(CHAT)).json
    assert (reply["model"], reply["gateway"]["fallback_used"]) == (GROQ, False)
    assert (gateway.providers.asked, left_out(reply)) == (["groq"], [(OPENAI, "rate_limited")])
    assert (gateway.switches, await held(gateway)) == ([], {})


async def test_what_a_silent_ledger_took_for_one_without_room_is_given_back(gateway: Several) -> None:
    ledger = Moody()
    gateway.world = replace(gateway.world, ledger=ledger)
    limited(gateway, Limits(models="openai/*", requests_per_minute=1), without_ledger="local")
    ledger.silent = {ALICE_ACCOUNT}
    assert [(await gateway.chat(CHAT)).json["model"] for _ in range(2)] == [OPENAI, GROQ]
    ledger.silent = set()
    assert await held(gateway) == {}


async def test_those_after_it_are_what_is_fallen_back_on(gateway: Several) -> None:
    limited(gateway, *none_of("openai/*"))
    gateway.provider("groq", fails(500))
    reply = (await gateway.chat(CHAT)).json
    assert (reply["model"], gateway.providers.asked) == (MISTRAL, ["groq", "mistral"])
    assert [(one.facts["from"], one.facts["to"]) for one in gateway.switches] == [(GROQ, MISTRAL)]


async def test_a_member_that_is_too_dear_for_what_is_left(gateway: Several) -> None:
    """3, 2 and 1 dollars; the last one alone has room."""
    spare = Budget(window="month", usd=Decimal("0.0001"))
    allowance = Allowance(budgets=(spare,))
    gateway.tenant(aliases={"chat": group(GROQ, MISTRAL, OPENAI)}, allowance=allowance)
    reply = (await gateway.chat(CHAT)).json
    assert (reply["model"], gateway.providers.asked) == (OPENAI, ["openai"])
    assert left_out(reply) == [(GROQ, "budget_exceeded"), (MISTRAL, "budget_exceeded")]
    assert await gateway.spent("c2026-09") == await gateway.spent("s2026-09") == COST["openai"]


async def test_a_budget_of_a_member_is_not_overspent(gateway: Several) -> None:
    """What it has room for once it takes once; the others go to the next."""
    one = Budget(models="openai/*", window="month", usd=Decimal("0.00007"))
    limited(gateway, budgets=(one,))
    models = [(await gateway.chat(CHAT)).json["model"] for _ in range(3)]
    assert models == [OPENAI, GROQ, GROQ]
    assert await gateway.spent(f"c2026-09{suffix('openai/*')}") == COST["openai"]
    assert await gateway.spent("c2026-09") == COST["openai"] + 2 * COST["groq"]


async def test_when_there_is_room_for_none_nothing_is_held_and_the_first_says_why(gateway: Several) -> None:
    limited(gateway, *none_of("openai/*", "groq/*", "mistral/*"))
    answer = await gateway.chat(CHAT)
    assert (answer.status, answer.json["error"]["models"], gateway.providers.asked) == (429, "openai/*", [])
    assert (await held(gateway), await gateway.spent("n")) == ({}, 0)


async def test_or_the_first_that_may_have_room_soon(gateway: Several) -> None:
    spent = Budget(models="openai/*", window="month", usd=Decimal(0))
    limited(gateway, *none_of("groq/*", "mistral/*"), budgets=(spent,))
    answer = await gateway.chat(CHAT)
    assert (answer.status, answer.json["error"]["models"]) == (429, "groq/*")


async def test_a_limit_for_all_models_is_looked_at_once(gateway: Several) -> None:
    reads: list[str] = []
    read = gateway.world.ledger.read

    async def counted(account_id: str) -> Any:
        reads.append(account_id)
        return await read(account_id)

    gateway.world.ledger.read = counted  # type: ignore[method-assign]
    limited(gateway, *none_of("*"))
    assert (await gateway.chat(CHAT)).status == 429
    assert reads.count("T#acme#0") == 1


async def test_models_of_the_request_are_held_for_beside_the_member_that_has_room(gateway: Several) -> None:
    gateway.tenant(
        aliases={"chat": group(OPENAI, GROQ)}, allowance=Allowance(limits=none_of("openai/*")), approvals=("*",)
    )
    gateway.provider("groq", fails(500))
    reply = (await gateway.chat({**CHAT, "fallbacks": [MISTRAL]})).json
    assert (reply["model"], gateway.providers.asked) == (MISTRAL, ["groq", "mistral"])
    assert await held(gateway) == {}


async def test_in_a_race_who_has_no_room_does_not_run(gateway: Several) -> None:
    limited(gateway, *none_of("openai/*"))
    more = {"fallback": {"models": [MISTRAL], "strategy": "parallel"}}
    reply = (await gateway.chat({**CHAT, **more})).json
    assert "openai" not in gateway.providers.asked
    assert left_out(reply) == [(OPENAI, "rate_limited")]


async def test_a_job_is_for_the_member_that_there_is_room_for(gateway: Several) -> None:
    limited(gateway, Limits(models="openai/*", concurrent_jobs=0))
    job_id = (await gateway.chat({**CHAT, "async": True})).json["id"]
    for step in ("ask", "settle"):
        assert (await done(gateway, step, job_id))["status"] == "completed"
    assert (gateway.providers.asked, await held(gateway)) == (["groq"], {})
    assert await gateway.spent("c2026-09") == await gateway.spent("s2026-09") == COST["groq"]
