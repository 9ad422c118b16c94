"""The ledger in DynamoDB: an item for each account, a conditional write for each step.

Item pk <account id>: the numbers as attributes of their names, holds as bytes (`stored_hold.py`), `of`: over how many
accounts it is spread, once that has changed, and when nobody will miss it any more. What a write finds or leaves comes
back with it, so nothing is read before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.slots import PREFIX as SLOTS
from gateway.adapters.aws.stored_hold import StoredHolds, stored
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Reading, Reserved

_REFUSED = "ConditionalCheckFailedException"
_HOLD = "h"
_SHARDS = "of"
_EXPIRY = "expires_at_s"
KEPT_S = 100 * 86_400


class DynamoLedger:
    """`timeout_s`: what admitting a request may wait, both tries of it together; settling has time."""

    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float, settle_timeout_s: float = 5.0) -> None:
        self._dynamodb, self._table = dynamodb, table
        self._timeout_s, self._settle_timeout_s = timeout_s, settle_timeout_s

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        update = Update(self._table, account.id)
        update.put_hold(name, hold)
        update.keep_until(hold.admitted_s + KEPT_S)
        found = await self._add_within_limits(account, update)
        # A first try may have come through without an answer.
        return Reserved(found.holds.get(name) == hold, found)

    async def enlarge(self, account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        update = Update(self._table, account.id)
        update.replace_hold(name, hold, larger)
        found = await self._add_within_limits(account, update)
        return Reserved(found.holds.get(name) == larger, found)

    async def _add_within_limits(self, account: Account, update: Update) -> Reading:
        """The account afterwards, or as it stands in the way."""
        update.require_shards(account.shards)
        for meter in account.meters:
            update.add(meter.name, meter.amount)
            if meter.limit is not None:
                update.require_at_most(meter.name, meter.limit - meter.amount)
        try:
            answer = await self._call("UpdateItem", update.request("ALL_NEW"), self._timeout_s)
        except AwsFailure as failure:
            if failure.code != _REFUSED:
                message = f"Limits cannot be checked at the moment ({failure.code})."
                raise AdmissionUnavailable(message, took_nothing=failure.did_nothing) from failure
            return _reading(failure.item or {})
        return _reading(answer["Attributes"])

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        update = Update(self._table, account_id)
        for number, change in changes.items():
            update.add(number, change)
        update.end_hold(name, [number for number in stale if number not in changes], hold)
        try:
            answer = await self._call("UpdateItem", update.request("ALL_NEW"), self._settle_timeout_s)
        except AwsFailure as failure:
            if failure.code == _REFUSED:
                return None
            raise AdmissionUnavailable(f"Limits cannot be settled at the moment ({failure.code}).") from failure
        return _reading(answer["Attributes"])

    async def add(self, account_id: str, changes: Mapping[str, int]) -> None:
        update = Update(self._table, account_id)
        for number, change in changes.items():
            update.add(number, change)
        try:
            # Once only: a second try might count twice.
            await self._dynamodb.call("UpdateItem", update.request("NONE"), self._settle_timeout_s, tries=1)
        except AwsFailure as failure:
            raise AdmissionUnavailable(f"Limits cannot be settled at the moment ({failure.code}).") from failure

    async def read(self, account_id: str) -> Reading:
        request = {"TableName": self._table, "Key": {"pk": {"S": account_id}}, "ConsistentRead": True}
        try:
            answer = await self._call("GetItem", request, self._settle_timeout_s)
        except AwsFailure as failure:
            raise AdmissionUnavailable(f"The ledger cannot be read at the moment ({failure.code}).") from failure
        return _reading(answer.get("Item", {}))

    async def accounts(self) -> AsyncIterator[tuple[str, Reading]]:
        request: dict[str, Any] = {"TableName": self._table}
        while True:
            try:
                answer = await self._call("Scan", request, self._settle_timeout_s)
            except AwsFailure as failure:
                raise AdmissionUnavailable(f"The ledger cannot be read at the moment ({failure.code}).") from failure
            for item in answer["Items"]:
                if not item["pk"]["S"].startswith(SLOTS):
                    yield item["pk"]["S"], _reading(item)
            if (last := answer.get("LastEvaluatedKey")) is None:
                return
            request["ExclusiveStartKey"] = last

    async def _call(self, operation: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        return await self._dynamodb.call(operation, request, timeout_s)


class Update:
    """An UpdateItem request as it grows. Names and values stand behind placeholders."""

    def __init__(self, table: str, account_id: str) -> None:
        self._table, self._account_id = table, account_id
        self._placeholders: dict[str, str] = {}
        self._values: dict[str, dict[str, str]] = {}
        self._sets: list[str] = []
        self._adds: list[str] = []
        self._removes: list[str] = []
        self._conditions: list[str] = []

    def add(self, number: str, amount: int) -> None:
        """To 0 where there is none. ADD is the shortest way to say that, and takes no operator: both are limited."""
        self._adds.append(f"{self._name(number)} {self._value({'N': str(amount)})}")

    def require_at_most(self, number: str, most: int) -> None:
        name = self._name(number)
        self._conditions.append(f"(attribute_not_exists({name}) OR {name} <= {self._value({'N': str(most)})})")

    def require_shards(self, shards: int) -> None:
        """Text, so that it is none of the numbers."""
        name = self._name(_SHARDS)
        self._conditions.append(f"(attribute_not_exists({name}) OR {name} = {self._value({'S': str(shards)})})")

    def set_shards(self, shards: int) -> None:
        self._sets.append(f"{self._name(_SHARDS)} = {self._value({'S': str(shards)})}")

    def put_hold(self, name: str, hold: Hold) -> None:
        placeholder = self._name(name)
        self._sets.append(f"{placeholder} = {self._value(stored(hold))}")
        self._conditions.append(f"attribute_not_exists({placeholder})")

    def replace_hold(self, name: str, hold: Hold, larger: Hold) -> None:
        placeholder = self._name(name)
        self._sets.append(f"{placeholder} = {self._value(stored(larger))}")
        self._conditions.append(f"{placeholder} = {self._value(stored(hold))}")

    def keep_until(self, unix_s: int) -> None:
        self._sets.append(f"{self._name(_EXPIRY)} = {self._value({'N': str(unix_s)})}")

    def end_hold(self, name: str, stale: Collection[str], hold: Hold | None) -> None:
        placeholder = self._name(name)
        self._removes += [placeholder, *(self._name(number) for number in stale)]
        is_there = f"attribute_exists({placeholder})"
        if hold is not None:
            is_there = f"{placeholder} = {self._value(stored(hold))}"
        self._conditions.append(is_there)

    def request(self, returned: str) -> dict[str, Any]:
        return {**self.in_transaction(), "ReturnValues": returned, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def in_transaction(self) -> dict[str, Any]:
        clauses = {"SET": self._sets, "ADD": self._adds, "REMOVE": self._removes}
        expression = " ".join(f"{clause} {', '.join(actions)}" for clause, actions in clauses.items() if actions)
        condition = {"ConditionExpression": " AND ".join(self._conditions)} if self._conditions else {}
        return {
            "TableName": self._table,
            "Key": {"pk": {"S": self._account_id}},
            "UpdateExpression": expression,
            **condition,
            "ExpressionAttributeNames": {name: attribute for attribute, name in self._placeholders.items()},
            "ExpressionAttributeValues": self._values,
        }

    def _name(self, attribute: str) -> str:
        return self._placeholders.setdefault(attribute, f"#{len(self._placeholders)}")

    def _value(self, value: dict[str, str]) -> str:
        placeholder = f":{len(self._values)}"
        self._values[placeholder] = value
        return placeholder


def _reading(item: dict[str, Any]) -> Reading:
    numbers = {name: int(value["N"]) for name, value in item.items() if "N" in value and name != _EXPIRY}
    holds = StoredHolds({name: value for name, value in item.items() if name[0] == _HOLD and "B" in value})
    shards = item.get(_SHARDS)
    return Reading(numbers, holds, None if shards is None else int(shards["S"]))
