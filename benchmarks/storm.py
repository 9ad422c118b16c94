"""Requests to providers that fail in every way, over real sockets, in this process: what is left of them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from benchmarks.machine import memory_mb
from gateway.adapters.catalog import FileCatalog
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.adapters.outbound import PooledIncoming, PooledOutbound
from gateway.entry.chat import chat_app
from gateway.model.http import Credential, HttpRequest, Sending
from gateway.model.limits import Allowance, Budget
from gateway.model.record import TERMINAL, AuditEvent, Told, UsageRecord
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from gateway.ports import World
from local.places import REPOSITORY
from local.simulators.app import APIS
from tests.asgi import Answer, call
from tests.fakes import MemoryAccess, MemoryCatalog, MemoryCredentials, ScriptedOutbound, key_hash, principal, world_of

AT_ONCE = 20
LIMIT_MS = 150
TICK_S = 0.02
SEED = 7
KEY = "gwk_storm"
FIRST = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash", "mistral/mistral-small-latest")
SPARE = "groq/llama-3.3-70b-versatile"
CLOSED, PLAIN, NAMELESS = "fireworks", "huggingface", "deepseek"
"""Providers that are looked for where nobody listens, where nobody speaks TLS, and under a name that is none."""
UNREACHABLE = (
    f"{CLOSED}/accounts/fireworks/models/gpt-oss-20b",
    f"{PLAIN}/meta-llama/Llama-3.3-70B-Instruct",
    f"{NAMELESS}/deepseek-chat",
)
FAULTS = (
    *("status=401", "status=408", "status=429", "status=429 retry_after=2", "status=500", "status=503", "status=529"),
    *("status=500 stall", "first_byte_s=60", "endless first_event_s=60", "pings", "stall", "endless"),
    *("cut=before_headers", "cut_after=0", "cut=mid_event", "cut=reset", "garbage", "content_type=text/html"),
    "error_after=1",
)
WELL = ""


@dataclass
class CountingEvents:
    """Of every request that has not ended yet, how many ends were told: all else is only counted."""

    ends: Counter[str] = field(default_factory=Counter)
    records: int = 0

    async def send(self, told: Sequence[Told]) -> None:
        for one in told:
            if isinstance(one, AuditEvent) and one.of is not None and one.event in TERMINAL:
                self.ends[one.of.request_id] += 1
            self.records += isinstance(one, UsageRecord)


@dataclass(frozen=True, slots=True)
class Left:
    """What this process has open. `pooled`: connections that are in use."""

    sockets: int
    tasks: int
    pooled: int
    holds: int
    objects: int
    memory_mb: float


@dataclass
class Gathered:
    """`late_ms`: how long after their time requests ended, less than 0 of those before. `codes`: how, "left" where they
    were broken off. `lag_ms`: how late this process itself was, where nobody was waited for.
    """

    codes: Counter[str] = field(default_factory=Counter)
    late_ms: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Planned:
    """`limit_ms`: of all its attempts together."""

    body: dict[str, Any]
    limit_ms: int
    leaves_after_s: float | None


class Storm:
    """A gateway in memory, whose providers are reached over sockets."""

    def __init__(self, simulators: str, closed_port: int) -> None:
        self.client = HttpClient(trust=ssl.create_default_context(), looks_again=True)
        self.events, self.gathered = CountingEvents(), Gathered()
        self._random = random.Random(SEED)  # noqa: S311 - nothing secret
        self._world = self._made(simulators, closed_port)
        self._app = chat_app(self._world)

    def _made(self, simulators: str, closed_port: int) -> World:
        access = MemoryAccess()
        allowance = Allowance(budgets=(Budget(window="month", usd=Decimal(1_000_000)),))
        access.held[key_hash(KEY)] = principal(Tenant(id="storm", approvals=("*",), allowance=allowance))
        urls = {api.name: f"{simulators}{api.prefix}" for api in APIS}
        urls |= {CLOSED: f"http://127.0.0.1:{closed_port}/v1", NAMELESS: "https://provider.invalid/v1"}
        urls[PLAIN] = f"{simulators.replace('http:', 'https:')}/v1"
        held = {name: Credential(Secret(f"sim-{name}"), url) for name, url in urls.items()}
        world = world_of(ScriptedOutbound(RuntimeError("asked by nobody")), access, MemoryCatalog({}))
        return replace(
            world,
            catalog=FileCatalog(REPOSITORY / "shared" / "catalog"),
            credentials=MemoryCredentials(held),
            outbound=NotingOutbound(PooledOutbound(self.client)),
            clock=SystemClock(),
            events=self.events,
            records=NoRecords(),
        )

    async def run(self, requests: int) -> None:
        """So many, some at once; returns when all have ended."""
        plans = iter([self._plan(number) for number in range(requests)])
        ticking = asyncio.ensure_future(self._tick())
        await asyncio.gather(*(self._worker(plans) for _ in range(AT_ONCE)))
        ticking.cancel()

    def begin_anew(self) -> None:
        """Forgets what was counted."""
        self.gathered = Gathered()
        self.events.ends.clear()

    async def _tick(self) -> None:
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(TICK_S)
            self.gathered.lag_ms.append((time.monotonic() - began_s - TICK_S) * 1000)

    async def _worker(self, plans: Iterator[Planned]) -> None:
        for plan in plans:
            await self._send(plan)

    def _plan(self, number: int) -> Planned:
        chance = self._random
        fault = (*FAULTS, WELL)[number % (len(FAULTS) + 1)]
        model = chance.choice(FIRST) if number % 10 else chance.choice(UNREACHABLE)
        body: dict[str, Any] = {"model": model, "stream": chance.random() < 0.5, "max_tokens": 50}
        body["messages"] = [{"role": "user", "content": f"[[{fault}]] Hello" if fault else "Hello"}]
        if (others := chance.randrange(3)) and model != SPARE:
            strategy = "parallel" if chance.random() < 0.3 else "sequential"
            body["fallback"] = {"models": [SPARE, *FIRST][:others], "strategy": strategy}
        body["timeouts"] = {"total_ms": LIMIT_MS}
        if body["stream"] and chance.random() < 0.5:
            body["timeouts"]["ttft_ms"] = LIMIT_MS
        fallback = body.get("fallback", {"models": [], "strategy": "parallel"})
        at_once = fallback["strategy"] == "parallel"
        return Planned(
            body,
            LIMIT_MS * (1 if at_once else len(fallback["models"]) + 1),
            chance.random() * 0.1 if chance.random() < 0.05 else None,
        )

    async def _send(self, plan: Planned) -> None:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        began_s, answer, asking = time.monotonic(), Answer(), Asking()
        _asking.set(asking)
        work = asyncio.ensure_future(call(self._app, json.dumps(plan.body).encode(), headers, answer=answer))
        if plan.leaves_after_s is not None:
            await _break_off(work, asking, answer, plan.leaves_after_s)
        with suppress(asyncio.CancelledError):
            self.gathered.codes[_code_of(await work)] += 1
            self.gathered.late_ms.append((time.monotonic() - began_s) * 1000 - plan.limit_ms)
            return
        self.gathered.codes["left"] += 1

    async def left(self) -> Left:
        """Once what was closed is gone: a socket is one loop's turn later."""
        for _ in range(20):
            await asyncio.sleep(0.01)
        gc.collect()
        ledger = cast(MemoryLedger, self._world.ledger)
        holds = sum([len(reading.holds) async for _, reading in ledger.accounts()])
        memory, _ = memory_mb(os.getpid())
        return Left(
            _sockets(), len(asyncio.all_tasks()), self.client.connections_in_use, holds, len(gc.get_objects()), memory
        )


