"""What scripts/request_costs.py takes an item of the ledger to weigh is what DynamoDB is given."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.model.ledger import Account, Hold, Meter
from scripts.request_costs import item_bytes

REQUEST = {"request_id": f"req_{'0a' * 16}", "operation": "chat", "model": "openai/gpt-4o"}


def weight(name: str, value: dict[str, Any]) -> int:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    [(kind, held)] = value.items()
    sizes = {"S": len(held), "N": len(held) // 2 + 2}
    return len(name) + (sizes[kind] if kind in sizes else len(b64decode(held)))


async def test_an_item_weighs_what_its_numbers_and_holds_do(dynamodb_api: AwsApi, ledger_table: str) -> None:
    ledger = DynamoLedger(dynamodb_api, ledger_table, timeout_s=5.0)
    meters = (Meter("r29833333", "requests", 1, 100), Meter("c2026-09", "spend", 12_345_678, 10**12))
    account = Account("U#acme#0#alice", "user", meters, 1)
    for number in range(3):
        hold = Hold(until_s=1_790_000_900, admitted_s=1_790_000_000, cost_nano_usd=99, rules=("",), request=REQUEST)
        reserved = await ledger.reserve(account, f"h{number:016x}", hold)
    key = {"TableName": ledger_table, "Key": {"pk": {"S": account.id}}}
    item = (await dynamodb_api.call("GetItem", key, 5.0))["Item"]
    written = sum(weight(name, value) for name, value in item.items())
    assert abs(item_bytes(account.id, reserved.reading) - written) <= 4
