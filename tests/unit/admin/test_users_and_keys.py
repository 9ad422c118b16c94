"""Users and API keys of a tenant, in memory."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.unit.admin.conftest import Office, refusal

USERS, KEYS = "/tenants/acme/users", "/tenants/acme/keys"
pytestmark = pytest.mark.usefixtures("acme")


async def issued(client: httpx.AsyncClient, user_id: str = "alice", **settings: Any) -> dict[str, Any]:
    answer = await client.post(KEYS, json={"user_id": user_id, **settings})
    assert answer.status_code == 201
    key: dict[str, Any] = answer.json()
    return key


async def test_a_user_is_made_read_changed_and_listed(client: httpx.AsyncClient, office: Office) -> None:
    made = await client.post(USERS, json={"id": "alice@example.com", "name": "Alice"})
    assert made.status_code == 201
    assert made.json() == {
        "object": "user",
        "tenant_id": "acme",
        "id": "alice@example.com",
        "name": "Alice",
        "status": "active",
        "allowance": None,
        "shards": 1,
        "created_at": int(office.clock.unix_s),
        "changed_at": int(office.clock.unix_s),
        "warnings": [],
    }
    one = f"{USERS}/alice@example.com"
    assert (await client.get(one)).json() == made.json()
    limited = {"allowance": {"limits": [{"requests_per_minute": 3, "models": "none/*"}]}}
    changed = await client.patch(one, json=limited, headers={"if-match": made.headers["etag"]})
    assert changed.json()["allowance"]["limits"][0]["requests_per_minute"] == 3
    assert changed.json()["warnings"][0]["pointer"] == "/allowance/limits/0/models"
    assert refusal(await client.patch(one, json={}, headers={"if-match": made.headers["etag"]}))[0] == 412
    assert [user["id"] for user in (await client.get(USERS)).json()["data"]] == ["alice@example.com"]
    assert refusal(await client.post(USERS, json={"id": "alice@example.com"})) == (409, "conflict", "id")
    facts = {"user_id": "alice@example.com", "fields": ["allowance"]}
    assert office.told()[-1] == ("admin.user.changed", facts)


async def test_to_put_a_user_is_to_make_or_to_replace_him(client: httpx.AsyncClient) -> None:
    made = await client.put(f"{USERS}/bob", json={"name": "Bob", "shards": 2})
    assert (made.status_code, made.json()["id"]) == (201, "bob")
    replaced = await client.put(f"{USERS}/bob", json={"status": "disabled"})
    assert (replaced.status_code, replaced.json()["name"], replaced.json()["shards"]) == (200, "", 1)
    assert refusal(await client.put(f"{USERS}/carol", json={}, headers={"if-match": "*"}))[0] == 412
    assert refusal(await client.put(f"{USERS}/bob", json={"id": "eve"})) == (400, "validation_error", "id")


async def test_a_user_is_switched_off_and_on(client: httpx.AsyncClient, office: Office) -> None:
    await client.put(f"{USERS}/bob", json={})
    assert (await client.post(f"{USERS}/bob/disable")).json()["status"] == "disabled"
    assert (await client.post(f"{USERS}/bob/enable")).json()["status"] == "active"
    assert [name for name, _ in office.told()][-2:] == ["admin.user.disabled", "admin.user.enabled"]


@pytest.mark.parametrize("user_id", ["auth0|1", "a/b", "https://idp.example/users/7", "50%", "a?b#c"])
async def test_ids_of_users_are_whatever_their_identity_provider_says(client: httpx.AsyncClient, user_id: str) -> None:
    path = f"{USERS}/{quote(user_id, safe='')}"
    assert (await client.put(path, json={})).json()["id"] == user_id
    assert (await client.post(f"{path}/disable")).json()["status"] == "disabled"
    assert (await client.get(f"{path}/ledger")).json()["user_id"] == user_id
    assert (await client.get(path)).json()["id"] == user_id


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PATCH", ""), ("POST", "/disable"), ("POST", "/enable")])
async def test_a_user_without_settings_of_his_own(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, f"{USERS}/nobody{path}", json={} if method == "PATCH" else None)
    assert refusal(answer)[:2] == (404, "user_not_found")


async def test_a_key_is_shown_once_and_has_256_random_bits(client: httpx.AsyncClient, office: Office) -> None:
    settings: dict[str, Any] = {"label": "laptop", "scopes": ["chat", "models"], "models": ["openai/*"]}
    made = await issued(client, expires_at=int(office.clock.unix_s) + 60, **settings)
    key = made.pop("key")
    assert re.fullmatch(r"gwk_[A-Za-z0-9_-]{43}", key)
    assert made == {
        "object": "key",
        "id": made["id"],
        "tenant_id": "acme",
        "user_id": "alice",
        "label": "laptop",
        "hint": key[:8],
        "status": "active",
        "scopes": ["chat", "models"],
        "models": ["openai/*"],
        "expires_at": int(office.clock.unix_s) + 60,
        "created_at": int(office.clock.unix_s),
        "changed_at": int(office.clock.unix_s),
        "warnings": [],
    }
    assert (await client.get(f"{KEYS}/{made['id']}")).json() == made
    assert (await client.get(KEYS)).json()["data"] == [made]
    stored = await office.directory.key("acme", made["id"])
    assert stored is not None
    assert stored.key_hash == hashlib.sha256(key.encode()).hexdigest()
    assert key not in repr(office.directory.held)
    assert office.told()[-1] == ("admin.key.issued", {"key_id": made["id"], "user_id": "alice", "new_user": True})


async def test_whose_key_it_is_is_listed_from_then_on(client: httpx.AsyncClient, office: Office) -> None:
    await client.put(f"{USERS}/bob", json={"name": "Bob"})
    for user_id in ("alice", "bob"):
        await issued(client, user_id)
    users = (await client.get(USERS)).json()["data"]
    assert [(user["id"], user["name"]) for user in users] == [("alice", ""), ("bob", "Bob")]
    assert office.told()[-1][1]["new_user"] is False


async def test_keys_of_one_user(client: httpx.AsyncClient) -> None:
    await issued(client, "alice")
    bobs = await issued(client, "bob")
    found = (await client.get(KEYS, params={"user_id": "bob"})).json()["data"]
    assert [key["id"] for key in found] == [bobs["id"]]


async def test_a_key_expires(client: httpx.AsyncClient, office: Office) -> None:
    made = await issued(client, expires_at=int(office.clock.unix_s) + 60)
    office.clock.unix_s += 60
    assert (await client.get(f"{KEYS}/{made['id']}")).json()["status"] == "expired"
    refused = await client.post(f"{KEYS}/{made['id']}/rotate")
    assert refusal(refused)[:2] == (409, "conflict")


async def test_a_key_is_changed_member_by_member_and_can_be_made_to_expire(
    client: httpx.AsyncClient, office: Office
) -> None:
    made = await issued(client, label="old", scopes=["chat"])
    office.clock.unix_s += 10
    one, now_s = f"{KEYS}/{made['id']}", int(office.clock.unix_s)
    changed = (await client.patch(one, json={"label": "new", "models": ["openai/*", "none/*"]})).json()
    assert (changed["label"], changed["scopes"], changed["changed_at"]) == ("new", ["chat"], now_s)
    assert changed["warnings"][0]["pointer"] == "/models/1"
    assert (await client.patch(one, json={"expires_at": now_s})).json()["status"] == "expired"
    assert (await client.patch(one, json={"expires_at": None})).json()["status"] == "active"
    assert office.told()[-1] == ("admin.key.changed", {"key_id": made["id"], "fields": ["expires_at"]})
    assert refusal(await client.patch(one, json={"label": "x"}, headers={"if-match": '"old"'}))[0] == 412


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "user_id"),
        ({"user_id": "no spaces"}, "user_id"),
        ({"user_id": "a", "scopes": []}, "scopes"),
        ({"user_id": "a", "scopes": ["fly"]}, "scopes[0]"),
        ({"user_id": "a", "models": []}, "models"),
        ({"user_id": "a", "expires_at": 1}, "expires_at"),
        ({"user_id": "a", "key": "gwk_mine"}, "key"),
    ],
)
async def test_a_wrong_order_is_named(client: httpx.AsyncClient, body: dict[str, Any], param: str) -> None:
    assert refusal(await client.post(KEYS, json=body)) == (400, "validation_error", param)


@pytest.mark.parametrize(("body", "param"), [({"user_id": "eve"}, "user_id"), ({"status": "active"}, "status")])
async def test_what_of_a_key_cannot_be_changed(client: httpx.AsyncClient, body: dict[str, Any], param: str) -> None:
    made = await issued(client)
    assert refusal(await client.patch(f"{KEYS}/{made['id']}", json=body)) == (400, "validation_error", param)


async def test_a_revoked_key_stays_revoked(client: httpx.AsyncClient, office: Office) -> None:
    made = await issued(client)
    for _ in range(2):
        assert (await client.post(f"{KEYS}/{made['id']}/revoke")).json()["status"] == "revoked"
    assert refusal(await client.post(f"{KEYS}/{made['id']}/rotate"))[:2] == (409, "conflict")
    assert office.told()[2:] == [("admin.key.revoked", {"key_id": made["id"], "fields": ["status"]})]


async def test_a_rotated_key_is_another_one_with_the_same_settings(client: httpx.AsyncClient, office: Office) -> None:
    old = await issued(client, label="laptop", scopes=["chat"], expires_at=int(office.clock.unix_s) + 9_000)
    answer = await client.post(f"{KEYS}/{old['id']}/rotate")
    new = answer.json()
    assert answer.status_code == 201
    assert new["id"] != old["id"]
    assert new["key"] != old["key"]
    same = ("user_id", "label", "scopes", "models", "expires_at", "status")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert (await client.get(f"{KEYS}/{old['id']}")).json()["status"] == "revoked"
    assert office.told()[-1] == (
        "admin.key.rotated",
        {"key_id": old["id"], "new_key_id": new["id"], "overlap_s": 0},
    )


@pytest.mark.parametrize(("expires_in_s", "ends_in_s"), [(None, 3_600), (9_000, 3_600), (60, 60)])
async def test_the_old_key_may_go_on_for_a_while_but_not_longer_than_it_would_have(
    client: httpx.AsyncClient, office: Office, expires_in_s: int | None, ends_in_s: int
) -> None:
    now_s = int(office.clock.unix_s)
    old = await issued(client, expires_at=None if expires_in_s is None else now_s + expires_in_s)
    await client.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_s": 3_600})
    found = (await client.get(f"{KEYS}/{old['id']}")).json()
    assert (found["status"], found["expires_at"]) == ("active", now_s + ends_in_s)


@pytest.mark.parametrize("overlap_s", [-1, 30 * 86_400 + 1, "1h"])
async def test_an_overlap_is_a_number_of_seconds_up_to_thirty_days(client: httpx.AsyncClient, overlap_s: Any) -> None:
    made = await issued(client)
    answer = await client.post(f"{KEYS}/{made['id']}/rotate", json={"overlap_s": overlap_s})
    assert refusal(answer) == (400, "validation_error", "overlap_s")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PATCH", ""), ("POST", "/rotate"), ("POST", "/revoke")])
async def test_a_key_that_there_is_not(client: httpx.AsyncClient, method: str, path: str) -> None:
    await client.post("/tenants", json={"id": "other"})
    made = await issued(client)
    for tenant, key_id in (("acme", "key_0"), ("other", made["id"])):
        answer = await client.request(
            method, f"/tenants/{tenant}/keys/{key_id}{path}", json={} if method == "PATCH" else None
        )
        assert refusal(answer)[:2] == (404, "key_not_found")
