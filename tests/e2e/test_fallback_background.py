"""Models that work in the background fall back, and are fallen back on: through the deployed stack."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.customer import Customer
from tests.e2e.test_background import MODEL, WORDS, asked
from tests.e2e.test_fallback import FIRST, SECOND, armed
from tests.e2e.test_jobs import customer, ended

__all__ = ["customer"]
pytestmark = pytest.mark.stack


def attempts(completion: Any) -> list[tuple[str, str | None]]:
    return [(one["model"], one["code"]) for one in completion["gateway"]["attempts"]]


def check_books(customer: Customer, cost_estimate: float) -> None:
    total = customer.used(1)
    assert total["cost_nano_usd"] / 1e9 == pytest.approx(cost_estimate, abs=1e-9)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_where_it_cannot_be_begun_another_answers(customer: Customer) -> None:
    with armed(customer.local, MODEL, "status=503"):
        completion = asked(customer, "works_s=1", fallbacks=[SECOND]).json()
    assert attempts(completion) == [(MODEL, "provider_error"), (SECOND, None)]
    assert completion["gateway"]["fallback_used"] is True
    check_books(customer, completion["usage"]["cost_estimate"])
    assert customer.http.get("/jobs").json()["data"] == []


def test_where_it_fails_while_somebody_waits_another_answers(customer: Customer) -> None:
    completion = asked(customer, "works_s=1 works=failed", fallbacks=[SECOND]).json()
    assert attempts(completion) == [(MODEL, "provider_error"), (SECOND, None)]
    check_books(customer, completion["usage"]["cost_estimate"])


def test_it_answers_for_another_and_goes_on_as_a_job(customer: Customer) -> None:
    with armed(customer.local, FIRST, "status=500"):
        answer = asked(customer, "works_s=6", model=FIRST, fallbacks=[MODEL], timeouts={"total_ms": 3_000})
    told = answer.json()
    assert (answer.status_code, told["model"]) == (202, FIRST)
    completion = ended(customer, told["id"], 90)["result"]["body"]
    assert completion["choices"][0]["message"]["content"] == f"You said: {WORDS}"
    assert attempts(completion) == [(FIRST, "provider_error"), (MODEL, None)]
    check_books(customer, completion["usage"]["cost_estimate"])
    switches = [line["facts"] for line in customer.audit() if line["event"] == "fallback.triggered"]
    assert switches == [{"from": FIRST, "to": MODEL, "code": "provider_error"}]
