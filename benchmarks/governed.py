"""Part D: requests race for tenants that have little, through the whole local stack; then the books are read."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks import aims
from benchmarks.figures import Row, Table
from benchmarks.race import Contest, Outcome, cost_nano_usd, race
from benchmarks.report import Report
from benchmarks.through_stack import stack
from gateway.model.money import usd_text
from local.aws import Aws
from local.console import Problem, Progress
from local.endpoints import Endpoints

REQUESTS = 10_000
AT_ONCE = 64
FIT = 40
"""Requests that each budget can pay."""
SPREAD = 4
RATE_PER_MINUTE = 30
AFTERWARDS = 30
"""Requests of the second race for each budget: all that fits is given by then."""
SETTLED_WITHIN_S, RECORDED_WITHIN_S = 120.0, 900.0


@dataclass(frozen=True, slots=True)
class Raced:
    """A tenant. `fits`: how many requests its budgets pay for; None where only its rate is limited."""

    name: str
    settings: dict[str, Any]
    fits: int | None


def _budget(requests: int, window: str = "month", models: str = "*") -> dict[str, Any]:
    """Almost one more would fit, too."""
    nano_usd = (requests + 1) * cost_nano_usd() - 1
    return {"window": window, "usd": usd_text(nano_usd), "models": models}


def _spread_budget() -> dict[str, Any]:
    """Each share pays whole requests, so that all of it can be spent."""
    return {"window": "month", "usd": usd_text(FIT * cost_nano_usd())}


def tenants() -> list[Raced]:
    tight, wide = {"budgets": [_budget(FIT)]}, {"budgets": [_budget(3 * FIT)]}
    rate = {"limits": [{"requests_per_minute": RATE_PER_MINUTE}]}
    return [
        Raced("tenant-month", {"allowance": tight}, FIT),
        Raced("tenant-day", {"allowance": {"budgets": [_budget(FIT, "day")]}}, FIT),
        Raced("user-month", {"user_allowance": tight}, FIT),
        Raced("tenant-over-user", {"allowance": tight, "user_allowance": wide}, FIT),
        Raced("user-over-tenant", {"allowance": wide, "user_allowance": tight}, FIT),
        Raced("model", {"allowance": {"budgets": [_budget(FIT, "month", "openai/*"), _budget(2 * FIT)]}}, FIT),
        Raced("spread", {"allowance": {"budgets": [_spread_budget()]}, "shards": SPREAD}, FIT),
        Raced("at-once", {"allowance": {**tight, "limits": [{"concurrent_requests": 3}]}}, FIT),
        Raced("tenant-rate", {"allowance": rate}, None),
        Raced("user-rate", {"user_allowance": rate}, None),
    ]


class Books:
    """What the gateway has written of one tenant."""

    def __init__(self, endpoints: Endpoints, admin: httpx.Client) -> None:
        self._ledger = Aws(endpoints.aws_endpoint_url).client("dynamodb")
        self._admin = admin
        names = self._ledger.list_tables()["TableNames"]
        [self._table] = [name for name in names if name.endswith("-ledger")]

    def accounts(self, tenant_id: str) -> dict[str, dict[str, int]]:
        """Numbers by account, and holds as "holds"."""
        found: dict[str, dict[str, int]] = {}
        for page in self._ledger.get_paginator("scan").paginate(TableName=self._table):
            for item in page["Items"]:
                account_id = item["pk"]["S"]
                if account_id.split("#")[1] == tenant_id:
                    numbers = {name: int(value["N"]) for name, value in item.items() if "N" in value}
                    numbers["holds"] = sum(name[0] == "h" for name in item)
                    found[account_id] = numbers
        return found

    def settled(self, tenant_id: str, within_s: float = SETTLED_WITHIN_S) -> dict[str, dict[str, int]]:
        """Once nothing is held any more. Raises Problem."""
        deadline_s = time.monotonic() + within_s
        while True:
            accounts = self.accounts(tenant_id)
            if not any(numbers["holds"] for numbers in accounts.values()):
                return accounts
            if time.monotonic() > deadline_s:
                raise Problem(f"Holds of {tenant_id} are left: {accounts}")
            time.sleep(0.2)

    def recorded(self, tenant_id: str, requests: int) -> dict[str, Any]:
        """The sums of usage once they know of every request. Raises Problem."""
        deadline_s = time.monotonic() + RECORDED_WITHIN_S
        while True:
            total: dict[str, Any] = self._admin.get("/usage", params={"tenant_id": tenant_id}).json()["total"]
            if total["requests"] >= requests or time.monotonic() > deadline_s:
                return total
            time.sleep(1)


def months_of(accounts: Mapping[str, Mapping[str, int]], kind: str, level: str) -> int:
    """The sum over the accounts of a level of what they have for each month, over all months and models."""
    return sum(
        value
        for account_id, numbers in accounts.items()
        for name, value in numbers.items()
        if account_id[0] == level and name[0] == kind and len(name) == len("c2026-11") and name[1].isdigit()
    )


def measure(share: float, progress: Progress) -> Report:
    """Raises Problem."""
    with stack(progress) as endpoints:
        headers = {"authorization": f"Bearer {endpoints.admin_key}"}
        with httpx.Client(base_url=f"{endpoints.origin}/admin", headers=headers, timeout=60) as admin:
            return _measure(endpoints, admin, share, progress)


def _measure(endpoints: Endpoints, admin: httpx.Client, share: float, progress: Progress) -> Report:
    raced = tenants()
    each = int(REQUESTS * share) // len(raced)
    run = f"race-{int(time.time())}"
    keys = {one.name: made(admin, f"{run}-{one.name}", one.settings) for one in raced}
    started_s = time.time()
    with progress.step(f"{each * len(raced)} requests race, {AT_ONCE} at once"):
        contests = {one.name: Contest(keys[one.name], each) for one in raced}
        outcomes = asyncio.run(race(endpoints.http, contests, AT_ONCE))
    lasted_s = time.time() - started_s
    books = Books(endpoints, admin)
    with progress.step("what was given back is asked for again"):
        for one in raced:
            books.settled(f"{run}-{one.name}")
        again = {one.name: Contest(keys[one.name], AFTERWARDS) for one in raced if one.fits is not None}
        # One at a time for each tenant: nothing that is given back again stands in the way of another.
        later = asyncio.run(race(endpoints.http, again, 1))
    findings = Findings(lasted_s, each * len(raced) + AFTERWARDS * len(again))
    with progress.step("books and usage records are read"):
        for one in raced:
            both = _added(outcomes[one.name], later.get(one.name, Outcome()))
            asked = each + (AFTERWARDS if one.fits is not None else 0)
            tenant_id = f"{run}-{one.name}"
            accounts = books.settled(tenant_id)
            findings.take(one, both, accounts, books.recorded(tenant_id, asked), asked)
    return findings.report()


def made(admin: httpx.Client, tenant_id: str, settings: dict[str, Any]) -> str:
    """A key of the new tenant's."""
    admin.post("/tenants", json={"id": tenant_id, "approvals": ["*"], **settings}).raise_for_status()
    issued = admin.post(f"/tenants/{tenant_id}/keys", json={"user_id": "alice"})
    key: str = issued.raise_for_status().json()["key"]
    return key


