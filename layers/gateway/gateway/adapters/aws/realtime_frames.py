"""What clients of sessions say, in DynamoDB: pk C#<connection id>, sk F#<frame's name>, `body`, `ends_at_s`.

What is smaller so is compressed, and `is_deflated` then: of sound in base64 a quarter goes, of silence nearly all, and
a write is billed by its size.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.realtime_sessions import key
from gateway.model.errors import StorageUnavailable
from gateway.model.realtime_session import KEPT_S, Frame

TIMEOUT_S = 2.0
AT_ONCE = 100
_PREFIX = "F#"
_SMALL = 512
_FASTEST = 1


class DynamoFrames:
    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float = TIMEOUT_S) -> None:
        self._dynamodb, self._table, self._timeout_s = dynamodb, table, timeout_s

    async def append(self, connection_id: str, frame: Frame, now_s: float) -> None:
        packed = zlib.compress(frame.body, _FASTEST) if len(frame.body) > _SMALL else frame.body
        is_deflated = len(packed) < len(frame.body)
        item = {
            **key(connection_id, f"{_PREFIX}{frame.name}"),
            "body": {"B": b64encode(packed if is_deflated else frame.body).decode()},
            "ends_at_s": {"N": str(int(now_s) + KEPT_S)},
            **({"is_deflated": {"BOOL": True}} if is_deflated else {}),
        }
        await self._call("PutItem", {"TableName": self._table, "Item": item})

    async def between(self, connection_id: str, after: str, before: str) -> list[Frame]:
        """A range includes its ends, so one that begins at a name begins just behind it."""
        first, last = f"{_PREFIX}{after}\x00", f"{_PREFIX}{before}"
        if first >= last:
            return []  # DynamoDB refuses a range that is none
        request = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":pk": {"S": f"C#{connection_id}"},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            "ConsistentRead": True,
            "Limit": AT_ONCE,
        }
        items = (await self._call("Query", request))["Items"]
        return [frame for item in items if (frame := _frame(item)).name != before]

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._dynamodb.call(operation, request, self._timeout_s)
        except AwsFailure as failure:
            reason = f"What is said in sessions cannot be stored at the moment ({failure.code})."
            raise StorageUnavailable(reason) from failure


def _frame(item: dict[str, Any]) -> Frame:
    at_ms, _, message_id = item["sk"]["S"].removeprefix(_PREFIX).partition("#")
    body = b64decode(item["body"].get("B", ""))
    return Frame(int(at_ms), message_id, zlib.decompress(body) if "is_deflated" in item else body)
