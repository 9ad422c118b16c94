"""Parts of batches in the table of jobs, one item each; every change is on condition that it succeeds the last one.

Item pk B#<tenant>#<batch id>, sk <part>: `document` (JSON text), `revision`, and `ends_at_s`, when DynamoDB may remove
it. They have a key of their own, so that listing a tenant's jobs reads none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.batch import BatchPart, part_name
from gateway.model.errors import StorageUnavailable

TIMEOUT_S = 2.0
_REFUSED = "ConditionalCheckFailedException"
_decode = msgspec.json.Decoder(BatchPart).decode


class DynamoBatchParts:
    def __init__(self, dynamodb: AwsApi, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    async def find(self, tenant_id: str, batch_id: str, group: int, number: int) -> BatchPart | None:
        key = {"pk": {"S": _key(tenant_id, batch_id)}, "sk": {"S": part_name(group, number)}}
        request = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        with _translated():
            answer = await self._dynamodb.call("GetItem", request, TIMEOUT_S)
        return _part(answer["Item"]) if "Item" in answer else None

    async def change(self, part: BatchPart) -> bool:
        item = {
            "pk": {"S": _key(part.tenant_id, part.batch_id)},
            "sk": {"S": part.name},
            "document": {"S": msgspec.json.encode(part).decode()},
            "revision": {"N": str(part.revision)},
            "ends_at_s": {"N": str(part.ends_at_s)},
        }
        request: dict[str, Any] = {"TableName": self._table, "Item": item}
        if part.revision == 1:
            request["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            request["ConditionExpression"] = "revision = :last"
            request["ExpressionAttributeValues"] = {":last": {"N": str(part.revision - 1)}}
        with _translated():
            try:
                await self._dynamodb.call("PutItem", request, TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code != _REFUSED:
                    raise
                return await self.find(part.tenant_id, part.batch_id, part.group, part.number) == part
        return True

    async def all(self, tenant_id: str, batch_id: str) -> list[BatchPart]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :key",
            "ExpressionAttributeValues": {":key": {"S": _key(tenant_id, batch_id)}},
            "ConsistentRead": True,
        }
        parts: list[BatchPart] = []
        with _translated():
            while True:
                answer = await self._dynamodb.call("Query", request, TIMEOUT_S)
                parts += [_part(item) for item in answer["Items"]]
                if (last := answer.get("LastEvaluatedKey")) is None:
                    return parts
                request["ExclusiveStartKey"] = last


def _key(tenant_id: str, batch_id: str) -> str:
    return f"B#{tenant_id}#{batch_id}"


def _part(item: dict[str, Any]) -> BatchPart:
    return _decode(item["document"]["S"])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Batches cannot be read or stored at the moment ({failure.code}).") from failure
