"""What a running request adds to its accounts' items, and what one item carries by that."""

from __future__ import annotations

import re
from base64 import b64decode
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.adapters.aws.stored_hold import hold_of, stored
from gateway.model.ledger import Hold, hold_name
from gateway.pipeline.admit import Ticket, _hold
from gateway.pipeline.meters import Demand
from tests.fakes import principal
from tests.unit.conftest import TENANT

NOW_S = 1_790_000_000
REQUEST_ID = "req_0123456789abcdef0123456789abcdef"
FACTS: dict[str, Any] = {
    "request_id": REQUEST_ID,
    "operation": "chat",
    "key_id": "key_0123456789abcdef",
    "arrived_s": NOW_S + 0.253,
    "model_requested": "openai/gpt-4o-mini",
    "conversation_id": "6f1c2f0e-9d52-4a55-8a55-0a8f5ad9a1c3",
    "trace_id": "a" * 32,
    "stream": True,
}
HOLD = Hold(NOW_S + 361, NOW_S, 123_456_789, ("",))


def of_request(level: Any) -> Hold:
    """As a chat is held for."""
    demand = Demand("openai/gpt-4o-mini", 2_000, 123_456_789, 360.0)
    ticket = Ticket(hold_name(REQUEST_ID), demand, principal(TENANT), None, NOW_S)  # type: ignore[arg-type]
    return _hold(level, ticket, FACTS)


def size(hold: Hold) -> int:
    """As DynamoDB counts it, with its attribute's name."""
    return len(hold_name(REQUEST_ID)) + len(b64decode(stored(hold)["B"]))


@pytest.mark.parametrize(
    "hold",
    [
        HOLD,
        msgspec.structs.replace(HOLD, rules=("", "/ab12cd34"), admission=1, cost_nano_usd=10**13),
        msgspec.structs.replace(HOLD, request={}, runs=False),
        msgspec.structs.replace(HOLD, is_job=True),
        msgspec.structs.replace(HOLD, runs=False, booked=(10**12,)),
        msgspec.structs.replace(HOLD, is_job=True, booked=(1,)),
        msgspec.structs.replace(HOLD, rules=("", "/ab12cd34"), costs=(123_456_789, 0)),
        msgspec.structs.replace(HOLD, rules=("", "/ab12cd34"), costs=(123_456_789, 5), is_job=True, request=FACTS),
        msgspec.structs.replace(HOLD, request=FACTS, is_job=True, runs=False),
        msgspec.structs.replace(HOLD, request=FACTS),
        msgspec.structs.replace(HOLD, request={**FACTS, "conversation_id": None, "stream": False}),
        msgspec.structs.replace(HOLD, request={"key_id": "jwt", "trace_id": "", "request_id": "req_XYZ", "new": [1]}),
        msgspec.structs.replace(HOLD, request={"key_id": "key_ABC", "trace_id": "0a\n", "conversation_id": "00ff"}),
        msgspec.structs.replace(HOLD, request={"key_id": None, "trace_id": "0", "request_id": "req_"}),
    ],
)
def test_nothing_is_lost_and_the_same_is_the_same_bytes(hold: Hold) -> None:
    kept = hold_of(stored(hold))
    assert kept == hold
    assert stored(kept) == stored(hold)
    of_job = msgspec.convert(msgspec.json.decode(msgspec.json.encode(hold)), Hold)  # as a job's record keeps it
    assert stored(of_job) == stored(hold)
    turned = dict(reversed((hold.request or {}).items()))
    assert stored(msgspec.structs.replace(hold, request=turned or hold.request)) == stored(hold)


def test_a_hold_is_small() -> None:
    assert (size(of_request("tenant")), size(of_request("user"))) == (36, 162)


def test_the_guide_says_what_a_record_carries() -> None:
    """With some limits and budgets set: every write costs a unit for each KB of the item, 1,000 a second at most.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    numbers_bytes, units_per_s = 400, 1_000

    def units(per_s: int, lasts_s: int, hold_bytes: int) -> int:
        return 2 * per_s * ceil((numbers_bytes + per_s * lasts_s * hold_bytes) / 1_024)

    guide = Path("docs/admin.md").read_text()
    rows = re.findall(r"^\| (\d+) s \| (\d+) \| (\d+) \|$", guide, re.MULTILINE)
    assert len(rows) == 5
    for lasts_s, *most in ([int(figure) for figure in row] for row in rows):
        for per_s, hold_bytes in zip(most, (36, 162), strict=True):
            assert units(per_s, lasts_s, hold_bytes) <= units_per_s < units(per_s + 1, lasts_s, hold_bytes)
