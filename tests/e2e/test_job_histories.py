"""Histories of real executions: what docs/jobs.md tells and counts of them, and that they hold nothing but names."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.tell_execution import Event, table, transitions
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, aws
from tests.e2e.test_jobs import MACHINE, customer, ended, gate, held, open_gate, ordered

__all__ = ["customer", "gate"]
pytestmark = pytest.mark.stack
PAGE = Path(__file__).parents[2] / "docs" / "jobs.md"
CHAT = "/v1/chat/completions"
SECRET = f"secret{uuid.uuid4().hex}"


def _said(switches: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"[[{switches}]] {SECRET}"}], "metadata": {"conversation_id": "c"}}


def _completed(customer: Customer, _gate: str) -> str:
    return str(ordered(customer.http, CHAT, **_said("chunks=3"))["id"])


def _failed(customer: Customer, _gate: str) -> str:
    return str(ordered(customer.http, CHAT, **_said("status=400"))["id"])


def _cancelled(customer: Customer, gate: str) -> str:
    job_id = held(customer, gate)
    customer.http.delete(f"/jobs/{job_id}").raise_for_status()
    open_gate(customer.local, gate)
    return job_id


KINDS: dict[str, tuple[str, Callable[[Customer, str], str]]] = {
    "completed": ("a chat, an embedding", _completed),
    "failed": ("one that its provider refuses", _failed),
    "cancelled": ("one that is cancelled while its provider works", _cancelled),
}
"""By how they end, as the page counts them, and how they come to that."""


def history(local: Gateway, job_id: str) -> list[Event]:
    arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{job_id}"
    pages = aws(local, "stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]


@pytest.mark.parametrize("status", KINDS)
def test_an_execution_is_what_the_page_tells(customer: Customer, gate: str, status: str) -> None:
    name, run = KINDS[status]
    job_id = run(customer, gate)
    assert ended(customer, job_id)["status"] == status
    events = history(customer.local, job_id)
    told = table(events)
    sys.stdout.write(told)  # for the page, where it differs
    counted = re.search(rf"^\| {name} \| (\d+) ", PAGE.read_text(), re.MULTILINE)
    assert counted is not None
    assert transitions(events) == int(counted[1])
    written = re.search(rf"<!-- history {status} -->\n(.*?)<!-- /history -->", PAGE.read_text(), re.DOTALL)
    assert written is not None
    assert _without_times(written[1]) == _without_times(told)


def _without_times(told: str) -> list[str]:
    """And with ids that are always the same."""
    named = re.sub(r'"(job_id|tenant_id)": "[^"]*"', r'"\1": "…"', told)
    return [re.sub(r"^\| [\d.]+ ", "| ", line) for line in named.splitlines()]


@pytest.mark.parametrize("status", KINDS)
def test_nothing_but_names_is_in_a_history(customer: Customer, gate: str, status: str) -> None:
    job_id = KINDS[status][1](customer, gate)
    job = ended(customer, job_id)
    whole = json.dumps(history(customer.local, job_id), default=str)
    reply = (job["result"] or {"body": {"choices": [{"message": {"content": SECRET}}]}})["body"]
    said = reply["choices"][0]["message"]["content"]
    words = ("the very own words", "content", "messages", customer.key, "sim-", "Bearer", "http://", "arn:aws:s3")
    assert [word for word in (SECRET, said, *words) if word in whole] == []
    assert job_id in whole
