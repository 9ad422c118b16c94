"""Parts of batches, and their lines and results, in memory, in DynamoDB and in S3."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.batch_parts import DynamoBatchParts, DynamoShipments
from gateway.adapters.aws.batch_store import S3BatchStore
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.batch_ports import BatchParts, BatchStore, Shipments
from gateway.model.batch import BatchPart, BatchTotals
from gateway.model.errors import StorageUnavailable
from gateway.model.shipment import Crate, Shipment, label_of
from tests.batch_fakes import MemoryBatchParts, MemoryBatchStore, MemoryShipments
from tests.ports.conftest import REGION


def part(group: int = 0, number: int = 0, batch_id: str = "batch_1", tenant_id: str = "acme") -> BatchPart:
    return BatchPart(
        tenant_id=tenant_id, batch_id=batch_id, group=group, number=number, lines=50, ends_at_s=1_790_000_000
    )


@pytest.fixture
def parts_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).create_table(
        TableName="parts",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield table.name
    table.delete()


@pytest.fixture
def bucket(aws_url: str, aws_keys: None) -> Iterator[Place]:
    made = boto3.resource("s3", endpoint_url=aws_url, region_name=REGION).Bucket("batches")
    made.create(CreateBucketConfiguration={"LocationConstraint": REGION})
    yield Place.of("batches", REGION, aws_url)
    made.objects.delete()
    made.delete()


@pytest.fixture(params=["memory", "dynamodb"])
def parts(request: pytest.FixtureRequest) -> BatchParts:
    if request.param == "memory":
        return MemoryBatchParts()
    api: AwsApi = request.getfixturevalue("dynamodb_api")
    return DynamoBatchParts(api, request.getfixturevalue("parts_table"))


@pytest.fixture(params=["memory", "dynamodb"])
def shipments(request: pytest.FixtureRequest) -> Shipments:
    if request.param == "memory":
        return MemoryShipments()
    api: AwsApi = request.getfixturevalue("dynamodb_api")
    return DynamoShipments(api, request.getfixturevalue("parts_table"))


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> BatchStore:
    if request.param == "memory":
        return MemoryBatchStore()
    client: HttpClient = request.getfixturevalue("http_client")
    clock, place = SystemClock(), request.getfixturevalue("bucket")
    return S3BatchStore(Bucket(place, keys=RoleKeys(client, clock), client=client, clock=clock))


async def test_a_part_comes_back_as_it_was_changed(parts: BatchParts) -> None:
    assert await parts.find("acme", "batch_1", 0, 0) is None
    begun = part().changed(asked=8, alive_until_s=1.5, worker="w")
    assert await parts.change(begun)
    further = begun.changed(pieces=1, totals=BatchTotals(completed=3, cost_nano_usd=70, input_tokens=9))
    assert await parts.change(further)
    assert await parts.find("acme", "batch_1", 0, 0) == further


async def test_of_two_who_change_a_part_one_does(parts: BatchParts) -> None:
    """Also where neither has begun it."""
    first = [await parts.change(part().changed(worker=name)) for name in ("a", "b")]
    stands = await parts.find("acme", "batch_1", 0, 0)
    assert stands is not None
    raced = await asyncio.gather(*(parts.change(stands.changed(worker=name)) for name in ("c", "d")))
    assert (first, sorted(raced)) == ([True, False], [False, True])


async def test_who_changes_a_part_again_has_changed_it(parts: BatchParts) -> None:
    begun = part().changed(worker="w")
    assert [await parts.change(begun), await parts.change(begun)] == [True, True]


async def test_the_parts_of_a_batch_are_found_in_their_order(parts: BatchParts) -> None:
    places = [(1, 0), (0, 11), (0, 2), (0, 1)]
    for group, number in places:
        assert await parts.change(part(group, number).changed())
    for other in (part(batch_id="batch_2"), part(tenant_id="other")):
        assert await parts.change(other.changed())
    assert [(one.group, one.number) for one in await parts.all("acme", "batch_1")] == sorted(places)


async def test_so_are_more_than_one_answer_holds(parts: BatchParts) -> None:
    for number in range(8):
        long = part(number=number).changed(worker="w" * 300_000)
        assert await parts.change(long)
    assert len(await parts.all("acme", "batch_1")) == 8


def shipment(group: int = 0, number: int = 0) -> Shipment:
    return Shipment(
        tenant_id="acme",
        batch_id="batch_1",
        group=group,
        number=number,
        label=label_of("batch_1", group, number),
        own_key=True,
        crates=(
            Crate(3, 1, "00-00003-001-ab", 7, 50, 43, 0, 1_000),
            Crate(4, 0, "00-00004-000-cd", 0, 50, 50, 7, 2_000),
        ),
        ends_at_s=1_790_000_000,
    )


async def test_a_shipment_comes_back_as_it_was_changed(shipments: Shipments) -> None:
    assert await shipments.find("acme", "batch_1", 0, 0) is None
    made = shipment().changed()
    assert [await shipments.change(made), await shipments.change(made)] == [True, True]
    asked = made.changed(is_asked=True, file="file-1")
    assert await shipments.change(asked)
    assert not await shipments.change(made.changed(worker="another"))
    assert await shipments.find("acme", "batch_1", 0, 0) == asked


async def test_parts_and_shipments_of_a_batch_are_not_taken_for_each_other(
    aws_keys: None, parts_table: str, dynamodb_api: AwsApi
) -> None:
    parts, shipments = DynamoBatchParts(dynamodb_api, parts_table), DynamoShipments(dynamodb_api, parts_table)
    for group, number in ((99, 99_999), (1, 2), (1, 11), (0, 3)):
        assert await parts.change(part(group, number).changed())
        assert await shipments.change(shipment(group, number).changed())
    order = [(0, 3), (1, 2), (1, 11), (99, 99_999)]
    assert [(one.group, one.number) for one in await parts.all("acme", "batch_1")] == order
    assert [(one.group, one.number) for one in await shipments.all("acme", "batch_1")] == order


async def test_a_piece_is_written_once_and_for_all(store: BatchStore) -> None:
    at = ("acme", "batch_1", "00-00001", 0)
    assert await store.piece(*at) is None
    assert await store.put_piece(*at, b"first")
    assert await store.put_piece(*at, b"first")
    assert not await store.put_piece(*at, b"second")
    assert await store.piece(*at) == b"first"
    assert await store.piece("acme", "batch_1", "00-00001", 1) is None


async def test_lines_are_there_until_they_are_dropped(store: BatchStore) -> None:
    at = ("acme", "batch_1", "00-00001")
    await store.put_lines(*at, b"lines")
    assert await store.lines(*at) == b"lines"
    await store.drop_lines(*at)
    await store.drop_lines(*at)
    with pytest.raises(StorageUnavailable):
        await store.lines(*at)


async def test_a_crate_is_there_with_what_is_kept_until_it_is_dropped(store: BatchStore) -> None:
    at = ("acme", "batch_1", "00-00001-000-ab")
    await store.put_crate(*at, b"items", b"kept")
    assert (await store.crate(*at), await store.kept(*at)) == (b"items", b"kept")
    await store.drop_crate(*at)
    await store.drop_crate(*at)
    for read in (store.crate, store.kept):
        with pytest.raises(StorageUnavailable):
            await read(*at)


async def test_what_is_wrong_with_a_batch_is_kept(store: BatchStore) -> None:
    assert await store.errors("acme", "batch_1") is None
    await store.put_errors("acme", "batch_1", b"[]")
    assert await store.errors("acme", "batch_1") == b"[]"
