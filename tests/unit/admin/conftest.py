"""The administration in memory, and a client with the administrator's key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.adapters.webhook_urls import GuardedUrls
from gateway.admin_ports import AdminWorld
from gateway.entry.admin import admin_app
from gateway.model.catalog import ModelFacts
from gateway.model.record import AuditEvent
from tests.directory import FixedAdminKey, MemoryDirectory
from tests.fakes import ListEvents, ListExecutions, ManualClock, MemoryCatalog, MemoryJobs, RootedWebhookSecrets
from tests.record_fakes import MemoryUsage
from tests.unit.admin.contract import keeps_the_contract

ADMIN_KEY = "the-administrators-key-of-48-characters-or-so-as"
AUTH = {"authorization": f"Bearer {ADMIN_KEY}"}
CATALOG = {
    "openai": {"gpt-4o": ModelFacts(id="gpt-4o", name="GPT-4o")},
    "groq": {"both": ModelFacts(id="both", name="Both")},
    "together": {"both": ModelFacts(id="both", name="Both")},
}


@dataclass
class Office:
    """What the administration stands on, and what it told."""

    directory: MemoryDirectory
    ledger: MemoryLedger
    events: ListEvents
    admin_key: FixedAdminKey
    clock: ManualClock
    usage: MemoryUsage
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    executions: ListExecutions = field(default_factory=ListExecutions)
    webhook_secrets: RootedWebhookSecrets = field(default_factory=RootedWebhookSecrets)

    @property
    def world(self) -> AdminWorld:
        return AdminWorld(
            admin_key=self.admin_key,
            directory=self.directory,
            outbox=self.directory,
            ledger=self.ledger,
            events=self.events,
            catalog=MemoryCatalog(CATALOG),
            webhook_urls=GuardedUrls(),
            webhook_secrets=self.webhook_secrets,
            jobs=self.jobs,
            executions=self.executions,
            clock=self.clock,
        )

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Names of the events so far, with what they say beyond the request's id."""
        events = [event for event in self.events.told if isinstance(event, AuditEvent)]
        assert len({event.id for event in events}) == len(events)
        return [
            (event.event, {name: fact for name, fact in event.facts.items() if name not in ("request_id", "source_ip")})
            for event in events
        ]


@pytest.fixture
def office() -> Office:
    ledger = MemoryLedger()
    admin_key, clock = FixedAdminKey(ADMIN_KEY), ManualClock()
    return Office(MemoryDirectory(ledger), ledger, ListEvents(), admin_key, clock, MemoryUsage(clock))


@pytest.fixture
async def client(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(admin_app(office.world, office.usage), raise_app_exceptions=False)
    hooks = {"response": [keeps_the_contract]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway/admin", headers=AUTH, event_hooks=hooks
    ) as client:
        yield client


@pytest.fixture
async def acme(client: httpx.AsyncClient) -> str:
    """A tenant."""
    answer = await client.post("/tenants", json={"id": "acme", "approvals": ["openai/*"]})
    assert answer.status_code == 201
    return "acme"


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]
