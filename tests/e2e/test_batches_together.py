"""One batch over four providers, three of which have batches of their own: seen as it runs, cancelled, and paid."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, eventually
from tests.e2e.tenants import put_tenant
from tests.e2e.test_batches import client, customer, ended, gate, line, open_gate, results  # noqa: F401

OPENAI, *NATIVE = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash")
DIRECT = "xai/grok-4.3"
"""Has no batches here."""
WORDS = "the very own words of a batch over four providers"
EACH = 5
pytestmark = pytest.mark.stack


def lines(gate: str) -> list[dict[str, Any]]:  # noqa: F811
    """Of all providers in turn. OpenAI's batch waits for the gate, and nobody else does."""
    made = [
        line(f"{model}-{number}", model, f"{WORDS} {number}") for model in (*NATIVE, DIRECT) for number in range(EACH)
    ]
    made += [line(f"held-{number}", OPENAI, f"[[gate={gate}]] {WORDS} {number}") for number in range(EACH)]
    return sorted(made, key=lambda one: str(one["custom_id"])[::-1])


def seen_before_the_end(customer: Customer, batch_id: str) -> str:  # noqa: F811
    """All but the provider's that waits, each once, page by page; where the next page begins."""
    seen: list[str] = []
    place = ""

    def read() -> bool | None:
        nonlocal place
        found, place = results(customer, batch_id, place)
        seen.extend(one["custom_id"] for one in found)
        return True if len(seen) >= 3 * EACH else None

    eventually(read, 120)
    assert sorted(seen) == sorted(f"{model}-{number}" for model in (*NATIVE, DIRECT) for number in range(EACH))
    shown = customer.http.get(f"/batches/{batch_id}").json()
    counts = shown["counts"]
    assert (shown["status"], counts["completed"], counts["in_progress"]) == ("in_progress", 3 * EACH, EACH)
    return place


def paid(customer: Customer, requests: int) -> int:  # noqa: F811
    """What all books say was spent, in nano-USD: of the tenant, of the user, and in the usage of so many requests."""
    total = customer.used(requests)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    cost: int = total["cost_nano_usd"]
    return cost


def test_results_come_as_each_provider_ends_and_the_budget_is_exact(
    customer: Customer,  # noqa: F811
    gate: str,  # noqa: F811
    local: Gateway,
) -> None:
    batch_id = customer.http.post("/batches", json={"requests": lines(gate)}).raise_for_status().json()["id"]
    place = seen_before_the_end(customer, batch_id)
    open_gate(local, gate)
    batch = ended(customer, batch_id, 180)
    assert (batch["status"], batch["counts"]["completed"]) == ("completed", 4 * EACH)
    rest, _ = results(customer, batch_id, place)
    assert sorted(one["custom_id"] for one in rest) == [f"held-{number}" for number in range(EACH)]
    spent = paid(customer, 4 * EACH + 1)
    assert spent == round(batch["cost_estimate"] * 1e9)

    budget = [{"window": "day", "usd": (spent + 1) / 1e9}]
    put_tenant(local.aws_endpoint_url, customer.tenant_id, allowance={"budgets": budget})

    def refused() -> dict[str, Any] | None:
        """Once the settings are known everywhere: what is left is less than any of these lines can cost."""
        again = customer.http.post("/batches", json={"requests": lines(gate)}).raise_for_status().json()
        found: dict[str, Any] = ended(customer, again["id"], 90)
        return found if found["status"] == "failed" else None

    errors = eventually(refused, 180)["errors"]["data"]
    assert [error["code"] for error in errors] == ["budget_exceeded"]


def test_what_had_ended_is_kept_and_paid_when_the_rest_is_cancelled(
    customer: Customer,  # noqa: F811
    client: openai.OpenAI,  # noqa: F811
    gate: str,  # noqa: F811
) -> None:
    batch_id = customer.http.post("/batches", json={"requests": lines(gate)}).raise_for_status().json()["id"]
    place = seen_before_the_end(customer, batch_id)
    assert client.batches.cancel(batch_id).status == "cancelling"
    batch = ended(customer, batch_id, 180)
    counts = batch["counts"]
    assert (batch["status"], counts["completed"] + counts["cancelled"]) == ("cancelled", 4 * EACH)
    assert counts["cancelled"] >= 1
    rest, _ = results(customer, batch_id, place)
    assert sorted(one["custom_id"] for one in rest) == [f"held-{number}" for number in range(EACH)]
    assert {one["error"]["code"] for one in rest if one["error"]} == {"batch_cancelled"}
    assert paid(customer, counts["completed"] + 1) == round(batch["cost_estimate"] * 1e9)
