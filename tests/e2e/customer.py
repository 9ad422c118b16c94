"""A tenant that a test has for itself, and where its usage, audit and archive lie on the local stack."""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import boto3
import httpx

from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.tenants import put_key, put_tenant, table

WITHIN_S = 30.0
T = TypeVar("T")
Check: TypeAlias = Callable[[httpx.Response], None]


def eventually(look: Callable[[], T | None], within_s: float = WITHIN_S) -> T:
    """What `look` finds in the end."""
    deadline_s = time.monotonic() + within_s
    while (found := look()) is None:
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.1)
    return found


def aws(local: Gateway, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=local.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local stack takes any
    )


def processes_of(local: Gateway, function: str) -> list[int]:
    """Of a function of this stack, which this test run started."""
    name, endpoint = f"AWS_LAMBDA_FUNCTION_NAME=llm-gateway-{function}", f"AWS_ENDPOINT_URL={local.aws_endpoint_url}"
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # somebody else's, or gone
        if {name.encode(), endpoint.encode()} <= set(environment):
            found.append(int(folder.name))
    assert found
    return found


def queue_url(local: Gateway) -> str:
    found: str = aws(local, "sqs").get_queue_url(QueueName="llm-gateway-records")["QueueUrl"]
    return found


def waiting(local: Gateway) -> int:
    """Messages that nobody has acknowledged yet."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = aws(local, "sqs").get_queue_attributes(QueueUrl=queue_url(local), AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def sweep(local: Gateway) -> dict[str, Any]:
    answer = aws(local, "lambda").invoke(FunctionName="llm-gateway-sweep:live", Payload=b"{}")
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    return found


@dataclass
class Customer:
    """A tenant with a key of its own, so that nobody else's calls count."""

    local: Gateway
    tenant_id: str
    key: str
    http: httpx.Client

    def ask(self, model: str, text: str = "Hello", stream: bool = False, **more: Any) -> dict[str, Any]:
        """The reply, or the last chunk of the stream."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **more}
        answer = self.http.post("/chat/completions", json=body)
        if not stream or answer.status_code != 200:
            found: dict[str, Any] = answer.json()
            return found
        data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        last: dict[str, Any] = json.loads([text for text in data if text != "[DONE]"][-1])
        return last

    def report(self, **query: Any) -> dict[str, Any]:
        answer = self.http.get("/usage", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        check("UsageReport", found)
        return found

    def used(self, requests: int) -> dict[str, Any]:
        """The whole report, once so many requests are in it."""

        def look() -> dict[str, Any] | None:
            total: dict[str, Any] = self.report()["total"]
            assert total["requests"] <= requests
            return total if total["requests"] == requests else None

        return eventually(look)

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Items of the ledger: the tenant's, and its users'."""
        request = {"TableName": "llm-gateway-ledger", "ConsistentRead": True}
        pages = table(self.local.aws_endpoint_url, "-ledger").meta.client.get_paginator("scan").paginate(**request)
        items = [item for page in pages for item in page["Items"]]
        return {item["pk"]: item for item in items if item["pk"].split("#")[1] == self.tenant_id}

    def settled_nano_usd(self) -> dict[str, int]:
        """Of this month, by level; fails when anything is still held."""
        sums = {"T": 0, "U": 0}
        for account_id, item in self.accounts().items():
            assert not [name for name in item if name.startswith("h")], item
            sums[account_id[0]] += sum(int(value) for name, value in item.items() if name[0] == "s" and len(name) == 8)
        return sums

    def audit(self) -> list[dict[str, Any]]:
        """Lines of the audit log about requests."""
        return [line for line in self._audit() if not line["event"].startswith("admin.")]

    def changes(self) -> list[dict[str, Any]]:
        """Lines of the audit log about what the administrator did, in their order."""
        lines = [line for line in self._audit() if line["event"].startswith("admin.")]
        return sorted(lines, key=lambda line: float(line["at_s"]))

    def _audit(self) -> list[dict[str, Any]]:
        wanted = {"logGroupName": "/llm-gateway/audit", "filterPattern": f'"{self.tenant_id}"'}
        pages = aws(self.local, "logs").get_paginator("filter_log_events").paginate(**wanted)
        lines = [json.loads(event["message"]) for page in pages for event in page["events"]]
        return [line for line in lines if line.get("tenant_id") == self.tenant_id]

    def archived(self, folder: str) -> list[dict[str, Any]]:
        s3 = aws(self.local, "s3")
        [bucket] = [one["Name"] for one in s3.list_buckets()["Buckets"] if "archivebucket" in one["Name"].lower()]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/dt=")
        bodies = [
            s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            for page in pages
            for found in page.get("Contents", [])
        ]
        lines = [json.loads(line) for body in bodies for line in gzip.decompress(body).splitlines()]
        return [line for line in lines if line["tenant_id"] == self.tenant_id]


@contextmanager
def customer_of(
    local: Gateway, kind: str, check: Check | None = None, scopes: Sequence[str] = ("*",), **settings: Any
) -> Iterator[Customer]:
    """A new tenant of that kind of test. `check`: of each answer. `scopes`: of its key; `settings`: its own."""
    tenant_id = f"{kind}-{uuid.uuid4().hex[:12]}"
    put_tenant(local.aws_endpoint_url, tenant_id, **settings)
    key = put_key(local.aws_endpoint_url, tenant_id, "alice", scopes=[*scopes])
    headers, hooks = {"authorization": f"Bearer {key}"}, {"response": [] if check is None else [check]}
    with httpx.Client(base_url=local.http, headers=headers, timeout=90, event_hooks=hooks) as http:
        yield Customer(local, tenant_id, key, http)
