"""Batches over the providers' own, through the deployed stack: by OpenAI's client, cancelled, and through deaths."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, aws, eventually, processes_of
from tests.e2e.simulated import posted, posts
from tests.e2e.test_batches import MACHINE, client, customer, ended, gate, jsonl, line, open_gate, results  # noqa: F401

MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash")
WORDS = "the very own words of a batch of a provider"
pytestmark = pytest.mark.stack


def asked(local: Gateway, since: int) -> list[str]:
    """How the paths of all POSTs to providers end that have come since so many had come."""
    count = posted(local) - since
    found = posts(local, limit=count) if count else []
    return sorted(one["path"].partition("?")[0].rpartition("/")[2].rpartition(":")[2] for one in found)


def test_openais_own_client_has_three_providers_work_in_their_own_batches(
    customer: Customer,  # noqa: F811
    client: openai.OpenAI,  # noqa: F811
) -> None:
    lines = [line(f"{model}-{number}", model, f"{WORDS} {number}") for number in range(4) for model in MODELS]
    lines += [line(f"{model}-refused", model, "[[status=400]] no") for model in MODELS]
    before = posted(customer.local)
    file = client.files.create(file=jsonl(lines), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    ended(customer, made.id)
    batch = client.batches.retrieve(made.id)
    assert batch.status == "completed"
    assert batch.request_counts is not None and batch.output_file_id is not None and batch.error_file_id is not None
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (15, 12, 3)
    output = [json.loads(one) for one in client.files.content(batch.output_file_id).text.splitlines()]
    assert {one["custom_id"] for one in output} == {f"{model}-{number}" for number in range(4) for model in MODELS}
    assert {one["response"]["body"]["service_tier"] for one in output} == {"batch"}
    refused = [json.loads(one) for one in client.files.content(batch.error_file_id).text.splitlines()]
    assert {(one["custom_id"], one["response"]["status_code"]) for one in refused} == {
        (f"{model}-refused", 400) for model in MODELS
    }
    found = asked(customer.local, before)
    assert [path for path in found if path != "files"] == ["batchGenerateContent", "batches", "batches"], found
    total = customer.used(15 + 4)  # the order, the file, and two that were read
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    assert total["cost_nano_usd"] / 1e9 == pytest.approx(batch.cost_estimate)  # type: ignore[attr-defined]  # ours


def test_what_one_provider_has_done_is_seen_while_another_works(customer: Customer, gate: str) -> None:  # noqa: F811
    requests = [line(f"done-{number}", MODELS[1], f"{WORDS} {number}") for number in range(3)]
    requests.append(line("held", MODELS[0], f"[[gate={gate}]] {WORDS}"))
    batch_id = customer.http.post("/batches", json={"requests": requests}).raise_for_status().json()["id"]
    eventually(lambda: True if len(results(customer, batch_id)[0]) == 3 else None, 90)
    running = customer.http.get(f"/batches/{batch_id}").json()
    assert (running["status"], running["counts"]["completed"], running["counts"]["in_progress"]) == (
        "in_progress",
        3,
        1,
    )
    open_gate(customer.local, gate)
    batch = ended(customer, batch_id, 180)
    assert (batch["status"], batch["counts"]["completed"]) == ("completed", 4)
    total = customer.used(5)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_a_cancelled_batch_is_cancelled_at_its_provider_and_keeps_what_was_done(
    customer: Customer,  # noqa: F811
    client: openai.OpenAI,  # noqa: F811
    gate: str,  # noqa: F811
) -> None:
    requests = [line("held", MODELS[1], f"[[gate={gate}]] {WORDS}")]
    requests += [line(f"c-{number}", MODELS[1], f"{WORDS} {number}") for number in range(6)]
    batch_id = customer.http.post("/batches", json={"requests": requests}).raise_for_status().json()["id"]

    def is_worked_at() -> bool | None:
        shown = customer.http.get(f"/batches/{batch_id}").json()
        return True if shown["counts"]["in_progress"] == 7 else None

    eventually(is_worked_at, 60)
    client.batches.cancel(batch_id)
    batch = ended(customer, batch_id, 180)
    assert batch["status"] == "cancelled"
    counts = batch["counts"]
    assert counts["cancelled"] >= 1
    assert counts["completed"] + counts["cancelled"] == 7
    errors = client.files.content(batch["error_file_id"]).text.splitlines()
    assert {json.loads(one)["error"]["code"] for one in errors} == {"batch_cancelled"}
    total = customer.used(counts["completed"] + 2)  # the order, and a file that was read
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_workers_that_are_killed_again_and_again_ask_for_no_second_batch(
    customer: Customer,  # noqa: F811
    gate: str,  # noqa: F811
) -> None:
    requests: list[dict[str, Any]] = [
        line(f"{model}-{number}", model, f"{WORDS} {number}") for number in range(20) for model in MODELS
    ]
    before = posted(customer.local)
    batch_id = customer.http.post("/batches", json={"requests": requests}).raise_for_status().json()["id"]
    killed = 0

    def kill() -> bool | None:
        nonlocal killed
        for process in processes_of(customer.local, "batch-work"):
            os.kill(process, signal.SIGKILL)
            killed += 1
        shown = customer.http.get(f"/batches/{batch_id}").json()
        return True if killed >= 3 or shown["status"] == "completed" else None

    eventually(lambda: True if customer.http.get(f"/batches/{batch_id}").json()["counts"]["in_progress"] else None, 60)
    eventually(kill, 60)
    batch = ended(customer, batch_id, 300)
    counts = batch["counts"]
    assert (batch["status"], counts["completed"] + counts["failed"]) == ("completed", 60)
    found, _ = results(customer, batch_id)
    assert len({one["custom_id"] for one in found}) == 60
    made = [path for path in asked(customer.local, before) if path != "files"]
    assert made.count("batches") <= 2 and made.count("batchGenerateContent") <= 1, made
    total = customer.used(61)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}


def test_what_a_stopped_execution_leaves_with_a_provider_is_stopped_there_and_brought_in(
    customer: Customer,  # noqa: F811
    gate: str,  # noqa: F811
) -> None:
    """By the function that knows the provider's key, which the one that ends batches starts."""
    requests = [line("held", MODELS[1], f"[[gate={gate}]] {WORDS}")]
    requests += [line(f"c-{number}", MODELS[1], f"{WORDS} {number}") for number in range(3)]
    before = posted(customer.local)
    batch_id = customer.http.post("/batches", json={"requests": requests}).raise_for_status().json()["id"]
    eventually(lambda: True if "batches" in asked(customer.local, before) else None, 60)
    arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{batch_id}"
    aws(customer.local, "stepfunctions").stop_execution(executionArn=arn)
    batch = ended(customer, batch_id, 300)
    counts = batch["counts"]
    assert counts["completed"] + counts["failed"] == 4
    assert counts["failed"] >= 1
    assert "cancel" in asked(customer.local, before)
    found, _ = results(customer, batch_id)
    assert {one["error"]["code"] for one in found if one["error"]} == {"job_interrupted"}
    total = customer.used(counts["completed"] + 1)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
