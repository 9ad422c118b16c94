"""Parts and shipments of batches in the table of jobs, one item each; every change is on condition that it succeeds the
last one.

Item pk B#<tenant>#<batch id>, sk the record's name: `document` (JSON text), `revision`, and `ends_at_s`, when DynamoDB
may remove it. They have a key of their own, so that listing a tenant's jobs reads none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.batch_ports import R
from gateway.model.batch import BatchPart, part_name
from gateway.model.errors import StorageUnavailable
from gateway.model.shipment import Shipment, shipment_name

TIMEOUT_S = 2.0
LAST = (99, 99_999)
_REFUSED = "ConditionalCheckFailedException"


class DynamoBatchRecords(Generic[R]):
    """Of one kind. `named`: the name of a group's nth one; between the first and the last there is no other kind's."""

    def __init__(self, dynamodb: AwsApi, table: str, kind: type[R], named: Callable[[int, int], str]) -> None:
        self._dynamodb, self._table, self._named = dynamodb, table, named
        self._decode: Callable[[str], R] = msgspec.json.Decoder(kind).decode

    async def find(self, tenant_id: str, batch_id: str, group: int, number: int) -> R | None:
        key = {"pk": {"S": _key(tenant_id, batch_id)}, "sk": {"S": self._named(group, number)}}
        request = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        with _translated():
            answer = await self._dynamodb.call("GetItem", request, TIMEOUT_S)
        return self._read(answer["Item"]) if "Item" in answer else None

    async def change(self, record: R) -> bool:
        item = {
            "pk": {"S": _key(record.tenant_id, record.batch_id)},
            "sk": {"S": record.name},
            "document": {"S": msgspec.json.encode(record).decode()},
            "revision": {"N": str(record.revision)},
            "ends_at_s": {"N": str(record.ends_at_s)},
        }
        request: dict[str, Any] = {"TableName": self._table, "Item": item}
        if record.revision == 1:
            request["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            request["ConditionExpression"] = "revision = :last"
            request["ExpressionAttributeValues"] = {":last": {"N": str(record.revision - 1)}}
        with _translated():
            try:
                await self._dynamodb.call("PutItem", request, TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code != _REFUSED:
                    raise
                return await self.find(record.tenant_id, record.batch_id, record.group, record.number) == record
        return True

    async def all(self, tenant_id: str, batch_id: str) -> list[R]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :key AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":key": {"S": _key(tenant_id, batch_id)},
                ":first": {"S": self._named(0, 0)},
                ":last": {"S": self._named(*LAST)},
            },
            "ConsistentRead": True,
        }
        records: list[R] = []
        with _translated():
            while True:
                answer = await self._dynamodb.call("Query", request, TIMEOUT_S)
                records += [self._read(item) for item in answer["Items"]]
                if (last := answer.get("LastEvaluatedKey")) is None:
                    return records
                request["ExclusiveStartKey"] = last

    def _read(self, item: dict[str, Any]) -> R:
        return self._decode(item["document"]["S"])


class DynamoBatchParts(DynamoBatchRecords[BatchPart]):
    def __init__(self, dynamodb: AwsApi, table: str) -> None:
        super().__init__(dynamodb, table, BatchPart, part_name)


class DynamoShipments(DynamoBatchRecords[Shipment]):
    def __init__(self, dynamodb: AwsApi, table: str) -> None:
        super().__init__(dynamodb, table, Shipment, shipment_name)


def _key(tenant_id: str, batch_id: str) -> str:
    return f"B#{tenant_id}#{batch_id}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Batches cannot be read or stored at the moment ({failure.code}).") from failure
