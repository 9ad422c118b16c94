"""The administration through the deployed stack: what it changes holds at the next request."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import httpx
import pytest

from benchmarks.race import Contest, cost_nano_usd, race
from gateway.model.money import usd_text
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, eventually

HELLO: dict[str, Any] = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
pytestmark = pytest.mark.stack


@pytest.fixture
def tenant(admin: httpx.Client) -> str:
    tenant_id = f"t-{uuid.uuid4().hex[:12]}"
    assert admin.post("/tenants", json={"id": tenant_id, "approvals": ["*"]}).status_code == 201
    return tenant_id


def issue(admin: httpx.Client, tenant: str, user_id: str = "alice", **settings: Any) -> dict[str, Any]:
    answer = admin.post(f"/tenants/{tenant}/keys", json={"user_id": user_id, **settings})
    assert answer.status_code == 201
    issued: dict[str, Any] = answer.json()
    return issued


def asked(local: Gateway, key: str, **changes: Any) -> tuple[int, str | None]:
    """Status and code of a chat with that key."""
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.post(f"{local.http}/chat/completions", json={**HELLO, **changes}, headers=headers, timeout=60)
    return answer.status_code, answer.json().get("error", {}).get("code")


def test_an_issued_key_works_until_it_is_revoked(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    issued = issue(admin, tenant)
    assert asked(local, issued["key"]) == (200, None)
    assert admin.post(f"/tenants/{tenant}/keys/{issued['id']}/revoke").json()["status"] == "revoked"
    assert asked(local, issued["key"]) == (401, "invalid_api_key")


def test_a_key_that_expires_is_refused_at_its_next_request(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    issued = issue(admin, tenant)
    assert asked(local, issued["key"]) == (200, None)
    admin.patch(f"/tenants/{tenant}/keys/{issued['id']}", json={"expires_at": int(time.time())})
    assert asked(local, issued["key"]) == (401, "invalid_api_key")


def test_a_rotated_key_leaves_the_old_one_as_long_as_it_is_told(
    local: Gateway, admin: httpx.Client, tenant: str
) -> None:
    first = issue(admin, tenant)
    second = admin.post(f"/tenants/{tenant}/keys/{first['id']}/rotate", json={"overlap_s": 3600}).json()
    assert asked(local, first["key"]) == asked(local, second["key"]) == (200, None)
    third = admin.post(f"/tenants/{tenant}/keys/{second['id']}/rotate").json()
    assert asked(local, second["key"]) == (401, "invalid_api_key")
    assert asked(local, third["key"]) == (200, None)


def test_who_is_switched_off_is_refused_at_his_next_request(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    key = issue(admin, tenant)["key"]
    assert asked(local, key) == (200, None)
    for whose in (f"/tenants/{tenant}/users/alice", f"/tenants/{tenant}"):
        assert admin.post(f"{whose}/disable").json()["status"] == "disabled"
        assert asked(local, key) == (403, "tenant_disabled")
        assert admin.post(f"{whose}/enable").json()["status"] == "active"
        assert asked(local, key) == (200, None)


def test_approvals_aliases_and_scopes_hold_at_once(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    key = issue(admin, tenant, scopes=["chat"])["key"]
    admin.patch(f"/tenants/{tenant}", json={"approvals": ["openai/*"], "aliases": {"fast": "openai/gpt-4o-mini"}})
    assert asked(local, key, model="fast") == (200, None)
    assert asked(local, key, model="anthropic/claude-haiku-4-5") == (403, "model_not_approved")
    refused = httpx.get(f"{local.http}/models", headers={"authorization": f"Bearer {key}"})
    assert refused.json()["error"]["code"] == "scope_missing"


def test_a_deleted_tenants_keys_open_nothing(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    key = issue(admin, tenant)["key"]
    assert admin.delete(f"/tenants/{tenant}").status_code == 409
    admin.post(f"/tenants/{tenant}/disable")
    assert admin.delete(f"/tenants/{tenant}").json()["deleted"] is True
    assert asked(local, key) == (401, "invalid_api_key")
    assert admin.get(f"/tenants/{tenant}").status_code == 404
    assert admin.post("/tenants", json={"id": tenant}).status_code == 409


def test_users_with_any_id_are_administered(admin: httpx.Client, tenant: str) -> None:
    for user_id, path in (
        ("a/b@c", "a%2Fb@c"),
        ("auth0|7", "auth0%7C7"),
        ("https://idp/u/1", "https:%2F%2Fidp%2Fu%2F1"),
    ):
        one = f"/tenants/{tenant}/users/{path}"
        assert admin.put(one, json={"name": "Somebody"}).json()["id"] == user_id
        assert admin.post(f"{one}/disable").json()["status"] == "disabled"
        assert admin.get(f"{one}/ledger").json()["user_id"] == user_id
    assert len(admin.get(f"/tenants/{tenant}/users", params={"limit": 2}).json()["data"]) == 2


def test_an_answer_is_given_again_whole(admin: httpx.Client, tenant: str) -> None:
    once = {"idempotency-key": uuid.uuid4().hex}
    first, again = (admin.post(f"/tenants/{tenant}/keys", json={"user_id": "alice"}, headers=once) for _ in range(2))
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(admin.get(f"/tenants/{tenant}/keys").json()["data"]) == 1


def test_two_who_change_the_same_thing_do_not_lose_one_change(admin: httpx.Client, tenant: str) -> None:
    etag = admin.get(f"/tenants/{tenant}").headers["etag"]
    changes = [admin.put(f"/tenants/{tenant}", json={"name": name}, headers={"if-match": etag}) for name in "ab"]
    assert [change.status_code for change in changes] == [200, 412]


@pytest.mark.parametrize("key", ["", "Bearer wrong", "Basic abc"])
def test_nobody_else_administers(local: Gateway, admin: httpx.Client, key: str) -> None:
    for headers in ({"authorization": key}, {"authorization": f"Bearer {local.api_key}"}):
        answer = admin.get("/tenants", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_the_books_show_what_was_spent(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    limits = {"limits": [{"requests_per_minute": 100}], "budgets": [{"window": "month", "usd": "1"}]}
    admin.patch(f"/tenants/{tenant}", json={"allowance": limits})
    key = issue(admin, tenant)["key"]
    outcome = asyncio.run(race(local.http, {tenant: Contest(key, 5)}, 5))[tenant]
    deadline_s = time.monotonic() + 20
    while (books := admin.get(f"/tenants/{tenant}/ledger").json())["running_requests"]:
        assert time.monotonic() < deadline_s
    [budget] = books["budgets"]
    assert budget["spent_usd"] == usd_text(outcome.spent_nano_usd)
    assert budget["left_usd"] == usd_text(10**9 - outcome.spent_nano_usd)
    assert budget["held_usd"] == "0"
    alice = admin.get(f"/tenants/{tenant}/users/alice/ledger").json()
    assert alice["spending"][1]["spent_usd"] == budget["spent_usd"]


def test_a_budget_is_not_overspent_by_a_change_of_shards_under_load(
    local: Gateway, admin: httpx.Client, tenant: str
) -> None:
    """64 at once race for a budget while the number of accounts goes up and down."""
    fit = 60
    budget = {"budgets": [{"window": "month", "usd": usd_text(fit * cost_nano_usd())}]}
    admin.patch(f"/tenants/{tenant}", json={"allowance": budget})
    key = issue(admin, tenant)["key"]

    async def run() -> Any:
        racing = asyncio.create_task(race(local.http, {tenant: Contest(key, 400)}, 32))
        headers = {"authorization": f"Bearer {local.admin_key}"}
        async with httpx.AsyncClient(base_url=f"{local.origin}/admin", headers=headers, timeout=60) as client:
            for shards in (3, 1, 2):
                changed = await client.patch(f"/tenants/{tenant}", json={"shards": shards})
                assert changed.status_code == 200, changed.text
        return (await racing)[tenant]

    outcome = asyncio.run(run())
    assert outcome.codes["ok"] <= fit
    assert outcome.spent_nano_usd <= fit * cost_nano_usd()
    assert set(outcome.codes) <= {"ok", "budget_exceeded", "admission_unavailable"}
    admin.patch(f"/tenants/{tenant}", json={"shards": 1})
    rest = asyncio.run(race(local.http, {tenant: Contest(key, 2 * fit)}, 8))[tenant]
    assert outcome.codes["ok"] + rest.codes.get("ok", 0) == fit


def test_every_change_is_in_the_audit_log(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    admin.patch(f"/tenants/{tenant}", json={"name": "hush"})
    admin.put(f"/tenants/{tenant}/users/alice", json={})
    issued = issue(admin, tenant)
    admin.post(f"/tenants/{tenant}/keys/{issued['id']}/revoke")
    customer = Customer(local, tenant, issued["key"], admin)
    lines = eventually(lambda: found if len(found := customer.changes()) == 5 else None)
    assert [line["event"] for line in lines] == [
        "admin.tenant.created",
        "admin.tenant.changed",
        "admin.user.created",
        "admin.key.issued",
        "admin.key.revoked",
    ]
    assert {line["actor"] for line in lines} == {"admin"}
    assert all(line["facts"]["source_ip"] for line in lines)
    text = json.dumps(lines)
    assert not [word for word in ("hush", issued["key"], local.admin_key) if word in text]


def test_the_administrator_sees_what_a_tenant_used(local: Gateway, admin: httpx.Client, tenant: str) -> None:
    key = issue(admin, tenant)["key"]
    assert asked(local, key) == (200, None)

    def look() -> dict[str, Any] | None:
        report: dict[str, Any] = admin.get("/usage", params={"tenant_id": tenant, "group_by": "tenant,user"}).json()
        return report if report["data"] else None

    [row] = eventually(look)["data"]
    assert (row["tenant"], row["user"], row["requests"]) == (tenant, "alice", 1)
    assert admin.get("/usage", params={"format": "csv"}).text.startswith("requests,")
