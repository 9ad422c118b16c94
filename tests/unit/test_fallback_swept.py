"""Functions that die while they fall back: every hold ends, and each rule has what its own models cost."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from gateway.entry.chat import chat_app
from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.record import UsageRecord
from gateway.model.tenant import Tenant
from tests.asgi import call
from tests.dying import Fate, Killed, Mortal
from tests.fakes import MemoryCatalog, principal
from tests.sweeping import KEY, Stage
from tests.unit.several_providers import (
    ProvidersOutbound,
    Several,
    answers,
    fails,
    model,
    says,
    several,
    stalls,
    streams,
)
from tests.unit.test_fallback import ONE, TWO
from tests.unit.test_without_ledger import ALICE_ACCOUNT, TENANT_ACCOUNT, Moody

RULES = Allowance(
    budgets=tuple(Budget(window="day", usd=Decimal(1), models=models) for models in ("*", "openai/*", "groq/*")),
    limits=(Limits(models="groq/*", concurrent_requests=5, tokens_per_minute=10_000),),
)
TENANT = Tenant(id="acme", approvals=("*",), allowance=RULES, user_allowance=RULES)


class Falling(Stage):
    """One model's answer is cut off, and paid; another one answers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.world = replace(
            self.world,
            catalog=MemoryCatalog({"openai": {"gpt": model("gpt")}, "groq": {"llama": model("llama", 3)}}),
        )
        self.world.credentials.held["groq"] = self.world.credentials.held["openai"]  # type: ignore[attr-defined]
        self.hold(principal(TENANT))

    async def ask(self, fate: Fate) -> None:
        cut = answers(200, b"{", ProviderError("cut"))
        outbound = ProvidersOutbound({"openai": [cut], "groq": [says("groq")]})
        ledger, events = Mortal(self.ledger, fate), Mortal(self.events, fate)
        world = replace(self.world, ledger=ledger, events=events, outbound=outbound)
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        await call(chat_app(world), json.dumps(ONE).encode(), headers)


STEPS = 14


async def test_the_steps_are_what_this_test_thinks() -> None:
    """Both accounts are reserved in, enlarged and settled; one telling."""
    fate = Fate()
    await Falling().ask(fate)
    assert fate.steps == STEPS


@pytest.mark.parametrize("at", range(STEPS + 1))
async def test_wherever_a_function_dies_the_books_are_right(at: int) -> None:
    stage = Falling()
    with suppress(Killed):
        await stage.ask(Fate(at))
    await stage.judgement_day()
    await stage.check()
    told = {one.model: one.cost_nano_usd for one in stage.told(UsageRecord) if one.attempt}
    if not told:
        await check_what_is_lost(stage)
        return
    assert list(told) == ["openai/gpt", "groq/llama"]
    for reading in (await stage.books()).values():
        for name, cost in (("openai", told["openai/gpt"]), ("groq", told["groq/llama"])):
            rule = suffix(f"{name}/*")
            assert reading.numbers[f"s2026-09-21{rule}"] == reading.numbers[f"c2026-09-21{rule}"] == cost


async def test_what_was_lost_at_a_known_model_is_charged_to_its_rules_alone() -> None:
    """As a video's record says when its worker died while it was asked for."""
    stage = Falling()
    with suppress(Killed):
        await stage.ask(Fate(STEPS - 2))
    first, second = stage.told(UsageRecord)
    stage.events.told[stage.events.told.index(second)] = structs.replace(second, outcome="lost")
    assert (await stage.judgement_day()).lost == 1
    for reading in (await stage.books()).values():
        assert reading.holds == {}
        for record in (first, second):
            assert record.model is not None
            rule = suffix(f"{record.model.partition('/')[0]}/*")
            assert reading.numbers[f"s2026-09-21{rule}"] == record.cost_nano_usd


async def check_what_is_lost(stage: Falling) -> None:
    """Any model may have been asked that was held for: no rule has more than was held under it, and all have that."""
    cost = sum(one.cost_nano_usd or 0 for one in stage.told(UsageRecord))
    for reading in (await stage.books()).values():
        for rule in ("", suffix("openai/*"), suffix("groq/*")):
            spent = reading.numbers.get(f"s2026-09-21{rule}", 0)
            assert spent == reading.numbers.get(f"c2026-09-21{rule}", 0)
            assert spent in (0, {"": cost, suffix("openai/*"): 69_000, suffix("groq/*"): 207_000}[rule])
        assert (reading.numbers.get(f"s2026-09-21{suffix('openai/*')}", 0) > 0) is (cost > 0)


async def test_what_was_spent_without_the_ledger_is_booked_by_rule() -> None:
    ledger = Moody()
    stage = Falling(ledger=ledger)
    stage.hold(principal(structs.replace(TENANT, without_ledger="local")))
    ledger.silent = {TENANT_ACCOUNT, ALICE_ACCOUNT}
    await stage.ask(Fate())
    first, second = stage.told(UsageRecord)
    for record, own, other in ((first, "openai/*", "groq/*"), (second, "groq/*", "openai/*")):
        booked = record.unbooked[TENANT_ACCOUNT]
        assert booked["s2026-09-21"] == booked[f"s2026-09-21{suffix(own)}"] == record.cost_nano_usd
        assert f"s2026-09-21{suffix(other)}" not in booked


async def test_nothing_is_left_of_many_failures() -> None:
    """No task, no open answer, no hold."""
    gateway: Several = several()
    endings: list[Any] = [fails(500), fails(401), stalls(), answers(200, b"{", ProviderError("cut")), says("well")]
    asked = {**TWO, "timeouts": {"total_ms": 5}}
    for number in range(100):
        for place, name in enumerate(("openai", "groq", "mistral")):
            gateway.provider(name, endings[(number // 5**place) % 5])
        strategy = "parallel" if number % 2 else "sequential"
        body = {**asked, "fallback": {**TWO["fallback"], "strategy": strategy}, "stream": number % 3 == 0}
        if body["stream"]:
            gateway.provider("mistral", streams(ProviderError("cut")))
        await gateway.chat(body)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert gateway.providers.still_open == 0
    async for _, reading in gateway.world.ledger.accounts():
        assert reading.holds == {}
    ended = [one for one in gateway.told if one.id.endswith(".ended")]
    assert len(ended) == len({one.id for one in ended}) == 100
