"""Secrets of clients in DynamoDB, beside the sessions that they begin.

Item pk K#<hash of the value>, sk K: `document`, and `ends_at_s`, after which DynamoDB may remove it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.client_secret import ClientSecret
from gateway.model.errors import StorageUnavailable

TIMEOUT_S = 2.0


class DynamoClientSecrets:
    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float = TIMEOUT_S) -> None:
        self._dynamodb, self._table, self._timeout_s = dynamodb, table, timeout_s

    async def keep(self, value_hash: str, secret: ClientSecret) -> None:
        item = {
            **_key(value_hash),
            "document": {"S": msgspec.json.encode(secret).decode()},
            "ends_at_s": {"N": str(secret.expires_at_s)},
        }
        await self._call("PutItem", {"TableName": self._table, "Item": item})

    async def find(self, value_hash: str) -> ClientSecret | None:
        request = {"TableName": self._table, "Key": _key(value_hash), "ConsistentRead": True}
        answer = await self._call("GetItem", request)
        if "Item" not in answer:
            return None
        return msgspec.json.decode(answer["Item"]["document"]["S"], type=ClientSecret)

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._dynamodb.call(operation, request, self._timeout_s)
        except AwsFailure as failure:
            raise StorageUnavailable(f"Client secrets cannot be stored at the moment ({failure.code}).") from failure


def _key(value_hash: str) -> dict[str, Any]:
    return {"pk": {"S": f"K#{value_hash}"}, "sk": {"S": "K"}}
