"""Claims of Idempotency-Keys, in memory and in DynamoDB: the first has the key, until it is free."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from msgspec.structs import replace

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.claims import DynamoClaims
from gateway.job_ports import Claims
from gateway.model.claim import Claim
from gateway.model.errors import StorageUnavailable
from tests.fakes import MemoryClaims
from tests.ports.conftest import REGION

NOW_S = 1_790_000_000
TIMEOUT_S = 2.0


def claim(number: int = 0, **changes: Any) -> Claim:
    made = Claim(request_hash="a", request_id=f"req_{number}", until_s=NOW_S + 60, ends_at_s=NOW_S + 86_400)
    return replace(made, **changes)


@pytest.fixture
def claims_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).create_table(
        TableName="claims",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield table.name
    table.delete()


@pytest.fixture(params=["memory", "dynamodb"])
def claims(request: pytest.FixtureRequest) -> Claims:
    if request.param == "memory":
        return MemoryClaims()
    api, table = request.getfixturevalue("dynamodb_api"), request.getfixturevalue("claims_table")
    return DynamoClaims(api, table, TIMEOUT_S)


async def test_a_key_is_the_firsts_who_came_with_it_in_its_tenant(claims: Claims) -> None:
    first, second = claim(1), claim(2)
    assert await claims.find("acme", "k", NOW_S) is None
    assert await claims.claim("acme", "k", first, NOW_S) == first
    assert await claims.claim("acme", "k", second, NOW_S) == first
    assert await claims.claim("acme", "k", first, NOW_S) == first
    assert await claims.claim("other", "k", second, NOW_S) == second
    assert await claims.claim("acme", "other", second, NOW_S) == second
    assert await claims.find("acme", "k", NOW_S) == first


async def test_of_many_who_come_at_once_one_has_the_key(claims: Claims) -> None:
    stand = await asyncio.gather(*(claims.claim("acme", "k", claim(number), NOW_S) for number in range(20)))
    assert len({one.request_id for one in stand}) == 1


@pytest.mark.parametrize(
    ("changes", "free_at_s"),
    [
        ({}, NOW_S + 60),
        ({"is_asked": True}, NOW_S + 86_400),
        ({"is_asked": True, "is_over": True}, NOW_S + 86_400),
        ({"job_id": "job_1"}, NOW_S + 86_400),
    ],
)
async def test_a_key_is_free_when_nobody_can_have_asked_for_it(
    claims: Claims, changes: dict[str, Any], free_at_s: int
) -> None:
    first, second = claim(1, **changes), claim(2, until_s=free_at_s + 60, ends_at_s=free_at_s + 86_400)
    await claims.claim("acme", "k", first, NOW_S)
    assert await claims.claim("acme", "k", second, free_at_s - 1) == first
    assert await claims.find("acme", "k", free_at_s) is None
    assert await claims.claim("acme", "k", second, free_at_s) == second


async def test_a_claim_is_changed_as_it_stands_and_not_otherwise(claims: Claims) -> None:
    first, second = claim(1), claim(2)
    asked = replace(first, is_asked=True)
    assert not await claims.change("acme", "k", first, asked)
    await claims.claim("acme", "k", first, NOW_S)
    assert not await claims.change("acme", "k", second, second.freed())
    assert await claims.change("acme", "k", first, asked)
    assert not await claims.change("acme", "k", first, first.freed())
    assert await claims.find("acme", "k", NOW_S) == asked


async def test_a_key_that_was_freed_is_the_next_ones(claims: Claims) -> None:
    first, second = claim(1, is_asked=True), claim(2)
    await claims.claim("acme", "k", first, NOW_S)
    assert await claims.change("acme", "k", first, first.freed())
    assert await claims.find("acme", "k", NOW_S) is None
    assert await claims.claim("acme", "k", second, NOW_S) == second
    assert not await claims.change("acme", "k", first, first.freed())


async def test_a_write_whose_answer_was_lost_is_a_write(
    dynamodb_api: AwsApi, claims_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, answers = dynamodb_api._send, []

    async def losing(operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        answers.append(operation)
        answer = await send(operation, body, timeout_s)
        if len(answers) % 2:
            raise AwsFailure("Unreachable", is_fault=True)
        return answer

    claims, first = DynamoClaims(dynamodb_api, claims_table, TIMEOUT_S), claim(1)
    monkeypatch.setattr(dynamodb_api, "_send", losing)
    assert await claims.claim("acme", "k", first, NOW_S) == first
    assert await claims.change("acme", "k", first, first.freed())


async def test_a_store_that_is_not_there_is_told_so(dynamodb_api: AwsApi) -> None:
    claims = DynamoClaims(dynamodb_api, "no-such-table", TIMEOUT_S)
    for asked in (
        claims.claim("acme", "k", claim(), NOW_S),
        claims.find("acme", "k", NOW_S),
        claims.change("acme", "k", claim(), claim().freed()),
    ):
        with pytest.raises(StorageUnavailable):
            await asyncio.wait_for(asked, 5)
