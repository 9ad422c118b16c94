"""A change of shards or budgets moves what is committed, and no budget can be overspent by it."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from gateway.model.directory import Change
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Meter, Reading
from gateway.model.money import NANO_PER_USD
from gateway.pipeline.meters import Share
from tests.unit.admin.conftest import Office

DAY, MONTH = "2026-09-21", "2026-09"
HOLD = Hold(until_s=1_790_000_300, admitted_s=1_790_000_000, cost_nano_usd=1, rules=("",))


def budget(usd: int, window: str = "month") -> dict[str, Any]:
    return {"budgets": [{"window": window, "usd": usd}]}


async def spent(office: Office, values: list[int], shards: int = 1, tenant: str = "acme") -> None:
    """Committed and settled in each account."""
    for shard, value in enumerate(values):
        numbers = {f"{kind}{window}": value for kind in "cs" for window in (DAY, MONTH)}
        await office.ledger.add(f"T#{tenant}#{shard}", {**numbers, "n": 0})


async def committed(office: Office, name: str = f"c{MONTH}", shards: int = 64) -> list[int]:
    readings = [await office.ledger.read(f"T#acme#{shard}") for shard in range(shards)]
    return [reading.numbers.get(name, 0) for reading in readings]


async def tenant(client: httpx.AsyncClient, usd: int, shards: int) -> None:
    body = {"id": "acme", "allowance": budget(usd), "shards": shards}
    assert (await client.post("/tenants", json=body)).status_code == 201


def exposure(values: list[int], limit: int, shards: int) -> int:
    """The most that can ever be committed: each account that is in use may fill its part."""
    in_use = [max(value, Share(shards, shard).of_amount(limit)) for shard, value in enumerate(values[:shards])]
    return sum(in_use) + sum(values[shards:])


async def test_with_more_accounts_each_takes_its_part_of_what_is_gone(
    client: httpx.AsyncClient, office: Office
) -> None:
    await tenant(client, 100, 1)
    await spent(office, [90 * NANO_PER_USD])
    await client.patch("/tenants/acme", json={"shards": 4})
    for kind in "cs":
        for window in (DAY, MONTH):
            assert await committed(office, f"{kind}{window}", 4) == [90 * NANO_PER_USD // 4] * 4
    assert [(await office.ledger.read(f"T#acme#{shard}")).shards for shard in range(4)] == [4] * 4


async def test_with_fewer_accounts_those_that_stay_take_what_the_others_had(
    client: httpx.AsyncClient, office: Office
) -> None:
    await tenant(client, 100, 4)
    await spent(office, [20 * NANO_PER_USD, 25 * NANO_PER_USD, 5 * NANO_PER_USD, 0])
    await client.patch("/tenants/acme", json={"shards": 1})
    assert await committed(office, shards=4) == [50 * NANO_PER_USD, 0, 0, 0]
    assert await committed(office, f"s{DAY}", 4) == [50 * NANO_PER_USD, 0, 0, 0]


async def test_a_lower_budget_is_spread_again(client: httpx.AsyncClient, office: Office) -> None:
    await tenant(client, 100, 2)
    await spent(office, [50 * NANO_PER_USD, 0])
    await client.patch("/tenants/acme", json={"allowance": budget(60)})
    assert await committed(office, shards=2) == [25 * NANO_PER_USD, 25 * NANO_PER_USD]


async def test_the_rest_stays_where_it_is(client: httpx.AsyncClient, office: Office) -> None:
    """Old windows, rates, running requests and their holds, and a tenant whose spread does not change."""
    await tenant(client, 100, 1)
    old = {"c2026-08": 7, "n": 1, "r29833333": 3}
    await office.ledger.add("T#acme#0", {**old, f"c{MONTH}": 8})
    account = Account("T#acme#0", "tenant", (Meter(f"c{MONTH}", "spend", 2),))
    await office.ledger.reserve(account, "h1", HOLD)
    await client.patch("/tenants/acme", json={"name": "Acme", "allowance": budget(90)})
    assert (await office.ledger.read("T#acme#0")).shards is None
    await client.patch("/tenants/acme", json={"shards": 2})
    first = await office.ledger.read("T#acme#0")
    assert first.numbers == {**old, f"c{MONTH}": 5}
    assert first.holds == {"h1": HOLD}
    assert (await office.ledger.read("T#acme#1")).numbers == {f"c{MONTH}": 5}


async def test_a_rule_for_some_models_moves_like_any_other(client: httpx.AsyncClient, office: Office) -> None:
    await tenant(client, 100, 1)
    await office.ledger.add("T#acme#0", {f"c{MONTH}/ab": 10})
    await client.patch("/tenants/acme", json={"shards": 2})
    assert await committed(office, f"c{MONTH}/ab", 2) == [5, 5]


async def test_users_are_spread_by_the_same_rule(client: httpx.AsyncClient, office: Office) -> None:
    await client.post("/tenants", json={"id": "acme", "user_allowance": budget(100)})
    await office.ledger.add("U#acme#0#alice", {f"c{MONTH}": 80 * NANO_PER_USD})
    answer = await client.put("/tenants/acme/users/alice", json={"shards": 2})
    assert answer.status_code == 201
    readings = [await office.ledger.read(f"U#acme#{shard}#alice") for shard in range(2)]
    assert [reading.numbers[f"c{MONTH}"] for reading in readings] == [40 * NANO_PER_USD] * 2


async def user_committed(office: Office, user: str, shards: int = 2) -> list[int]:
    readings = [await office.ledger.read(f"U#acme#{shard}#{user}") for shard in range(shards)]
    return [reading.numbers.get(f"c{MONTH}", 0) // NANO_PER_USD for reading in readings]


@pytest.mark.parametrize("method", ["patch", "put"])
async def test_users_with_the_tenants_allowance_for_them_are_spread_again_when_it_changes(
    client: httpx.AsyncClient, office: Office, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever page of the list they stand on."""
    monkeypatch.setattr("gateway.pipeline.admin_tenants.USERS_PER_READ", 2)
    await client.post("/tenants", json={"id": "acme", "user_allowance": budget(100)})
    settings: dict[str, dict[str, Any]] = {
        "alice": {"shards": 2},
        "bob": {"shards": 2, "allowance": budget(100)},
        "carol": {},
        "zoe": {"shards": 2},
    }
    for name, own in settings.items():
        await client.put(f"/tenants/acme/users/{name}", json=own)
        await office.ledger.add(f"U#acme#0#{name}", {f"c{MONTH}": 50 * NANO_PER_USD})
    answer = await client.request(method, "/tenants/acme", json={"user_allowance": budget(60)})
    assert answer.status_code == 200
    found = {name: await user_committed(office, name) for name in settings}
    assert found == {"alice": [25, 25], "bob": [50, 0], "carol": [50, 0], "zoe": [25, 25]}


