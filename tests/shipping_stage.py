"""Batches over providers that have their own, simulated in memory: they work on as they are looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway.model.catalog import ModelFacts, Prices, ServiceTier
from gateway.model.http import Credential, HttpRequest, Sending
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.secret import Secret
from local.simulators.batches import Batch
from local.simulators.http1 import Request
from local.simulators.providers.anthropic import Anthropic
from local.simulators.providers.google import Google
from local.simulators.providers.openai import OpenAI
from local.simulators.wire import Api, Filed, Refused, Reply
from tests.batch_stage import BATCH_PORTS, Stage
from tests.fakes import (
    MemoryAccess,
    MemoryCatalog,
    ScriptedIncoming,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, TENANT

PRICES = Prices(input=1_000_000, output=2_000_000)
HALF = {"batch": ServiceTier(prices=Prices(input=500_000, output=1_000_000))}
NATIVE_PORTS = (*BATCH_PORTS, "carriers", "shipments")


def _model(api: str) -> ModelFacts:
    return ModelFacts(
        id="gpt",
        name="gpt",
        api=api,
        prices=PRICES,
        service_tiers=HALF,
        context_tokens=1_000,
        capabilities=("batch",),
        source="https://models.example",
    )


MODELS = {
    "openai": {"gpt": _model("chat_completions")},
    "anthropic": {"gpt": _model("messages")},
    "google": {"gpt": _model("generate_content")},
}


@dataclass
class Providers:
    """`refused`: statuses with which the next creations of a batch are refused. `faults`: those of other requests, by
    method and how their path ends. `on_ask`: what happens at each request, by its method and path. `made`: what the
    items ask of each batch that was made, deleted ones too.
    """

    apis: dict[str, Api] = field(default_factory=lambda: {api.name: api for api in (OpenAI(), Anthropic(), Google())})
    asked: list[tuple[str, str]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    faults: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    made: list[list[str]] = field(default_factory=list)
    on_ask: Callable[[str, str], None] | None = None

    def batches(self, provider: str = "openai") -> list[Batch]:
        """Newest first."""
        found: list[Batch] = self.apis[provider]._batches._batches.newest()  # type: ignore[attr-defined]
        return found

    def given(self) -> Counter[str]:
        """How often each item was given to any provider, by what it asks."""
        return Counter(item for made in self.made for item in made)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        note_sent(sending)
        parts = urlsplit(request.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.asked.append((request.method, parts.path))
        if self.on_ask is not None:
            self.on_ask(request.method, parts.path)
        reply = self._reply(Request(request.method, target, {"host": "sim", **request.headers}, request.body))
        headers = {name.lower(): value for name, value in reply.headers}
        yield ScriptedIncoming(reply.status, headers, [reply.body])

    def _reply(self, request: Request) -> Reply:
        api = self.apis[request.path.split("/")[1]]
        if self._creates(request) and self.refused:
            return api.refuse(Refused("fault", "Not now.", status=self.refused.pop(0)))
        for (method, ending), statuses in self.faults.items():
            if request.method == method and request.path.endswith(ending) and statuses:
                return api.refuse(Refused("fault", "Not now.", status=statuses.pop(0)))
        try:
            said = api.read(request, request.path[len(api.root) :])
        except Refused as refused:
            return api.refuse(refused)
        assert isinstance(said, Filed), said
        if self._creates(request):
            newest = self.batches(api.name)[0]
            self.made.append([f"{api.name}: {item.ask!r}" for item in newest.items])
        return said.reply

    def _creates(self, request: Request) -> bool:
        path = request.path
        return request.method == "POST" and path.endswith(("/batches", ":batchGenerateContent"))


@dataclass
class NativeStage(Stage):
    providers: Providers = field(default_factory=Providers)

    @classmethod
    def native(cls, **changes: Any) -> NativeStage:
        budget = Budget(window="month", usd=Decimal(100))
        allowance = Allowance(limits=(Limits(concurrent_jobs=3),), budgets=(budget,), alerts=(1,))
        tenant = msgspec.structs.replace(TENANT, **{"approvals": ("*",), "allowance": allowance, **changes})
        access, providers = MemoryAccess({key_hash(KEY): principal(tenant)}), Providers()
        world = world_of(providers, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers what it is asked
        held = {
            name: Credential(Secret("sim-key"), base_url=f"http://sim{api.prefix}")
            for name, api in providers.apis.items()
        }
        world.credentials.held.update(held)  # type: ignore[attr-defined]  # of what keeps it
        stage = cls(world, providers, access, providers=providers)  # type: ignore[arg-type]  # as above
        stage.ports = NATIVE_PORTS
        return stage

    async def swept_to_the_end(self, sweeps: int = 60) -> None:
        """With what workers bring in that are asked to."""
        asked: list[str] = self.world.batch_workers.asked  # type: ignore[attr-defined]  # of what keeps it
        for _ in range(sweeps):
            await super().swept_to_the_end(1)
            for batch_id in dict.fromkeys(asked):
                await self.step(batch_id, "bring_in")
            asked.clear()