def _added(one: Outcome, other: Outcome) -> Outcome:
    return Outcome(one.codes + other.codes, one.spent_nano_usd + other.spent_nano_usd, one.tokens + other.tokens)


class Findings:
    """What must all be nothing."""

    def __init__(self, lasted_s: float, requests: int) -> None:
        self._lasted_s, self._requests = lasted_s, requests
        self._served = self._overspent = self._refused = self._beyond_rate = self._difference = 0
        self._unrecorded = 0
        self._codes: Counter[str] = Counter()

    def take(
        self, one: Raced, outcome: Outcome, accounts: dict[str, dict[str, int]], usage: dict[str, Any], asked: int
    ) -> None:
        """`asked`: requests that were sent."""
        served = outcome.codes["ok"]
        self._served += served
        self._codes += outcome.codes
        self._unrecorded += asked - usage["requests"]
        if one.fits is None:
            minutes = int(self._lasted_s // 60) + 2  # a race begins and ends in the middle of one
            self._beyond_rate += max(0, served - minutes * RATE_PER_MINUTE)
        else:
            self._overspent += max(0, served - one.fits) * cost_nano_usd()
            self._refused += max(0, one.fits - served)
        for level in "TU":
            settled, committed = (months_of(accounts, kind, level) for kind in "sc")
            for said in (committed, usage["cost_nano_usd"], outcome.spent_nano_usd, served * cost_nano_usd()):
                self._difference += abs(settled - said)

    def report(self) -> Report:
        figures = {
            ("requests", ""): self._requests,
            ("served", ""): self._served,
            ("length of the race", "s"): self._lasted_s,
            **{(f"answered {code}", ""): count for code, count in sorted(self._codes.items())},
        }
        rows = [Row.single(name, unit, [float(value)]) for (name, unit), value in figures.items()]
        note = (
            f"{AT_ONCE} open at once over {len(tenants())} tenants. Every request is billed what is held for it; books "
            "are the ledger's, of tenant and user, settled and committed."
        )
        unexpected = sum(
            count for code, count in self._codes.items() if code not in ("ok", "budget_exceeded", "rate_limited")
        )
        verdicts = [
            aims.OVERSPENT.judged(float(self._overspent)),
            aims.BEYOND_RATE.judged(float(self._beyond_rate)),
            aims.REFUSED_THOUGH_IT_FITS.judged(float(self._refused)),
            aims.BOOKS_DIFFER.judged(float(self._difference)),
            aims.UNRECORDED.judged(float(self._unrecorded)),
            aims.OTHERWISE_ANSWERED.judged(float(unexpected)),
        ]
        return Report([Table("D: a race for little, through the whole local stack", note, rows)], verdicts)
