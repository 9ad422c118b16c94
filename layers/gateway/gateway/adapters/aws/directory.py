"""Tenants, users and keys in DynamoDB, as whoever administers them needs them: listed, and changed all at once.

Beside the items that every request reads (`access.py`) there are

Item TENANTS / <tenant>         that there is a tenant, or (`erased`) that there was one
Item T#<tenant> / K#<key id>    where a key is: `key_hash`, and whose it is: `user_id`
Item I#<name> / I               what an Idempotency-Key was answered, for a day
Item OUTBOX / <event id>        what tells of a change, until it is told (`outbox.py`)

Each is written in the transaction that writes what it points to. Nothing is ever found by scanning the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from gateway.adapters.aws.access import Address, key_address, tenant_address, types_partition, user_address
from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.directory_items import (
    ERASED,
    INDEX,
    KEY_HASH,
    Item,
    answer_address,
    answer_of,
    index_address,
    part_of_answer,
    part_of_transfer,
    parts_of,
    pointer_address,
    stored,
)
from gateway.adapters.aws.outbox import put_in_outbox
from gateway.model.directory import Answered, Change, NotCommitted, Page, Stored
from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent
from gateway.model.tenant import ApiKey, Tenant, User

T = TypeVar("T", bound=Tenant | User | ApiKey)
KEYS_PER_READ = 100
WRITES_AT_ONCE = 25
"""Of BatchWriteItem: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
TRIES_OF_THE_REST = 5


