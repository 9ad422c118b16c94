"""How many jobs a tenant may have at once, on the deployed stack: of their own, and free again however they end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.customer import Customer, customer_of, eventually

LIMITS = [{"concurrent_jobs": 1, "concurrent_requests": 1}]
pytestmark = pytest.mark.stack


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "at-once", allowance={"limits": LIMITS}) as customer:
        yield customer


def test_a_job_too_many_waits_for_another_to_end(customer: Customer, admin: httpx.Client) -> None:
    gate = f"at-once-{uuid.uuid4().hex}"

    def post(text: str, **more: Any) -> httpx.Response:
        said = [{"role": "user", "content": text}]
        return customer.http.post("/chat/completions", json={"model": "openai/gpt-4o-mini", "messages": said, **more})

    held = post(f"[[gate={gate}]] Hello", **{"async": True}).json()
    eventually(lambda: httpx.get(f"{customer.local.simulators}/_sim/gates/{gate}").json()["waiting"] or None)
    refused = post("Hello", **{"async": True})
    check("ErrorEnvelope", refused.json())
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["level"]) == (429, "rate_limited", "tenant")
    assert (error["limit_kind"], error["limit"], int(refused.headers["retry-after"]) > 0) == (
        "concurrent_jobs",
        1,
        True,
    )
    assert post("Hello").status_code == 200

    def running() -> tuple[int, int]:
        books = admin.get(f"/tenants/{customer.tenant_id}/ledger").json()
        return books["running_requests"], books["running_jobs"]

    eventually(lambda: running() == (0, 1) or None)
    assert customer.http.delete(f"/jobs/{held['id']}").json()["status"] == "cancelled"
    httpx.post(f"{customer.local.simulators}/_sim/gates/{gate}").raise_for_status()
    again = eventually(lambda: found if (found := post("Hello", **{"async": True})).status_code == 202 else None)
    job_id = again.json()["id"]
    eventually(lambda: customer.http.get(f"/jobs/{job_id}").json()["status"] == "completed" or None)
