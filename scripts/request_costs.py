"""What AWS takes for a million chats, counted and written into docs/deploy.md: `python -m scripts.request_costs`.

A chat of a gateway in memory is sent while others of the same key run. Every call that leaves the gateway is counted as
the request that its adapter sends, and writes of the ledger are weighed as DynamoDB weighs them: by the whole item,
with all that is held in it. docs/decisions/0011 has the part of who keeps the records.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

import msgspec

from gateway.adapters.aws.stored_hold import stored
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.entry.chat import chat_app
from gateway.entry.http import App
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.ledger import Account, Hold, Reading, Reserved
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.tenant import Principal, Tenant
from gateway.ports import World
from local.places import REPOSITORY
from tests.asgi import call
from tests.dying import Fate, mortal
from tests.fakes import (
    ListEvents,
    MemoryAccess,
    MemoryCatalog,
    ScriptedIncoming,
    ScriptedOutbound,
    key_hash,
    principal,
    world_of,
)

PAGE = REPOSITORY / "docs" / "deploy.md"
PLACE = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)

READ_USD, WRITE_USD, EVENT_USD, CALL_USD, EDGE_USD, LOGS_GB_USD = 0.125, 0.625, 1.0, 0.2, 3.5, 0.5
GB_SECOND_USD = 13.3334
"""For a million of each, on arm64: us-east-1, 2026-11, on demand, without free tiers. https://aws.amazon.com/api-gateway/pricing/,
/lambda/pricing/, /dynamodb/pricing/on-demand/, /eventbridge/pricing/, /sqs/pricing/, /cloudwatch/pricing/"""
KEPT_USD, QUEUE_USD = 3.00, 1.30
"""The records in DynamoDB and the queue before it, as docs/decisions/0011 has them."""
READS = {"access.read": 3}
"""Items that are read, each within 4 KB and consistently."""
WEIGHED = {"ledger.reserve", "ledger.settle"}
SHARED = "health.share"
"""At most: an environment tells and asks once in ten seconds, so less where answers are shorter than that."""
FREE = {"outbound.open", "outbound.open.whole", "credentials.find"}
"""Calls that cost nothing of AWS, or not for each request: a key of a provider is read every ten minutes."""
LOG_KB = 4
UNIT_BYTES, EXPIRY_BYTES = 1_024, len("expires_at_s") + 6
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
CHAT_GB = 1
ANSWERS_S = {
    "an answer of 1 s": 1,
    "of 3 s": 3,
    "of 8 s, a stream of some hundred tokens": 8,
    "of 30 s, one that reasons": 30,
}
RATES = (1, 5, 10)
"""Requests a second of one key."""

KEY, MODEL = "gwk_costs", "openai/gpt-4o"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
FACTS = ModelFacts(id="gpt-4o", name="GPT-4o", prices=Prices(input=2_500_000, output=10_000_000))
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1_000}
ALLOWANCE = Allowance(
    limits=(Limits(requests_per_minute=10_000, tokens_per_minute=100_000_000, concurrent_requests=10_000),),
    budgets=(Budget(window="month", usd=Decimal(1_000_000)),),
)
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 400, "completion_tokens": 200, "total_tokens": 600},
}


class WeighedLedger(MemoryLedger):
    """`units`: written, each write by the size of its item before or after it, whichever is larger."""

    def __init__(self) -> None:
        super().__init__()
        self.units, self.taken = 0, dict[str, tuple[Account, Hold]]()

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        reserved = await super().reserve(account, name, hold)
        self.units += _units(account.id, reserved.reading)
        self.taken[account.id] = (account, hold)
        return reserved

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        self.units += _units(account_id, await self.read(account_id))
        return await super().settle(account_id, name, changes, stale, hold)


def item_bytes(account_id: str, reading: Reading) -> int:
    numbers = sum(len(name) + len(str(abs(value))) // 2 + 2 for name, value in reading.numbers.items())
    holds = sum(len(name) + len(b64decode(stored(hold)["B"])) for name, hold in reading.holds.items())
    return len("pk") + len(account_id) + EXPIRY_BYTES + numbers + holds


def _units(account_id: str, reading: Reading) -> int:
    return ceil(item_bytes(account_id, reading) / UNIT_BYTES)


@dataclass(frozen=True)
class Counted:
    """Of one chat. `writes`: units of the ledger."""

    calls: Mapping[str, int]
    writes: int
    events: int

    @property
    def reads(self) -> int:
        return sum(number * self.calls[name] for name, number in READS.items())

    @property
    def once_usd(self) -> dict[str, float]:
        return {
            "API Gateway, a request with an answer of up to 10 MB": EDGE_USD,
            "Lambda, the call": CALL_USD,
            f"DynamoDB, key, user and tenant read consistently: {self.reads} read units": self.reads * READ_USD,
            f"DynamoDB, held and settled, for tenant and user: {self.writes} write units": self.writes * WRITE_USD,
            "DynamoDB, how the models do, told and asked: a write and a read unit at most": self.calls[SHARED]
            * (WRITE_USD + READ_USD),
            f"EventBridge, usage and {self.events - 1} entries of the audit": self.events * EVENT_USD,
            "DynamoDB, the record and its sums, once": KEPT_USD,
            "SQS, to whoever keeps them": QUEUE_USD,
            f"CloudWatch, lines of the request, of the edge and of the audit: {LOG_KB} KB": LOG_KB * LOGS_GB_USD,
        }


def counted(running: int = 0) -> Counted:
    """`running`: others of the same key that are held in the same accounts."""
    with contextlib.redirect_stdout(io.StringIO()):  # of the function's own logs
        return asyncio.run(_counted(running))


async def _counted(running: int) -> Counted:
    outbound = ScriptedOutbound(
        ScriptedIncoming(200, {"content-type": "application/json"}, [json.dumps(REPLY).encode()])
    )
    access, catalog = MemoryAccess({key_hash(KEY): _holder()}), MemoryCatalog({"openai": {"gpt-4o": FACTS}})
    ledger, events, fate = WeighedLedger(), ListEvents(), Fate()
    world = msgspec.structs.replace(world_of(outbound, access, catalog), ledger=ledger, events=events)
    await _chat(chat_app(world))
    for number in range(running):
        for account, hold in list(ledger.taken.values()):
            await ledger.reserve(account, f"h{number:016x}", hold)
    ledger.units, events.told = 0, []
    await _chat(chat_app(mortal(world, fate, _ports(world))))
    calls = Counter(moment.call for moment in fate.passed if not moment.is_done)
    if unknown := calls.keys() - READS.keys() - WEIGHED - FREE - {"events.send", SHARED}:
        raise ValueError(f"a chat does what has no price here: {sorted(unknown)}")
    return Counted(calls, ledger.units, len(events.told))


def _ports(world: World) -> list[str]:
    """All whose calls can leave the gateway."""
    return [name for name in world.__struct_fields__ if name not in {"catalog", "clock", "records", "local_ledger"}]


def _holder() -> Principal:
    """Whose ids are as long as real ones are."""
    held = principal(Tenant(id="acme", approvals=("*",), allowance=ALLOWANCE, user_allowance=ALLOWANCE))
    return msgspec.structs.replace(held, key=msgspec.structs.replace(held.key, id=f"key_{'0a' * 16}"))


async def _chat(app: App) -> None:
    body = {**BODY, "metadata": {"conversation_id": f"conv_{'0a' * 16}"}}
    answer = await call(app, json.dumps(body).encode(), HEADERS)
    if answer.status != 200:
        raise ValueError(answer.body)


def table() -> str:
    once = counted().once_usd
    total = sum(once.values())
    rows = [f"| {what} | {usd:.2f} |" for what, usd in once.items()]
    lasting = [
        f"| **{what}**: all that, and {CHAT_GB} GB for as long | **{total + CHAT_GB * seconds * GB_SECOND_USD:.0f}** |"
        for what, seconds in ANSWERS_S.items()
    ]
    head = ["| For a million chats, one at a time | USD |", "|---|---|"]
    return "\n".join([*head, *rows, f"| together | {total:.2f} |", *lasting, "", *_by_rate(), ""])


def _by_rate() -> list[str]:
    """What is held for all that run of a key stands in the items that each of them writes."""
    alone = counted().writes
    heads = ["More of that, in USD, where one key sends", *(f"{rate} a second" for rate in RATES)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for what, seconds in ANSWERS_S.items():
        more = [(counted(rate * seconds).writes - alone) * WRITE_USD for rate in RATES]
        lines.append(f"| {what} | {' | '.join(f'{usd:.2f}' for usd in more)} |")
    return lines


def main() -> None:
    PAGE.write_text(PLACE.sub(lambda _: table(), PAGE.read_text()))


if __name__ == "__main__":
    main()
