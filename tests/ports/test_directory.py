"""What the administration relies on of the directory, in memory and in DynamoDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest

from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.directory import DynamoDirectory
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.types import DynamoTypes
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.adapters.types import DeployedTypes
from gateway.admin_ports import Directory
from gateway.model.caller import Caller
from gateway.model.directory import Answered, Change, NotCommitted, Stored, Transfer, Write
from gateway.model.errors import StorageUnavailable
from gateway.model.ledger import Account, Hold, Meter
from gateway.model.record import AuditEvent
from gateway.model.tenant import ApiKey, Tenant, User
from gateway.ports import Ledger
from tests.directory import MemoryDirectory
from tests.fakes import ManualClock
from tests.ports.conftest import REGION

NOW_S = 1_790_000_000
ACME = Tenant(id="acme", approvals=("*",))
ALICE = User(id="alice@example.com")
DELETED = AuditEvent(id="req_1.changed", event="admin.tenant.deleted", at_s=NOW_S, tenant_id="acme")


def key(number: int, user_id: str = "alice", **settings: Any) -> ApiKey:
    return ApiKey(id=f"key_{number}", tenant_id="acme", user_id=user_id, **settings)


def new(value: Tenant | User | ApiKey, tenant_id: str = "acme", at_s: int = NOW_S) -> Write:
    key_hash = f"hash-of-{value.id}" if isinstance(value, ApiKey) else ""
    return Write(value.id if isinstance(value, Tenant) else tenant_id, value, None, at_s, key_hash)


@pytest.fixture
def dynamo(dynamodb_api: AwsApi, tenants_table: str, ledger_table: str) -> DynamoDirectory:
    return DynamoDirectory(dynamodb_api, tenants_table, ledger_table)


@pytest.fixture(params=["memory", "dynamodb"])
def stores(request: pytest.FixtureRequest) -> tuple[Directory, Ledger]:
    if request.param == "memory":
        ledger = MemoryLedger()
        return MemoryDirectory(ledger), ledger
    directory = request.getfixturevalue("dynamo")
    api, table = request.getfixturevalue("dynamodb_api"), request.getfixturevalue("ledger_table")
    return directory, DynamoLedger(api, table, timeout_s=5.0)


@pytest.fixture
def directory(stores: tuple[Directory, Ledger]) -> Directory:
    return stores[0]


@pytest.fixture
def ledger(stores: tuple[Directory, Ledger]) -> Ledger:
    return stores[1]


async def put(directory: Directory, *writes: Write) -> None:
    await directory.commit(Change(writes), NOW_S)


async def test_what_was_written_is_found(directory: Directory) -> None:
    await put(directory, new(ACME), new(ALICE), new(key(1, label="laptop")))
    tenant = await directory.tenant("acme")
    assert tenant == Stored(ACME, msgspec.json.encode(ACME).decode(), NOW_S, NOW_S)
    user = await directory.user("acme", ALICE.id)
    assert user is not None
    assert user.value == ALICE
    stored = await directory.key("acme", "key_1")
    assert stored is not None
    assert (stored.value, stored.key_hash) == (key(1, label="laptop"), "hash-of-key_1")


async def test_what_is_not_there_is_none(directory: Directory) -> None:
    await put(directory, new(ACME), new(key(1)))
    assert await directory.tenant("other") is None
    assert await directory.user("acme", "nobody") is None
    assert await directory.key("acme", "key_2") is None
    assert await directory.key("other", "key_1") is None
    assert await directory.answered("name", NOW_S) is None
    assert not await directory.is_erased("acme")


async def test_a_change_needs_what_was_read(directory: Directory) -> None:
    await put(directory, new(ACME), new(key(1)))
    first = await directory.tenant("acme")
    assert first is not None
    changed = Tenant(id="acme", name="Acme")
    await put(directory, Write("acme", changed, first, NOW_S + 5))
    second = await directory.tenant("acme")
    assert second is not None
    assert (second.value, second.created_at_s, second.changed_at_s) == (changed, NOW_S, NOW_S + 5)
    assert second.etag != first.etag
    with pytest.raises(NotCommitted, match="outdated"):
        await put(directory, Write("acme", ACME, first, NOW_S + 9))
    assert await directory.tenant("acme") == second


async def test_a_key_that_changes_stays_where_its_hash_is(directory: Directory) -> None:
    await put(directory, new(ACME), new(key(1)))
    was = await directory.key("acme", "key_1")
    await put(directory, Write("acme", key(1, status="revoked"), was, NOW_S))
    stored = await directory.key("acme", "key_1")
    assert stored is not None
    assert (stored.value.status, stored.key_hash) == ("revoked", "hash-of-key_1")


async def test_nothing_is_made_twice_and_of_what_cannot_be_made_nothing_is(directory: Directory) -> None:
    await put(directory, new(ACME), new(ALICE))
    for writes in ([new(ACME)], [new(key(1)), new(ALICE)]):
        with pytest.raises(NotCommitted, match="outdated"):
            await put(directory, *writes)
    assert await directory.key("acme", "key_1") is None


async def test_pages_are_in_the_order_of_ids(directory: Directory) -> None:
    await put(directory, *(new(Tenant(id=name)) for name in ("beta", "acme", "gamma")))
    first = await directory.tenants(2, None)
    assert ([stored.value.id for stored in first.data], first.has_more) == (["acme", "beta"], True)
    rest = await directory.tenants(2, "beta")
    assert ([stored.value.id for stored in rest.data], rest.has_more) == (["gamma"], False)
    assert (await directory.tenants(2, "gamma")).data == ()


async def test_a_tenants_users_and_keys_are_listed_and_nobody_elses(directory: Directory) -> None:
    await put(directory, new(ACME), new(Tenant(id="other")), new(User(id="zoe"), "other"))
    await put(directory, *(new(User(id=name)) for name in ("bob", "U#x", "alice")))
    await put(directory, *(new(key(number, "bob" if number == 2 else "alice")) for number in (3, 1, 2)))
    users = await directory.users("acme", 10, None)
    assert [stored.value.id for stored in users.data] == ["U#x", "alice", "bob"]
    keys = await directory.keys("acme", 10, None, None)
    assert [stored.value.id for stored in keys.data] == ["key_1", "key_2", "key_3"]
    assert (await directory.keys("other", 10, None, None)).data == ()


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_the_keys_of_one_user_come_in_full_pages(directory: Directory, limit: int) -> None:
    await put(directory, new(ACME), *(new(key(number, "alice" if number % 4 == 0 else "bob")) for number in range(9)))
    found, after = [], None
    while True:
        page = await directory.keys("acme", limit, after, "alice")
        found += [stored.value.id for stored in page.data]
        assert len(page.data) == limit or not page.has_more
        if not page.has_more:
            break
        after = found[-1]
    assert found == ["key_0", "key_4", "key_8"]


async def test_an_answer_is_kept_with_what_it_answers_until_it_expires(directory: Directory) -> None:
    answered = Answered("name", "fingerprint", b"\x00sealed", NOW_S + 60)
    await directory.commit(Change((new(ACME),), answered=answered), NOW_S)
    assert await directory.answered("name", NOW_S + 59) == answered
    with pytest.raises(NotCommitted, match="answered"):
        await directory.commit(Change((new(ALICE),), answered=answered), NOW_S + 59)
    assert await directory.user("acme", ALICE.id) is None
    assert await directory.answered("name", NOW_S + 60) is None
    await directory.commit(Change((new(ALICE),), answered=answered), NOW_S + 60)
    assert await directory.user("acme", ALICE.id) is not None


async def test_an_erased_tenant_is_gone_with_all_it_had_and_does_not_come_back(directory: Directory) -> None:
    others = [new(Tenant(id="other")), new(User(id="zoe"), "other")]
    await put(directory, new(ACME), *(new(User(id=f"user-{number}")) for number in range(30)), *others)
    await put(directory, *(new(key(number)) for number in range(30)))
    await directory.erase("acme", DELETED)
    await directory.erase("acme", DELETED)
    assert await directory.is_erased("acme")
    assert await directory.tenant("acme") is None
    assert await directory.key("acme", "key_1") is None
    assert (await directory.users("acme", 100, None)).data == ()
    assert [stored.value.id for stored in (await directory.tenants(10, None)).data] == ["other"]
    assert await directory.user("other", "zoe") is not None
    with pytest.raises(NotCommitted, match="outdated"):
        await put(directory, new(ACME))


async def test_types_of_an_erased_tenant_are_gone_too(
    dynamo: DynamoDirectory, dynamodb_api: AwsApi, tenants_table: str, tmp_path: Path
) -> None:
    types = DynamoTypes(dynamodb_api, tenants_table, DeployedTypes(tmp_path), timeout_s=5.0)
    for tenant_id in ("acme", "other"):
        await types.put(tenant_id, {f"gts.acme.app.orders.n{number}.v1~": {} for number in range(30)}, {})
    await put(dynamo, new(ACME))
    await dynamo.erase("acme", DELETED)
    assert await types.ids("acme", "") == {}
    assert len(await types.ids("other", "")) == 30


HOLD = Hold(until_s=NOW_S + 300, admitted_s=NOW_S, cost_nano_usd=70, rules=("",))


def account(shards: int, limit: int = 1_000) -> Account:
    return Account("T#acme#0", "tenant", (Meter("c2026-09", "spend", 70, limit),), shards)


async def test_numbers_move_with_the_settings_or_not_at_all(directory: Directory, ledger: Ledger) -> None:
    await ledger.add("T#acme#0", {"c2026-09": 90, "s2026-09": 90})
    moves = (
        Transfer("T#acme#0", 2, {"c2026-09": -45}, {"c2026-09": 95}),
        Transfer("T#acme#1", 2, {"c2026-09": 45}, {"c2026-09": 50}),
    )
    await directory.commit(Change((new(ACME),), moves), NOW_S)
    first, second = await ledger.read("T#acme#0"), await ledger.read("T#acme#1")
    assert (first.numbers, first.shards) == ({"c2026-09": 45, "s2026-09": 90}, 2)
    assert (second.numbers, second.shards) == ({"c2026-09": 45}, 2)


async def test_a_number_above_its_bound_stops_everything(directory: Directory, ledger: Ledger) -> None:
    await ledger.add("T#acme#0", {"c2026-09": 96})
    moves = (
        Transfer("T#acme#1", 2, {"c2026-09": 45}),
        Transfer("T#acme#0", 2, {"c2026-09": -45}, {"c2026-09": 95}),
    )
    with pytest.raises(NotCommitted, match="moved"):
        await directory.commit(Change((new(ACME),), moves), NOW_S)
    assert await directory.tenant("acme") is None
    assert (await ledger.read("T#acme#0")).numbers == {"c2026-09": 96}
    assert (await ledger.read("T#acme#1")).shards is None


async def test_an_account_takes_nothing_from_who_believes_in_another_number_of_them(
    directory: Directory, ledger: Ledger
) -> None:
    assert (await ledger.reserve(account(1), "h1", HOLD)).is_held
    await directory.commit(Change(transfers=(Transfer("T#acme#0", 4),)), NOW_S)
    refused = await ledger.reserve(account(1), "h2", HOLD)
    assert (refused.is_held, refused.reading.shards) == (False, 4)
    assert (await ledger.reserve(account(4), "h2", HOLD)).is_held
    assert await ledger.settle("T#acme#0", "h1", {"c2026-09": -28}) is not None


async def test_what_is_written_here_is_what_requests_read(
    dynamo: DynamoDirectory, dynamodb_api: AwsApi, tenants_table: str
) -> None:
    await put(dynamo, new(ACME), new(User(id="alice", status="disabled")), new(key(1)))
    access = DynamoAccess(dynamodb_api, tenants_table, timeout_s=5.0, clock=ManualClock())
    holder = await access.read(Caller(key_hash="hash-of-key_1"))
    assert holder is not None
    assert (holder.key, holder.tenant, holder.user.status) == (key(1), ACME, "disabled")
    was = await dynamo.key("acme", "key_1")
    await put(dynamo, Write("acme", key(1, status="revoked"), was, NOW_S))
    revoked = await access.read(Caller(key_hash="hash-of-key_1"))
    assert revoked is not None
    assert revoked.key.status == "revoked"
    await dynamo.erase("acme", DELETED)
    assert await access.read(Caller(key_hash="hash-of-key_1")) is None


async def test_a_tenant_that_was_put_there_by_hand_is_listed_after_its_first_change(
    dynamo: DynamoDirectory, tenants_table: str, aws_url: str
) -> None:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(tenants_table)
    table.put_item(Item={"pk": "T#acme", "sk": "T", "document": '{"id": "acme"}'})
    assert (await dynamo.tenants(10, None)).data == ()
    was = await dynamo.tenant("acme")
    await put(dynamo, Write("acme", ACME, was, NOW_S))
    assert [stored.value for stored in (await dynamo.tenants(10, None)).data] == [ACME]


async def test_no_list_reads_the_table(
    dynamo: DynamoDirectory, dynamodb_api: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(dynamo, new(ACME), new(ALICE), new(key(1)))
    calls: list[str] = []
    original = dynamodb_api.call

    async def counted(operation: str, *given: Any) -> dict[str, Any]:
        calls.append(operation)
        return await original(operation, *given)

    monkeypatch.setattr(dynamodb_api, "call", counted)
    await dynamo.tenants(10, None)
    await dynamo.users("acme", 10, None)
    await dynamo.keys("acme", 10, None, "alice")
    assert calls == ["Query", "BatchGetItem", "Query", "Query", "BatchGetItem"]


async def test_an_answer_of_dynamodb_that_was_lost_is_no_conflict(
    dynamo: DynamoDirectory, dynamodb_api: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try carries the token of the first, by which DynamoDB knows it has happened: both are sent alike."""
    sent: list[bytes] = []
    send = dynamodb_api._send

    async def losing(operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        sent.append(body)
        if len(sent) == 1:
            raise AwsFailure("Unreachable", is_fault=True)
        return await send(operation, body, timeout_s)

    monkeypatch.setattr(dynamodb_api, "_send", losing)
    await put(dynamo, new(ACME))
    assert sent[0] == sent[1]
    assert len(msgspec.json.decode(sent[0])["ClientRequestToken"]) == 36


@pytest.mark.parametrize("what", ["tenant", "tenants", "commit", "erase"])
async def test_a_store_that_is_not_there(dynamodb_api: AwsApi, what: str) -> None:
    directory = DynamoDirectory(dynamodb_api, "no-such-table", "none")
    calls: dict[str, Any] = {
        "tenant": lambda: directory.tenant("acme"),
        "tenants": lambda: directory.tenants(10, None),
        "commit": lambda: put(directory, new(ACME)),
        "erase": lambda: directory.erase("acme", DELETED),
    }
    with pytest.raises(StorageUnavailable):
        await calls[what]()


async def test_a_damaged_record_is_said_to_be_one(dynamo: DynamoDirectory, tenants_table: str, aws_url: str) -> None:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(tenants_table)
    table.put_item(Item={"pk": "T#acme", "sk": "T", "document": '{"id": 1}'})
    with pytest.raises(StorageUnavailable, match="damaged"):
        await dynamo.tenant("acme")
