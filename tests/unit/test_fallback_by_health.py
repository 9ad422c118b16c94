"""Health puts another model before the one that the client asked for: its refusals are not the client's."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.reliability import FallbackRule, Health
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import Several, fails, model, says, several
from tests.unit.test_fallback import COST, HELLO, ONE
from tests.unit.test_groups import left_out, well

RULE = (FallbackRule(fallback=("groq/llama",)),)
NO_MONEY = Allowance(budgets=(Budget(models="groq/*", window="month", usd=Decimal("0.000001")),))
NO_RATE = Allowance(limits=(Limits(models="groq/*", requests_per_minute=0),))
BIASED = {**HELLO, "logit_bias": {"1": 1}}


@pytest.fixture
def gateway() -> Several:
    made = several()
    for name in ("openai", "groq"):
        made.provider(name, says(name))
    return made


@pytest.mark.parametrize("allowance", [NO_MONEY, NO_RATE])
@pytest.mark.parametrize("body", [HELLO, ONE])
@pytest.mark.parametrize("state", ["healthy", "degraded", "unhealthy"])
async def test_nobody_is_refused_for_the_limits_of_a_model_that_is_only_fallen_back_on(
    gateway: Several, allowance: Allowance, body: dict[str, Any], state: Health
) -> None:
    """Whether its tenant names it or the request does."""
    gateway.tenant(fallbacks=RULE, allowance=allowance)
    well(gateway, {"openai": state})
    answer = await gateway.chat(body)
    assert (answer.status, answer.json["model"]) == (200, "openai/gpt")
    assert gateway.switches == []
    code = "budget_exceeded" if allowance is NO_MONEY else "rate_limited"
    assert left_out(answer.json) == ([] if state == "healthy" else [("groq/llama", code)])
    assert await gateway.spent("c2026-09") == await gateway.spent("s2026-09") == COST["openai"]
    assert await gateway.spent(f"c2026-09{suffix('groq/*')}") == 0


async def test_of_a_race_it_is_never_the_model_that_was_asked_for_that_is_left_out(gateway: Several) -> None:
    rule = FallbackRule(models="openai/*", fallback=("groq/llama",), strategy="parallel")
    gateway.tenant(fallbacks=(rule,), allowance=Allowance(budgets=(Budget(window="month", usd=Decimal("0.0001")),)))
    well(gateway, {"openai": "degraded"})
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["model"]) == (200, "openai/gpt")
    assert left_out(answer.json) == [("groq/llama", "budget_exceeded")]


async def test_nor_because_it_is_dearer_than_what_is_left(gateway: Several) -> None:
    gateway.tenant(fallbacks=RULE, allowance=Allowance(budgets=(Budget(window="month", usd=Decimal("0.0001")),)))
    well(gateway, {"openai": "degraded"})
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["model"]) == (200, "openai/gpt")
    assert left_out(answer.json) == [("groq/llama", "budget_exceeded")]


async def test_what_health_puts_first_is_held_for_before_it_is_asked(gateway: Several) -> None:
    held: dict[str, int] = {}

    async def look() -> Any:
        held.update((await gateway.world.ledger.read("T#acme#0")).numbers)
        return says("groq")

    gateway.provider("groq", look)
    room = Allowance(budgets=(Budget(models="groq/*", window="month", usd=Decimal(1)),))
    gateway.tenant(fallbacks=RULE, allowance=room)
    well(gateway, {"openai": "degraded"})
    assert (await gateway.chat(HELLO)).json["model"] == "groq/llama"
    assert held["c2026-09"] == held[f"c2026-09{suffix('groq/*')}"] == 207_000
    assert await gateway.spent("c2026-09") == await gateway.spent(f"c2026-09{suffix('groq/*')}") == COST["groq"]
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}


@pytest.mark.parametrize("state", ["healthy", "degraded"])
async def test_the_limits_of_the_model_that_was_asked_for_hold_however_it_is(gateway: Several, state: Health) -> None:
    gateway.tenant(fallbacks=RULE, allowance=Allowance(limits=(Limits(models="openai/*", requests_per_minute=0),)))
    well(gateway, {"openai": state})
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["models"], gateway.providers.asked) == (429, "openai/*", [])


@pytest.mark.parametrize("state", ["healthy", "degraded"])
async def test_what_its_api_has_no_word_for_does_not_refuse_the_request(gateway: Several, state: Health) -> None:
    """groq knows no `logit_bias`, which is seen when its request is made."""
    gateway.tenant(fallbacks=RULE)
    well(gateway, {"openai": state})
    answer = await gateway.chat(BIASED)
    assert (answer.status, answer.json["model"], gateway.providers.asked) == (200, "openai/gpt", ["openai"])


@pytest.mark.parametrize("state", ["healthy", "degraded"])
async def test_what_the_api_of_the_model_that_was_asked_for_has_no_word_for_does(
    gateway: Several, state: Health
) -> None:
    """Unless the other one answers first."""
    gateway.tenant(fallbacks=(FallbackRule(fallback=("openai/gpt",)),))
    well(gateway, {"groq": state})
    gateway.provider("openai", fails(500))
    answer = await gateway.chat({**BIASED, "model": "groq/llama"})
    assert (answer.status, answer.json["error"]["param"]) == (400, "logit_bias")
    assert gateway.providers.asked == ([] if state == "healthy" else ["openai"])


@pytest.mark.parametrize("state", ["healthy", "degraded"])
async def test_nor_does_a_file_that_it_cannot_read(gateway: Several, state: Health) -> None:
    sees: dict[str, Any] = {"input": ("text", "image"), "capabilities": ("streaming",)}
    catalog = MemoryCatalog({name: {"sees": model("sees", **sees)} for name in ("xai", "groq")})
    gateway.world = replace(gateway.world, catalog=catalog)
    gateway.tenant(approvals=("*",), fallbacks=(FallbackRule(fallback=("xai/sees",)),))
    well(gateway, {"groq": state})
    gif = b64encode(b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + b",;").decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{gif}"}}
    call = {**HELLO, "model": "groq/sees", "messages": [{"role": "user", "content": [part]}]}
    answer = await gateway.chat(call)
    assert (answer.status, answer.json["model"], gateway.switches) == (200, "groq/sees", [])


@pytest.mark.parametrize("state", ["degraded", "unhealthy"])
async def test_the_audit_log_says_how_the_model_was_that_nobody_asked(gateway: Several, state: Health) -> None:
    well(gateway, {"openai": state})
    assert (await gateway.chat(ONE)).json["gateway"]["fallback_used"] is True
    assert [switch.facts for switch in gateway.switches] == [{"from": "openai/gpt", "to": "groq/llama", "code": state}]
