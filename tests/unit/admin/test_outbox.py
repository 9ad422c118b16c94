"""An administrator's change and the event that tells of it: both are there in the end, or neither, whoever dies."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from gateway.entry.admin import admin_app
from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent
from gateway.model.tenant import Tenant
from gateway.pipeline.outbox import AFTER_S, tell_what_was_left
from gateway.record_ports import SweepWorld
from tests.dying import Fate, Killed, Mortal
from tests.fakes import ListRecords
from tests.record_fakes import FixedHolders
from tests.unit.admin.conftest import AUTH, Office

BETWEEN = 4
ACME = {"id": "acme", "approvals": ["openai/*"]}
CHANGES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "admin.tenant.created": ("POST", "/tenants", {"id": "other"}),
    "admin.tenant.changed": ("PATCH", "/tenants/acme", {"approvals": []}),
    "admin.tenant.disabled": ("POST", "/tenants/acme/disable", None),
    "admin.user.created": ("PUT", "/tenants/acme/users/bob", {}),
    "admin.key.issued": ("POST", "/tenants/acme/keys", {"user_id": "alice"}),
    "admin.tenant.deleted": ("DELETE", "/tenants/gone", None),
}


async def ask(office: Office, method: str, path: str, body: Any, fate: Fate | None = None) -> int:
    """The status of one request to a function that dies by that fate."""
    fate = fate or Fate()
    ports = {name: Mortal(getattr(office.world, name), fate) for name in ("directory", "events", "outbox", "ledger")}
    app = admin_app(replace(office.world, **ports), office.usage)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/admin", headers=AUTH) as client:
        return (await client.request(method, path, json=body)).status_code


async def office_with_tenants(office: Office) -> Office:
    for tenant in (ACME, {"id": "gone", "status": "disabled"}):
        assert await ask(office, "POST", "/tenants", tenant) == 201
    office.events.told.clear()
    return office


async def sweep(office: Office, fate: Fate | None = None) -> ListRecords:
    records = ListRecords()
    events, outbox = Mortal(office.events, fate or Fate()), Mortal(office.directory, fate or Fate())
    world = SweepWorld(office.ledger, office.usage, FixedHolders(), events, outbox, records, office.clock)
    await tell_what_was_left(world)
    return records


async def change_and_die(office: Office) -> None:
    """The steps of the request: 0-1 read, 2-3 commit, 4-5 tell, 6-7 forget."""
    fate = Fate(BETWEEN)
    with suppress(Killed):
        await ask(office, "PATCH", "/tenants/acme", {"approvals": []}, fate)
    assert fate.is_dead
    assert office.directory.held[Tenant, "acme", "acme"].value.approvals == ()


def told(office: Office) -> set[tuple[str, str]]:
    return {(event.id, event.event) for event in office.events.told if isinstance(event, AuditEvent)}


@pytest.mark.parametrize("event", CHANGES)
async def test_wherever_the_function_dies_a_change_is_told_and_what_was_none_is_not(office: Office, event: str) -> None:
    method, path, body = CHANGES[event]
    for at in range(100):
        office.directory.held.clear()
        office.directory.erased.clear()
        before = dict((await office_with_tenants(office)).directory.held)
        fate = Fate(at)
        with suppress(Killed):
            await ask(office, method, path, body, fate)
        has_changed = office.directory.held != before
        office.clock.unix_s += AFTER_S
        await sweep(office)
        assert [name for _, name in told(office)] == ([event] if has_changed else []), at
        assert office.directory.outbox == {}
        if not fate.is_dead:
            break
    assert not fate.is_dead
    assert has_changed


async def test_between_commit_and_telling_the_sweeper_tells_and_says_so(office: Office) -> None:
    await office_with_tenants(office)
    await change_and_die(office)
    assert told(office) == set()
    office.clock.unix_s += AFTER_S
    records = await sweep(office)
    [(event_id, name)] = told(office)
    assert name == "admin.tenant.changed"
    assert records.troubles == [{"event": "sweep.told", "id": event_id, "tenant_id": "acme"}]
    assert (await sweep(office)).troubles == []


async def test_a_sweeper_that_dies_tells_again_under_the_same_id(office: Office) -> None:
    await office_with_tenants(office)
    await change_and_die(office)
    office.clock.unix_s += AFTER_S
    for at in range(10):
        fate = Fate(at)
        with suppress(Killed):
            await sweep(office, fate)
    await sweep(office)
    assert len(told(office)) == 1
    assert office.directory.outbox == {}


async def test_what_the_function_is_about_to_tell_the_sweeper_leaves_alone(office: Office) -> None:
    await office_with_tenants(office)
    await change_and_die(office)
    office.clock.unix_s += AFTER_S - 1
    await sweep(office)
    assert told(office) == set()


async def test_a_store_that_does_not_answer_is_asked_by_the_next_sweep(office: Office) -> None:
    async def waiting(until_s: float) -> list[AuditEvent]:
        raise StorageUnavailable("Not now.")

    office.directory.waiting = waiting  # type: ignore[method-assign]
    records = await sweep(office)
    assert records.troubles == [{"event": "sweep.failed", "reason": "Not now."}]


async def test_a_change_that_is_told_leaves_nothing_in_the_outbox(office: Office) -> None:
    await office_with_tenants(office)
    assert office.directory.outbox == {}
    assert await ask(office, "PATCH", "/tenants/acme", {"shards": 3}) == 200
    assert (len(told(office)), office.directory.outbox) == (1, {})
