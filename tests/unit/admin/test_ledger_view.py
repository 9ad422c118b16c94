"""What a tenant and a user have spent, hold and have left, as the administrator sees it."""

from __future__ import annotations

import httpx

from gateway.model.ledger import suffix
from tests.unit.admin.conftest import Office

MINUTE, DAY, MONTH = 29_833_333, "2026-09-21", "2026-09"
ALLOWANCE = {
    "limits": [
        {"requests_per_minute": 10, "tokens_per_minute": 1_000, "concurrent_requests": 3, "burst": {"requests": 5}},
        {"models": "openai/*", "requests_per_minute": 4},
    ],
    "budgets": [{"window": "day", "usd": "0.000001"}, {"window": "month", "usd": 2, "models": "openai/*"}],
}


async def test_an_idle_tenant_has_all_left(client: httpx.AsyncClient, acme: str, office: Office) -> None:
    books = (await client.get(f"/tenants/{acme}/ledger")).json()
    spending = {"models": "*", "spent_usd": "0", "held_usd": "0"}
    assert books == {
        "object": "ledger",
        "level": "tenant",
        "tenant_id": acme,
        "user_id": None,
        "at": int(office.clock.unix_s),
        "running_requests": 0,
        "running_jobs": 0,
        "spending": [
            {"window": "day", **spending, "resets_at": 1_790_035_200},
            {"window": "month", **spending, "resets_at": 1_790_812_800},
        ],
        "budgets": [],
        "limits": [{"kind": "concurrent_jobs", "models": "*", "limit": 250, "used": 0, "left": 250}],
    }


async def test_every_rule_says_what_is_gone_and_what_is_left(client: httpx.AsyncClient, office: Office) -> None:
    await client.post("/tenants", json={"id": "acme", "allowance": ALLOWANCE, "shards": 2})
    openai = suffix("openai/*")
    numbers = {
        "n": 1,
        "j": 2,
        f"r{MINUTE}": 2,
        f"r{MINUTE}{openai}": 1,
        f"t{MINUTE}": 300,
        f"r{MINUTE - 1}": 9,
        "b10.179000000": 1,
        f"c{DAY}": 600,
        f"s{DAY}": 500,
        f"c{MONTH}{openai}": 1_000_000_000,
        f"s{MONTH}{openai}": 1_000_000_000,
    }
    for shard in range(2):
        await office.ledger.add(f"T#acme#{shard}", numbers)
    books = (await client.get("/tenants/acme/ledger")).json()
    assert (books["running_requests"], books["running_jobs"]) == (2, 4)
    assert [(row["kind"], row["models"], row["used"], row["left"]) for row in books["limits"]] == [
        ("requests_per_minute", "*", 4, 6),
        ("tokens_per_minute", "*", 600, 400),
        ("concurrent_requests", "*", 2, 1),
        ("burst", "*", 2, 3),
        ("requests_per_minute", "openai/*", 2, 2),
        ("concurrent_jobs", "*", 4, 496),
    ]
    day, month = books["budgets"]
    assert (day["spent_usd"], day["held_usd"], day["left_usd"]) == ("0.000001", "0.0000002", "0")
    assert (month["models"], month["limit_usd"], month["spent_usd"], month["left_usd"]) == ("openai/*", "2", "2", "0")


async def test_what_ended_in_an_account_that_has_gone_still_counts(client: httpx.AsyncClient, office: Office) -> None:
    await client.post("/tenants", json={"id": "acme", "shards": 2})
    await client.patch("/tenants/acme", json={"shards": 1})
    await office.ledger.add("T#acme#0", {f"s{DAY}": 5, f"c{DAY}": 12, "n": 0})
    await office.ledger.add("T#acme#1", {f"s{DAY}": 5, f"c{DAY}": -2, "n": 1})
    books = (await client.get("/tenants/acme/ledger")).json()
    assert books["running_requests"] == 1
    assert (books["spending"][0]["spent_usd"], books["spending"][0]["held_usd"]) == ("0.00000001", "0")


async def test_a_user_has_his_own_or_what_the_tenant_gives_every_user(
    client: httpx.AsyncClient, office: Office
) -> None:
    await client.post("/tenants", json={"id": "acme", "user_allowance": ALLOWANCE})
    await office.ledger.add("U#acme#0#alice", {f"c{DAY}": 400, f"s{DAY}": 400})
    books = (await client.get("/tenants/acme/users/alice/ledger")).json()
    assert (books["level"], books["user_id"], books["budgets"][0]["left_usd"]) == ("user", "alice", "0.0000006")
    await client.put("/tenants/acme/users/alice", json={"allowance": {"budgets": [{"window": "day", "usd": 1}]}})
    books = (await client.get("/tenants/acme/users/alice/ledger")).json()
    assert [row["left_usd"] for row in books["budgets"]] == ["0.9999996"]


async def test_an_id_that_no_user_can_have_has_no_books(client: httpx.AsyncClient) -> None:
    await client.post("/tenants", json={"id": "acme"})
    answer = await client.get("/tenants/acme/users/%C2%84/ledger")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "user_not_found")
