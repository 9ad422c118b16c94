"""A hold as DynamoDB has it: as few bytes as may be, for each write of an account is billed and throttled by the size
of its whole item, all that runs included (docs/admin.md says what that allows).

MessagePack: [admitted_s, seconds until it ends, cost, rules, admission, whether it runs, facts of the request]; that of
a job has one more, true, and one of which something is booked that besides. Facts
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
    if hold.is_job or hold.booked_nano_usd:
        row.append(hold.is_job)
    if hold.booked_nano_usd:
        row.append(hold.booked_nano_usd)
    return {"B": b64encode(msgspec.msgpack.encode(row)).decode()}


def hold_of(value: dict[str, str]) -> Hold:
    row = msgspec.msgpack.decode(b64decode(value["B"]))
    admitted_s, lasts_s, cost_nano_usd, rules, admission, runs, facts, *further = row
    request = None if facts is None else _unpacked(facts)
    is_job, booked_nano_usd = bool(further and further[0]), int(further[1]) if len(further) > 1 else 0
    until_s = admitted_s + lasts_s
    return Hold(until_s, admitted_s, cost_nano_usd, tuple(rules), request, admission, runs, is_job, booked_nano_usd)


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
