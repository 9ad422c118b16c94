"""/admin/usage, behind the administrator's door."""

from __future__ import annotations

import httpx

from tests.record_fakes import NOW_S, record
from tests.unit.admin.conftest import Office


async def test_the_administrator_sees_what_all_tenants_used_or_one(client: httpx.AsyncClient, office: Office) -> None:
    office.clock.unix_s = NOW_S + 60
    other = record("req_2", of={"tenant_id": "other"}, cost_nano_usd=5)
    await office.usage.add([record("req_1", of={"tenant_id": "acme"}, cost_nano_usd=7), other])
    found = (await client.get("/usage", params={"group_by": "tenant"})).json()
    assert [(row["tenant"], row["cost_nano_usd"]) for row in found["data"]] == [("acme", 7), ("other", 5)]
    one = (await client.get("/usage", params={"tenant_id": "other"})).json()
    assert one["total"]["cost_nano_usd"] == 5
    table = await client.get("/usage", params={"format": "csv", "group_by": "tenant"})
    assert [line.split(",")[0] for line in table.text.splitlines()] == ["tenant", "acme", "other"]