async def test_what_is_spent_of_it_meanwhile_is_planned_again(client: httpx.AsyncClient, office: Office) -> None:
    await client.post("/tenants", json={"id": "acme", "user_allowance": budget(100)})
    await client.put("/tenants/acme/users/alice", json={"shards": 2})
    commit, late = office.directory.commit, [50]

    async def raced(change: Change, now_s: float) -> None:
        if late:
            await office.ledger.add("U#acme#0#alice", {f"c{MONTH}": late.pop() * NANO_PER_USD})
        await commit(change, now_s)

    office.directory.commit = raced  # type: ignore[method-assign]
    assert (await client.patch("/tenants/acme", json={"user_allowance": budget(60)})).status_code == 200
    assert await user_committed(office, "alice") == [25, 25]


async def test_nothing_of_users_is_moved_for_any_other_change(client: httpx.AsyncClient, office: Office) -> None:
    await client.post("/tenants", json={"id": "acme", "user_allowance": budget(100)})
    await client.put("/tenants/acme/users/alice", json={"shards": 2})
    await office.ledger.add("U#acme#0#alice", {f"c{MONTH}": 50 * NANO_PER_USD})
    body = {"name": "Acme", "user_allowance": {**budget(100), "limits": [{"requests_per_minute": 9}]}}
    assert (await client.patch("/tenants/acme", json=body)).status_code == 200
    assert await user_committed(office, "alice") == [50, 0]


async def test_more_than_one_transaction_can_move_is_refused_and_says_what_to_do(
    client: httpx.AsyncClient, office: Office
) -> None:
    await client.post("/tenants", json={"id": "acme", "shards": 30, "user_allowance": budget(100)})
    for name in ("alice", "zoe"):
        await client.put(f"/tenants/acme/users/{name}", json={"shards": 46})
    change = {"user_allowance": budget(60)}
    refused = await client.patch("/tenants/acme", json=change)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (409, "conflict", "user_allowance")
    assert "2 users with shards" in error["message"]
    assert (await client.get("/tenants/acme")).json()["user_allowance"]["budgets"][0]["usd"] == "100"
    await client.patch("/tenants/acme/users/zoe", json={"allowance": budget(60)})
    both = await client.patch("/tenants/acme", json={**change, "allowance": budget(10), "shards": 50})
    assert both.status_code == 409
    assert (await client.patch("/tenants/acme", json=change)).status_code == 200
    assert (await client.patch("/tenants/acme/users/zoe", json={"allowance": None})).status_code == 200


