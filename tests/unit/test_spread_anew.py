"""A request that was planned for one number of accounts when there are another by then."""

from __future__ import annotations

import msgspec
import pytest

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.directory import Transfer
from tests.fakes import principal
from tests.unit.conftest import TENANT, Gateway
from tests.unit.test_chat_function import HELLO, WHOLE

SPREAD = msgspec.structs.replace(TENANT, shards=4)


async def spread(gateway: Gateway) -> MemoryLedger:
    """What the administrator's change does to the accounts."""
    ledger = gateway.world.ledger
    assert isinstance(ledger, MemoryLedger)
    for shard in range(4):
        ledger.transfer(Transfer(f"T#acme#{shard}", 4))
    return ledger


async def test_it_is_planned_again_with_what_is_there_now(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    ledger = await spread(gateway)
    gateway.hold(principal(SPREAD))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    readings = [await ledger.read(f"T#acme#{shard}") for shard in range(4)]
    assert sum(any(name.startswith("s") for name in reading.numbers) for reading in readings[1:]) <= 1
    assert all(reading.holds == {} for reading in readings)
    assert sum(reading.numbers.get("n", 0) for reading in readings) == 0


@pytest.mark.parametrize("was_read_before", [False, True])
async def test_where_nothing_newer_can_be_read_the_client_is_told_to_try_again(
    gateway: Gateway, was_read_before: bool
) -> None:
    if was_read_before:
        gateway.answers(200, WHOLE)
        await gateway.chat(HELLO)
    ledger = await spread(gateway)
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["code"]) == (503, "admission_unavailable")
    assert answer.json["error"]["retryable"]
    user = await ledger.read("U#acme#0#alice")
    assert user.holds == {}
