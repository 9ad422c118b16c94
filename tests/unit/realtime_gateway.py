"""A gateway in memory to which clients speak: API Gateway's events in, what is posted to connections out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.entry.realtime import RealtimeFunction
from gateway.entry.realtime_secrets import ROUTE as SECRETS_ROUTE
from gateway.entry.realtime_secrets import realtime_secrets_app
from gateway.entry.runtime.client import Invocation
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.realtime_call import Terms
from gateway.model.record import UsageRecord
from gateway.model.tenant import Tenant
from gateway.ports import World
from gateway.realtime_ports import Voice
from tests.asgi import Answer, call
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
from tests.realtime_fakes import MemoryClients, MemoryClientSecrets, MemoryFrames, MemoryHolders, MemorySessions
from tests.unit.conftest import KEY

CONNECTION = "c0nn="
PRICES = Prices(input=4_000_000, output=16_000_000, cache_read=400_000, input_audio=32_000_000, output_audio=64_000_000)
VOICE = ModelFacts(
    id="gpt-realtime",
    name="",
    api="realtime",
    source="x",
    capabilities=("realtime", "tools"),
    context_tokens=32_000,
    max_output_tokens=4_096,
    prices=PRICES,
)
MODELS = {
    "openai": {
        "gpt-realtime": VOICE,
        "whisper-1": ModelFacts(id="whisper-1", name="", api="transcription", source="x"),
        "gpt-4o": ModelFacts(id="gpt-4o", name="", source="x"),
    }
}
TENANT = Tenant(id="acme", approvals=("openai/*",), aliases={"voice": "openai/gpt-realtime"})
INVOCATION = Invocation("lambda_1", 2_000_000_000.0)


@dataclass
class RealtimeGateway:
    terms: Terms = field(default_factory=Terms)
    clock: ManualClock = field(default_factory=ManualClock)
    access: MemoryAccess = field(default_factory=MemoryAccess)
    sessions: MemorySessions = field(default_factory=MemorySessions)
    frames: MemoryFrames = field(default_factory=MemoryFrames)
    clients: MemoryClients = field(default_factory=MemoryClients)
    holders: MemoryHolders = field(default_factory=MemoryHolders)
    secrets: MemoryClientSecrets = field(default_factory=MemoryClientSecrets)
    said: int = 0

    def __post_init__(self) -> None:
        outbound = ScriptedOutbound(ScriptedIncoming(200, {}, []))
        self.world: World = replace(world_of(outbound, self.access, MemoryCatalog(MODELS)), clock=self.clock)
        self.voice = Voice(self.sessions, self.frames, self.clients, self.holders, self.secrets)
        self.function = RealtimeFunction(self.world, self.voice, self.terms)
        self.hold(TENANT)

    def hold(self, tenant: Tenant, **key: Any) -> None:
        self.access.held[key_hash(KEY)] = principal(tenant, **key)

    @property
    def records(self) -> ListRecords:
        assert isinstance(self.world.records, ListRecords)
        return self.world.records

    @property
    def usage_records(self) -> list[UsageRecord]:
        assert isinstance(self.world.events, ListEvents)
        return [told for told in self.world.events.told if isinstance(told, UsageRecord)]

    async def connect(
        self, model: str | None = "voice", headers: dict[str, str] | None = None, connection_id: str = CONNECTION
    ) -> dict[str, Any]:
        event = {
            "requestContext": self._context("CONNECT", connection_id),
            "headers": {"Authorization": f"Bearer {KEY}"} if headers is None else headers,
            "queryStringParameters": None if model is None else {"model": model},
        }
        return await self.function.handle(event, INVOCATION)

    async def make_secret(self, body: Any, key: str = KEY, content_type: str = "application/json") -> Answer:
        sent = {"authorization": f"Bearer {key}", "content-type": content_type}
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await call(realtime_secrets_app(self.world, self.secrets), encoded, sent, path=SECRETS_ROUTE)

    async def say(self, body: Any, connection_id: str = CONNECTION, at_ms: int | None = None) -> dict[str, Any]:
        self.said += 1
        context = {**self._context("MESSAGE", connection_id), "messageId": f"m{self.said:04}"}
        if at_ms is not None:
            context["requestTimeEpoch"] = at_ms
        text = body if isinstance(body, str) else json.dumps(body)
        return await self.function.handle({"requestContext": context, "body": text}, INVOCATION)

    async def leave(self, connection_id: str = CONNECTION) -> dict[str, Any]:
        return await self.function.handle({"requestContext": self._context("DISCONNECT", connection_id)}, INVOCATION)

    def _context(self, kind: str, connection_id: str) -> dict[str, Any]:
        return {
            "eventType": kind,
            "connectionId": connection_id,
            "apiId": "a1b2",
            "stage": "realtime",
            "requestId": "r1",
            "requestTimeEpoch": int(self.clock.now_s() * 1000),
        }