@dataclass
class Asking:
    """Of one request: how many providers work on it, and whether any ever has."""

    open: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)


_asking: ContextVar[Asking] = ContextVar("asking")
"""Of the request that is served here."""


class NotingOutbound:
    def __init__(self, outbound: PooledOutbound) -> None:
        self._outbound = outbound

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[PooledIncoming]:
        asking = _asking.get()
        asking.open += 1
        asking.begun.set()
        try:
            async with self._outbound.open(request, sending) as incoming:
                yield incoming
        finally:
            asking.open -= 1


class NoRecords:
    """Lines for a log that nobody reads. `troubles`: what the gateway could not do, by name."""

    def __init__(self) -> None:
        self.troubles: Counter[str] = Counter()

    def trouble(self, event: str, **_facts: Any) -> None:
        self.troubles[event] += 1

    def write(self, line: Any) -> None:
        pass


@contextmanager
def closed_port() -> Iterator[int]:
    """One that nobody else may take, and where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


async def _break_off(work: asyncio.Task[Answer], asking: Asking, answer: Answer, after_s: float) -> None:
    """As the function's own deadline does: while a provider works. What it leaves of one whose books are being written
    is the sweeper's: part E.
    """
    beginning = asyncio.ensure_future(asking.begun.wait())
    await asyncio.wait([work, beginning], return_when=asyncio.FIRST_COMPLETED)
    beginning.cancel()
    await asyncio.wait([work], timeout=after_s)
    if asking.open and "last" not in answer.log:
        work.cancel()


def _code_of(answer: Answer) -> str:
    if answer.status >= 400:
        return str(answer.json["error"]["code"])
    said = answer.body
    return str(json.loads(said.rsplit(b"data: ", 1)[1])["error"]["code"]) if b'data: {"error"' in said else "ok"


def _sockets() -> int:
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of this very listing
            found += entry.readlink().name.startswith("socket:")
    return found
