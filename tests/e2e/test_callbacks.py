"""Providers that call back, through the deployed stack: signed messages, lost, early, doubled, false and too late."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import httpx
import pytest

from gateway.hooks.signature import read_secrets, signed_headers
from local.seed import CALLBACK_SECRETS
from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.customer import Customer, aws, eventually
from tests.e2e.test_jobs import MACHINE, customer, ended, execution, ordered

__all__ = ["customer"]

VIDEO = {"model": "google/veo-3.1-lite-generate-preview", "seconds": 4, "size": "1280x720"}
CALLED = [
    *("Ask the provider", "Has it ended?", "Wait to be called back", "Wait for the provider"),
    *("Settle the bill", "How did it end?", "Completed"),
]
pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def calls(local: Gateway) -> None:
    """The simulated Google calls the gateway, whose receiver is up: a cold start may outlast the wait."""
    told = {"url": f"{local.origin}/webhooks/google", "secret": CALLBACK_SECRETS["google"]}
    httpx.post(f"{local.simulators}/_sim/callbacks/google", json=told).raise_for_status()
    assert call(local, f"nobodys-{uuid.uuid4().hex}").status_code == 200


def begun(customer: Customer, prompt: str) -> str:
    job_id: str = ordered(customer.http, "/v1/videos", **VIDEO, prompt=prompt)["id"]
    return job_id


def history(local: Gateway, job_id: str) -> tuple[list[str], list[str]]:
    """The states that were entered, and the errors that came up."""
    arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{job_id}"
    events = aws(local, "stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
    text = json.dumps(events, default=str)
    return entered, [error for error in ("JobPending", "States.Timeout", "StorageUnavailable") if error in text]


def waiting(customer: Customer) -> dict[str, Any] | None:
    """The only execution of this test that waits to be called back, in the table of jobs; None: none does yet."""
    table = aws(customer.local, "dynamodb")
    found = table.scan(TableName="llm-gateway-jobs", ConsistentRead=True)["Items"]
    items = [item for item in found if item["pk"]["S"].startswith("CALL#") and "task_token" in item]
    return items[0] if items else None


def looked(local: Gateway, job_id: str, customer: Customer) -> int:
    """How often the provider was asked for it, downloads apart."""
    item = aws(local, "dynamodb").get_item(
        TableName="llm-gateway-jobs", Key={"pk": {"S": f"T#{customer.tenant_id}"}, "sk": {"S": job_id}}
    )["Item"]
    return int(json.loads(item["document"]["S"])["remote"]["polls"])


def call(
    local: Gateway, name: str, *, sent_s: float | None = None, provider: str = "google", signature: str | None = None
) -> Any:
    body = json.dumps({"type": "video.generated", "version": "v1", "data": {"id": name}}).encode()
    secrets = read_secrets(CALLBACK_SECRETS["google"])
    signed = signed_headers(f"msg_{uuid.uuid4().hex}", int(sent_s or time.time()), body, secrets)
    if signature is not None:
        signed["webhook-signature"] = signature
    answer = httpx.post(f"{local.origin}/webhooks/{provider}", content=body, headers=signed)
    if answer.status_code >= 400:
        check("ErrorEnvelope", answer.json())
    return answer


def test_a_video_whose_provider_calls_back_is_asked_for_once(customer: Customer) -> None:
    job_id = begun(customer, "[[calls_s=5]] a harbour")
    job = ended(customer, job_id)
    assert job["status"] == "completed", job
    assert history(customer.local, job_id) == (CALLED, [])
    assert looked(customer.local, job_id, customer) == 1
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert waiting(customer) is None


def test_a_video_that_was_not_ordered_as_a_job_is_waited_for_as_well(customer: Customer) -> None:
    made = customer.http.post("/videos", json={**VIDEO, "prompt": "[[calls_s=5]] a harbour"}).raise_for_status().json()
    eventually(lambda: execution(customer.local, made["id"])["status"] != "RUNNING" or None)
    assert history(customer.local, made["id"]) == (CALLED, [])
    assert customer.http.get(f"/videos/{made['id']}").json()["status"] == "completed"


def test_a_message_that_is_lost_loses_nothing(customer: Customer) -> None:
    job_id = begun(customer, "[[looks=1]] a harbour")
    assert ended(customer, job_id)["status"] == "completed"
    assert history(customer.local, job_id) == (CALLED, ["JobPending", "States.Timeout"])


def test_a_message_that_comes_before_anybody_waits(customer: Customer) -> None:
    job_id = begun(customer, "[[calls_s=0]] a harbour")
    assert ended(customer, job_id)["status"] == "completed"
    entered, errors = history(customer.local, job_id)
    assert (entered, "States.Timeout" in errors) == (CALLED, False)


def test_what_is_false_repeated_or_recorded_changes_nothing(customer: Customer) -> None:
    job_id = begun(customer, "[[calls_s=12]] a harbour")
    name = eventually(lambda: waiting(customer))["pk"]["S"].rpartition("#")[2]
    local = customer.local
    unsigned = call(local, name, signature="v1,AAAA")
    assert (unsigned.status_code, unsigned.json()["error"]["code"]) == (401, "invalid_signature")
    assert call(local, name, sent_s=time.time() - 301).status_code == 401
    assert call(local, name, provider="openai").status_code == 401
    assert call(local, name, provider="xai").status_code == 404
    assert [call(local, f"nobodys-{uuid.uuid4().hex}").status_code for _ in range(2)] == [200, 200]
    assert execution(local, job_id)["status"] == "RUNNING"
    assert history(local, job_id)[0][-1] == "Wait to be called back"
    assert [call(local, name).status_code for _ in range(3)] == [200, 200, 200]  # well signed, and not true yet
    eventually(lambda: history(local, job_id)[0][-1] == "Wait for the provider" or None)
    job = customer.http.get(f"/jobs/{job_id}").json()
    assert job["status"] == "running"
    assert ended(customer, job_id)["status"] == "completed"
    assert customer.used(1)["lost"] == 0


def test_a_job_that_is_cancelled_waits_no_longer(customer: Customer) -> None:
    job_id = begun(customer, "[[calls_s=100]] a harbour")
    token = eventually(lambda: waiting(customer))["task_token"]["S"]
    assert customer.http.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"
    assert ended(customer, job_id)["status"] == "cancelled"
    assert history(customer.local, job_id) == ([*CALLED[:-1], "Cancelled"], [])
    assert waiting(customer) is None
    logs = aws(customer.local, "logs")
    for function in ("job-task", "job-ask", "jobs", "provider-webhooks"):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/llm-gateway-{function}")
        assert not [event for page in pages for event in page["events"] if token in event["message"]]
