"""Usage, audit and archive of real calls through the deployed stack: exact, also when a function is killed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from msgspec import structs

from gateway.adapters.aws.stored_hold import hold_of, stored
from gateway.model.ledger import Hold, hold_name
from gateway.model.record import TERMINAL
from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.customer import Customer, aws, customer_of, eventually, processes_of, queue_url, sweep, waiting
from tests.e2e.tenants import table

MODELS = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash", "ollama/llama3.2"]
pytestmark = pytest.mark.stack


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "usage", scopes=["*", "assert_user"]) as customer:
        yield customer


def nano_usd(reply: dict[str, Any]) -> int:
    cost: float | None = reply["usage"]["cost_estimate"]
    return round((cost or 0) * 10**9)


def test_sums_are_those_of_the_replies_to_the_nano_dollar(customer: Customer) -> None:
    replies: list[tuple[str, str, dict[str, Any]]] = []
    for number, model in enumerate(MODELS):
        for stream in (False, True):
            for user in ("alice", "bob"):
                text = "tell me more " * (number + 1 + stream)
                replies.append((model, user, customer.ask(model, text, stream, user=user)))
    failed = customer.ask(MODELS[0], "[[status=500]] Hello")
    assert failed["error"]["code"] == "provider_error"
    total = customer.used(len(replies) + 1)
    assert total["cost_nano_usd"] == sum(nano_usd(reply) for _, _, reply in replies) > 0
    assert total["total_tokens"] == sum(reply["usage"]["total_tokens"] for _, _, reply in replies)
    assert (total["errors"], total["lost"], total["refused"]) == (1, 0, 0)
    assert customer.settled_nano_usd() == {"T": total["cost_nano_usd"], "U": total["cost_nano_usd"]}

    rows = customer.report(group_by="model,user")["data"]
    for row in rows:
        own = [reply for model, user, reply in replies if (model, user) == (row["model"], row["user"])]
        assert row["cost_nano_usd"] == sum(nano_usd(reply) for reply in own)
        assert row["completion_tokens"] == sum(reply["usage"]["completion_tokens"] for reply in own)
    assert {(row["model"], row["user"]) for row in rows} == {(model, user) for model, user, _ in replies}

    table_text = customer.http.get("/usage", params={"group_by": "model,user", "format": "csv"}).text
    shown = list(csv.DictReader(io.StringIO(table_text)))
    assert [(row["model"], row["user"], int(row["cost_nano_usd"])) for row in shown] == [
        (row["model"], row["user"], row["cost_nano_usd"]) for row in rows
    ]


def test_a_request_can_be_asked_for_afterwards(customer: Customer) -> None:
    reply = customer.ask(MODELS[0], stream=True)
    customer.used(1)
    request_id = reply["gateway"]["request_id"]
    answer = customer.http.get(f"/usage/requests/{request_id}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    check("RequestUsage", found)
    assert (found["id"], found["status"], found["stream"]) == (request_id, "completed", True)
    assert found["cost_nano_usd"] == nano_usd(reply) == sum(one["cost_nano_usd"] for one in found["attempts"])
    strange = httpx.get(
        f"{customer.local.http}/usage/requests/{request_id}",
        headers={"authorization": f"Bearer {customer.local.api_key}"},
    )
    assert (strange.status_code, strange.json()["error"]["code"]) == (404, "request_not_found")


def test_everything_is_archived_and_each_request_starts_and_ends_once(customer: Customer) -> None:
    for text in ("Hello", "[[status=500]] Hello", "Hello"):
        customer.ask(MODELS[0], text)
    customer.used(3)
    audit = eventually(lambda: found if len(found := customer.audit()) >= 6 else None)
    assert sorted(line["event"] for line in audit) == [
        *["request.completed"] * 2,
        "request.failed",
        *["request.started"] * 3,
    ]
    assert len({line["id"] for line in audit}) == 6
    archived = {folder: {line["id"] for line in customer.archived(folder)} for folder in ("usage", "audit")}
    assert archived["audit"] == {line["id"] for line in [*audit, *customer.changes()]}
    assert len(archived["usage"]) == 3
    assert "Hello" not in json.dumps([audit, customer.archived("usage"), customer.archived("audit")])


def test_what_is_delivered_again_changes_nothing(customer: Customer) -> None:
    reply = customer.ask(MODELS[0])
    total = customer.used(1)
    request_id = reply["gateway"]["request_id"]
    key = {"pk": f"R#{customer.tenant_id}#{hold_name(request_id)}", "sk": request_id}
    item = table(customer.local.aws_endpoint_url, "-usage").get_item(Key=key, ConsistentRead=True)["Item"]
    sent = {"source": "llm-gateway", "detail-type": "usage.recorded", "detail": json.loads(item["a1"])}
    second = {**sent, "detail": {**sent["detail"], "of": {**sent["detail"]["of"], "request_id": f"{request_id}2"}}}
    started = {**sent, "detail-type": "request.started", "detail": customer.audit()[0]}
    bodies = [*[sent] * 5, started, second, *[sent] * 3, started]
    client, url = aws(customer.local, "sqs"), queue_url(customer.local)
    for body in bodies:
        client.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    eventually(lambda: True if waiting(customer.local) == 0 else None)
    assert {line["id"] for line in customer.archived("usage")} == {f"{request_id}.1", f"{request_id}2.1"}
    assert customer.used(2)["cost_nano_usd"] == 2 * total["cost_nano_usd"]
    ids = [line["id"] for line in customer.audit()]
    assert len(ids) == len(set(ids)) == 2


def test_the_archive_has_tables(local: Gateway) -> None:
    tables = aws(local, "glue").get_tables(DatabaseName="llm_gateway")["TableList"]
    assert {found["Name"] for found in tables} == {"usage", "audit", "alerts"}


def test_a_function_that_is_killed_leaves_no_hold_and_no_gap(customer: Customer) -> None:
    gate = f"kill-{uuid.uuid4().hex}"
    body = {
        "model": MODELS[0],
        "messages": [{"role": "user", "content": f"[[gate={gate} gate_at=2 chunks=5]] Hello"}],
        "max_tokens": 50,
        "stream": True,
    }
    with customer.http.stream("POST", "/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        for pid in processes_of(customer.local, "chat"):
            os.kill(pid, signal.SIGKILL)
        rest: list[str] = []
        with suppress(httpx.HTTPError):
            rest.extend(lines)
        assert "data: [DONE]" not in rest
    holds = {
        account_id: [
            (name, hold_of({"B": b64encode(held.value).decode()})) for name, held in item.items() if name[0] == "h"
        ]
        for account_id, item in customer.accounts().items()
    }
    assert {account_id[0]: len(found) for account_id, found in holds.items()} == {"T": 1, "U": 1}
    age(customer, holds)

    def swept() -> bool | None:
        """The minute's own sweep may come first."""
        assert sweep(customer.local)["failed"] == 0
        held = [name for item in customer.accounts().values() for name in item if name.startswith("h")]
        return None if held else True

    eventually(swept)
    total = customer.used(1)
    [(_, hold)] = holds[f"U#{customer.tenant_id}#0#alice"]
    held_nano_usd, facts = hold.cost_nano_usd, hold.request or {}
    assert (total["lost"], total["cost_nano_usd"]) == (1, held_nano_usd)
    assert customer.settled_nano_usd() == {"T": held_nano_usd, "U": held_nano_usd}
    assert {item[name] for item in customer.accounts().values() for name in item if name[0] == "n"} == {0}
    audit = eventually(lambda: found if len(found := customer.audit()) >= 2 else None)
    assert [line["id"] for line in sorted(audit, key=lambda line: line["at_s"])] == [
        f"{facts['request_id']}.started",
        f"{facts['request_id']}.ended",
    ]
    assert [line["facts"]["code"] for line in audit if line["event"] in TERMINAL] == ["lost"]
    found = customer.http.get(f"/usage/requests/{facts['request_id']}").json()
    check("RequestUsage", found)
    assert (found["status"], found["cost_nano_usd"]) == ("lost", held_nano_usd)


def age(customer: Customer, holds: dict[str, list[tuple[str, Hold]]]) -> None:
    """As if the lease had ended an hour ago."""
    an_hour_ago_s = int((datetime.now(UTC) - timedelta(hours=1)).timestamp())
    for account_id, [(name, hold)] in holds.items():
        aged = stored(structs.replace(hold, until_s=an_hour_ago_s))
        table(customer.local.aws_endpoint_url, "-ledger").update_item(
            Key={"pk": account_id},
            UpdateExpression="SET #hold = :hold",
            ExpressionAttributeNames={"#hold": name},
            ExpressionAttributeValues={":hold": b64decode(aged["B"])},
        )
