"""Jobs through the deployed stack: every capability, carried on by its state machine, cancelled, killed, never told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.e2e.conftest import Gateway, check_response
from tests.e2e.customer import Customer, aws, customer_of, eventually

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:llm-gateway-job"
WORDS = "the very own words of a prompt"
ENDED = ("completed", "failed", "cancelled")
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": WORDS}]},
    "/v1/embeddings": {"model": "openai/text-embedding-3-small", "input": WORDS},
    "/v1/images/generations": {"model": "openai/gpt-image-1-mini", "prompt": WORDS, "quality": "low"},
    "/v1/audio/speech": {"model": "openai/tts-1", "input": WORDS, "voice": "alloy"},
    "/v1/videos": {"model": "xai/grok-imagine-video", "seconds": 2, "size": "480x480", "prompt": WORDS},
}
pytestmark = pytest.mark.stack


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "jobs", check_response) as customer:
        yield customer


@pytest.fixture
def gate(local: Gateway) -> Iterator[str]:
    """A provider that is asked holds its answer until this is opened."""
    name = f"jobs-{uuid.uuid4().hex}"
    yield name
    open_gate(local, name)


def open_gate(local: Gateway, gate: str) -> None:
    httpx.post(f"{local.simulators}/_sim/gates/{gate}").raise_for_status()


def ordered(http: httpx.Client, endpoint: str, **body: Any) -> Any:
    answer = http.post("/jobs", json={"endpoint": endpoint, "body": {**BODIES[endpoint], **body}})
    assert answer.status_code == 202, answer.text
    return answer.json()


def held(customer: Customer, gate: str) -> str:
    """A job whose provider is at work until the gate opens."""
    said = [{"role": "user", "content": f"[[gate={gate}]] {WORDS}"}]
    job_id: str = ordered(customer.http, "/v1/chat/completions", messages=said, max_tokens=50)["id"]
    url = f"{customer.local.simulators}/_sim/gates/{gate}"
    eventually(lambda: True if httpx.get(url).json()["waiting"] else None)
    return job_id


def ended(customer: Customer, job_id: str, within_s: float = 60) -> Any:
    """The job as it is once its execution has ended: what one that was cancelled has cost is known only then."""

    def look() -> Any:
        if execution(customer.local, job_id)["status"] == "RUNNING":
            return None
        job = customer.http.get(f"/jobs/{job_id}").raise_for_status().json()
        return job if job["status"] in ENDED else None

    return eventually(look, within_s)


def execution(local: Gateway, job_id: str) -> Any:
    arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{job_id}"
    return aws(local, "stepfunctions").describe_execution(executionArn=arn)


def history(local: Gateway, job_id: str) -> str:
    arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{job_id}"
    return json.dumps(aws(local, "stepfunctions").get_execution_history(executionArn=arn)["events"], default=str)


@pytest.mark.parametrize("endpoint", BODIES)
def test_every_capability_runs_as_a_job(customer: Customer, endpoint: str) -> None:
    told = ordered(customer.http, endpoint)
    assert (told["status"], told["endpoint"]) == ("pending", endpoint)
    job = ended(customer, told["id"])
    assert (job["status"], job["result"]["status_code"]) == ("completed", 200), job
    assert execution(customer.local, told["id"])["status"] == "SUCCEEDED"
    total = customer.used(1)
    assert total["cost_nano_usd"] / 1e9 == job["cost_estimate"] > 0
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    asked = [line for line in customer.audit() if not line["of"]["operation"].startswith("jobs.")]
    assert {line["of"].get("job_id") for line in asked} == {told["id"]}
    assert WORDS not in history(customer.local, told["id"])


def test_a_preference_and_a_key_that_comes_again(customer: Customer) -> None:
    headers = {"prefer": "respond-async", "idempotency-key": uuid.uuid4().hex}
    body = BODIES["/v1/embeddings"]
    first = customer.http.post("/embeddings", json=body, headers=headers)
    again = customer.http.post("/embeddings", json=body, headers=headers)
    assert (first.status_code, again.status_code, again.json()["id"]) == (202, 202, first.json()["id"])
    assert urljoin(str(first.request.url), first.headers["location"]).endswith(f"/v1/jobs/{first.json()['id']}")
    assert ended(customer, first.json()["id"])["status"] == "completed"
    assert [job["id"] for job in customer.http.get("/jobs?status=completed").json()["data"]] == [first.json()["id"]]


def test_a_provider_that_fails_fails_the_job(customer: Customer) -> None:
    said = [{"role": "user", "content": "[[status=500]] Hello"}]
    job = ended(customer, ordered(customer.http, "/v1/chat/completions", messages=said)["id"])
    assert (job["status"], job["error"]["code"], job["result"]) == ("failed", "provider_error", None)
    assert execution(customer.local, job["id"])["status"] == "FAILED"
    assert set(customer.settled_nano_usd().values()) == {0}


def test_a_job_that_is_cancelled_while_its_provider_works(customer: Customer, gate: str) -> None:
    job_id = held(customer, gate)
    cancelled = customer.http.delete(f"/jobs/{job_id}").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("cancelled", "job_cancelled")
    open_gate(customer.local, gate)
    job = ended(customer, job_id)
    assert (job["status"], job["result"]) == ("cancelled", None)
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert total["cost_nano_usd"] / 1e9 == job["cost_estimate"] > 0
