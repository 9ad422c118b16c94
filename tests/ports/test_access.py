"""What the pipeline relies on of keys, tenants and users, in memory and in DynamoDB."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import boto3
import msgspec
import pytest

from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.api import AwsApi
from gateway.adapters.http_client import HttpClient
from gateway.model.caller import Caller
from gateway.model.errors import AdmissionUnavailable
from gateway.model.group import GroupMember, ModelGroup
from gateway.model.limits import Allowance, Limits
from gateway.model.tenant import Principal, Tenant, User
from gateway.ports import RECENT_S, Access
from tests.fakes import ManualClock, MemoryAccess, principal
from tests.ports.conftest import REGION, aws_api

Put = Callable[[str, Principal], None]
CHAT = ModelGroup(models=("openai/gpt-4o", GroupMember(model="azure/gpt-4o", weight=0)), routing="lowest_cost")
TENANT = Tenant(id="acme", approvals=("openai/*",), aliases={"fast": "openai/gpt-4o-mini", "chat": CHAT})
ALICE = principal(TENANT)
LIMITED = User(id="alice", allowance=Allowance(limits=(Limits(requests_per_minute=3),)))


def caller(key_hash: str, user_id: str | None = None) -> Caller:
    return Caller(key_hash=key_hash, user_id=user_id)


@pytest.fixture
def table(tenants_table: str, aws_url: str) -> Any:
    return boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(tenants_table)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def dynamo(dynamodb_api: AwsApi, tenants_table: str, clock: ManualClock) -> DynamoAccess:
    return DynamoAccess(dynamodb_api, tenants_table, timeout_s=5.0, clock=clock)


def put_into(table: Any, key_hash: str, holder: Principal) -> None:
    documents = {
        (f"K#{key_hash}", "K"): holder.key,
        (f"T#{holder.tenant.id}", "T"): holder.tenant,
        (f"T#{holder.tenant.id}", f"U#{holder.user.id}"): holder.user,
    }
    for (pk, sk), document in documents.items():
        table.put_item(Item={"pk": pk, "sk": sk, "document": msgspec.json.encode(document).decode()})


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> tuple[Access, Put]:
    """A store, and how something gets into it."""
    if request.param == "memory":
        memory = MemoryAccess()
        return memory, memory.held.__setitem__
    table = request.getfixturevalue("table")
    return request.getfixturevalue("dynamo"), lambda key_hash, holder: put_into(table, key_hash, holder)


async def test_an_unknown_key_has_no_holder(store: tuple[Access, Put]) -> None:
    access, _ = store
    assert await access.read(caller("0" * 64)) is None
    assert access.remembered(caller("0" * 64)) is None


async def test_a_key_names_its_holder_with_everything_the_tenant_may_do(store: tuple[Access, Put]) -> None:
    access, put = store
    holder = Principal(key=ALICE.key, tenant=TENANT, user=LIMITED)
    put("a" * 64, holder)
    assert await access.read(caller("a" * 64)) == holder


async def test_what_was_read_is_remembered(store: tuple[Access, Put]) -> None:
    access, put = store
    put("a" * 64, ALICE)
    assert access.remembered(caller("a" * 64)) is None
    read = await access.read(caller("a" * 64))
    assert access.remembered(caller("a" * 64)) == read == ALICE


async def test_another_user_that_is_named_has_his_own_settings_or_none(store: tuple[Access, Put]) -> None:
    access, put = store
    put("a" * 64, ALICE)
    put("b" * 64, Principal(key=principal(TENANT, "bob").key, tenant=TENANT, user=LIMITED_BOB))
    stranger = await access.read(caller("a" * 64, "nobody"))
    assert stranger is not None
    assert (stranger.key, stranger.user) == (ALICE.key, User(id="nobody"))


LIMITED_BOB = msgspec.structs.replace(LIMITED, id="bob")


async def test_a_change_shows_at_the_very_next_read(store: tuple[Access, Put]) -> None:
    access, put = store
    put("a" * 64, ALICE)
    await access.read(caller("a" * 64))
    put("a" * 64, principal(Tenant(id="acme", status="disabled"), status="revoked"))
    found = await access.read(caller("a" * 64))
    assert found is not None
    assert (found.key.status, found.tenant.status, found.tenant.approvals) == ("revoked", "disabled", ())


async def test_a_dead_store_lets_nobody_pass(dynamodb_api: AwsApi) -> None:
    with pytest.raises(AdmissionUnavailable):
        await DynamoAccess(dynamodb_api, "no-such-table", timeout_s=5.0, clock=ManualClock()).read(caller("a" * 64))


async def test_a_silent_store_lets_nobody_pass_and_does_not_hold_the_caller(
    aws_keys: None, http_client: HttpClient
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts by its backlog and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        api = aws_api(http_client, url, "dynamodb", "DynamoDB_20120810", "1.0")
        async with asyncio.timeout(5):
            with pytest.raises(AdmissionUnavailable):
                await DynamoAccess(api, "tenants", timeout_s=0.1, clock=ManualClock()).read(caller("a" * 64))


async def test_steady_state_is_one_read(
    dynamodb_api: AwsApi, dynamo: DynamoAccess, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into(table, "c", ALICE)
    calls: list[str] = []
    original = dynamodb_api.call

    async def counted(operation: str, *given: Any) -> dict[str, Any]:
        calls.append(operation)
        return await original(operation, *given)

    monkeypatch.setattr(dynamodb_api, "call", counted)
    await dynamo.read(caller("c"))
    calls.clear()
    await dynamo.read(caller("c"))
    assert calls == ["BatchGetItem"]


@pytest.mark.parametrize("document", ["", "{", "[]", '{"id": 1}', '{"id": "acme", "approvals": "*"}'])
async def test_a_damaged_record_lets_nobody_pass_and_is_said_to_be_one(
    dynamo: DynamoAccess, table: Any, document: str
) -> None:
    put_into(table, "d", ALICE)
    table.put_item(Item={"pk": "T#acme", "sk": "T", "document": document})
    with pytest.raises(AdmissionUnavailable, match="damaged"):
        await dynamo.read(caller("d"))


async def test_what_was_read_a_moment_ago_is_recent_for_some_minutes(
    dynamo: DynamoAccess, table: Any, clock: ManualClock
) -> None:
    put_into(table, "e", ALICE)
    assert dynamo.recent(caller("e")) is None
    await dynamo.read(caller("e"))
    clock.unix_s += RECENT_S - 1
    assert dynamo.recent(caller("e")) == await dynamo.read(caller("e"))
    clock.unix_s += RECENT_S
    assert dynamo.recent(caller("e")) is None
    assert dynamo.remembered(caller("e")) is not None


async def test_a_user_of_whom_nothing_was_read_is_not_recent(dynamo: DynamoAccess, table: Any) -> None:
    """He may be switched off; of one who was looked for and has no settings that is known."""
    put_into(table, "f", ALICE)
    await dynamo.read(caller("f"))
    assert dynamo.remembered(caller("f", "bob")) is not None
    assert dynamo.recent(caller("f", "bob")) is None
    await dynamo.read(caller("f", "bob"))
    assert dynamo.recent(caller("f", "bob")) is not None
