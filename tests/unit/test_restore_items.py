"""Items of a restored table come back without harm to what has been written since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from scripts.restore_items import copy

KEYS = [("T#acme", "T"), ("T#acme", "U#alice"), ("T#other", "T")]


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        for table in ("live", "restored"):
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            )
        for pk, sk in KEYS:
            client.put_item(TableName="restored", Item={"pk": {"S": pk}, "sk": {"S": sk}, "document": {"S": "old"}})
        client.put_item(
            TableName="live", Item={"pk": {"S": "T#acme"}, "sk": {"S": "T"}, "document": {"S": "changed since"}}
        )
        yield client


def live(dynamodb: Any) -> dict[tuple[str, str], str]:
    found = dynamodb.scan(TableName="live")["Items"]
    return {(item["pk"]["S"], item["sk"]["S"]): item["document"]["S"] for item in found}


def test_what_is_missing_comes_back_and_what_has_changed_since_stays(dynamodb: Any) -> None:
    assert copy(dynamodb, "restored", "live") == (2, 1)
    assert live(dynamodb) == {KEYS[0]: "changed since", KEYS[1]: "old", KEYS[2]: "old"}
    assert copy(dynamodb, "restored", "live") == (0, 3)


def test_one_tenant_alone(dynamodb: Any) -> None:
    assert copy(dynamodb, "restored", "live", "T#acme") == (1, 1)
    assert KEYS[2] not in live(dynamodb)


def test_over_what_is_there_when_that_is_wrong(dynamodb: Any) -> None:
    assert copy(dynamodb, "restored", "live", replace=True) == (3, 0)
    assert set(live(dynamodb).values()) == {"old"}
