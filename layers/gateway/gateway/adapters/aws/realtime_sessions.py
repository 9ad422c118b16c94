"""Records of sessions of voice in DynamoDB; every change of a holder is on condition that he is the latest.

Items pk C#<connection id>, each with `ends_at_s`, after which DynamoDB may remove it:

    sk A    `document` (who was let in), `epoch`, `holder`, `alive_until_ms`, `is_free`, `is_left`, `is_ended`
    sk S    `document` (where a follower goes on), `epoch`
    sk U    `document` (what was used), `epoch`

Whoever takes a session writes its epoch into all three, and reads them by that.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.errors import StorageUnavailable
from gateway.model.realtime_session import (
    BEGINS_S,
    BELIEVED_S,
    KEPT_S,
    Admitted,
    Books,
    Lease,
    Snapshot,
    Taken,
)
from gateway.realtime_ports import Fenced

TIMEOUT_S = 2.0
_REFUSED = "ConditionalCheckFailedException"


def key(connection_id: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": f"C#{connection_id}"}, "sk": {"S": sk}}


class DynamoSessions:
    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float = TIMEOUT_S) -> None:
        self._dynamodb, self._table, self._timeout_s = dynamodb, table, timeout_s

    async def create(self, admitted: Admitted, now_s: float) -> None:
        item = {
            **key(admitted.connection_id, "A"),
            "document": {"S": msgspec.json.encode(admitted).decode()},
            "epoch": {"N": "0"},
            "alive_until_ms": _ms(now_s + BEGINS_S),
            "is_free": {"BOOL": True},
            "ends_at_s": _ends_at(admitted),
        }
        await self._call("PutItem", {"TableName": self._table, "Item": item})

    async def lease(self, connection_id: str) -> Lease | None:
        request = {
            "TableName": self._table,
            "Key": key(connection_id, "A"),
            "ConsistentRead": True,
            "ProjectionExpression": "epoch, alive_until_ms, is_free, is_left, is_ended",
        }
        answer = await self._call("GetItem", request)
        return _lease(answer["Item"]) if "Item" in answer else None

    async def take(self, connection_id: str, epoch: int, now_s: float) -> Taken | None:
        """An answer that got lost is asked for again, and then it is its own holder that stands there."""
        request = self._update(
            key(connection_id, "A"),
            "SET epoch = :epoch, alive_until_ms = :until, is_free = :no, holder = :holder",
            "(holder = :holder OR epoch = :last AND (is_free = :yes OR alive_until_ms <= :now))"
            " AND attribute_not_exists(is_ended)",
            {
                ":epoch": {"N": str(epoch)},
                ":last": {"N": str(epoch - 1)},
                ":until": _ms(now_s + BELIEVED_S),
                ":now": _ms(now_s),
                ":holder": {"S": secrets.token_hex(8)},
                ":no": {"BOOL": False},
                ":yes": {"BOOL": True},
            },
        )
        item = await self._changed(request)
        if item is None:
            return None
        admitted = msgspec.json.decode(item["document"]["S"], type=Admitted)
        ends_at = item["ends_at_s"]
        snapshot, books = await asyncio.gather(
            *(self._fenced(key(connection_id, sk), epoch, ends_at) for sk in ("S", "U"))
        )
        return Taken(
            admitted,
            Books() if books is None else msgspec.json.decode(books, type=Books),
            None if snapshot is None else msgspec.json.decode(snapshot, type=Snapshot),
            is_left="is_left" in item,
        )

    async def beat(self, connection_id: str, epoch: int, now_s: float) -> Lease:
        values = {":until": _ms(now_s + BELIEVED_S)}
        return _lease(await self._as_holder(connection_id, epoch, "SET alive_until_ms = :until", values))

    async def keep(self, connection_id: str, epoch: int, snapshot: Snapshot) -> None:
        await self._document(key(connection_id, "S"), epoch, msgspec.json.encode(snapshot).decode())

    async def book(self, connection_id: str, epoch: int, books: Books) -> None:
        await self._document(key(connection_id, "U"), epoch, msgspec.json.encode(books).decode())

    async def hand_over(self, connection_id: str, epoch: int, now_s: float) -> None:
        values = {":until": _ms(now_s + BEGINS_S), ":yes": {"BOOL": True}}
        await self._as_holder(connection_id, epoch, "SET alive_until_ms = :until, is_free = :yes", values)

    async def leave(self, connection_id: str) -> Lease | None:
        request = self._update(
            key(connection_id, "A"), "SET is_left = :yes", "attribute_exists(pk)", {":yes": {"BOOL": True}}
        )
        item = await self._changed(request)
        return None if item is None else _lease(item)

    async def end(self, connection_id: str, epoch: int) -> None:
        await self._as_holder(connection_id, epoch, "SET is_ended = :yes", {":yes": {"BOOL": True}})

    async def _as_holder(self, connection_id: str, epoch: int, change: str, values: dict[str, Any]) -> dict[str, Any]:
        """Raises Fenced."""
        values = {**values, ":epoch": {"N": str(epoch)}}
        item = await self._changed(self._update(key(connection_id, "A"), change, "epoch = :epoch", values))
        if item is None:
            raise Fenced
        return item

    async def _document(self, of: dict[str, Any], epoch: int, document: str) -> None:
        """Raises Fenced."""
        values = {":epoch": {"N": str(epoch)}, ":document": {"S": document}}
        request = self._update(of, "SET document = :document", "epoch = :epoch", values, returns="NONE")
        if await self._changed(request) is None:
            raise Fenced

    async def _fenced(self, of: dict[str, Any], epoch: int, ends_at: dict[str, str]) -> str | None:
        """The document as it stands, which from now on only this epoch changes. Raises Fenced."""
        values = {":epoch": {"N": str(epoch)}, ":end": ends_at}
        condition = "attribute_not_exists(epoch) OR epoch <= :epoch"
        item = await self._changed(self._update(of, "SET epoch = :epoch, ends_at_s = :end", condition, values))
        if item is None:
            raise Fenced
        return item["document"]["S"] if "document" in item else None

    def _update(
        self, of: dict[str, Any], change: str, condition: str, values: dict[str, Any], returns: str = "ALL_NEW"
    ) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Key": of,
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValues": returns,
        }

    async def _changed(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The item as it is then; None where the condition does not hold."""
        try:
            answer = await self._dynamodb.call("UpdateItem", request, self._timeout_s)
        except AwsFailure as failure:
            if failure.code == _REFUSED:
                return None
            raise _unavailable(failure) from failure
        found: dict[str, Any] = answer.get("Attributes", {})
        return found

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._dynamodb.call(operation, request, self._timeout_s)
        except AwsFailure as failure:
            raise _unavailable(failure) from failure


def _lease(item: dict[str, Any]) -> Lease:
    return Lease(
        epoch=int(item["epoch"]["N"]),
        alive_until_s=int(item["alive_until_ms"]["N"]) / 1000,
        is_free=item["is_free"]["BOOL"],
        is_left="is_left" in item,
        is_ended="is_ended" in item,
    )


def _ms(at_s: float) -> dict[str, str]:
    return {"N": str(round(at_s * 1000))}


def _ends_at(admitted: Admitted) -> dict[str, str]:
    return {"N": str(int(admitted.ends_s) + KEPT_S)}


def _unavailable(failure: AwsFailure) -> StorageUnavailable:
    return StorageUnavailable(f"Sessions cannot be stored at the moment ({failure.code}).")
