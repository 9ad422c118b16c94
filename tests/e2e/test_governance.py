"""Limits and budgets through the deployed stack: exact under a race, and shown to the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from benchmarks.race import MAX_TOKENS, Contest, Outcome, cost_nano_usd, prompt_tokens, race, request
from gateway.model.money import usd_text
from tests.e2e.conftest import Gateway
from tests.e2e.tenants import put_key, put_tenant, table

AT_ONCE = 64
SETTLED_WITHIN_S = 20.0
FIT = 12
HELLO = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


def account(local: Gateway, account_id: str) -> dict[str, Any]:
    item: dict[str, Any] = (
        table(local.aws_endpoint_url, "-ledger").get_item(Key={"pk": account_id}, ConsistentRead=True).get("Item", {})
    )
    return item


def settled(local: Gateway, account_id: str) -> dict[str, Any]:
    """The account once nothing is held in it any more: settling comes after the client has its answer."""
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        item = account(local, account_id)
        if item and not any(name.startswith("h") for name in item):
            return item
        assert time.monotonic() < deadline_s, item
        time.sleep(0.05)


def number(item: dict[str, Any], kind: str) -> int:
    """The one of this month, day or minute that has that kind."""
    [value] = [int(value) for name, value in item.items() if name.startswith(kind) and len(name) == len(kind) + 7]
    return value


def allowance(**rules: Any) -> dict[str, Any]:
    budgets = [{"window": "month", "usd": usd_text(rules.pop("nano_usd"))}] if "nano_usd" in rules else []
    return {"limits": [rules] if rules else [], "budgets": budgets}


@pytest.fixture
def raced(local: Gateway) -> Callable[..., Outcome]:
    def run(name: str, requests: int, **settings: Any) -> Outcome:
        put_tenant(local.aws_endpoint_url, name, **settings)
        key = put_key(local.aws_endpoint_url, name, "alice")
        return asyncio.run(race(local.http, {name: Contest(key, requests)}, AT_ONCE))[name]

    return run


@pytest.mark.parametrize("level", ["allowance", "user_allowance"])
def test_a_budget_pays_exactly_what_fits_and_never_more(
    local: Gateway, raced: Callable[..., Outcome], level: str
) -> None:
    name = f"race-{level.replace('_', '-')}"
    budget = FIT * cost_nano_usd() + cost_nano_usd() - 1
    outcome = raced(name, 300, **{level: allowance(nano_usd=budget)})
    assert outcome.codes == {"ok": FIT, "budget_exceeded": 300 - FIT}
    assert outcome.spent_nano_usd == FIT * cost_nano_usd() <= budget
    for account_id in (f"T#{name}#0", f"U#{name}#0#alice"):
        books = settled(local, account_id)
        assert (number(books, "c"), number(books, "s"), books["n"]) == (outcome.spent_nano_usd,) * 2 + (0,)


def test_budgets_at_both_levels_leave_nothing_behind(local: Gateway, raced: Callable[..., Outcome]) -> None:
    """What one level takes and the other refuses is given back, so that in the end all that fits is admitted."""
    tight, wide = (2 * FIT * cost_nano_usd(), FIT * cost_nano_usd())
    both = {"allowance": allowance(nano_usd=tight), "user_allowance": allowance(nano_usd=wide)}
    first = raced("race-both", 200, **both)
    settled(local, "T#race-both#0")
    second = raced("race-both", 50, **both)
    assert first.codes["ok"] + second.codes["ok"] == FIT
    books = settled(local, "T#race-both#0")
    assert number(books, "c") == number(books, "s") == FIT * cost_nano_usd()


def test_rates_let_exactly_as_many_pass(local: Gateway, raced: Callable[..., Outcome]) -> None:
    if time.time() % 60 > 35:
        time.sleep(61 - time.time() % 60)  # the race has to end within its minute
    requests = raced("race-requests", 150, allowance=allowance(requests_per_minute=20))
    per_request = prompt_tokens() + MAX_TOKENS
    tokens = raced("race-tokens", 150, allowance=allowance(tokens_per_minute=20 * per_request + per_request - 1))
    assert requests.codes == {"ok": 20, "rate_limited": 130}
    assert tokens.codes == {"ok": 20, "rate_limited": 130}
    assert tokens.tokens == 20 * per_request


def test_no_more_run_at_once_than_may(local: Gateway) -> None:
    put_tenant(local.aws_endpoint_url, "race-at-once", allowance=allowance(concurrent_requests=3))
    key = put_key(local.aws_endpoint_url, "race-at-once", "alice")
    gate = f"race{time.monotonic_ns()}"
    slow = {**HELLO, "messages": [{"role": "user", "content": f"[[gate={gate}]] Hello"}]}

    async def run() -> list[int]:
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=local.http, headers=headers, timeout=60) as client:
            tasks = [asyncio.create_task(client.post("/chat/completions", json=slow)) for _ in range(12)]
            done: set[asyncio.Task[httpx.Response]] = set()
            while len(done) < 9:
                done, _ = await asyncio.wait(tasks, timeout=30, return_when=asyncio.FIRST_COMPLETED)
            async with httpx.AsyncClient() as control:
                await control.post(f"{local.simulators}/_sim/gates/{gate}")
            return sorted([(await task).status_code for task in tasks])

    assert asyncio.run(run()) == [200] * 3 + [429] * 9
    assert settled(local, "T#race-at-once#0")["n"] == 0


def test_the_official_client_sees_what_is_left(local: Gateway) -> None:
    limits = {
        **allowance(requests_per_minute=100, tokens_per_minute=100_000),
        "budgets": allowance(nano_usd=10**9)["budgets"],
    }
    put_tenant(local.aws_endpoint_url, "headers", allowance=limits)
    key = put_key(local.aws_endpoint_url, "headers", "alice")
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**HELLO)  # type: ignore[call-overload]
        assert raw.headers["x-ratelimit-limit-requests"] == "100"
        assert raw.headers["x-ratelimit-remaining-requests"] == "99"
        assert int(raw.headers["x-ratelimit-remaining-tokens"]) < 100_000
        assert raw.headers["x-ratelimit-reset-requests"].endswith("s")
        assert 0 < float(raw.headers["x-gateway-budget-remaining-usd"]) < 1
        put_tenant(local.aws_endpoint_url, "headers", allowance=allowance(nano_usd=1))
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(**HELLO)  # type: ignore[call-overload]
        assert refused.value.status_code == 402
        assert refused.value.code == "budget_exceeded"


def test_the_race_s_request_costs_what_is_held_for_it(local: Gateway) -> None:
    with httpx.Client(base_url=local.http, headers={"authorization": f"Bearer {local.api_key}"}, timeout=60) as client:
        reply = client.post("/chat/completions", json=request()).json()
    assert round(reply["usage"]["cost_estimate"] * 1e9) == cost_nano_usd()
