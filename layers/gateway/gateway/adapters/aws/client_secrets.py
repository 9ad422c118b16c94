"""Client secrets of sessions in DynamoDB, by their hash: pk K#<sha256, hex>, sk K, `document`, `ends_at_s`."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.errors import StorageUnavailable
from gateway.model.realtime_session import Grant

TIMEOUT_S = 2.0


class DynamoGrants:
    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float = TIMEOUT_S) -> None:
        self._dynamodb, self._table, self._timeout_s = dynamodb, table, timeout_s

    async def put(self, secret_hash: str, grant: Grant) -> None:
        item = {
            **_key(secret_hash),
            "document": {"S": msgspec.json.encode(grant).decode()},
            "ends_at_s": {"N": str(int(grant.ends_s) + 1)},
        }
        await self._call("PutItem", {"TableName": self._table, "Item": item})

    async def find(self, secret_hash: str, now_s: float) -> Grant | None:
        request = {"TableName": self._table, "Key": _key(secret_hash), "ConsistentRead": True}
        answer = await self._call("GetItem", request)
        if "Item" not in answer:
            return None
        grant = msgspec.json.decode(answer["Item"]["document"]["S"], type=Grant)
        return grant if now_s < grant.ends_s else None

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._dynamodb.call(operation, request, self._timeout_s)
        except AwsFailure as failure:
            reason = f"Client secrets cannot be kept at the moment ({failure.code})."
            raise StorageUnavailable(reason) from failure


def _key(secret_hash: str) -> dict[str, Any]:
    return {"pk": {"S": f"K#{secret_hash}"}, "sk": {"S": "K"}}
