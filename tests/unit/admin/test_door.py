"""Who is the administrator, and what is done once however often it is asked for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.entry.admin import admin_app
from gateway.model.errors import AdmissionUnavailable
from tests.unit.admin.conftest import ADMIN_KEY, AUTH, Office, refusal

NEW = "another-key-of-48-characters-or-so-as-such-keys-"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", f"Basic {ADMIN_KEY}", "Bearer wrong", f"Bearer {ADMIN_KEY}x", "Bearer é"]
)
async def test_nobody_else_gets_in(office: Office, header: str | None) -> None:
    headers = {} if header is None else {b"authorization": header.encode("latin-1")}
    transport = httpx.ASGITransport(admin_app(office.world, office.usage))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/admin") as stranger:
        for method, path in (("GET", "/usage"), ("GET", "/tenants"), ("POST", "/tenants"), ("DELETE", "/tenants/acme")):
            answer = await stranger.request(method, path, headers=headers, content=b"{")
            assert refusal(answer)[:2] == (401, "invalid_api_key")
            assert answer.headers["x-should-retry"] == "false"


async def test_an_empty_secret_opens_nothing(office: Office, client: httpx.AsyncClient) -> None:
    office.admin_key.now = office.admin_key.known = ""
    answer = await client.get("/tenants", headers={"authorization": "Bearer "})
    assert answer.status_code == 401


async def test_a_key_that_does_not_match_is_compared_with_the_secret_as_it_is_now(
    office: Office, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/tenants")).status_code == 200
    assert office.admin_key.reads == 1
    office.admin_key.now = NEW
    assert (await client.get("/tenants", headers={"authorization": f"Bearer {NEW}"})).status_code == 200
    assert (await client.get("/tenants")).status_code == 401


async def test_nobody_gets_in_while_the_key_cannot_be_read(office: Office, client: httpx.AsyncClient) -> None:
    async def unavailable(*, is_doubted: bool = False) -> Any:
        raise AdmissionUnavailable("The administrator's key cannot be read.")

    office.admin_key.current = unavailable  # type: ignore[method-assign]
    assert refusal(await client.get("/tenants"))[:2] == (503, "admission_unavailable")


async def test_what_is_asked_twice_with_one_key_happens_once(client: httpx.AsyncClient, office: Office) -> None:
    once = {"idempotency-key": "create-acme"}
    first = await client.post("/tenants", json={"id": "acme"}, headers=once)
    office.clock.unix_s += 23 * 3600
    again = await client.post("/tenants", json={"id": "acme"}, headers=once)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(office.told()) == 1
    office.clock.unix_s += 3600
    assert (await client.post("/tenants", json={"id": "acme"}, headers=once)).status_code == 409


async def test_a_key_is_shown_again_to_who_asks_again_and_stands_nowhere(
    client: httpx.AsyncClient, acme: str, office: Office
) -> None:
    once = {"idempotency-key": "laptop"}
    first = await client.post(f"/tenants/{acme}/keys", json={"user_id": "alice"}, headers=once)
    again = await client.post(f"/tenants/{acme}/keys", json={"user_id": "alice"}, headers=once)
    assert again.json() == first.json()
    assert len((await client.get(f"/tenants/{acme}/keys")).json()["data"]) == 1
    [answered] = office.directory.answers.values()
    assert first.json()["key"].encode() not in answered.sealed
    assert b"key" not in answered.sealed
    assert first.json()["key"] not in repr(office.directory.held)


@pytest.mark.parametrize(
    ("path", "body"), [("/tenants/acme/keys", {"user_id": "bob"}), ("/tenants/acme/users", {"id": "alice"})]
)
async def test_one_key_for_two_requests_is_a_conflict(
    client: httpx.AsyncClient, acme: str, path: str, body: dict[str, Any]
) -> None:
    once = {"idempotency-key": "laptop"}
    await client.post(f"/tenants/{acme}/keys", json={"user_id": "alice"}, headers=once)
    assert refusal(await client.post(path, json=body, headers=once))[:2] == (409, "idempotency_conflict")


async def test_an_answer_from_before_the_administrators_key_was_rotated_cannot_be_read(
    client: httpx.AsyncClient, acme: str, office: Office
) -> None:
    once = {"idempotency-key": "laptop"}
    await client.post(f"/tenants/{acme}/keys", json={"user_id": "alice"}, headers=once)
    office.admin_key.now = NEW
    rotated = {**once, "authorization": f"Bearer {NEW}"}
    answer = await client.post(f"/tenants/{acme}/keys", json={"user_id": "alice"}, headers=rotated)
    assert refusal(answer)[:2] == (409, "idempotency_conflict")
    assert len((await client.get(f"/tenants/{acme}/keys", headers=rotated)).json()["data"]) == 1


async def test_what_was_refused_may_be_asked_again(client: httpx.AsyncClient, office: Office) -> None:
    once = {"idempotency-key": "k"}
    assert (await client.post("/tenants", json={"id": "ACME"}, headers=once)).status_code == 400
    assert (await client.post("/tenants", json={"id": "acme"}, headers=once)).status_code == 201


@pytest.mark.parametrize("name", ["", "x" * 256])
async def test_an_idempotency_key_has_some_characters_and_not_too_many(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/tenants", json={"id": "acme"}, headers={"idempotency-key": name})
    assert refusal(answer) == (400, "validation_error", "Idempotency-Key")


async def test_two_at_the_same_time_with_one_key_are_one(client: httpx.AsyncClient, acme: str, office: Office) -> None:
    commit, twin, answers = office.directory.commit, [True], []

    async def raced(change: Any, now_s: float) -> None:
        if twin and twin.pop():
            answers.append(await client.post("/tenants/acme/keys", json={"user_id": "a"}, headers=once))
        await commit(change, now_s)

    once = {"idempotency-key": "laptop", **AUTH}
    office.directory.commit = raced  # type: ignore[method-assign]
    answer = await client.post("/tenants/acme/keys", json={"user_id": "a"}, headers=once)
    assert answer.json() == answers[0].json()
    assert [name for name, _ in office.told()] == ["admin.tenant.created", "admin.key.issued"]
