"""Batches of a gateway in memory, carried on by their own state machine, whose workers may die anywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from gateway.entry.batch_task import BatchTask
from gateway.entry.batches import batches_app
from gateway.entry.job_task import JobTask
from gateway.entry.runtime.client import Invocation
from gateway.model.batch import Batch, BatchPart, batch_of
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.file import File, new_file_id
from gateway.model.http import HttpRequest, Sending
from gateway.model.job import Job
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.record import TERMINAL, AuditEvent, UsageRecord
from gateway.model.tenant import Tenant
from gateway.pipeline.batch_sweep import sweep_batches
from gateway.pipeline.job_sweep import SweptJobs, sweep_jobs
from gateway.ports import World
from tests.asgi import Answer, call
from tests.dying import PORTS, Fate, Killed, mortal
from tests.fakes import (
    ListExecutions,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    ScriptedIncoming,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.machine import BATCH, DIED, TaskFailed, Walk
from tests.unit.conftest import KEY, TENANT

ACCOUNTS = ("T#acme#0", "U#acme#0#alice")
PRICES = Prices(input=1_000_000, output=2_000_000)
MODELS = {
    "openai": {
        "gpt": ModelFacts(id="gpt", name="gpt", prices=PRICES, context_tokens=1_000),
        "embed": ModelFacts(id="embed", name="embed", api="embeddings", prices=PRICES, context_tokens=1_000),
    },
    "groq": {"llama": ModelFacts(id="llama", name="llama", prices=PRICES, context_tokens=1_000)},
}
CHAT = "/v1/chat/completions"
COST = 10 * 1_000 + 5 * 2_000
BATCH_PORTS = (*PORTS, "batch_parts", "batch_store")


def chat(custom_id: str, model: str = "openai/gpt", text: str = "Hi", **members: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 20, **members}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def chats(count: int, model: str = "openai/gpt") -> list[dict[str, Any]]:
    return [chat(f"c-{number}", model, f"text {number}") for number in range(count)]


def jsonl(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@dataclass
class Provider:
    """`refused`: texts that it answers with a 400. `asked`: how often for each text. `busy`: how often it has no
    room for one first. `on_ask`: what happens then."""

    refused: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)
    on_ask: Any = None

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        note_sent(sending)
        sent = json.loads(request.body)
        text = sent["messages"][-1]["content"]
        self.asked[text] += 1
        if self.on_ask is not None:
            await self.on_ask(text)
        headers = {"content-type": "application/json"}
        if self.busy[text] > 0:
            self.busy[text] -= 1
            yield ScriptedIncoming(429, {**headers, "retry-after": "2"}, [b'{"error": {"message": "later"}}'])
            return
        if text in self.refused:
            yield ScriptedIncoming(400, headers, [b'{"error": {"message": "no", "code": "bad"}}'])
            return
        message = {"role": "assistant", "content": f"re: {text}"}
        answer = {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        }
        yield ScriptedIncoming(200, headers, [json.dumps(answer).encode()])


class ExecutionStopped(Exception):
    """By force, or because it came to its end in a state that nothing catches."""


@dataclass
class Stage:
    """`fates`: what meets the workers of a state until one dies. `dies_whole`: whether the execution dies with it."""

    world: World
    provider: Provider
    access: MemoryAccess
    fates: dict[str, Fate] = field(default_factory=dict)
    dies_whole: bool = False
    walk: Walk | None = None
    ports: tuple[str, ...] = BATCH_PORTS

    @classmethod
    def of(cls, **changes: Any) -> Stage:
        budget = Budget(window="month", usd=Decimal(100))
        allowance = Allowance(limits=(Limits(concurrent_jobs=3),), budgets=(budget,), alerts=(1,))
        tenant = msgspec.structs.replace(TENANT, **{"approvals": ("*",), "allowance": allowance, **changes})
        access, provider = MemoryAccess({key_hash(KEY): principal(tenant)}), Provider()
        world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers what it is asked
        return cls(world, provider, access)

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.world.clock, ManualClock)
        return self.world.clock

    @property
    def executions(self) -> ListExecutions:
        assert isinstance(self.world.executions, ListExecutions)
        return self.world.executions

    @property
    def tenant(self) -> Tenant:
        return self.access.held[key_hash(KEY)].tenant

    def set_tenant(self, **changes: Any) -> None:
        held = self.access.held[key_hash(KEY)]
        self.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(held.tenant, **changes))

    # -- What happens ------------------------------------------------------------------------------------------------

    async def post(self, body: Any, **headers: str) -> Answer:
        sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await call(batches_app(self.world), encoded, sent, path="/v1/batches")

    async def send(self, method: str, path: str) -> Answer:
        headers = {"authorization": f"Bearer {KEY}"}
        return await call(batches_app(self.world), b"", headers, method=method, path=path)

    async def file(self, data: bytes) -> str:
        file_id = new_file_id("batch", self.clock.now_s(), b"0123456789")
        await self.world.files.put("acme", File(file_id, "in.jsonl", "application/jsonl", len(data)), data)
        return file_id

    async def ordered(self, requests: list[Any], **order: Any) -> str:
        answer = await self.post({"requests": requests, **order})
        assert answer.status == 200, answer.body
        return str(answer.json["id"])

    async def ordered_by_file(self, lines: list[Any] | bytes, **order: Any) -> str:
        data = lines if isinstance(lines, bytes) else jsonl(lines)
        answer = await self.post({"input_file_id": await self.file(data), "endpoint": CHAT, **order})
        assert answer.status == 200, answer.body
        return str(answer.json["id"])

    async def carried_on(self, batch_id: str) -> str | None:
        """By the batch's execution, to the state it ends in; None when that dies."""
        self.walk = Walk(self.clock, self._invoke, definition=BATCH)
        try:
            return await self.walk.run({"tenant_id": "acme", "job_id": batch_id})
        except (TaskFailed, ExecutionStopped):
            return None
        finally:
            self.executions.started[batch_id] = False

    async def _invoke(self, state: str, event: dict[str, Any]) -> dict[str, Any]:
        fate = self.fates.get(state)
        if fate is not None and fate.is_dead:
            fate = None  # of the worker that died
        try:
            return await self.worked(event, fate)
        except TaskFailed:
            if fate is not None and fate.is_dead and self.dies_whole:
                raise ExecutionStopped from None
            raise

    async def worked(self, event: dict[str, Any], fate: Fate | None = None) -> dict[str, Any]:
        """One invocation of the worker. Raises TaskFailed."""
        world = mortal(self.world, fate, self.ports) if fate else self.world
        invocation = Invocation("r-1", deadline_s=self.clock.now_s() + 900)
        try:
            if event["step"] == "tell":
                return await JobTask(world, 5.0).handle(event, invocation)
            return await BatchTask(world).handle(event, invocation)
        except Killed:
            raise TaskFailed(DIED) from None
        except Exception as error:
            raise TaskFailed(type(error).__name__) from error

    async def step(self, batch_id: str, step: str, **more: Any) -> dict[str, Any]:
        return await self.worked({"step": step, "tenant_id": "acme", "job_id": batch_id, **more})

    async def swept(self, fate: Fate | None = None, later_s: float = 60) -> SweptJobs:
        self.clock.unix_s += later_s
        world = mortal(self.world, fate, self.ports) if fate else self.world
        swept = await sweep_batches(world, at_most=10, until_s=self.clock.now_s() + 60)
        await sweep_jobs(world, at_most=10, until_s=self.clock.now_s() + 60)
        return swept

    async def swept_to_the_end(self, sweeps: int = 60) -> None:
        """For an hour, with the executions that the sweeps start."""
        for _ in range(sweeps):
            await self.swept(later_s=3_600 / sweeps)
            for batch_id, is_running in list(self.executions.started.items()):
                if is_running:
                    await self.carried_on(batch_id)

    # -- What became of it -------------------------------------------------------------------------------------------

    async def job(self, batch_id: str) -> Job:
        return await self.world.jobs.get("acme", batch_id)

    async def batch(self, batch_id: str) -> Batch:
        return batch_of(await self.job(batch_id))

    async def parts(self, batch_id: str) -> list[BatchPart]:
        return await self.world.batch_parts.all("acme", batch_id)

    async def shown(self, batch_id: str) -> dict[str, Any]:
        answer = await self.send("GET", f"/v1/batches/{batch_id}")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def lines_of(self, file_id: str | None) -> list[dict[str, Any]]:
        if file_id is None:
            return []
        stored = await self.world.files.get("acme", file_id, 2**30)
        return [json.loads(line) for line in stored.data.splitlines()]

    @property
    def told(self) -> list[Any]:
        told: list[Any] = self.world.events.told  # type: ignore[attr-defined]  # of what keeps it
        return told

    @property
    def costs(self) -> dict[str, int]:
        """By the id of the usage record. What is told twice says the same."""
        costs: dict[str, int] = {}
        for record in (told for told in self.told if isinstance(told, UsageRecord)):
            assert costs.setdefault(record.id, record.cost_nano_usd or 0) == (record.cost_nano_usd or 0)
        return costs

    @property
    def ends(self) -> dict[str, str]:
        events = [told for told in self.told if isinstance(told, AuditEvent) and told.of is not None]
        return {told.id: told.event for told in events if told.event in TERMINAL}

    async def numbers(self, account_id: str = ACCOUNTS[0]) -> dict[str, int]:
        """Of this day, by kind: committed, settled."""
        reading = await self.world.ledger.read(account_id)
        return {name[0]: value for name, value in reading.numbers.items() if name[0] in "cs" and len(name) == 11}

    async def check_books(self, before: int = 0) -> int:
        """Nothing is held, nothing runs, and both accounts have settled what the usage records say: that. `before`:
        what they had settled when this began.
        """
        cost = sum(self.costs.values())
        total = before + cost
        for account_id in ACCOUNTS:
            reading = await self.world.ledger.read(account_id)
            assert not reading.holds, account_id
            numbers = await self.numbers(account_id)
            assert (numbers.get("c", 0), numbers.get("s", 0)) == (total, total), (account_id, numbers, total)
            running = {name: value for name, value in reading.numbers.items() if name[0] in "nj" and value}
            assert not running, account_id
        return cost