async def test_what_is_spent_meanwhile_is_seen_or_the_change_is_planned_again(
    client: httpx.AsyncClient, office: Office
) -> None:
    await tenant(client, 100, 1)
    await spent(office, [90 * NANO_PER_USD])
    commit, late = office.directory.commit, [9 * NANO_PER_USD]
    attempts: list[Change] = []

    async def raced(change: Change, now_s: float) -> None:
        attempts.append(change)
        if late:
            await office.ledger.add("T#acme#0", {f"c{MONTH}": late.pop()})
        await commit(change, now_s)

    office.directory.commit = raced  # type: ignore[method-assign]
    assert (await client.patch("/tenants/acme", json={"shards": 4})).status_code == 200
    assert len(attempts) == 2
    assert await committed(office, shards=4) == [99 * NANO_PER_USD // 4] * 4


async def test_no_change_begins_on_one_day_and_ends_on_another(client: httpx.AsyncClient, office: Office) -> None:
    await tenant(client, 100, 1)
    office.clock.unix_s = 1_790_035_200 - 3.5  # 2026-09-22 is about to begin
    await office.ledger.add("T#acme#0", {"c2026-09-21": 5, "c2026-09-22": 8})
    await client.patch("/tenants/acme", json={"shards": 2})
    assert office.clock.slept == [4.5]
    assert await committed(office, "c2026-09-21", 2) == [5, 0]
    assert await committed(office, "c2026-09-22", 2) == [4, 4]


async def test_what_was_held_in_an_account_that_went_comes_home_with_the_next_change(
    client: httpx.AsyncClient, office: Office
) -> None:
    await tenant(client, 100, 2)
    await spent(office, [0, 30 * NANO_PER_USD])
    await client.patch("/tenants/acme", json={"shards": 1})
    await office.ledger.add("T#acme#1", {f"c{MONTH}": -20 * NANO_PER_USD, f"s{MONTH}": 10})  # less than was held
    assert await committed(office, shards=2) == [30 * NANO_PER_USD, -20 * NANO_PER_USD]
    await client.patch("/tenants/acme", json={"name": "Acme"})
    assert await committed(office, shards=2) == [10 * NANO_PER_USD, 0]


async def test_what_could_not_come_home_does_not_undo_the_change(client: httpx.AsyncClient, office: Office) -> None:
    """The second transaction of a change to fewer accounts fails: some of the budget waits, none is given twice."""
    await tenant(client, 100, 2)
    await spent(office, [10 * NANO_PER_USD, 30 * NANO_PER_USD])
    commit, failing = office.directory.commit, [False, True]

    async def raced(change: Change, now_s: float) -> None:
        if failing and failing.pop(0):
            await office.ledger.add("T#acme#0", {f"c{MONTH}": 20 * NANO_PER_USD})
            await office.ledger.add("T#acme#0", {f"c{MONTH}": 40 * NANO_PER_USD})
        await commit(change, now_s)

    office.directory.commit = raced  # type: ignore[method-assign]
    assert (await client.patch("/tenants/acme", json={"shards": 1})).status_code == 200
    values = await committed(office, shards=2)
    assert sum(values) == 100 * NANO_PER_USD
    assert exposure(values, 100 * NANO_PER_USD, 1) <= 100 * NANO_PER_USD


async def test_books_that_cannot_be_read_afterwards_do_not_undo_the_change(
    client: httpx.AsyncClient, office: Office
) -> None:
    await tenant(client, 100, 2)
    commit, read = office.directory.commit, office.ledger.read

    async def unavailable(account_id: str) -> Reading:
        raise AdmissionUnavailable("Not now.")

    async def last_commit(change: Change, now_s: float) -> None:
        await commit(change, now_s)
        office.ledger.read = unavailable  # type: ignore[method-assign]

    office.directory.commit = last_commit  # type: ignore[method-assign]
    assert (await client.patch("/tenants/acme", json={"shards": 1})).status_code == 200
    refused = await client.patch("/tenants/acme", json={"shards": 2})
    assert refused.json()["error"]["code"] == "admission_unavailable"
    office.ledger.read = read  # type: ignore[method-assign]
    assert (await client.get("/tenants/acme")).json()["shards"] == 1


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_is_spent_meanwhile_no_budget_can_be_overspent(
    client: httpx.AsyncClient, office: Office, seed: int
) -> None:
    """Each account goes on admitting what fits its part, before every commit and after it."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    limit, before = chance.randint(1, 10**6), chance.randint(1, 8)
    usd = limit / 10**9
    body = {"id": "acme", "allowance": {"budgets": [{"window": "month", "usd": f"{usd:.9f}"}]}, "shards": before}
    assert (await client.post("/tenants", json=body)).status_code == 201
    commit, in_use = office.directory.commit, before

    async def admit() -> None:
        for shard in range(in_use):
            account_id, part = f"T#acme#{shard}", Share(in_use, shard).of_amount(limit)
            left = part - (await office.ledger.read(account_id)).numbers.get(f"c{MONTH}", 0)
            if left > 0 and chance.random() < 0.5:
                await office.ledger.add(account_id, {f"c{MONTH}": chance.randint(0, left)})

    async def raced(change: Change, now_s: float) -> None:
        nonlocal in_use
        await admit()
        await commit(change, now_s)
        in_use = next((move.shards for move in change.transfers), in_use)
        assert exposure(await committed(office), limit, in_use) <= limit
        await admit()

    office.directory.commit = raced  # type: ignore[method-assign]
    await admit()
    for _ in range(6):
        total = sum(await committed(office))
        answer = await client.patch("/tenants/acme", json={"shards": chance.randint(1, 8)})
        assert answer.status_code in (200, 409)
        values = await committed(office)
        assert sum(values) >= total
        assert exposure(values, limit, in_use) <= limit
        assert (await client.get("/tenants/acme")).json()["shards"] == in_use
