"""A hold as DynamoDB has it: as few bytes as may be, for each write of an account is billed and throttled by the size
of its whole item, all that runs included (docs/admin.md says what that allows).

MessagePack: [admitted_s, seconds until it ends, cost, rules, admission, whether it runs, facts of the request]; then of
a job true, where it holds not the same under all rules whether it is a job and what it holds under each, and where
something of it is booked both and how much. Facts
have the number of their name below, ids 16 bytes instead of 32 digits, and what is not so is kept as it is. The same
hold always has the same bytes, so that a condition can compare them.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.model.ledger import Hold

_FACTS = (
    *("request_id", "operation", "key_id", "arrived_s", "model", "model_requested", "conversation_id", "trace_id"),
    "stream",
)
"""By position: new ones come at the end."""
_NUMBER_OF = {name: number for number, name in enumerate(_FACTS)}
_PREFIXES = {"request_id": "req_", "key_id": "key_", "trace_id": ""}
_HEX = re.compile("(?:[0-9a-f]{2})+")


def stored(hold: Hold) -> dict[str, str]:
    """The attribute's value."""
    facts = None if hold.request is None else _packed(hold.request)
    lasts_s = hold.until_s - hold.admitted_s
    row = [hold.admitted_s, lasts_s, hold.cost_nano_usd, hold.rules, hold.admission, hold.runs, facts]
    further = [hold.is_job, hold.costs, hold.booked]
    while further and not further[-1]:
        further.pop()
    row += further
    return {"B": b64encode(msgspec.msgpack.encode(row)).decode()}


def hold_of(value: dict[str, str]) -> Hold:
    row = msgspec.msgpack.decode(b64decode(value["B"]))
    admitted_s, lasts_s, cost_nano_usd, rules, admission, runs, facts, *more = row
    request = None if facts is None else _unpacked(facts)
    until_s, is_job, costs = admitted_s + lasts_s, bool(more and more[0]), tuple(more[1]) if more[1:] else ()
    booked = tuple(more[2]) if more[2:] else ()
    of = (until_s, admitted_s, cost_nano_usd, tuple(rules), request, admission, runs, is_job)
    return Hold(*of, costs=costs, booked=booked)


class StoredHolds(Mapping[str, Hold]):
    """Decoded when it is looked at: who asks for one has got all that run besides."""

    def __init__(self, values: dict[str, dict[str, str]]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Hold:
        return hold_of(self._values[name])

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _packed(request: dict[str, Any]) -> dict[int | str, Any]:
    names = sorted(request, key=lambda name: (_NUMBER_OF.get(name, len(_FACTS)), name))
    return {_NUMBER_OF.get(name, name): _short(name, request[name]) for name in names}


def _unpacked(facts: dict[int | str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {}
    for key, value in facts.items():
        name = _FACTS[key] if isinstance(key, int) else key
        request[name] = _PREFIXES[name] + value.hex() if isinstance(value, bytes) else value
    return request


def _short(name: str, value: Any) -> Any:
    prefix = _PREFIXES.get(name)
    if prefix is None or not isinstance(value, str) or not value.startswith(prefix):
        return value
    digits = value.removeprefix(prefix)
    return bytes.fromhex(digits) if _HEX.fullmatch(digits) else value
