"""What environments have counted, in DynamoDB: pk minute, sk subject, the numbers as attributes of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.errors import StorageUnavailable
from gateway.model.health import Numbers

KEPT_S = 3_600
_EXPIRY = "expires_at_s"
_KEY = ("pk", "sk", _EXPIRY)


class DynamoHealth:
    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float = 1.0) -> None:
        self._dynamodb, self._table, self._timeout_s = dynamodb, table, timeout_s

    async def write(self, minute: int, subject: str, added: Numbers, put: Numbers | None = None) -> None:
        numbers = {**added, **(put or {}), _EXPIRY: minute * 60 + KEPT_S}
        placed = {name: index for index, name in enumerate(numbers)}
        sets = [f"#{placed[name]} = :{placed[name]}" for name in (*(put or ()), _EXPIRY)]
        adds = [f"#{placed[name]} :{placed[name]}" for name in added]
        request = {
            "TableName": self._table,
            "Key": {"pk": {"S": str(minute)}, "sk": {"S": subject}},
            "UpdateExpression": f"SET {', '.join(sets)}" + (f" ADD {', '.join(adds)}" if adds else ""),
            "ExpressionAttributeNames": {f"#{index}": name for name, index in placed.items()},
            "ExpressionAttributeValues": {f":{index}": {"N": str(numbers[name])} for name, index in placed.items()},
        }
        await self._call("UpdateItem", request, tries=1)  # a second try might count twice

    async def read(self, minute: int) -> dict[str, Mapping[str, int]]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": str(minute)}},
        }
        found: dict[str, Mapping[str, int]] = {}
        while True:
            answer = await self._call("Query", request)
            for item in answer["Items"]:
                found[item["sk"]["S"]] = {name: int(item[name]["N"]) for name in item if name not in _KEY}
            if (last := answer.get("LastEvaluatedKey")) is None:
                return found
            request["ExclusiveStartKey"] = last

    async def _call(self, operation: str, request: dict[str, Any], tries: int = 2) -> dict[str, Any]:
        try:
            return await self._dynamodb.call(operation, request, self._timeout_s, tries)
        except AwsFailure as failure:
            raise StorageUnavailable(f"The health of models cannot be shared ({failure.code}).") from failure
