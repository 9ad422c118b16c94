"""Transactions that write usage records and add them to their rows: as few as can be, each within DynamoDB's limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.model.ledger import hold_name
from gateway.model.record import UsageRecord
from gateway.model.rollup import Group, group_of, summed
from gateway.record_ports import Added

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (2026-11)
MAX_ACTIONS = 100
CLOSED = "closed"
EXPIRY = "expires_at_s"
_SLACK_S = 86_400
"""A request is forgotten later than records of it are refused for their age, so that no record falls between."""

_decode = msgspec.json.Decoder(UsageRecord).decode
_decode_row = msgspec.json.Decoder(tuple[str, str, str, str, str]).decode
Item = dict[str, Any]


def address_of(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def request_key(tenant_id: str, request_id: str) -> Item:
    return address_of(f"R#{tenant_id}#{hold_name(request_id)}", request_id)


def row_key(sk: str) -> Group:
    day, _, names = sk.partition(" ")
    return Group(day, *_decode_row(names))


def attempts_in(item: Item) -> list[UsageRecord]:
    texts = [value["S"] for name, value in item.items() if name[0] == "a" and name[1:].isdigit()]
    return sorted((_decode(text) for text in texts), key=lambda record: record.attempt)


class Tables(msgspec.Struct, frozen=True):
    """`ledger`: for records of what the ledger has yet to know."""

    usage: str
    ledger: str


def pack(records: Iterable[UsageRecord], tables: Tables, life_s: float, *, closes: bool = False) -> Iterator[Write]:
    """Records of one row go together, so that it is written once; those of one request do, for it is one item."""
    requests: dict[tuple[str, str], list[UsageRecord]] = {}
    for record in sorted(records, key=lambda record: (record.of.tenant_id, group_of(record))):
        requests.setdefault((record.of.tenant_id, record.of.request_id), []).append(record)
    held: list[UsageRecord] = []
    for attempts in requests.values():
        if _actions([*held, *attempts]) > MAX_ACTIONS:
            yield Write(held, tables, life_s, closes=closes)
            held = []
        held += attempts
    if held:
        yield Write(held, tables, life_s, closes=closes)


def _actions(records: Sequence[UsageRecord]) -> int:
    requests = {(record.of.tenant_id, record.of.request_id) for record in records}
    accounts = {account_id for record in records for account_id in record.unbooked}
    return len(requests) + len({(record.of.tenant_id, group_of(record)) for record in records}) + len(accounts)


class Write:
    """One transaction. `records`: what it still has to write. `closes`: requests that nothing is known of, for ever."""

    def __init__(self, records: list[UsageRecord], tables: Tables, life_s: float, *, closes: bool) -> None:
        self.records = records
        self._tables, self._life_s, self._closes = tables, life_s, closes

    def request(self) -> dict[str, Any]:
        requests = [self._request_action(attempts) for attempts in self._by_request()]
        return {"TransactItems": [*requests, *self._row_actions(), *self._account_actions()]}

    def apart(self) -> list[Write]:
        """The same, one request in each."""
        return [Write(attempts, self._tables, self._life_s, closes=self._closes) for attempts in self._by_request()]

    def drop_what_is_there(self, there_now: Sequence[Item], added: Added) -> bool:
        """Whether conditions of requests did not hold, and so there is less to write now."""
        left: list[UsageRecord] = []
        before = len(self.records)
        for number, attempts in enumerate(self._by_request()):  # the rest comes after them, without conditions
            there = there_now[number] if number < len(there_now) else {}
            for record in attempts:
                if f"a{record.attempt}" in there:
                    added.known.append(record)
                elif CLOSED in there or (there and self._closes):
                    added.late.append(record)
                else:
                    left.append(record)
        self.records = left
        return len(left) < before

    def _by_request(self) -> list[list[UsageRecord]]:
        requests: dict[tuple[str, str], list[UsageRecord]] = {}
        for record in self.records:
            requests.setdefault((record.of.tenant_id, record.of.request_id), []).append(record)
        return list(requests.values())

    def _request_action(self, attempts: list[UsageRecord]) -> Item:
        names, values = {"#closed": CLOSED, "#expiry": EXPIRY}, dict[str, Any]()
        sets, conditions = ["#expiry = :expiry"], ["attribute_not_exists(#closed)"]
        for number, record in enumerate(attempts):
            names[f"#a{number}"] = f"a{record.attempt}"
            values[f":a{number}"] = {"S": msgspec.json.encode(record).decode()}
            sets.append(f"#a{number} = :a{number}")
            conditions.append(f"attribute_not_exists(#a{number})")
        values[":expiry"] = {"N": str(int(max(record.at_s for record in attempts) + self._life_s + _SLACK_S))}
        if self._closes:
            values[":true"] = {"BOOL": True}
            sets.append("#closed = :true")
            conditions = ["attribute_not_exists(pk)"]
        of = attempts[0].of
        return self._update(request_key(of.tenant_id, of.request_id), sets, conditions, names, values)

    def _row_actions(self) -> Iterator[Item]:
        tenants: dict[str, list[UsageRecord]] = {}
        for record in self.records:
            tenants.setdefault(record.of.tenant_id, []).append(record)
        for tenant_id, records in tenants.items():
            for group, counts in summed(records).items():
                row = address_of(f"D#{tenant_id}", f"{group.day} {_names_of(group)}")
                yield _addition(self._tables.usage, row, counts)

    def _account_actions(self) -> Iterator[Item]:
        accounts: dict[str, Counter[str]] = {}
        for record in self.records:
            for account_id, numbers in record.unbooked.items():
                accounts.setdefault(account_id, Counter()).update(numbers)
        for account_id, numbers in accounts.items():
            yield _addition(self._tables.ledger, {"pk": {"S": account_id}}, numbers)

    def _update(
        self, key: Item, sets: list[str], conditions: list[str], names: dict[str, str], values: dict[str, Any]
    ) -> Item:
        return {
            "Update": {
                "TableName": self._tables.usage,
                "Key": key,
                "UpdateExpression": f"SET {', '.join(sets)}",
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }


def _addition(table: str, key: Item, counts: Mapping[str, int]) -> Item:
    return {
        "Update": {
            "TableName": table,
            "Key": key,
            "UpdateExpression": f"ADD {', '.join(f'#{number} :{number}' for number in range(len(counts)))}",
            "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(counts)},
            "ExpressionAttributeValues": {
                f":{number}": {"N": str(count)} for number, count in enumerate(counts.values())
            },
        }
    }


def _names_of(group: Group) -> str:
    return msgspec.json.encode((group.user, group.key, group.operation, group.provider, group.model)).decode()
