"""A gateway in memory with one tenant, one key and a provider that says what the test wants."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import settings

from gateway.entry.chat import chat_app
from gateway.entry.powertools import logger
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.tenant import Principal, Tenant
from gateway.ports import World
from tests.asgi import Answer, call
from tests.fakes import (
    ListRecords,
    MemoryAccess,
    MemoryCatalog,
    ScriptedIncoming,
    ScriptedOutbound,
    key_hash,
    principal,
    world_of,
)

settings.register_profile("check", max_examples=40, derandomize=True, deadline=None, database=None)
settings.register_profile("fuzz", max_examples=2_000, deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))

KEY = "gwk_test"
FACTS = ModelFacts(id="gpt-4o", name="GPT-4o", prices=Prices(input=2_500_000, output=10_000_000))
TENANT = Tenant(id="acme", approvals=("openai/*",), aliases={"smart": "openai/gpt-4o"})


@dataclass
class Gateway:
    world: World
    outbound: ScriptedOutbound
    access: MemoryAccess
    records: ListRecords

    def answers(self, status: int, *parts: Any, content_type: str = "application/json") -> None:
        self.outbound.answer = ScriptedIncoming(status, {"content-type": content_type}, list(parts))

    def hold(self, holder: Principal) -> None:
        self.access.held[key_hash(KEY)] = holder

    async def chat(
        self,
        body: Any,
        *,
        answer: Answer | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        extensions: dict[str, Any] | None = None,
    ) -> Answer:
        sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await call(chat_app(self.world), encoded, sent, answer=answer, extensions=extensions)


@pytest.fixture
def gateway() -> Gateway:
    access, outbound = MemoryAccess(), ScriptedOutbound(ScriptedIncoming(200, {}, []))
    retired = ModelFacts(id="gpt-3", name="GPT-3", lifecycle="deprecated", shutdown="2024-01-01")
    painter = ModelFacts(id="dall-e", name="DALL-E", api="images", source="https://example.com")
    catalog = MemoryCatalog(
        {
            "openai": {"gpt-4o": FACTS, "gpt-3": retired, "dall-e": painter},
            "groq": {"llama": ModelFacts(id="llama", name="Llama"), "both": ModelFacts(id="both", name="Both")},
            "together": {"both": ModelFacts(id="both", name="Both")},
        }
    )
    world = world_of(outbound, access, catalog)
    assert isinstance(world.records, ListRecords)
    made = Gateway(world, outbound, access, world.records)
    made.hold(principal(TENANT))
    return made


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Lines, then metrics, as Powertools writes both to standard output."""
    stream = io.StringIO()
    monkeypatch.setattr(logger().registered_handler, "stream", stream)

    def both() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        printed = capsys.readouterr().out
        return ([json.loads(line) for line in each.splitlines()] for each in (stream.getvalue(), printed))  # type: ignore[return-value]

    yield both
