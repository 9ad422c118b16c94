"""Two hundred jobs at once: all end, within a time that is known, and their bill is exact."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import pytest

from tests.e2e.customer import Customer, eventually
from tests.e2e.test_jobs import customer, ordered

__all__ = ["customer"]
pytestmark = pytest.mark.stack
MIX = {
    "/v1/chat/completions": 80,
    "/v1/embeddings": 80,
    "/v1/audio/speech": 20,
    "/v1/images/generations": 10,
    "/v1/videos": 10,
}
AT_ONCE = 16
WITHIN_S = 480.0
UNFINISHED = ("pending", "running")


def test_two_hundred_at_once_all_end(customer: Customer) -> None:
    orders = [*chain.from_iterable(repeat(endpoint, number) for endpoint, number in MIX.items())]
    begun_s = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [*pool.map(lambda endpoint: ordered(customer.http, endpoint)["id"], orders)]
    accepted_s = time.monotonic() - begun_s
    assert len(set(jobs)) == len(orders) == 200

    def left() -> bool | None:
        """A busy gateway may refuse to be looked at (503): then nothing is known."""
        looks = [customer.http.get(f"/jobs?limit=1&status={status}") for status in UNFINISHED]
        return True if all(look.status_code == 200 and not look.json()["data"] for look in looks) else None

    eventually(left, WITHIN_S)
    ended_s = time.monotonic() - begun_s
    sys.stdout.write(f"200 jobs: accepted in {accepted_s:.1f} s, ended in {ended_s:.1f} s\n")
    total = customer.used(len(orders))
    assert total["lost"] == 0
    costs = [customer.http.get(f"/jobs/{job_id}").json()["cost_estimate"] for job_id in jobs]
    assert all(costs)
    assert round(sum(costs) * 1e9) == total["cost_nano_usd"]
    eventually(lambda: True if set(_settled(customer)) == {total["cost_nano_usd"]} else None)


def _settled(customer: Customer) -> list[int]:
    """Nothing once all that was held is settled."""
    held = [name for item in customer.accounts().values() for name in item if name.startswith("h")]
    return [] if held else [*customer.settled_nano_usd().values()]
