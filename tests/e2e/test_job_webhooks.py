"""Whoever ordered a job is told of its end, through the deployed stack: signed, again and again, and nowhere inside."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from local.simulators.sounds import recording
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, eventually, processes_of
from tests.e2e.hooked import Receiver
from tests.e2e.tenants import table
from tests.e2e.test_jobs import BODIES, WORDS, customer, ended, execution, gate, history

__all__ = ["customer", "gate"]

pytestmark = pytest.mark.stack
CHAT = "/v1/chat/completions"


@pytest.fixture
def secret(admin: httpx.Client, customer: Customer) -> str:
    found: str = admin.get(f"/tenants/{customer.tenant_id}/webhook-secret").json()["secret"]
    return found


@pytest.fixture
def receiver(local: Gateway, secret: str) -> Receiver:
    return Receiver(local, secret=secret)


def url_of(receiver: Receiver) -> str:
    return str(receiver.hook()["url"])


def ordered(customer: Customer, endpoint: str, receiver: Receiver, **body: Any) -> str:
    order = {"endpoint": endpoint, "body": {**BODIES[endpoint], **body}, "webhook_url": url_of(receiver)}
    answer = customer.http.post("/jobs", json=order)
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["id"]
    return found


def over(customer: Customer, job_id: str) -> Any:
    """The job as it is once its execution has ended, which it does itself before that."""
    ended(customer, job_id)
    return customer.http.get(f"/jobs/{job_id}").raise_for_status().json()


def believed(receiver: Receiver, secret: str, number: int = 1) -> list[dict[str, Any]]:
    """So many messages, each with its id, as a receiver reads it with the library of Standard Webhooks."""
    received = eventually(lambda: found if len(found := receiver.received) >= number else None, 60)
    assert [message["problem"] for message in received] == [None] * number
    return [
        {**Webhook(secret).verify(message["body"], message["headers"]), "id": message["headers"]["webhook-id"]}
        for message in received
    ]


def test_an_end_is_told_to_whoever_ordered_the_job(
    customer: Customer, receiver: Receiver, secret: str, admin: httpx.Client
) -> None:
    job_id = ordered(customer, CHAT, receiver)
    [told] = believed(receiver, secret)
    job = over(customer, job_id)
    assert (told["type"], told["id"], told["data"]["id"]) == ("job.completed", f"{job_id}.completed", job_id)
    assert job["webhook"] == {"status": "delivered", "attempts": 1, "last_failure": None}
    assert admin.get(f"/jobs/{job_id}").json()["webhook"] == job["webhook"]
    assert execution(customer.local, job_id)["status"] == "SUCCEEDED"
    said = history(customer.local, job_id)
    assert "Tell the caller" in said
    for private in (WORDS, url_of(receiver), secret, secret.removeprefix("whsec_"), "whsec_"):
        assert private not in said
    assert WORDS not in json.dumps(receiver.received)
    document = table(customer.local.aws_endpoint_url, "-jobs").get_item(
        Key={"pk": f"T#{customer.tenant_id}", "sk": job_id}
    )["Item"]["document"]
    assert url_of(receiver) not in document


def test_every_way_to_order_a_job(customer: Customer, receiver: Receiver, secret: str) -> None:
    url = url_of(receiver)
    orders = (
        customer.http.post("/embeddings", json={**BODIES["/v1/embeddings"], "async": True, "webhook_url": url}),
        customer.http.post(
            "/audio/transcriptions",
            data={"model": "openai/whisper-1", "async": "true", "webhook_url": url},
            files={"file": ("a.wav", recording("hello", "wav"), "audio/wav")},
        ),
    )
    assert [answer.status_code for answer in orders] == [202, 202], [answer.text for answer in orders]
    video = {**BODIES["/v1/videos"], "webhook_url": url}
    begun = httpx.post(f"{customer.local.http}/videos", json=video, headers=customer.http.headers, timeout=60)
    assert begun.status_code == 200, begun.text
    expected = {answer.json()["id"] for answer in (*orders, begun)}
    assert {told["data"]["id"] for told in believed(receiver, secret, 3)} == expected


def test_a_receiver_that_fails_is_told_again(customer: Customer, local: Gateway, secret: str) -> None:
    receiver = Receiver(local, secret=secret, statuses=[500])
    job_id = ordered(customer, "/v1/embeddings", receiver)
    first, again = believed(receiver, secret, 2)
    assert first == again
    job = over(customer, job_id)
    assert job["webhook"] == {"status": "delivered", "attempts": 2, "last_failure": None}
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_the_bill_does_not_wait_for_a_receiver(customer: Customer, local: Gateway, secret: str) -> None:
    """Nor does whoever asks for the result."""
    receiver = Receiver(local, secret=secret, status=503)
    job_id = ordered(customer, "/v1/embeddings", receiver)
    believed(receiver, secret)
    job = customer.http.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["webhook"]["status"]) == ("completed", "pending")
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_who_says_gone_is_told_no_more(customer: Customer, local: Gateway, secret: str) -> None:
    receiver = Receiver(local, secret=secret, status=410)
    job = over(customer, ordered(customer, "/v1/embeddings", receiver))
    assert job["webhook"] == {"status": "failed", "attempts": 1, "last_failure": "status_410"}
    assert len(receiver.received) == 1


def test_a_job_that_fails_is_told(customer: Customer, receiver: Receiver, secret: str) -> None:
    said = [{"role": "user", "content": f"[[status=500]] {WORDS}"}]
    job_id = ordered(customer, CHAT, receiver, messages=said)
    [told] = believed(receiver, secret)
    assert (told["type"], told["data"]["error"]) == ("job.failed", {"code": "provider_error"})
    assert over(customer, job_id)["status"] == "failed"
    assert execution(customer.local, job_id)["status"] == "FAILED"


def test_a_job_that_is_cancelled_is_told(customer: Customer, receiver: Receiver, secret: str, gate: str) -> None:
    said = [{"role": "user", "content": f"[[gate={gate}]] {WORDS}"}]
    job_id = ordered(customer, CHAT, receiver, messages=said, max_tokens=50)
    gates = f"{customer.local.simulators}/_sim/gates/{gate}"
    eventually(lambda: True if httpx.get(gates).json()["waiting"] else None)
    assert customer.http.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"
    httpx.post(gates).raise_for_status()
    [told] = believed(receiver, secret)
    assert (told["type"], told["data"]["id"]) == ("job.cancelled", job_id)
    assert over(customer, job_id)["webhook"]["status"] == "delivered"


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://169.254.169.254/latest/", "https://a:b@hooks.example.com/"]
)
def test_a_url_that_leads_inside_is_refused_with_the_field_named(customer: Customer, url: str) -> None:
    body = {**BODIES["/v1/embeddings"], "async": True, "webhook_url": url}
    for answer in (
        customer.http.post("/embeddings", json=body),
        customer.http.post("/videos", json={**BODIES["/v1/videos"], "webhook_url": url}),
        customer.http.post("/jobs", json={"endpoint": CHAT, "body": BODIES[CHAT], "webhook_url": url}),
    ):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "webhook_url")
    assert customer.http.get("/jobs").json()["data"] == []
    answer = customer.http.post("/embeddings", json={**BODIES["/v1/embeddings"], "webhook_url": "https://a.example/"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "webhook_url")


def test_what_leads_inside_by_the_time_it_is_sent_is_not_called(customer: Customer, local: Gateway) -> None:
    """Put past the administration, as where a name leads elsewhere by then."""
    document = {"id": customer.tenant_id, "approvals": ["*"], "webhooks": {"url": "https://169.254.169.254/latest/"}}
    item = {"pk": f"T#{customer.tenant_id}", "sk": "T", "document": json.dumps(document)}
    table(local.aws_endpoint_url, "-tenants").put_item(Item=item)
    order = {"endpoint": "/v1/embeddings", "body": BODIES["/v1/embeddings"]}
    job = over(customer, customer.http.post("/jobs", json=order).json()["id"])
    assert job["status"] == "completed"
    assert job["webhook"] == {"status": "failed", "attempts": 1, "last_failure": "address_not_public"}


def test_a_tenant_is_told_of_all_its_jobs_by_the_new_secret_and_the_old(
    customer: Customer, receiver: Receiver, secret: str, admin: httpx.Client
) -> None:
    place = f"/tenants/{customer.tenant_id}"
    admin.patch(place, json={"webhooks": {"url": url_of(receiver)}}).raise_for_status()
    new = admin.post(f"{place}/webhook-secret/rotate").json()["secret"]
    order = {"endpoint": "/v1/embeddings", "body": BODIES["/v1/embeddings"]}
    job_id = customer.http.post("/jobs", json=order).json()["id"]
    assert believed(receiver, secret) == believed(receiver, new)
    assert over(customer, job_id)["webhook"]["status"] == "delivered"


def test_a_worker_that_is_killed_while_it_tells(customer: Customer, local: Gateway, secret: str) -> None:
    """The bill is settled, the receiver has the message, and nobody noted that: it has it again under the same id."""
    receiver = Receiver(local, secret=secret, delay_s=4)
    job_id = ordered(customer, "/v1/embeddings", receiver)
    eventually(lambda: receiver.received or None, 60)
    for pid in processes_of(local, "job-task"):
        os.kill(pid, signal.SIGKILL)
    first, again = believed(receiver, secret, 2)
    assert first == again
    job = over(customer, job_id)
    assert (job["status"], job["webhook"]["status"]) == ("completed", "delivered")
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert [line["event"] for line in customer.audit()].count("request.completed") == 1
