"""A client of the gateway's sessions without AWS: the functions as they are, in one process, over memory, and the
simulated providers over real sockets.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.adapters.catalog import FileCatalog
from gateway.adapters.clock import SystemClock
from gateway.adapters.provider_socket import WebSockets
from gateway.entry.realtime import RealtimeFunction
from gateway.entry.realtime_session import realtime_session_handler
from gateway.entry.runtime.client import Invocation
from gateway.health_ports import AllHealthy, Vitals
from gateway.model.http import Credential
from gateway.model.realtime_call import Terms
from gateway.model.realtime_session import Link
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from gateway.ports import World
from gateway.realtime_ports import Voice
from tests.fakes import (
    ListEvents,
    ListRecords,
    MemoryAccess,
    MemoryCatalog,
    MemoryCredentials,
    ScriptedIncoming,
    ScriptedOutbound,
    key_hash,
    principal,
    world_of,
)
from tests.realtime_fakes import MemoryClients, MemoryClientSecrets, MemoryFrames, MemoryHolders, MemorySessions
from tests.simulators.process import KEY, ROOT, Simulator
from tests.unit.facts.sockets import check

PREFIXES = {"openai": "/openai/v1", "google": "/google"}
MODELS = {"openai": "openai/gpt-realtime-2.1", "google": "google/gemini-3.1-flash-live-preview"}
TENANT = Tenant(id="acme", approvals=("*",))
CLIENT_KEY = "gwk_test"
CONNECTION = "c0nn="
FRAME_BYTES = 4_800
"""100 ms at 24 kHz."""
HELD_S = 900.0


@dataclass
class Caller:
    """`epochs`: the functions that hold the session, by epoch."""

    name: str
    world: World
    voice: Voice
    function: RealtimeFunction
    clients: MemoryClients
    sessions: MemorySessions
    epochs: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    looked_at: int = 0
    said: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def says(self, kind: str, **members: Any) -> None:
        self.said += 1
        context = {**_context("MESSAGE"), "messageId": f"m{self.said:05}"}
        event = {"requestContext": context, "body": json.dumps({"type": kind, **members})}
        assert await self.function.handle(event, _invocation()) == {"statusCode": 200}

    async def configures(self, **session: Any) -> None:
        audio = {"input": {"transcription": {"model": "whisper-1"} if self.name == "openai" else {}}}
        await self.says("session.update", session={"type": "realtime", "audio": audio, **session})

    async def speaks(self, words: str) -> bytes:
        """Half a second, and as much silence; gives the samples."""
        written = f"<<{words}>>".encode()
        sound = written + b"\x10\x20" * ((24_000 - len(written)) // 2) + bytes(24_000 + len(written) % 2)
        for at in range(0, len(sound), FRAME_BYTES):
            await self.says("input_audio_buffer.append", audio=b64encode(sound[at : at + FRAME_BYTES]).decode())
        return sound

    async def sends_sound(self, messages: int, seconds: float) -> None:
        """Silence, at once: so many messages of so many seconds."""
        silence = b64encode(bytes(int(seconds * 48_000))).decode()
        for _ in range(messages):
            await self.says("input_audio_buffer.append", audio=silence)

    async def until(self, kind: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """The next event of this type, past those that were awaited before."""
        return await self.until_any(kind, timeout_s=timeout_s)

    async def until_any(self, *kinds: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """The next event of one of these types."""
        async with asyncio.timeout(timeout_s):
            while True:
                for event in self.events[self.looked_at :]:
                    self.looked_at += 1
                    if event["type"] in kinds:
                        return event
                self.news.clear()
                await self.news.wait()

    def check_events(self) -> None:
        """That they are as published, each type by its first ones."""
        for kind in self.kinds:
            for event in [event for event in self.events if event["type"] == kind][:20]:
                check(event)

    async def leaves(self) -> None:
        self.clients.gone.add(CONNECTION)
        await self.function.handle({"requestContext": _context("DISCONNECT")}, _invocation())

    async def ended(self, timeout_s: float = 10.0) -> None:
        """Until nobody holds it any more."""
        async with asyncio.timeout(timeout_s):
            while not all(task.done() for task in self.epochs.values()):
                await asyncio.gather(*self.epochs.values())

    async def ended_but_the_first(self, timeout_s: float = 10.0) -> None:
        """Where the first was killed."""
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*(task for epoch, task in self.epochs.items() if epoch > 1))

    @property
    def outcomes(self) -> list[str]:
        return [task.result()["outcome"] for task in self.epochs.values()]

    @property
    def sound(self) -> bytes:
        deltas = [event["delta"] for event in self.events if event["type"] == "response.output_audio.delta"]
        return b"".join(map(b64decode, deltas))

    @property
    def kinds(self) -> set[str]:
        return {event["type"] for event in self.events}

    @property
    def usage_records(self) -> list[UsageRecord]:
        assert isinstance(self.world.events, ListEvents)
        return [told for told in self.world.events.told if isinstance(told, UsageRecord)]

    @property
    def ending(self) -> AuditEvent:
        assert isinstance(self.world.events, ListEvents)
        [ended] = [told for told in self.world.events.told if isinstance(told, AuditEvent) and "ended" in told.id]
        return ended

    @property
    def troubles(self) -> list[str]:
        assert isinstance(self.world.records, ListRecords)
        return [trouble["event"] for trouble in self.world.records.troubles]

    def revoke(self) -> None:
        """Its key."""
        access = self.world.access
        assert isinstance(access, MemoryAccess)
        access.held[key_hash(CLIENT_KEY)] = principal(TENANT, status="revoked")

    def holds(self, tenant: Tenant) -> None:
        """That is how it is set from now on."""
        access = self.world.access
        assert isinstance(access, MemoryAccess)
        access.held[key_hash(CLIENT_KEY)] = principal(tenant)

    async def held(self) -> int:
        return sum([len(reading.holds) async for _, reading in self.world.ledger.accounts()])

    async def held_nano_usd(self) -> int:
        """Of the one account with the most."""
        accounts = [reading.holds.values() async for _, reading in self.world.ledger.accounts()]
        return max(sum(hold.cost_nano_usd for hold in holds) for holds in accounts)

    def spent_nano_usd(self) -> int:
        return sum(record.cost_nano_usd or 0 for record in self.usage_records)


def _context(kind: str) -> dict[str, Any]:
    now_ms = int(SystemClock().now_s() * 1000)
    ids = {"connectionId": CONNECTION, "apiId": "a1", "stage": "realtime", "requestId": "r1"}
    return {"eventType": kind, "requestTimeEpoch": now_ms, **ids}


def _invocation() -> Invocation:
    return Invocation("lambda_1", SystemClock().now_s() + HELD_S)


@asynccontextmanager
async def calling(
    simulator: Simulator,
    name: str,
    terms: Terms | None = None,
    tenant: Tenant = TENANT,
    *,
    health: Vitals | None = None,
    model: str = "",
) -> AsyncIterator[Caller]:
    """`name`: of the provider. `model`: as the client calls it, where that is no id of a model."""
    terms = terms or Terms(window_ms=30)
    access, clock = MemoryAccess({key_hash(CLIENT_KEY): principal(tenant)}), SystemClock()
    credentials = {one: Credential(Secret(KEY), base_url=simulator.url + prefix) for one, prefix in PREFIXES.items()}
    outbound = ScriptedOutbound(ScriptedIncoming(200, {}, []))
    world = replace(
        world_of(outbound, access, MemoryCatalog({})),
        clock=clock,
        catalog=FileCatalog(ROOT / "shared" / "catalog"),
        credentials=MemoryCredentials(credentials),
        health=health or AllHealthy(),
    )
    holders, clients, sessions = MemoryHolders(), MemoryClients(), MemorySessions()
    voice = Voice(sessions, MemoryFrames(), clients, holders, MemoryClientSecrets())
    caller = Caller(name, world, voice, RealtimeFunction(world, voice, terms), clients, sessions)
    holder = realtime_session_handler(world, voice, WebSockets(), terms)

    def start(connection_id: str, epoch: int) -> None:
        order = {"connection_id": connection_id, "epoch": epoch}
        if epoch not in caller.epochs:
            caller.epochs[epoch] = asyncio.ensure_future(holder.handle(order, _invocation()))

    async def posted(_link: Link, message: bytes) -> None:
        caller.events.append(json.loads(message))
        caller.news.set()

    holders.on_start, clients.on_post = start, posted
    event = {
        "requestContext": _context("CONNECT"),
        "headers": {"Authorization": f"Bearer {CLIENT_KEY}"},
        "queryStringParameters": {"model": model or MODELS[name]},
    }
    answer = await caller.function.handle(event, _invocation())
    assert answer["statusCode"] == 200, answer
    try:
        yield caller
        caller.check_events()
    finally:
        for task in caller.epochs.values():
            task.cancel()
        await asyncio.gather(*caller.epochs.values(), return_exceptions=True)
