"""A webhook's URL is judged when it is stored, by the rules that it is called by."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from gateway.model.directory import Stored, text_of
from gateway.model.hook import WebhookHook
from gateway.model.tenant import Tenant
from tests.unit.admin.conftest import Office, refusal

GOOD = "https://moderation.example.com/v1/judge?strict=1"
NO_WEBHOOK = [
    "http://moderation.example.com/judge",
    "https://user:secret@moderation.example.com/",
    "https://moderation.example.com:8443/",
    "https://10.0.0.7/",
    "https://192.168.1.1/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://localhost/",
    "https://metadata.google.internal/",
    "https://moderation/",
    "https://exa mple.com/",
    "https://",
]


def webhook(url: str) -> dict[str, Any]:
    return {"kind": "webhook", "id": "moderation", "url": url}


@pytest.mark.parametrize("url", NO_WEBHOOK)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_one_that_would_never_be_called_is_not_stored(
    client: httpx.AsyncClient, office: Office, acme: str, method: str, url: str
) -> None:
    before = dict(office.directory.held)
    path = "/tenants" if method == "POST" else "/tenants/acme"
    hooks = [{"kind": "mask_pii", "id": "pii"}, webhook(url)]
    body = {"id": "beta", "hooks": hooks} if method == "POST" else {"hooks": hooks}
    answer = await client.request(method, path, json=body)
    assert refusal(answer) == (400, "validation_error", "hooks[1].url")
    error = answer.json()["error"]
    assert [detail["pointer"] for detail in error["details"]] == ["/hooks/1/url"]
    assert "secret" not in error["message"]
    assert office.directory.held == before


async def test_one_that_may_be_called_is(client: httpx.AsyncClient, acme: str) -> None:
    answer = await client.patch("/tenants/acme", json={"hooks": [webhook(GOOD)]})
    assert (answer.status_code, answer.json()["hooks"][0]["url"]) == (200, GOOD)


async def test_a_tenant_that_has_a_bad_one_from_before_can_be_disabled_and_mended(
    client: httpx.AsyncClient, office: Office
) -> None:
    tenant = Tenant(id="old", hooks=(WebhookHook(id="moderation", url="http://10.0.0.7/"),))
    office.directory.held[Tenant, "old", "old"] = Stored(tenant, text_of(tenant), 1, 1)
    assert (await client.post("/tenants/old/disable")).status_code == 200
    assert (await client.patch("/tenants/old", json={"name": "Old"})).status_code == 200
    assert (await client.patch("/tenants/old", json={"hooks": [webhook("http://10.0.0.8/")]})).status_code == 400
    assert (await client.patch("/tenants/old", json={"hooks": [webhook(GOOD)]})).status_code == 200
    assert msgspec.to_builtins(office.directory.held[Tenant, "old", "old"].value)["status"] == "disabled"
