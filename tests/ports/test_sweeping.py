"""The sweeper over DynamoDB, ended at any of its calls; tests/unit/test_sweep.py has the rules themselves."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.usage import DynamoUsage
from gateway.adapters.aws.usage_writes import Tables
from tests.dying import Fate, Killed, Moment
from tests.fakes import ManualClock
from tests.record_fakes import LIFE_S
from tests.sweeping import Stage

BOTH_TAKEN, TOLD, HALF_SETTLED = 4, 6, 8


class Calls:
    """Every call to DynamoDB is two steps of the fate that is set. They come one by one, for moto reads and writes an
    item in two steps, and a request that dies leaves one on its way.
    """

    def __init__(self, api: AwsApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fate = Fate()
        self._one_by_one = asyncio.Lock()
        self._send = api._send
        monkeypatch.setattr(api, "_send", self._dying)

    async def _dying(self, *arguments: Any) -> dict[str, Any]:
        await self.fate.come_to(Moment("dynamodb", is_done=False))
        async with self._one_by_one:
            answer = await self._send(*arguments)
        await self.fate.come_to(Moment("dynamodb", is_done=True))
        return answer


@pytest.fixture
def calls(dynamodb_api: AwsApi, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(dynamodb_api, monkeypatch)


@pytest.fixture
def stage(dynamodb_api: AwsApi, ledger_table: str, usage_table: str) -> Stage:
    clock = ManualClock()
    ledger = DynamoLedger(dynamodb_api, ledger_table, timeout_s=5.0)
    return Stage(
        ledger=ledger, clock=clock, usage=DynamoUsage(dynamodb_api, Tables(usage_table, ledger_table), LIFE_S, clock)
    )


@pytest.mark.parametrize("died_at", [BOTH_TAKEN, TOLD, HALF_SETTLED])
async def test_wherever_the_sweeper_dies_the_next_one_ends_it(stage: Stage, calls: Calls, died_at: int) -> None:
    """With a request more for each call that the sweeper made: the last one is not cut short."""
    for at in range(1, 40):
        with pytest.raises(Killed):
            await stage.chat(Fate(died_at))
        stage.clock.unix_s += 2_000
        await stage.deliver()
        await stage.store.pass_watermark(stage.clock.unix_s)
        calls.fate = fate = Fate(at)
        with suppress(Killed):
            await stage.sweep()
        calls.fate = Fate()
        await stage.judgement_day()
        await stage.check()
        if not fate.is_dead:
            break
    assert not fate.is_dead
    assert (await stage.used())["requests"] == at


async def test_of_many_requests_of_which_some_die_none_is_forgotten(stage: Stage, calls: Calls) -> None:
    dice = random.Random(1)  # noqa: S311 - not for secrets
    for _ in range(25):
        with suppress(Killed):
            await stage.chat(Fate(dice.randrange(10) if dice.random() < 0.4 else None))
    stage.clock.unix_s += 2_000
    await stage.deliver()
    await stage.store.pass_watermark(stage.clock.unix_s)
    for _ in range(6):
        calls.fate = Fate(dice.randrange(2, 30))
        with suppress(Killed):
            await stage.sweep()
    calls.fate = Fate()
    await stage.judgement_day()
    await stage.check()
