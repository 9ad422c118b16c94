"""Videos that are ordered as jobs, and fall back: in the same worker, or never again where that died."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget
from gateway.model.record import BudgetAlert, UsageRecord
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import BELIEVED_S
from gateway.pipeline.job_work import ask
from tests.dying import Fate, Killed, Moment, mortal
from tests.unit.several_videos import BOTH, COST, DOWN, SILENT, Several, several
from tests.unit.videos_gateway import said

FIRST = {"silent": SILENT, "down": DOWN}
PAID = {"silent": ("provider_timeout", COST["xai/film"]), "down": ("provider_error", 0)}
"""Of the first of two, when it did that."""


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.begins(xai=DOWN)
    return made


async def ordered(gateway: Several, **members: Any) -> str:
    answer = await gateway.create(**{**BOTH, "async": True, **members})
    assert answer.status == 202, answer.json
    job_id: str = answer.json["id"]
    return job_id


async def done(gateway: Several, job_id: str) -> Any:
    for step in (ask, settle):
        await step(await gateway.jobs.get("acme", job_id), gateway.world)
    return (await gateway.get(f"/{job_id}")).json


async def test_its_worker_asks_another_model(gateway: Several) -> None:
    job_id = await ordered(gateway)
    waiting = (await gateway.get(f"/{job_id}")).json
    assert (waiting["model"], waiting["gateway"]["attempts"]) == ("xai/film", [])
    video = await done(gateway, job_id)
    assert (video["status"], video["model"], gateway.providers.asked) == ("completed", "runway/clip", ["xai", "runway"])
    assert gateway.costs == [("xai/film", "provider_error", 0), ("runway/clip", None, COST["runway/clip"])]
    assert await gateway.held() == (0, COST["runway/clip"], COST["runway/clip"])


@pytest.mark.parametrize("others", [[], ["runway/clip"]])
async def test_one_that_was_paid_and_not_begun_is_shown(gateway: Several, others: list[str]) -> None:
    gateway.begins(xai=SILENT, runway=said(400))
    video = await done(gateway, await ordered(gateway, fallbacks=others))
    assert video["usage"] == {"units": {}, "cost_estimate": 0.28}


async def test_when_all_fail_it_has_failed(gateway: Several) -> None:
    gateway.begins(xai=SILENT, runway=said(429))
    job_id = await ordered(gateway)
    video = await done(gateway, job_id)
    assert (video["status"], video["error"]["code"], video["usage"]["cost_estimate"]) == (
        "failed",
        "rate_limited",
        0.28,
    )
    attempts = [(one["model"], one["code"], one["cost_estimate"]) for one in video["gateway"]["attempts"]]
    assert attempts == [("xai/film", "provider_timeout", 0.28), ("runway/clip", "rate_limited", 0)]
    assert await gateway.held() == (0, COST["xai/film"], COST["xai/film"])


@pytest.mark.parametrize("policy", ["charge", "release"])
@pytest.mark.parametrize(
    ("at", "first", "lost"), [(0, "silent", "xai/film"), (1, "silent", "runway/clip"), (1, "down", "runway/clip")]
)
async def test_what_was_lost_with_its_worker_costs_what_that_model_does(
    gateway: Several, at: int, first: str, lost: str, policy: Any
) -> None:
    """And not what is held, which is for the dearest. What was asked before has told what it cost, and each model's
    budget pays what that one costs.
    """
    budgets = tuple(Budget(models=models, window="month", usd=Decimal(10)) for models in ("xai/*", "runway/*"))
    gateway.allow(lost_requests=policy, allowance=Allowance(budgets=budgets))
    gateway.begins(xai=FIRST[first])
    job_id = await ordered(gateway)
    asked = 0

    async def dies(moment: Moment) -> None:
        nonlocal asked
        fate.struck = None
        if asked == at:
            raise Killed
        asked += 1

    fate = Fate("before outbound.open", dies)
    with suppress(Killed):
        await ask(await gateway.jobs.get("acme", job_id), mortal(gateway.world, fate, ("outbound",)))
    assert gateway.providers.asked == ["xai"][:at]
    gateway.clock.unix_s += BELIEVED_S
    video = await done(gateway, job_id)
    before = [("xai/film", *PAID[first])] if at else []
    cost = COST[lost] if policy == "charge" else 0
    records = [one for one in gateway.told if isinstance(one, UsageRecord)]
    assert (video["status"], video["error"]["code"], records[-1].outcome) == ("failed", "job_interrupted", "lost")
    assert gateway.costs == [*before, (lost, "job_interrupted", cost)]
    whole = cost + sum(paid for _, _, paid in before)
    assert await gateway.held() == (0, whole, whole)
    for model in ("xai/film", "runway/clip"):
        paid = sum(nano_usd or 0 for name, _, nano_usd in gateway.costs if name == model)
        rule = suffix(f"{model.partition('/')[0]}/*")
        assert await gateway.number(f"s2026-09{rule}") == paid
    assert video["gateway"]["attempts"][-1]["cost_estimate"] == cost / 1_000_000_000


async def test_one_that_comes_again_with_its_key_is_that_of_the_second(gateway: Several) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.create(keyed, **BOTH)).json
    again = (await gateway.create(keyed, **BOTH)).json
    assert (again["id"], again["model"], gateway.providers.asked) == (first["id"], "runway/clip", ["xai", "runway"])


async def test_a_model_that_was_forgotten_meanwhile_is_told_all_the_same(gateway: Several) -> None:
    video_id = await gateway.begun(**BOTH)
    held = gateway.world.catalog.held  # type: ignore[attr-defined]
    gateway.world = replace(gateway.world, catalog=type(gateway.world.catalog)({**held, "xai": {}}))  # type: ignore[call-arg]
    done_ = await gateway.finished(video_id)
    assert done_["gateway"]["attempts"][0]["model"] == "xai/film"
    assert gateway.costs[0] == ("xai/film", "provider_error", 0)


async def test_a_budget_of_the_model_that_made_it_tells_that_it_came_to_a_mark(gateway: Several) -> None:
    budgets = tuple(Budget(models=models, window="month", usd=Decimal(1)) for models in ("xai/*", "runway/*"))
    gateway.allow(allowance=Allowance(budgets=budgets, alerts=(20,)))
    await gateway.finished(await gateway.begun(**BOTH))
    alerts = [one for one in gateway.told if isinstance(one, BudgetAlert)]
    assert [(one.models, one.spent_nano_usd) for one in alerts] == [("runway/*", COST["runway/clip"])]
