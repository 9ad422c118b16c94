"""Requests that ask no model, and known callers who are refused, through the deployed stack: limited, told, logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, aws, customer_of, eventually
from tests.e2e.tenants import put_key, put_tenant, table

pytestmark = pytest.mark.stack
PER_MINUTE = 1_000
HELLO = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "metered", allowance={"limits": [{"requests_per_minute": PER_MINUTE}]}) as customer:
        yield customer


def ends(customer: Customer, number: int) -> dict[str, dict[str, Any]]:
    """Terminal events by operation, once there are so many."""

    def look() -> dict[str, dict[str, Any]] | None:
        found = [line for line in customer.audit() if line["event"] != "request.started"]
        return {line["of"]["operation"]: line for line in found} if len(found) == number else None

    return eventually(look)


def test_files_are_limited_recorded_and_audited(customer: Customer) -> None:
    with openai.OpenAI(base_url=customer.local.http, api_key=customer.key, max_retries=0) as client:
        raw = client.files.with_raw_response.create(file=("secret-name.txt", b"twelve bytes"), purpose="user_data")
        assert raw.headers["x-ratelimit-limit-requests"] == str(PER_MINUTE)
        assert raw.headers["x-ratelimit-remaining-requests"] == str(PER_MINUTE - 1)
        file_id = raw.parse().id
        assert client.files.content(file_id).read() == b"twelve bytes"
        client.files.delete(file_id)
    found = ends(customer, 3)
    assert set(found) == {"files.create", "files.content", "files.delete"}
    assert {(line["event"], line["facts"]["file_id"]) for line in found.values()} == {("request.completed", file_id)}
    assert len([line for line in customer.audit() if line["event"] == "request.started"]) == 3
    assert "secret-name" not in json.dumps(customer.audit())
    total = customer.used(3)
    assert (total["cost_nano_usd"], total["units"], total["attempts"]) == (0, {"file_bytes": 24}, 0)
    [of_creating] = [row for row in customer.report(group_by="operation")["data"] if row["operation"] == "files.create"]
    assert (of_creating["requests"], of_creating["units"]) == (1, {"file_bytes": 12})
    customer.settled_nano_usd()


def test_every_function_refuses_beyond_the_limit(customer: Customer) -> None:
    endpoint = customer.local.aws_endpoint_url
    put_tenant(endpoint, customer.tenant_id, allowance={"limits": [{"concurrent_requests": 1}]})
    running = {"Key": {"pk": f"T#{customer.tenant_id}#0"}, "UpdateExpression": "ADD n :one"}
    table(endpoint, "-ledger").update_item(**running, ExpressionAttributeValues={":one": 1})
    for path in ("/files", "/types", "/models", "/usage"):
        refused = customer.http.get(path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited"), path
        assert refused.headers["retry-after"]
    found = ends(customer, 4)
    assert set(found) == {"files.list", "types.list", "models.list", "usage.report"}
    assert {line["event"] for line in found.values()} == {"request.blocked"}


def test_a_known_caller_who_is_refused_is_in_the_audit_and_the_log(customer: Customer) -> None:
    put_key(customer.local.aws_endpoint_url, customer.tenant_id, "alice", customer.key, status="revoked")
    requests = [("POST", "/chat/completions"), ("GET", "/files"), ("GET", "/models")]
    answers = [customer.http.request(method, path, json=HELLO) for method, path in requests]
    assert {answer.status_code for answer in answers} == {401}
    found = ends(customer, 3)
    assert set(found) == {"chat", "files.list", "models.list"}
    for line in found.values():
        assert (line["event"], line["facts"]["code"]) == ("request.blocked", "invalid_api_key")
        assert line["facts"]["reason"] == "The key is revoked."
        assert line["of"]["user_id"] == "alice"
        assert line["of"]["key_id"].startswith("key_")
    logged = [line for group in ("chat", "files", "models") for line in lines_of(customer, group)]
    assert {line["error.type"] for line in logged} == {"invalid_api_key"}
    assert len(logged) == 3


def lines_of(customer: Customer, function: str) -> list[dict[str, Any]]:
    """What that function logged of the tenant, once it did."""
    logs = aws(customer.local, "logs")

    def look() -> list[dict[str, Any]] | None:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/llm-gateway-{function}")
        texts = [
            event["message"] for page in pages for event in page["events"] if customer.tenant_id in event["message"]
        ]
        return [json.loads(text) for text in texts] or None

    return eventually(look)
