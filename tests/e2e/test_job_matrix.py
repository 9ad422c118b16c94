"""Every capability, with providers that answer and such that are asked again and again, waited for and as a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.pipeline.job_endpoints import ENDPOINTS
from local.simulators.sounds import recording
from tests.e2e.customer import Customer
from tests.e2e.test_jobs import BODIES, customer, ended, execution

__all__ = ["customer"]
pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Row:
    """A route and what is asked of it. `provider`: whether it answers ("sync"), or is asked until it has ("async").

    `at_once`: what makes an answer of it that is waited for. `form`: the files of one that is no JSON.
    """

    endpoint: str
    provider: str
    body: dict[str, Any]
    at_once: dict[str, Any] = field(default_factory=dict)
    form: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.endpoint} {self.provider}"

    def post(
        self, http: httpx.Client, headers: dict[str, str] | None = None, order: dict[str, Any] | None = None
    ) -> httpx.Response:
        path, body = self.endpoint.removeprefix("/v1"), {**self.body, **(order or {})}
        if not self.form:
            return http.post(path, json=body, headers=headers)
        fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
        return http.post(path, data=fields, files=self.form, headers=headers)


SOUND = {"file": ("a.wav", recording("hello", "wav"), "audio/wav")}
SLOWLY = [{"role": "user", "content": "Think. [[works_s=1]]"}]
ROWS = [
    *(Row(endpoint, "sync", body) for endpoint, body in BODIES.items() if endpoint != "/v1/videos"),
    Row("/v1/audio/transcriptions", "sync", {"model": "openai/whisper-1"}, form=SOUND),
    Row("/v1/chat/completions", "async", {"model": "openai/o3-pro", "messages": SLOWLY, "max_completion_tokens": 100}),
    Row("/v1/videos", "async", BODIES["/v1/videos"], at_once={"async": False}),
]
"""No provider makes a video while one waits; none that is called here is asked again and again for anything else."""
AS_JOB = {"async": True}
Ordering = Callable[[Row, httpx.Client], httpx.Response]


def _listed(row: Row, http: httpx.Client) -> httpx.Response:
    if row.form:  # whose file is in no JSON
        return row.post(http, order=AS_JOB)
    return http.post("/jobs", json={"endpoint": row.endpoint, "body": row.body})


ORDERS: dict[str, Ordering] = {
    "async: true": lambda row, http: row.post(http, order=AS_JOB),
    "Prefer": lambda row, http: row.post(http, {"prefer": "respond-async"}),
    "POST /v1/jobs": _listed,
}


def test_every_capability_that_can_be_a_job_has_a_row() -> None:
    assert {row.endpoint for row in ROWS} == set(ENDPOINTS)


def _check_paid(customer: Customer) -> float:
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    return float(total["cost_nano_usd"] / 1e9)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_answered_while_one_waits(customer: Customer, row: Row) -> None:
    answer = row.post(customer.http, order=row.at_once)
    assert answer.status_code == 200, answer.text
    if row.endpoint == "/v1/videos":
        assert answer.json()["status"] == "completed"
    assert _check_paid(customer) > 0


@pytest.mark.parametrize("how", ORDERS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_runs_as_a_job(customer: Customer, row: Row, how: str) -> None:
    answer = ORDERS[how](row, customer.http)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["status"], told["endpoint"]) == ("pending", row.endpoint)
    job = ended(customer, told["id"])
    assert (job["status"], job["result"]["status_code"]) == ("completed", 200), job
    assert execution(customer.local, told["id"])["status"] == "SUCCEEDED"
    assert _check_paid(customer) == job["cost_estimate"] > 0
