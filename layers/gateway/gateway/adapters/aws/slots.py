"""Places for calls to a provider at the same time, in the ledger's table: a write takes one, a write gives it back.

Item pk S#<credential>#<number>: `slots`, a map of whoever has a place to the Unix second until which he has it. Of many
places an item has a part, which is why no item says how many are taken in all. What is left by those that died is
removed by whoever needs a place.
"""

from __future__ import annotations

import secrets
from random import SystemRandom
from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.errors import StorageUnavailable
from gateway.model.slot import Slot
from gateway.ports import Clock

PREFIX = "S#"
"""What no account's id begins with."""
PLACES_OF_A_RECORD = 50
"""A record is written by one call at a time, and each write costs by its size: of 50 places about 2 KB."""
RECORDS_TRIED = 3
_REFUSED = "ConditionalCheckFailedException"
_dice = SystemRandom()


class DynamoSlots:
    """`timeout_s`: how long a call waits for a place; giving it back has time."""

    def __init__(
        self, dynamodb: AwsApi, table: str, timeout_s: float, clock: Clock, give_back_timeout_s: float = 2.0
    ) -> None:
        self._dynamodb, self._table, self._clock = dynamodb, table, clock
        self._timeout_s, self._give_back_timeout_s = timeout_s, give_back_timeout_s

    async def take(self, name: str, most: int, until_s: int) -> Slot | None:
        slot_id = secrets.token_hex(8)
        for record, places in _records(name, most):
            if await self._taken(Slot(record, slot_id), places, until_s):
                return Slot(record, slot_id)
        return None

    async def give_back(self, slot: Slot) -> None:
        request = self._update(slot, "REMOVE slots.#slot", "attribute_exists(slots.#slot)", {})
        try:
            await self._dynamodb.call("UpdateItem", request, self._give_back_timeout_s)
        except AwsFailure as failure:
            if failure.code != _REFUSED:
                raise StorageUnavailable(f"A place cannot be given back ({failure.code}).") from failure

    async def _taken(self, slot: Slot, places: int, until_s: int) -> bool:
        setting, fits = "SET slots.#slot = :until", "attribute_exists(slots) AND size(slots) < :most"
        values = {":until": {"N": str(until_s)}, ":most": {"N": str(places)}}
        found = await self._written(self._update(slot, setting, fits, values))
        if found is not None and not found:
            first = {":first": {"M": {slot.id: {"N": str(until_s)}}}}
            request = self._update(slot, "SET slots = :first", "attribute_not_exists(slots)", first)
            del request["ExpressionAttributeNames"]
            if (found := await self._written(request)) is not None:  # another one was first
                found = await self._written(self._update(slot, setting, fits, values))
        if found is None or slot.id in found:  # a first try may have come through without an answer
            return True
        left = {name: until for name, until in found.items() if int(until) <= self._clock.now_s()}
        return bool(left) and await self._written(self._in_place_of(left, slot, places, until_s)) is None

    def _in_place_of(self, left: dict[str, str], slot: Slot, places: int, until_s: int) -> dict[str, Any]:
        """Takes a place, and removes those that nobody has any more, if that still is so."""
        names = {f"#left{number}": name for number, name in enumerate(left)}
        values = {f":left{number}": {"N": until} for number, until in enumerate(left.values())}
        still = [f"slots.#left{number} = :left{number}" for number in range(len(left))]
        removing = ", ".join(f"slots.{placeholder}" for placeholder in names)
        request = self._update(
            slot,
            f"SET slots.#slot = :until REMOVE {removing}",
            " AND ".join(["size(slots) < :most", *still]),
            {**values, ":until": {"N": str(until_s)}, ":most": {"N": str(places + len(left))}},
        )
        request["ExpressionAttributeNames"] |= names
        return request

    async def _written(self, request: dict[str, Any]) -> dict[str, str] | None:
        """None, or the places that stand in the way. Raises StorageUnavailable (503)."""
        try:
            await self._dynamodb.call("UpdateItem", request, self._timeout_s)
        except AwsFailure as failure:
            if failure.code != _REFUSED:
                raise StorageUnavailable(f"Places cannot be counted at the moment ({failure.code}).") from failure
            slots = (failure.item or {}).get("slots", {"M": {}})["M"]
            return {name: until["N"] for name, until in slots.items()}
        return None

    def _update(self, slot: Slot, change: str, condition: str, values: dict[str, Any]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": {"pk": {"S": slot.record}},
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#slot": slot.id},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return request | ({"ExpressionAttributeValues": values} if values else {})


def _records(name: str, most: int) -> list[tuple[str, int]]:
    """Some of the records that share the places, and how many each has: one where that is enough."""
    count = -(-most // PLACES_OF_A_RECORD)
    chosen = _dice.sample(range(count), min(count, RECORDS_TRIED))
    return [(f"{PREFIX}{name}#{number}", most // count + (number < most % count)) for number in chosen]
