"""Items of a restored table come back without harm to what has been written since, and none of others with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from scripts.restore_items import copy

Key = tuple[str, str]
ACME: list[Key] = [("T#acme", "T"), ("T#acme", "U#alice"), ("T#acme", "K#key_1"), ("K#h1", "K"), ("TENANTS", "acme")]
ACME_DEV: list[Key] = [("T#acme-dev", "T"), ("T#acme-dev", "K#key_2"), ("K#h2", "K"), ("TENANTS", "acme-dev")]
PASSING: list[Key] = [("OUTBOX", "evt_1"), ("I#name", "I")]
HASHES = {"K#key_1": "h1", "K#key_2": "h2"}
OF_OTHER_TABLES: list[Key] = [
    *(("T#acme#0", "ledger"), ("U#acme#3#alice", "ledger")),
    *(("B#acme#batch_1", "batch"), ("D#acme", "2026-11-29 []"), ("R#acme#h17", "req_1"), ("T", "acme")),
    ("TYPES#acme", "TYPE#gts.a"),
]
OF_ITS_NEIGHBOUR: list[Key] = [("T#acme-dev#0", "ledger"), ("U#acme-dev#3#acme", "ledger"), ("T", "acme-dev")]


def put(dynamodb: Any, table: str, key: Key, text: str = "old", **more: Any) -> None:
    pk, sk = key
    pointer = {"key_hash": {"S": HASHES[sk]}} if sk in HASHES else {}
    item = {"pk": {"S": pk}, "sk": {"S": sk}, "document": {"S": text}, **pointer, **more}
    dynamodb.put_item(TableName=table, Item=item)


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
        for key in (*ACME, *ACME_DEV, *PASSING):
            put(client, "restored", key)
        yield client


@pytest.fixture
def without_erased(dynamodb: Any) -> Any:
    """acme was deleted by mistake, acme-dev on purpose."""
    for tenant_id in ("acme", "acme-dev"):
        put(dynamodb, "live", ("TENANTS", tenant_id), "since", erased={"BOOL": True})
    return dynamodb


def live(dynamodb: Any) -> dict[Key, Any]:
    found = dynamodb.scan(TableName="live")["Items"]
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in found}


def test_a_tenant_that_was_deleted_comes_back_with_keys_and_place_and_no_other_does(without_erased: Any) -> None:
    assert copy(without_erased, "restored", "live", "acme") == (5, 0)
    found = live(without_erased)
    assert found.keys() == {*ACME, ("TENANTS", "acme-dev")}
    assert "erased" not in found["TENANTS", "acme"]
    assert "erased" in found["TENANTS", "acme-dev"]
    assert copy(without_erased, "restored", "live", "acme") == (0, 5)


def test_what_has_changed_since_stays_unless_that_is_wrong(dynamodb: Any) -> None:
    put(dynamodb, "live", ACME[1], "since")
    assert copy(dynamodb, "restored", "live", "acme") == (4, 1)
    assert live(dynamodb)[ACME[1]]["document"] == {"S": "since"}
    assert copy(dynamodb, "restored", "live", "acme", replace=True) == (5, 0)
    assert live(dynamodb)[ACME[1]]["document"] == {"S": "old"}


def test_a_whole_table_comes_back_without_what_was_told_or_answered_once(dynamodb: Any) -> None:
    assert copy(dynamodb, "restored", "live") == (9, 0)
    assert live(dynamodb).keys() == {*ACME, *ACME_DEV}


def test_a_whole_table_comes_back_without_tenants_that_were_deleted_since(dynamodb: Any) -> None:
    put(dynamodb, "live", ("TENANTS", "acme-dev"), erased={"BOOL": True})
    assert copy(dynamodb, "restored", "live") == (5, 0)
    assert live(dynamodb).keys() == {*ACME, ("TENANTS", "acme-dev")}


def test_that_a_tenant_was_gone_already_does_not_come_back(dynamodb: Any) -> None:
    put(dynamodb, "restored", ("TENANTS", "acme"), erased={"BOOL": True})
    assert copy(dynamodb, "restored", "live", "acme") == (4, 0)


def test_in_other_tables_what_belongs_to_a_tenant_is_known_by_its_key(dynamodb: Any) -> None:
    for key in (*OF_OTHER_TABLES, *OF_ITS_NEIGHBOUR):
        put(dynamodb, "restored", key)
    copy(dynamodb, "restored", "live", "acme")
    assert live(dynamodb).keys() == {*ACME, *OF_OTHER_TABLES}
