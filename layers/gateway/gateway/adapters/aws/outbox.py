"""Events that were stored in the transaction of what they tell of, until they are told. Item OUTBOX / <event id>."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.adapters.aws.access import Address
from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent

OUTBOX = "OUTBOX"
TIMEOUT_S = 5.0


class DynamoOutbox:
    """`table`: of the tenants, in which `DynamoDirectory` stores them."""

    def __init__(self, dynamodb: AwsApi, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    async def waiting(self, until_s: float) -> list[AuditEvent]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": OUTBOX}},
            "ConsistentRead": True,
        }
        found: list[AuditEvent] = []
        while True:
            answer = await self._call("Query", request)
            found += [msgspec.json.decode(item["document"]["S"], type=AuditEvent) for item in answer["Items"]]
            if (last := answer.get("LastEvaluatedKey")) is None:
                break
            request["ExclusiveStartKey"] = last
        return sorted((event for event in found if event.at_s <= until_s), key=lambda event: event.at_s)

    async def told(self, event_id: str) -> None:
        await self._call("DeleteItem", {"TableName": self._table, "Key": outbox_address(event_id).as_key()})

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._dynamodb.call(operation, request, TIMEOUT_S)
        except AwsFailure as failure:
            raise StorageUnavailable(f"Events of changes cannot be read at the moment ({failure.code}).") from failure


def outbox_address(event_id: str) -> Address:
    return Address(OUTBOX, event_id)


def put_in_outbox(event: AuditEvent, table: str) -> dict[str, Any]:
    """Of a transaction."""
    document = {"document": {"S": msgspec.json.encode(event).decode()}}
    return {"Put": {"TableName": table, "Item": {**outbox_address(event.id).as_key(), **document}}}