class DynamoDirectory:
    """`ledger_table`: where the numbers are that a change may move."""

    def __init__(self, dynamodb: AwsApi, table: str, ledger_table: str, timeout_s: float = 5.0) -> None:
        self._dynamodb, self._table, self._ledger_table = dynamodb, table, ledger_table
        self._timeout_s = timeout_s

    async def tenant(self, tenant_id: str) -> Stored[Tenant] | None:
        return await self._find(tenant_address(tenant_id), Tenant)

    async def user(self, tenant_id: str, user_id: str) -> Stored[User] | None:
        return await self._find(user_address(tenant_id, user_id), User)

    async def key(self, tenant_id: str, key_id: str) -> Stored[ApiKey] | None:
        pointer = await self._item(pointer_address(tenant_id, key_id))
        return None if pointer is None else await self._find(key_address(pointer[KEY_HASH]["S"]), ApiKey)

    async def tenants(self, limit: int, after: str | None) -> Page[Tenant]:
        found, has_more = await self._query(INDEX, "", limit, after, without_erased=True)
        return Page(await self._read([tenant_address(item["sk"]["S"]) for item in found], Tenant), has_more)

    async def users(self, tenant_id: str, limit: int, after: str | None) -> Page[User]:
        found, has_more = await self._query(f"T#{tenant_id}", "U#", limit, after)
        return Page(tuple(stored(item, User) for item in found), has_more)

    async def keys(self, tenant_id: str, limit: int, after: str | None, user_id: str | None) -> Page[ApiKey]:
        found, has_more = await self._query(f"T#{tenant_id}", "K#", limit, after, user_id=user_id)
        return Page(await self._read([key_address(item[KEY_HASH]["S"]) for item in found], ApiKey), has_more)

    async def is_erased(self, tenant_id: str) -> bool:
        index = await self._item(index_address(tenant_id))
        return index is not None and ERASED in index

    async def answered(self, name: str, now_s: float) -> Answered | None:
        item = await self._item(answer_address(name))
        answered = None if item is None else answer_of(item, name)
        return answered if answered is not None and answered.expires_at_s > now_s else None

    async def commit(self, change: Change, now_s: float) -> None:
        parts = [part for write in change.writes for part in parts_of(write, self._table)]
        parts += [part_of_transfer(transfer, self._ledger_table, now_s) for transfer in change.transfers]
        if change.answered is not None:
            parts.append(part_of_answer(change.answered, self._table, now_s))
        obstacles, items = [obstacle for obstacle, _ in parts], [item for _, item in parts]
        if change.event is not None:
            items.append(put_in_outbox(change.event, self._table))
        try:
            await self._transact(items)
        except AwsFailure as failure:
            refused = {
                obstacle for obstacle, reason in zip(obstacles, failure.reasons, strict=False) if _refuses(reason)
            }
            if not refused:
                raise _unavailable(failure) from failure
            raise NotCommitted("answered" if "answered" in refused else refused.pop()) from None

    async def erase(self, tenant_id: str, event: AuditEvent) -> None:
        """The tenant itself goes last, so that who broke off before can begin again."""
        with _translated():
            while below := await self._below(tenant_id):
                keys = [key_address(item[KEY_HASH]["S"]) for item in below if KEY_HASH in item]
                await self._delete([address.as_key() for address in keys])
                await self._delete([{name: item[name] for name in ("pk", "sk")} for item in below])
            erased = {
                "Put": {"TableName": self._table, "Item": {**index_address(tenant_id).as_key(), ERASED: {"BOOL": True}}}
            }
            gone = {"Delete": {"TableName": self._table, "Key": tenant_address(tenant_id).as_key()}}
            await self._transact([erased, gone, put_in_outbox(event, self._table)])

    async def _transact(self, parts: Sequence[Item]) -> None:
        """With a token, by which a second try knows that the first came through without an answer."""
        request = {"TransactItems": parts, "ClientRequestToken": str(uuid.uuid4())}
        await self._dynamodb.call("TransactWriteItems", request, self._timeout_s)

    async def _find(self, address: Address, kind: type[T]) -> Stored[T] | None:
        item = await self._item(address)
        return None if item is None else stored(item, kind)

    async def _item(self, address: Address) -> Item | None:
        request = {"TableName": self._table, "Key": address.as_key(), "ConsistentRead": True}
        with _translated():
            item: Item | None = (await self._dynamodb.call("GetItem", request, self._timeout_s)).get("Item")
        return item

    async def _read(self, addresses: list[Address], kind: type[T]) -> tuple[Stored[T], ...]:
        """In that order, without those that are gone."""
        found: dict[Address, Item] = {}
        with _translated():
            for first in range(0, len(addresses), KEYS_PER_READ):
                found |= await self._read_some(addresses[first : first + KEYS_PER_READ])
        return tuple(stored(found[address], kind) for address in addresses if address in found)

    async def _read_some(self, addresses: list[Address]) -> dict[Address, Item]:
        keys = [address.as_key() for address in addresses]
        waiting: Mapping[str, Any] = {self._table: {"Keys": keys, "ConsistentRead": True}}
        found: dict[Address, Item] = {}
        for _ in range(TRIES_OF_THE_REST):
            answer = await self._dynamodb.call("BatchGetItem", {"RequestItems": waiting}, self._timeout_s)
            items = answer["Responses"].get(self._table, ())
            found |= {Address(item["pk"]["S"], item["sk"]["S"]): item for item in items}
            if not (waiting := answer.get("UnprocessedKeys") or {}):
                return found
        raise AwsFailure("UnprocessedKeys", is_fault=True)

    async def _delete(self, keys: list[Item]) -> None:
        for first in range(0, len(keys), WRITES_AT_ONCE):
            deletes = [{"DeleteRequest": {"Key": key}} for key in keys[first : first + WRITES_AT_ONCE]]
            waiting: Mapping[str, Any] = {self._table: deletes}
            for _ in range(TRIES_OF_THE_REST):
                answer = await self._dynamodb.call("BatchWriteItem", {"RequestItems": waiting}, self._timeout_s)
                if not (waiting := answer.get("UnprocessedItems") or {}):
                    break
            else:
                raise AwsFailure("UnprocessedItems", is_fault=True)

    async def _below(self, tenant_id: str) -> list[Item]:
        """Some of what belongs to a tenant, itself left out; none when there is no more."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ProjectionExpression": f"pk, sk, {KEY_HASH}",
            "ConsistentRead": True,
        }
        found: list[Item] = []
        for partition in (f"T#{tenant_id}", types_partition(tenant_id)):
            request["ExpressionAttributeValues"] = {":pk": {"S": partition}}
            found += (await self._dynamodb.call("Query", request, self._timeout_s))["Items"]
        return [item for item in found if item["sk"]["S"] != "T"]

    async def _query(
        self,
        pk: str,
        prefix: str,
        limit: int,
        after: str | None,
        *,
        user_id: str | None = None,
        without_erased: bool = False,
    ) -> tuple[list[Item], bool]:
        """Items of a partition whose sort keys begin so, and whether there are more."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :sk)" if prefix else ""),
            "ExpressionAttributeValues": {":pk": {"S": pk}, **({":sk": {"S": prefix}} if prefix else {})},
            "ConsistentRead": True,
            "Limit": limit + 1,
        }
        if user_id is not None:
            request["FilterExpression"] = "user_id = :user"
            request["ExpressionAttributeValues"][":user"] = {"S": user_id}
        if without_erased:
            request["FilterExpression"] = f"attribute_not_exists({ERASED})"
        if after is not None:
            request["ExclusiveStartKey"] = Address(pk, prefix + after).as_key()
        found: list[Item] = []
        with _translated():
            while len(found) <= limit:
                answer = await self._dynamodb.call("Query", request, self._timeout_s)
                found += answer["Items"]
                if (last := answer.get("LastEvaluatedKey")) is None:
                    break
                request["ExclusiveStartKey"] = last
        return found[:limit], len(found) > limit


def _refuses(reason: str) -> bool:
    return reason == "ConditionalCheckFailed"


def _unavailable(failure: AwsFailure) -> StorageUnavailable:
    return StorageUnavailable(f"Tenants cannot be read or changed at the moment ({failure.code}).")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise _unavailable(failure) from failure
