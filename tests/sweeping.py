"""Requests whose function dies somewhere, and what the sweeper makes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.admin_ports import Outbox
from gateway.entry.chat import chat_app
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.ledger import Reading
from gateway.model.record import TERMINAL, Told, UsageRecord
from gateway.model.rollup import add_to
from gateway.model.tenant import Principal, Tenant
from gateway.pipeline.keep import Letter, keep
from gateway.pipeline.sweep import Swept, sweep
from gateway.ports import Ledger, World
from gateway.record_ports import RecordsWorld, SweepWorld, UsageStore
from tests.asgi import Answer, call
from tests.directory import MemoryDirectory
from tests.dying import Fate, Mortal
from tests.fakes import (
    ListEvents,
    ListRecords,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    ScriptedIncoming,
    ScriptedOutbound,
    key_hash,
    principal,
    world_of,
)
from tests.record_fakes import FixedHolders, MemoryArchive, MemoryAuditLog, MemoryUsage

KEY = "gwk_test"
TENANT = Tenant(id="acme", approvals=("*",))
FACTS = ModelFacts(id="gpt-4o", name="GPT-4o", prices=Prices(input=2_500_000, output=10_000_000))
HELLO = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "very secret"}], "max_tokens": 10}
COST = 9 * 2_500 + 3 * 10_000
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
GRACE_S = 600.0
LONG_AFTER_S = 2_000.0


@dataclass
class Stage:
    """A gateway in memory, its books, and where records are kept. `ledger` and `usage` may be real ones."""

    ledger: Ledger = field(default_factory=MemoryLedger)
    clock: ManualClock = field(default_factory=ManualClock)
    usage: UsageStore | None = None
    events: ListEvents = field(default_factory=ListEvents)
    log: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    archive: MemoryArchive = field(default_factory=MemoryArchive)
    records: ListRecords = field(default_factory=ListRecords)
    holders: FixedHolders = field(default_factory=FixedHolders)
    outbox: Outbox = field(default_factory=lambda: MemoryDirectory(MemoryLedger()))
    delivered: int = 0

    def __post_init__(self) -> None:
        self.store = self.usage or MemoryUsage(self.clock, ledger=self.ledger)
        self.access = MemoryAccess()
        catalog = MemoryCatalog({"openai": {"gpt-4o": FACTS}})
        self.outbound = ScriptedOutbound(ScriptedIncoming(200, {}, []))
        made = world_of(self.outbound, self.access, catalog)
        self.world: World = replace(made, ledger=self.ledger, events=self.events, clock=self.clock)
        self.hold(principal(TENANT))

    def hold(self, holder: Principal) -> None:
        self.access.held[key_hash(KEY)] = holder
        self.holders.tenants[holder.tenant.id] = holder.tenant
        self.holders.users[holder.tenant.id, holder.user.id] = holder.user

    async def chat(self, fate: Fate | None = None) -> Answer:
        """One request; Killed is raised where its fate strikes."""
        fate = fate or Fate()
        parts: list[Any] = [json.dumps(REPLY).encode()]
        self.outbound.answer = ScriptedIncoming(200, {"content-type": "application/json"}, parts)
        ledger, events = Mortal(self.ledger, fate), Mortal(self.events, fate)
        world = replace(self.world, ledger=ledger, events=events)
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        return await call(chat_app(world), json.dumps(HELLO).encode(), headers)

    async def deliver(self) -> None:
        """Everything that was told so far comes, and comes again."""
        told: list[Told] = [*self.events.told, *reversed(self.events.told)]
        letters = [Letter(f"m{number}", one) for number, one in enumerate(told)]
        self.delivered += sum(isinstance(one, UsageRecord) for one in told)
        world = RecordsWorld(self.store, self.archive, self.log, self.records, self.clock)
        assert (await keep(letters, world)).again == set()

    async def sweep(self, fate: Fate | None = None, at_most: int = 100, until_s: float = 1e12) -> Swept:
        fate = fate or Fate()
        world = SweepWorld(
            Mortal(self.ledger, fate),
            Mortal(self.store, fate),
            Mortal(self.holders, fate),
            Mortal(self.events, fate),
            self.outbox,
            self.records,
            self.clock,
        )
        return await sweep(world, grace_s=GRACE_S, at_most=at_most, until_s=until_s)

    async def judgement_day(self, fate: Fate | None = None) -> Swept:
        """Long after everything ended, with a watermark that came through."""
        self.clock.unix_s += LONG_AFTER_S
        await self.deliver()
        await self.store.pass_watermark(self.clock.unix_s)
        try:
            return await self.sweep(fate)
        finally:
            await self.deliver()

    async def books(self) -> dict[str, Reading]:
        return {account_id: reading async for account_id, reading in self.ledger.accounts()}

    async def used(self) -> dict[str, int]:
        total: dict[str, int] = {}
        async for _, counts in self.store.sums("acme", "2000-01-01", "2100-01-01"):
            add_to(total, dict(counts))
        return total

    def ends(self) -> dict[str, list[str]]:
        """Terminal events in the audit log, by request."""
        found: dict[str, list[str]] = {}
        for event in self.log.lines:
            assert event.of is not None
            if event.event in TERMINAL:
                found.setdefault(event.of.request_id, []).append(event.event)
        return found

    def starts(self) -> list[str]:
        return [event.of.request_id for event in self.log.lines if event.of and event.event == "request.started"]

    async def check(self) -> None:
        """Nothing is held, both levels' books say what usage says, and whatever started ended once."""
        settled: dict[str, int] = {"T": 0, "U": 0}
        for account_id, reading in (await self.books()).items():
            numbers = reading.numbers
            assert reading.holds == {}, account_id
            assert not [name for name, value in numbers.items() if name[0] == "n" and value], account_id
            days = [name[1:] for name in numbers if name[0] == "c"]
            assert all(numbers[f"c{day}"] == numbers.get(f"s{day}", 0) for day in days), account_id
            settled[account_id[0]] += sum(v for name, v in numbers.items() if name[0] == "s" and len(name) == 11)
        cost = (await self.used()).get("cost_nano_usd", 0)
        assert settled == {"T": cost, "U": cost}
        assert all(len(ends) == 1 for ends in self.ends().values())
        assert sorted(self.starts()) == sorted(self.ends())

    @property
    def troubles(self) -> list[dict[str, Any]]:
        """Of the functions that are asked."""
        assert isinstance(self.world.records, ListRecords)
        return self.world.records.troubles

    def told(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.events.told if isinstance(one, kind)]
