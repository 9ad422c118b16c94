"""What environments have counted, in memory and in DynamoDB."""

from __future__ import annotations

import asyncio

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.health import KEPT_S, DynamoHealth
from gateway.health_ports import HealthStore
from gateway.model.errors import StorageUnavailable
from tests.health_store import MemoryHealth
from tests.ports.conftest import REGION

MINUTE = 29_833_333


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> HealthStore:
    if request.param == "memory":
        return MemoryHealth()
    return DynamoHealth(request.getfixturevalue("dynamodb_api"), request.getfixturevalue("health_table"), 5.0)


async def test_what_several_count_is_added_up(store: HealthStore) -> None:
    counted = {"c": 3, "f": 1, "a5@openai:0123456789ab": 2}
    await asyncio.gather(*(store.write(MINUTE, "openai/gpt-4o", counted) for _ in range(4)))
    assert await store.read(MINUTE) == {"openai/gpt-4o": {"c": 12, "f": 4, "a5@openai:0123456789ab": 8}}


async def test_a_minute_has_its_own_numbers_and_every_subject_its_own(store: HealthStore) -> None:
    await store.write(MINUTE, "a/b", {"c": 1})
    await store.write(MINUTE, "a/c", {"c": 2})
    await store.write(MINUTE + 1, "a/b", {"c": 4})
    assert await store.read(MINUTE) == {"a/b": {"c": 1}, "a/c": {"c": 2}}
    assert await store.read(MINUTE + 1) == {"a/b": {"c": 4}}
    assert await store.read(MINUTE + 2) == {}


async def test_what_is_set_stands_as_it_was_set_last(store: HealthStore) -> None:
    await store.write(MINUTE, "!a", {}, {"opened_ms": 1_790_000_000_123, "closed_ms": 0})
    await store.write(MINUTE, "!a", {"n": 1}, {"opened_ms": 1_790_000_000_123, "closed_ms": 1_790_000_030_000})
    assert await store.read(MINUTE) == {"!a": {"opened_ms": 1_790_000_000_123, "closed_ms": 1_790_000_030_000, "n": 1}}


async def test_a_page_is_not_all(dynamodb_api: AwsApi, health_table: str) -> None:
    store = DynamoHealth(dynamodb_api, health_table, 5.0)
    many = {f"{number:04}" + "x" * 90: 1 for number in range(150)}
    for model in range(70):
        await store.write(MINUTE, f"a/{model}", many)
    found = await store.read(MINUTE)
    assert (len(found), found["a/69"]) == (70, many)


async def test_numbers_are_forgotten_some_day(dynamodb_api: AwsApi, health_table: str, aws_url: str) -> None:
    await DynamoHealth(dynamodb_api, health_table, 5.0).write(MINUTE, "a/b", {"c": 1})
    [item] = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(health_table).scan()["Items"]
    assert item["expires_at_s"] == MINUTE * 60 + KEPT_S


async def test_a_table_that_is_not_there_says_so(dynamodb_api: AwsApi) -> None:
    store = DynamoHealth(dynamodb_api, "nowhere", 5.0)
    with pytest.raises(StorageUnavailable):
        await store.read(MINUTE)
    with pytest.raises(StorageUnavailable):
        await store.write(MINUTE, "a/b", {"c": 1})
