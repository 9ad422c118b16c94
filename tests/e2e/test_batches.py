"""Batches through the deployed stack: by OpenAI's own client, over several providers, seen as they run, cancelled."""

from __future__ import annotations

import io
import json
import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.contract import check_answer
from tests.e2e.customer import Customer, aws, eventually, processes_of
from tests.e2e.known_ids import ENDED
from tests.e2e.tenants import put_key, put_tenant

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:llm-gateway-batch"
DIRECT = {"processing": "direct"}
"""Whatever batches their providers have."""
WORDS = "the very own words of a batch"
CHAT = "/v1/chat/completions"
pytestmark = pytest.mark.stack


def _check(response: Any) -> None:
    response.read()
    kind = response.headers.get("content-type", "")
    check_answer(response.request.url.path, response.status_code, kind, response.content)


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    tenant_id = f"batch-{uuid.uuid4().hex[:12]}"
    put_tenant(local.aws_endpoint_url, tenant_id)
    key = put_key(local.aws_endpoint_url, tenant_id, "alice")
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=local.http, headers=headers, timeout=90, event_hooks={"response": [_check]}) as http:
        yield Customer(local, tenant_id, key, http)


@pytest.fixture
def client(customer: Customer) -> Iterator[openai.OpenAI]:
    """The official client, only base URL and key changed."""
    with (
        httpx2.Client(timeout=60, follow_redirects=True, event_hooks={"response": [_check]}) as transport,
        openai.OpenAI(base_url=customer.local.http, api_key=customer.key, max_retries=0, http_client=transport) as made,
    ):
        yield made


@pytest.fixture
def gate(local: Gateway) -> Iterator[str]:
    """A provider that is asked holds its answer until this is opened."""
    name = f"batches-{uuid.uuid4().hex}"
    yield name
    open_gate(local, name)


def open_gate(local: Gateway, gate: str) -> None:
    httpx.post(f"{local.simulators}/_sim/gates/{gate}").raise_for_status()


def line(custom_id: str, model: str = "openai/gpt-4o-mini", text: str = WORDS, **members: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 20, **members}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: list[dict[str, Any]]) -> io.BytesIO:
    made = io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in lines))
    made.name = "batch.jsonl"
    return made


def ended(customer: Customer, batch_id: str, within_s: float = 90) -> dict[str, Any]:
    """The batch as it is once its execution has ended, and is paid."""

    def look() -> dict[str, Any] | None:
        arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{batch_id}"
        if aws(customer.local, "stepfunctions").describe_execution(executionArn=arn)["status"] == "RUNNING":
            return None
        found: dict[str, Any] = customer.http.get(f"/batches/{batch_id}").raise_for_status().json()
        return found if found["status"] in ENDED else None

    return eventually(look, within_s)


def results(customer: Customer, batch_id: str, after: str = "") -> tuple[list[dict[str, Any]], str]:
    answer = customer.http.get(f"/batches/{batch_id}/results", params={"after": after}).raise_for_status()
    return [json.loads(one) for one in answer.text.splitlines()], answer.headers["x-next-after"]


def test_openais_own_client_runs_a_batch_from_its_file_to_its_results(
    customer: Customer, client: openai.OpenAI
) -> None:
    lines = [line(f"c-{number}", text=f"{WORDS} {number}") for number in range(60)]
    lines.append(line("refused", text="[[status=400]] no"))
    file = client.files.create(file=jsonl(lines), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"day": "monday"},
        extra_body=DIRECT,
    )
    assert (batch.object, batch.status, batch.input_file_id) == ("batch", "validating", file.id)
    ended(customer, batch.id)
    batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.request_counts is not None
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (61, 60, 1)
    assert batch.output_file_id is not None
    assert batch.error_file_id is not None
    output = [json.loads(one) for one in client.files.content(batch.output_file_id).text.splitlines()]
    assert {one["custom_id"] for one in output} == {f"c-{number}" for number in range(60)}
    assert {one["response"]["status_code"] for one in output} == {200}
    assert output[0]["response"]["body"]["choices"][0]["message"]["content"]
    [refused] = [json.loads(one) for one in client.files.content(batch.error_file_id).text.splitlines()]
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("refused", 400)
    assert [one.id for one in client.batches.list(limit=5)] == [batch.id]
    total = customer.used(61 + 4)  # the order, the file, and two that were read
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert total["cost_nano_usd"] / 1e9 == pytest.approx(batch.cost_estimate)  # type: ignore[attr-defined]  # ours
    history = aws(customer.local, "stepfunctions").get_execution_history(
        executionArn=MACHINE.replace(":stateMachine:", ":execution:") + f":{batch.id}"
    )
    assert WORDS not in json.dumps(history["events"], default=str)


