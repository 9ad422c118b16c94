"""What the pipeline relies on of a key store, in memory and in DynamoDB."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from decimal import Decimal

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.keys import DynamoKeys
from gateway.adapters.http_client import HttpClient
from gateway.model.errors import AdmissionUnavailable
from gateway.model.tenant import Principal, Tenant
from gateway.ports import Keys
from tests.fakes import MemoryKeys
from tests.ports.conftest import REGION, aws_api

Put = Callable[[str, Principal], None]
ALICE = Principal(Tenant("acme", "active", ("openai/*",), {"fast": "openai/gpt-4o-mini"}), "alice")


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> tuple[Keys, Put]:
    """A store, and how something gets into it."""
    if request.param == "memory":
        memory = MemoryKeys()
        return memory, memory.held.__setitem__
    table_name = request.getfixturevalue("tenants_table")
    url = request.getfixturevalue("aws_url")
    table = boto3.resource("dynamodb", endpoint_url=url, region_name=REGION).Table(table_name)

    def put(key_hash: str, principal: Principal) -> None:
        key = {"tenant_id": principal.tenant.id, "user_id": principal.user_id, "status": principal.key_status}
        expiry = {} if principal.expires_at_s is None else {"expires_at": principal.expires_at_s}
        table.put_item(Item={"pk": f"K#{key_hash}", "sk": "K", **key, **expiry})
        tenant = principal.tenant
        facts = {"status": tenant.status, "approvals": list(tenant.approvals), "aliases": tenant.aliases}
        table.put_item(Item={"pk": f"T#{tenant.id}", "sk": "T", **facts})

    return DynamoKeys(request.getfixturevalue("dynamodb_api"), table_name, timeout_s=5.0), put


async def test_an_unknown_key_has_no_holder(store: tuple[Keys, Put]) -> None:
    keys, _ = store
    assert await keys.find("0" * 64) is None


async def test_a_key_names_its_holder_with_everything_the_tenant_may_do(store: tuple[Keys, Put]) -> None:
    keys, put = store
    put("a" * 64, ALICE)
    assert await keys.find("a" * 64) == ALICE


async def test_an_expiry_is_kept(store: tuple[Keys, Put]) -> None:
    keys, put = store
    expiring = Principal(ALICE.tenant, "alice", expires_at_s=1_800_000_000)
    put("b" * 64, expiring)
    assert await keys.find("b" * 64) == expiring


async def test_a_change_shows_at_the_very_next_request(store: tuple[Keys, Put]) -> None:
    keys, put = store
    put("a" * 64, ALICE)
    await keys.find("a" * 64)
    put("a" * 64, Principal(Tenant("acme", "disabled"), "alice", "revoked"))
    found = await keys.find("a" * 64)
    assert found is not None
    assert (found.key_status, found.tenant.status, found.tenant.approvals) == ("revoked", "disabled", ())


async def test_a_dead_store_lets_nobody_pass(dynamodb_api: AwsApi) -> None:
    with pytest.raises(AdmissionUnavailable):
        await DynamoKeys(dynamodb_api, "no-such-table", timeout_s=5.0).find("a" * 64)


async def test_a_silent_store_lets_nobody_pass_and_does_not_hold_the_caller(
    aws_keys: None, http_client: HttpClient
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts by its backlog and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        api = aws_api(http_client, url, "dynamodb", "DynamoDB_20120810", "1.0")
        async with asyncio.timeout(5):
            with pytest.raises(AdmissionUnavailable):
                await DynamoKeys(api, "tenants", timeout_s=0.1).find("a" * 64)


async def test_steady_state_is_one_round_trip(
    dynamodb_api: AwsApi, tenants_table: str, monkeypatch: pytest.MonkeyPatch, aws_url: str
) -> None:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(tenants_table)
    table.put_item(Item={"pk": "K#c", "sk": "K", "tenant_id": "acme", "user_id": "alice", "status": "active"})
    table.put_item(Item={"pk": "T#acme", "sk": "T", "status": "active"})
    calls: list[str] = []
    original = dynamodb_api.call

    async def counted(operation: str, payload: dict[str, object], timeout_s: float) -> dict[str, object]:
        calls.append(operation)
        return await original(operation, payload, timeout_s)

    monkeypatch.setattr(dynamodb_api, "call", counted)
    keys = DynamoKeys(dynamodb_api, tenants_table, timeout_s=5.0)
    await keys.find("c")
    calls.clear()
    await keys.find("c")
    assert calls == ["BatchGetItem"]


@pytest.mark.parametrize("damage", [{"status": None}, {"expires_at": "1.5"}])
async def test_a_damaged_record_lets_nobody_pass_and_is_said_to_be_one(
    dynamodb_api: AwsApi, tenants_table: str, aws_url: str, damage: dict[str, str | None]
) -> None:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(tenants_table)
    row = {"pk": "K#d", "sk": "K", "tenant_id": "acme", "user_id": "alice", "status": "active"}
    expires_at = damage.get("expires_at")
    expiry = {"expires_at": Decimal(expires_at)} if expires_at else {}
    kept = {name: value for name, value in row.items() if name not in damage or name == "pk"}
    table.put_item(Item={**kept, **expiry})
    table.put_item(Item={"pk": "T#acme", "sk": "T", "status": "active"})
    with pytest.raises(AdmissionUnavailable, match="damaged"):
        await DynamoKeys(dynamodb_api, tenants_table, timeout_s=5.0).find("d")
