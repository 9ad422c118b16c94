"""How tenants, users and keys stand in DynamoDB when they are administered: `directory.py` says which items there are.

Pure: from a change to the parts of a transaction, and from an item to what it says.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, TypeAlias, TypeVar

import msgspec

from gateway.adapters.aws.access import Address, key_address, tenant_address, user_address
from gateway.adapters.aws.ledger import KEPT_S, Update
from gateway.model.directory import Answered, Obstacle, Stored, Transfer, Write
from gateway.model.errors import StorageUnavailable
from gateway.model.tenant import ApiKey, Tenant, User

Item: TypeAlias = dict[str, Any]
Part: TypeAlias = tuple[Obstacle, Item]
"""Of a transaction, and what it means when its condition does not hold."""
T = TypeVar("T", bound=Tenant | User | ApiKey)

INDEX = "TENANTS"
KEY_HASH = "key_hash"
ERASED = "erased"


def pointer_address(tenant_id: str, key_id: str) -> Address:
    return Address(f"T#{tenant_id}", f"K#{key_id}")


def index_address(tenant_id: str) -> Address:
    return Address(INDEX, tenant_id)


def answer_address(name: str) -> Address:
    return Address(f"I#{name}", "I")


def parts_of(write: Write, table: str) -> Iterator[Part]:
    document = {
        **_address_of(write).as_key(),
        "document": {"S": write.text},
        "created_at_s": {"N": str(write.created_at_s)},
        "changed_at_s": {"N": str(write.at_s)},
    }
    if write.was is None:
        yield "outdated", _put(document, table, condition="attribute_not_exists(pk)")
    else:
        values = {":was": {"S": write.was.text}}
        yield "outdated", _put(document, table, condition="document = :was", values=values)
    match write.value:
        case Tenant():  # again with each change: whoever was put there in another way is found from then on
            is_new = write.was is None
            index = index_address(write.tenant_id).as_key()
            yield "outdated", _put(index, table, condition="attribute_not_exists(pk)" if is_new else None)
        case ApiKey(id=key_id, user_id=user_id) if write.was is None:
            place = {KEY_HASH: {"S": write.key_hash}, "user_id": {"S": user_id}}
            pointer = {**pointer_address(write.tenant_id, key_id).as_key(), **place}
            yield "outdated", _put(pointer, table, condition="attribute_not_exists(pk)")


def part_of_answer(answered: Answered, table: str, now_s: float) -> Part:
    item = {
        **answer_address(answered.name).as_key(),
        "fingerprint": {"S": answered.fingerprint},
        "sealed": {"B": b64encode(answered.sealed).decode()},
        "expires_at_s": {"N": str(answered.expires_at_s)},
    }
    condition, values = "attribute_not_exists(pk) OR expires_at_s <= :now", {":now": {"N": str(int(now_s))}}
    return "answered", _put(item, table, condition=condition, values=values)


def part_of_transfer(transfer: Transfer, table: str, now_s: float) -> Part:
    update = Update(table, transfer.account_id)
    update.set_shards(transfer.shards)
    for number, change in transfer.changes.items():
        update.add(number, change)
    for number, most in transfer.at_most.items():
        update.require_at_most(number, most)
    update.keep_until(int(now_s) + KEPT_S)
    return "moved", {"Update": update.in_transaction()}


def answer_of(item: Item, name: str) -> Answered:
    sealed = b64decode(item["sealed"]["B"])
    return Answered(name, item["fingerprint"]["S"], sealed, int(item["expires_at_s"]["N"]))


def stored(item: Item, kind: type[T]) -> Stored[T]:
    """Raises StorageUnavailable (503) for what does not read."""
    text = item["document"]["S"]
    try:
        value = msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise StorageUnavailable(f"The record of a {kind.__name__} is damaged; the operator has to mend it.") from error
    key_hash = item["pk"]["S"].removeprefix("K#") if kind is ApiKey else ""
    return Stored(value, text, _seconds(item, "created_at_s"), _seconds(item, "changed_at_s"), key_hash)


def _address_of(write: Write) -> Address:
    match write.value:
        case Tenant(id=tenant_id):
            return tenant_address(tenant_id)
        case User(id=user_id):
            return user_address(write.tenant_id, user_id)
        case ApiKey():
            return key_address(write.key_hash if write.was is None else write.was.key_hash)


def _put(item: Item, table: str, *, condition: str | None, values: Item | None = None) -> Item:
    conditions = {"ConditionExpression": condition} if condition else {}
    given = {"ExpressionAttributeValues": values} if values else {}
    return {"Put": {"TableName": table, "Item": item, **conditions, **given}}


def _seconds(item: Item, name: str) -> int:
    """0 where nobody has written it."""
    return int(item[name]["N"]) if name in item else 0
