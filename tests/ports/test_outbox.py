"""Events that wait beside what they tell of, in memory and in DynamoDB."""

from __future__ import annotations

import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.directory import DynamoDirectory
from gateway.adapters.aws.outbox import DynamoOutbox
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.admin_ports import Directory, Outbox
from gateway.model.directory import Change, NotCommitted, Write
from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent
from gateway.model.tenant import Tenant
from tests.directory import MemoryDirectory

NOW_S = 1_790_000_000
Stores = tuple[Directory, Outbox]


def event(number: int, tenant_id: str = "acme") -> AuditEvent:
    return AuditEvent(
        id=f"req_{number}.changed",
        event="admin.tenant.created",
        at_s=NOW_S + number + 0.5,
        tenant_id=tenant_id,
        actor="admin",
        facts={"fields": ["approvals"]},
    )


def change(number: int) -> Change:
    tenant = Tenant(id=f"tenant-{number}")
    return Change((Write(tenant.id, tenant, None, NOW_S),), event=event(number))


@pytest.fixture(params=["memory", "dynamodb"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        directory = MemoryDirectory(MemoryLedger())
        return directory, directory
    api, table = request.getfixturevalue("dynamodb_api"), request.getfixturevalue("tenants_table")
    return DynamoDirectory(api, table, request.getfixturevalue("ledger_table")), DynamoOutbox(api, table)


async def test_it_waits_with_the_change_until_it_is_told(stores: Stores) -> None:
    directory, outbox = stores
    for number in (2, 1, 3):
        await directory.commit(change(number), NOW_S)
    assert await outbox.waiting(NOW_S + 1) == []
    assert await outbox.waiting(NOW_S + 3) == [event(1), event(2)]
    await outbox.told("req_1.changed")
    await outbox.told("req_1.changed")
    assert await outbox.waiting(NOW_S + 60) == [event(2), event(3)]


async def test_a_change_that_is_none_leaves_no_event(stores: Stores) -> None:
    directory, outbox = stores
    await directory.commit(change(1), NOW_S)
    with pytest.raises(NotCommitted):
        await directory.commit(Change(change(1).writes, event=event(2)), NOW_S)
    assert await outbox.waiting(NOW_S + 60) == [event(1)]


async def test_an_erased_tenant_s_event_outlives_it(stores: Stores) -> None:
    directory, outbox = stores
    await directory.commit(change(1), NOW_S)
    await directory.erase("tenant-1", event(9))
    assert await outbox.waiting(NOW_S + 60) == [event(1), event(9)]


async def test_there_may_be_many(stores: Stores) -> None:
    directory, outbox = stores
    for number in range(40):
        await directory.commit(Change(event=event(number)), NOW_S)
    found = await outbox.waiting(NOW_S + 60)
    assert found == [event(number) for number in range(40)]


async def test_a_store_that_is_not_there(dynamodb_api: AwsApi) -> None:
    outbox = DynamoOutbox(dynamodb_api, "no-such-table")
    with pytest.raises(StorageUnavailable):
        await outbox.waiting(NOW_S)
    with pytest.raises(StorageUnavailable):
        await outbox.told("req_1.changed")