def test_what_is_wrong_with_a_file_is_listed_line_by_line(customer: Customer, client: openai.OpenAI) -> None:
    file = client.files.create(file=jsonl([line("a"), line("a"), line("b", model="openai/none")]), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    ended(customer, made.id)
    batch = client.batches.retrieve(made.id)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(one.line, one.code) for one in batch.errors.data or ()] == [
        (2, "validation_error"),
        (3, "model_not_found"),
    ]
    assert set(customer.settled_nano_usd().values()) == {0}


def test_results_of_several_providers_are_seen_before_the_end(customer: Customer, gate: str) -> None:
    models = (
        "openai/gpt-4o-mini",
        "anthropic/claude-haiku-4-5",
        "google/gemini-2.5-flash",
        "mistral/mistral-small-latest",
    )
    requests = [line(f"{model}-{number}", model) for model in models for number in range(3)]
    requests.append(line("held", text=f"[[gate={gate}]] {WORDS}"))
    requests.append(
        {
            "custom_id": "vector",
            "url": "/v1/embeddings",
            "body": {"model": "openai/text-embedding-3-small", "input": WORDS},
        }
    )
    batch_id = customer.http.post("/batches", json={"requests": requests, **DIRECT}).raise_for_status().json()["id"]
    seen: dict[str, Any] = {}
    place = ""

    def read() -> bool | None:
        nonlocal place
        found, place = results(customer, batch_id, place)
        for one in found:
            assert seen.setdefault(one["custom_id"], one) is one
        return True if len(seen) == 13 else None

    eventually(read, 60)
    running = customer.http.get(f"/batches/{batch_id}").json()
    assert (running["status"], running["counts"]["completed"], running["counts"]["in_progress"]) == (
        "in_progress",
        13,
        1,
    )
    open_gate(customer.local, gate)
    batch = ended(customer, batch_id)
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 14)
    found, _ = results(customer, batch_id, place)
    assert [one["custom_id"] for one in found] == ["held"]
    total = customer.used(15)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_a_batch_that_is_cancelled_in_the_middle_keeps_what_is_there(
    customer: Customer, client: openai.OpenAI, gate: str
) -> None:
    requests = [line(f"c-{number}", text=f"{WORDS} {number}") for number in range(10)]
    requests += [line(f"h-{number}", text=f"[[gate={gate}]] {WORDS}") for number in range(8)]
    requests += [line(f"n-{number}", text="never asked") for number in range(120)]
    batch_id = customer.http.post("/batches", json={"requests": requests, **DIRECT}).raise_for_status().json()["id"]
    url = f"{customer.local.simulators}/_sim/gates/{gate}"
    eventually(lambda: True if httpx.get(url).json()["waiting"] else None, 60)
    cancelled = client.batches.cancel(batch_id)
    assert cancelled.status == "cancelling"
    open_gate(customer.local, gate)
    batch = ended(customer, batch_id)
    assert batch["status"] == "cancelled"
    counts = batch["counts"]
    assert counts["completed"] >= 10
    assert counts["completed"] + counts["cancelled"] == 138
    lines = client.files.content(batch["error_file_id"]).text.splitlines()
    assert {json.loads(one)["error"]["code"] for one in lines} == {"batch_cancelled"} or not lines
    customer.used(counts["completed"] + 2)  # the order, and a file that was read
    assert len(set(customer.settled_nano_usd().values())) == 1


def test_what_a_killed_worker_had_asked_is_asked_and_paid_once(customer: Customer, gate: str) -> None:
    """What had a result by then is kept, and what was not asked is asked by who follows."""
    requests = [line(f"q-{number}", text=f"{WORDS} {number}") for number in range(8)]
    requests += [line(f"h-{number}", text=f"[[gate={gate}]] {WORDS}") for number in range(4)]
    requests += [line(f"n-{number}", text=f"{WORDS} again {number}") for number in range(20)]
    batch_id = customer.http.post("/batches", json={"requests": requests, **DIRECT}).raise_for_status().json()["id"]
    url = f"{customer.local.simulators}/_sim/gates/{gate}"
    eventually(lambda: True if httpx.get(url).json()["waiting"] == 4 else None, 60)
    eventually(lambda: True if len(results(customer, batch_id)[0]) >= 8 else None, 60)
    for process in processes_of(customer.local, "batch-work"):
        os.kill(process, signal.SIGKILL)
    batch = ended(customer, batch_id, 240)
    counts = batch["counts"]
    assert (batch["status"], counts["completed"] + counts["failed"]) == ("completed", 32)
    assert 4 <= counts["failed"] <= 24
    found, _ = results(customer, batch_id)
    lost = {one["custom_id"] for one in found if one["error"]}
    assert {one["error"]["code"] for one in found if one["error"]} == {"job_interrupted"}
    assert {f"h-{number}" for number in range(4)} <= lost
    assert len({one["custom_id"] for one in found}) == 32
    total = customer.used(33)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert total["cost_nano_usd"] / 1e9 == pytest.approx(batch["cost_estimate"])
