"""Places for calls to a provider at the same time, in memory and in DynamoDB: never more than there are."""

from __future__ import annotations

import asyncio
import contextlib

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.slots import PLACES_OF_A_RECORD, DynamoSlots
from gateway.model.errors import StorageUnavailable
from gateway.model.slot import Slot
from gateway.ports import Slots
from tests.fakes import ManualClock, MemorySlots
from tests.ports.conftest import REGION

NAME, TIMEOUT_S = "openai", 5.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "dynamodb"])
def slots(request: pytest.FixtureRequest, clock: ManualClock) -> Slots:
    if request.param == "memory":
        return MemorySlots(clock)
    return DynamoSlots(
        request.getfixturevalue("dynamodb_api"), request.getfixturevalue("ledger_table"), TIMEOUT_S, clock
    )


def later(clock: ManualClock, seconds: int = 60) -> int:
    return int(clock.now_s()) + seconds


async def test_as_many_as_there_are_and_no_more(slots: Slots, clock: ManualClock) -> None:
    taken = [await slots.take(NAME, 3, later(clock)) for _ in range(4)]
    assert None not in taken[:3] and taken[3] is None
    assert len(set(taken[:3])) == 3
    assert await slots.take("anthropic", 3, later(clock)) is not None
    assert await slots.take("openai/acme", 1, later(clock)) is not None


async def test_what_is_given_back_is_free(slots: Slots, clock: ManualClock) -> None:
    first = await slots.take(NAME, 1, later(clock))
    assert first is not None
    assert await slots.take(NAME, 1, later(clock)) is None
    await slots.give_back(first)
    second = await slots.take(NAME, 1, later(clock))
    await slots.give_back(first)  # once more: it is somebody else's by now
    assert second is not None and second != first
    assert await slots.take(NAME, 1, later(clock)) is None


async def test_what_nobody_gives_back_is_free_in_the_end(slots: Slots, clock: ManualClock) -> None:
    for _ in range(3):
        assert await slots.take(NAME, 4, later(clock)) is not None
    lasting = await slots.take(NAME, 4, later(clock, 600))
    clock.unix_s += 59
    assert await slots.take(NAME, 4, later(clock)) is None
    clock.unix_s += 1
    again = [await slots.take(NAME, 4, later(clock)) for _ in range(4)]
    assert None not in again[:3] and again[3] is None
    assert lasting is not None


async def test_of_many_at_once_as_many_have_a_place_as_there_are(slots: Slots, clock: ManualClock) -> None:
    """The first makes the record, and others take their places meanwhile."""
    taken = await asyncio.gather(*(slots.take(NAME, 5, later(clock)) for _ in range(20)))
    assert sum(slot is not None for slot in taken) == 5
    await asyncio.gather(*(slots.give_back(slot) for slot in taken if slot is not None))
    taken = await asyncio.gather(*(slots.take(NAME, 5, later(clock)) for _ in range(20)))
    assert sum(slot is not None for slot in taken) == 5


async def test_of_many_who_find_places_of_dead_ones_no_more_have_one(slots: Slots, clock: ManualClock) -> None:
    for _ in range(3):
        await slots.take(NAME, 3, later(clock))
    clock.unix_s += 61
    taken = await asyncio.gather(*(slots.take(NAME, 3, later(clock)) for _ in range(9)))
    assert 1 <= sum(slot is not None for slot in taken) <= 3
    rest = [await slots.take(NAME, 3, later(clock)) for _ in range(3)]
    assert sum(slot is not None for slot in (*taken, *rest)) == 3


async def test_fewer_places_than_are_taken_let_nobody_in(slots: Slots, clock: ManualClock) -> None:
    taken = [await slots.take(NAME, 3, later(clock)) for _ in range(3)]
    assert await slots.take(NAME, 1, later(clock)) is None
    for slot in taken[:2]:
        assert slot is not None
        await slots.give_back(slot)
    assert await slots.take(NAME, 1, later(clock)) is None


async def test_many_places_are_in_several_records(dynamodb_api: AwsApi, ledger_table: str, clock: ManualClock) -> None:
    slots, most = DynamoSlots(dynamodb_api, ledger_table, TIMEOUT_S, clock), PLACES_OF_A_RECORD + 11
    taken = [await slots.take(NAME, most, later(clock)) for _ in range(most + 5)]
    records = [slot.record for slot in taken if slot is not None]
    assert (len(records), sorted(map(records.count, set(records)))) == (most, [30, 31])


async def test_they_are_no_accounts(dynamodb_api: AwsApi, ledger_table: str, clock: ManualClock) -> None:
    await DynamoSlots(dynamodb_api, ledger_table, TIMEOUT_S, clock).take(NAME, 1, later(clock))
    assert [account async for account in DynamoLedger(dynamodb_api, ledger_table, TIMEOUT_S).accounts()] == []


async def test_a_write_that_came_through_without_an_answer_has_its_place(
    dynamodb_api: AwsApi, ledger_table: str, clock: ManualClock
) -> None:
    class Twice:
        """Each write is made, and then made again, as if the first had not been answered."""

        async def call(self, operation: str, payload: object, timeout_s: float) -> object:
            with contextlib.suppress(AwsFailure):
                await dynamodb_api.call(operation, payload, timeout_s)  # type: ignore[arg-type]
            return await dynamodb_api.call(operation, payload, timeout_s)  # type: ignore[arg-type]

    slots = DynamoSlots(Twice(), ledger_table, TIMEOUT_S, clock)  # type: ignore[arg-type]
    taken = [await slots.take(NAME, 2, later(clock)) for _ in range(3)]
    assert None not in taken[:2] and taken[2] is None
    client = boto3.client("dynamodb", endpoint_url=dynamodb_api._service.url, region_name=REGION)
    [item] = client.scan(TableName=ledger_table)["Items"]
    assert len(item["slots"]["M"]) == 2
    client.close()


async def test_who_cannot_be_asked_is_told(dynamodb_api: AwsApi, clock: ManualClock) -> None:
    slots = DynamoSlots(dynamodb_api, "no-such-table", TIMEOUT_S, clock)
    with pytest.raises(StorageUnavailable):
        await slots.take(NAME, 1, later(clock))
    with pytest.raises(StorageUnavailable):
        await slots.give_back(Slot("S#openai#0", "a"))
