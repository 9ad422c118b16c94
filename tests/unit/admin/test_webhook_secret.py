"""What a tenant's webhooks are signed with: the same until it is rotated, told of without being told."""

from __future__ import annotations

import json

import httpx
import pytest

from gateway.model.record import AuditEvent
from tests.unit.admin.conftest import Office, refusal

PLACE = "/tenants/acme/webhook-secret"


async def test_a_tenant_has_one_from_the_beginning(client: httpx.AsyncClient, office: Office, acme: str) -> None:
    first, again = await client.get(PLACE), await client.get(PLACE)
    told = first.json()
    assert (first.status_code, told) == (200, again.json())
    assert (told["tenant_id"], told["version"], told["previous_until"]) == (acme, 1, None)
    assert first.headers["cache-control"] == "no-store"
    [expected] = await office.webhook_secrets.find("acme", 1)
    assert told["secret"] == expected.reveal()
    await client.post("/tenants", json={"id": "other"})
    assert (await client.get("/tenants/other/webhook-secret")).json()["secret"] != told["secret"]


async def test_it_is_told_of_whenever_it_is_shown(client: httpx.AsyncClient, office: Office, acme: str) -> None:
    secret = (await client.get(PLACE)).json()["secret"]
    await client.post(f"{PLACE}/rotate")
    assert office.told()[1:] == [
        ("admin.tenant.webhook_secret_shown", {}),
        ("admin.tenant.webhook_secret_rotated", {"fields": ["webhooks"]}),
    ]
    events = [event for event in office.events.told if isinstance(event, AuditEvent)]
    assert secret.removeprefix("whsec_") not in repr(events) + repr(office.directory)


@pytest.mark.parametrize(("body", "overlap_s"), [({}, 86_400), ({"overlap_s": 60}, 60)])
async def test_another_takes_over_while_both_sign(
    client: httpx.AsyncClient, office: Office, acme: str, body: dict[str, int], overlap_s: int
) -> None:
    old = (await client.get(PLACE)).json()
    new = (await client.post(f"{PLACE}/rotate", json=body)).json()
    assert (new["version"], new["previous_until"]) == (2, int(office.clock.unix_s) + overlap_s)
    assert new["secret"] != old["secret"]
    assert (await client.get(PLACE)).json() == new
    office.clock.unix_s += overlap_s
    assert (await client.get(PLACE)).json() == new | {"previous_until": None}


async def test_one_that_is_out_goes_at_once(client: httpx.AsyncClient, acme: str) -> None:
    assert (await client.post(f"{PLACE}/rotate", json={"overlap_s": 0})).json()["previous_until"] is None


async def test_a_rotation_that_comes_again_shows_the_same(client: httpx.AsyncClient, office: Office, acme: str) -> None:
    once = {"idempotency-key": "rotate-1"}
    first, again = [await client.post(f"{PLACE}/rotate", headers=once) for _ in range(2)]
    assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
    assert (await client.get(PLACE)).json()["version"] == 2


async def test_it_is_rotated_as_it_was_seen(client: httpx.AsyncClient, acme: str) -> None:
    seen = (await client.get(PLACE)).headers["etag"]
    assert (await client.post(f"{PLACE}/rotate", headers={"if-match": seen})).status_code == 200
    assert (await client.post(f"{PLACE}/rotate", headers={"if-match": seen})).status_code == 412


@pytest.mark.parametrize("body", [{"overlap_s": -1}, {"overlap_s": 604_801}, {"overlap": 1}])
async def test_a_wrong_rotation_is_refused(client: httpx.AsyncClient, acme: str, body: dict[str, int]) -> None:
    answer = await client.post(f"{PLACE}/rotate", json=body)
    assert refusal(answer) == (400, "validation_error", next(iter(body)))


async def test_nobody_else_is_shown_it(client: httpx.AsyncClient, acme: str) -> None:
    for method, place in (("GET", PLACE), ("POST", f"{PLACE}/rotate")):
        answer = await client.request(method, place, headers={"authorization": "Bearer gwk_of-a-tenant"})
        assert refusal(answer)[:2] == (401, "invalid_api_key")
    assert (await client.get("/tenants/nobody/webhook-secret")).status_code == 404


async def test_where_it_cannot_be_read(client: httpx.AsyncClient, office: Office, acme: str) -> None:
    office.webhook_secrets.is_broken = True
    assert refusal(await client.get(PLACE))[:2] == (503, "storage_unavailable")


@pytest.mark.parametrize("url", ["http://acme.example.com/", "https://10.0.0.7/", "https://a:b@acme.example.com/", ""])
async def test_where_a_tenant_is_told_is_judged_when_it_is_stored(
    client: httpx.AsyncClient, acme: str, url: str
) -> None:
    answer = await client.patch("/tenants/acme", json={"webhooks": {"url": url}})
    assert refusal(answer) == (400, "validation_error", "webhooks.url")


async def test_settings_leave_the_secret_as_it_is(client: httpx.AsyncClient, acme: str) -> None:
    """Whoever replaces all of them would else sign with one again that was given up."""
    await client.post(f"{PLACE}/rotate")
    secret = (await client.get(PLACE)).json()
    tenant = (await client.get("/tenants/acme")).json()
    for answer in (
        await client.put("/tenants/acme", json={"approvals": ["*"]}),
        await client.put("/tenants/acme", json=tenant),
        await client.patch("/tenants/acme", json={"webhooks": None}),
        await client.patch("/tenants/acme", json={"webhooks": {"url": "https://acme.example.com/"}}),
    ):
        assert (answer.status_code, (await client.get(PLACE)).json()) == (200, secret)


@pytest.mark.parametrize("name", ["secret_version", "previous_until_s"])
async def test_the_secret_is_no_setting(client: httpx.AsyncClient, acme: str, name: str) -> None:
    for answer in (
        await client.patch("/tenants/acme", json={"webhooks": {name: 7}}),
        await client.put("/tenants/acme", json={"webhooks": {name: 7}}),
        await client.post("/tenants", json={"id": "other", "webhooks": {name: 7}}),
    ):
        assert refusal(answer) == (400, "validation_error", f"webhooks.{name}")


async def test_where_a_tenant_is_told(client: httpx.AsyncClient, office: Office, acme: str) -> None:
    url = "https://acme.example.com/jobs?token=open-sesame"
    answer = await client.patch("/tenants/acme", json={"webhooks": {"url": url}})
    assert answer.json()["webhooks"] == {"url": url, "secret_version": 1, "previous_until_s": 0}
    assert "sesame" not in json.dumps(office.told())
    await client.post(f"{PLACE}/rotate")
    assert (await client.get("/tenants/acme")).json()["webhooks"]["url"] == url
