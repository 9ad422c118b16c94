"""Chats in the background through the deployed stack: waited for, handed over as a job, cancelled, killed."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, eventually, processes_of
from tests.e2e.test_jobs import customer, ended, history

MODEL = "openai/o3-pro"
WORDS = "the very own words of a question"
pytestmark = pytest.mark.stack
__all__ = ["customer"]


def asked(customer: Customer, switches: str, **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": f"{WORDS} [[{switches}]]"}]
    asking = {"model": MODEL, "messages": messages, "max_completion_tokens": 100, **body}
    return customer.http.post("/chat/completions", json=asking)


def looked_at(local: Gateway) -> list[dict[str, Any]]:
    sent = httpx.get(f"{local.simulators}/_sim/requests", params={"provider": "openai", "limit": 200}).json()
    return [one for one in sent["requests"] if "/responses/resp_" in one["path"]]


def test_who_waits_has_the_completion(customer: Customer) -> None:
    answer = asked(customer, "works_s=1")
    assert answer.status_code == 200, answer.text
    completion = answer.json()
    assert completion["choices"][0]["message"]["content"] == f"You said: {WORDS}"
    total = customer.used(1)
    assert total["cost_nano_usd"] / 1e9 == completion["usage"]["cost_estimate"] > 0
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert customer.http.get("/jobs").json()["data"] == []


def test_perplexity_researches_in_the_background(customer: Customer) -> None:
    model = "perplexity/sonar-deep-research"
    answer = asked(customer, "works_s=1", model=model, max_completion_tokens=None, max_tokens=100)
    assert answer.status_code == 200, answer.text
    message = answer.json()["choices"][0]["message"]
    assert (message["content"], bool(message["reasoning_content"])) == (f"You said: {WORDS}", True)
    told = asked(customer, "works_s=6", model=model, timeouts={"total_ms": 3_000}).json()
    assert told["object"] == "job"
    job = ended(customer, told["id"], 90)
    assert job["result"]["body"]["choices"][0]["message"]["content"] == f"You said: {WORDS}"
    total = customer.used(2)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_whose_time_is_up_has_a_job_that_ends_with_the_completion(customer: Customer) -> None:
    answer = asked(customer, "works_s=8", timeouts={"total_ms": 4_000})
    told = answer.json()
    assert (answer.status_code, told["object"], told["status"]) == (202, "job", "running")
    assert answer.headers["location"] == f"../jobs/{told['id']}"
    assert int(answer.headers["retry-after"]) > 0
    job = ended(customer, told["id"], 90)
    completion = job["result"]["body"]
    assert (job["status"], job["result"]["status_code"]) == ("completed", 200)
    assert completion["choices"][0]["message"]["content"] == f"You said: {WORDS}"
    total = customer.used(1)
    assert total["cost_nano_usd"] / 1e9 == job["cost_estimate"] == completion["usage"]["cost_estimate"] > 0
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert WORDS not in history(customer.local, told["id"])
    ends = [line["event"] for line in customer.audit() if line["event"] != "request.started"]
    assert ends == ["request.completed"]


def test_the_sdk_tells_a_job_from_a_completion(customer: Customer) -> None:
    """By its object, or by the status of the raw answer."""
    messages: Any = [{"role": "user", "content": f"{WORDS} [[works_s=3]]"}]
    with openai.OpenAI(base_url=customer.local.http, api_key=customer.key, max_retries=0) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model=MODEL, messages=messages, extra_headers={"prefer": "wait=1"}
        )
        answer: Any = raw.parse()
        assert (raw.status_code, answer.object) == (202, "job")
        job = ended(customer, answer.id, 90)
    assert job["result"]["body"]["object"] == "chat.completion"


def test_ordered_as_a_job_the_machine_waits_for_it(customer: Customer) -> None:
    told = asked(customer, "works_s=2", **{"async": True})
    assert told.status_code == 202
    job = ended(customer, told.json()["id"], 90)
    assert job["result"]["body"]["choices"][0]["message"]["content"] == f"You said: {WORDS}"
    assert "Wait for the provider" in history(customer.local, job["id"])
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


@pytest.mark.parametrize("works", ["failed", "gone"])
def test_what_comes_to_nothing_fails_the_job(customer: Customer, works: str) -> None:
    told = asked(customer, f"works_s=5 works={works}", timeouts={"total_ms": 3_000}).json()
    job = ended(customer, told["id"], 90)
    assert (job["status"], job["error"]["code"], job["result"]) == ("failed", "provider_error", None)
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert (total["cost_nano_usd"] == 0) is (works == "failed")


def test_one_that_is_cancelled_is_stopped_at_its_provider(customer: Customer) -> None:
    told = asked(customer, "works_s=60", timeouts={"total_ms": 3_000}).json()
    cancelled = customer.http.post(f"/jobs/{told['id']}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("cancelled", "job_cancelled")
    assert [one for one in looked_at(customer.local) if one["path"].endswith("/cancel")]
    job = ended(customer, told["id"], 90)
    assert (job["status"], job["result"]) == ("cancelled", None)
    total = customer.used(1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_a_request_that_is_killed_while_it_waits_is_finished_by_the_sweep(customer: Customer) -> None:
    """Its client has no answer, and its job is told and paid as if there had been nobody."""

    def ask() -> None:
        body = {"model": MODEL, "messages": [{"role": "user", "content": f"{WORDS} [[works_s=10]]"}]}
        headers = {"authorization": f"Bearer {customer.key}"}
        with suppress(httpx.HTTPError):
            httpx.post(f"{customer.local.http}/chat/completions", json=body, headers=headers, timeout=90)

    before = len(looked_at(customer.local))
    waiting = threading.Thread(target=ask)
    waiting.start()
    eventually(lambda: True if len(looked_at(customer.local)) > before else None)
    for pid in processes_of(customer.local, "chat"):
        os.kill(pid, signal.SIGKILL)
    waiting.join()

    def told() -> Any:
        total = customer.report()["total"]
        return total if total["requests"] else None

    total = eventually(told, 240)
    assert (total["requests"], total["lost"]) == (1, 0)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert total["cost_nano_usd"] > 0
