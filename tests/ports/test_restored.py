"""A tenant that was deleted by mistake, brought back from a backup: administered and let in as before."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.directory import DynamoDirectory
from gateway.model.caller import Caller
from gateway.model.directory import Change
from gateway.model.record import AuditEvent
from gateway.model.tenant import Tenant
from scripts.restore_items import copy
from tests.fakes import ManualClock
from tests.ports.conftest import REGION, table_of
from tests.ports.test_directory import ACME, ALICE, DELETED, NOW_S, key, new


@pytest.fixture
def restored_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "restored", "pk", "sk")


async def test_a_deleted_tenant_is_listed_and_its_key_is_let_in_again(
    aws_url: str, dynamodb_api: AwsApi, tenants_table: str, ledger_table: str, restored_table: str
) -> None:
    directory = DynamoDirectory(dynamodb_api, tenants_table, ledger_table)
    access = DynamoAccess(dynamodb_api, tenants_table, timeout_s=5.0, clock=ManualClock())
    neighbour = new(Tenant(id="acme-dev"), "acme-dev")
    created = AuditEvent(id="req_0.changed", event="admin.tenant.created", at_s=NOW_S, tenant_id="acme")
    await directory.commit(Change((new(ACME), neighbour, new(ALICE), new(key(1, ALICE.id))), event=created), NOW_S)
    dynamodb = boto3.client("dynamodb", endpoint_url=aws_url, region_name=REGION)
    copy(dynamodb, tenants_table, restored_table)

    await directory.erase("acme", DELETED)
    await directory.erase("acme-dev", DELETED)
    assert await access.read(Caller(key_hash="hash-of-key_1")) is None
    copy(dynamodb, restored_table, tenants_table, "acme")

    holder = await access.read(Caller(key_hash="hash-of-key_1"))
    assert holder is not None
    assert (holder.key, holder.tenant, holder.user) == (key(1, ALICE.id), ACME, ALICE)
    assert [stored.value for stored in (await directory.tenants(10, None)).data] == [ACME]
    assert await directory.is_erased("acme-dev")
