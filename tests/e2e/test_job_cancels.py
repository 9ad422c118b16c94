"""Jobs that are cancelled through the API, wherever their execution is: before the provider is asked, while it makes a
video, with the end recorded. tests/unit/test_job_cancels.py has every single call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, eventually
from tests.e2e.hooked import Receiver, tenant_with
from tests.e2e.tenants import table
from tests.e2e.test_jobs import customer, ended, ordered

__all__ = ["customer"]
pytestmark = pytest.mark.stack
STUCK = {"model": "runway/gen4.5", "seconds": 2, "size": "1280x720", "prompt": "[[video=stuck]] waves"}
HOOK_MS = 10_000


def _check_cancelled(customer: Customer, job_id: str, *, is_paid: bool) -> None:
    job = ended(customer, job_id)
    assert (job["status"], job["error"]["code"], job["result"]) == ("cancelled", "job_cancelled", None)
    total = customer.used(1)
    assert bool(total["cost_nano_usd"]) == is_paid
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert customer.http.post(f"/jobs/{job_id}/cancel").json() == job


@pytest.fixture
def hooked(local: Gateway) -> Iterator[tuple[Customer, Receiver]]:
    """Whose hook takes its time before the provider is asked."""
    receiver = Receiver(local, delay_s=HOOK_MS / 1_000)
    tenant = tenant_with(local, receiver.hook(timeout_ms=HOOK_MS))
    with httpx.Client(base_url=local.http, headers={"authorization": f"Bearer {tenant.key}"}, timeout=90) as http:
        yield Customer(local, tenant.id, tenant.key, http), receiver


def test_before_its_provider_is_asked_it_costs_nothing(hooked: tuple[Customer, Receiver]) -> None:
    customer, receiver = hooked
    job_id = ordered(customer.http, "/v1/chat/completions")["id"]
    eventually(lambda: receiver.received or None)
    assert customer.http.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"
    _check_cancelled(customer, job_id, is_paid=False)


def test_while_its_provider_makes_a_video_that_is_told_to_stop(customer: Customer) -> None:
    job_id = ordered(customer.http, "/v1/videos", **STUCK)["id"]
    eventually(lambda: _is_running(customer, job_id))
    assert customer.http.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"
    _check_cancelled(customer, job_id, is_paid=True)
    deleted = f"{customer.local.simulators}/_sim/timeline/deleted-{_remote_id(customer, job_id)}"
    assert httpx.get(deleted).json()["status"] == 204


def _remote_id(customer: Customer, job_id: str) -> str:
    key = {"pk": f"T#{customer.tenant_id}", "sk": job_id}
    found = table(customer.local.aws_endpoint_url, "-jobs").get_item(Key=key, ConsistentRead=True)["Item"]
    return str(json.loads(found["document"])["remote"]["id"])


def _is_running(customer: Customer, job_id: str) -> bool | None:
    return True if customer.http.get(f"/jobs/{job_id}").json()["status"] == "running" else None


def test_after_its_end_it_stays_as_it_is(customer: Customer) -> None:
    job_id = ordered(customer.http, "/v1/embeddings")["id"]
    job = ended(customer, job_id)
    assert job["status"] == "completed"
    assert customer.http.post(f"/jobs/{job_id}/cancel").json() == job
    assert customer.http.delete(f"/jobs/{job_id}").json() == {**job, "result": None}
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]} != {0}
