"""What is told is taken by the bus, or by the queue behind it, or stands in the log; tests/e2e sees it delivered."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.events import BusEvents
from gateway.adapters.http_client import HttpClient
from gateway.entry.records import read
from gateway.model.record import AuditEvent, Told
from scripts import replay_undelivered
from tests.ports.conftest import REGION, aws_api
from tests.record_fakes import NOW_S, record

QUEUE = "llm-gateway-records"
TOLD: list[Told] = [
    AuditEvent(id="req_1.started", event="request.started", at_s=NOW_S, tenant_id="acme"),
    record(),
    AuditEvent(id="req_1.ended", event="request.completed", at_s=NOW_S, tenant_id="acme", facts={"status": 200}),
]


class Wiring:
    """A queue, and clients of it and of a bus."""

    def __init__(self, url: str, http: HttpClient) -> None:
        self.sqs = boto3.client("sqs", endpoint_url=url, region_name=REGION)
        self.queue_url: str = self.sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        self.events = boto3.client("events", endpoint_url=url, region_name=REGION)
        self.bus_api = aws_api(http, url, "events", "AWSEvents", "1.1")
        self.queue_api = aws_api(http, url, "sqs", "AmazonSQS", "1.0")

    def sender(self, bus_api: AwsApi | None = None, queue_api: AwsApi | None = None) -> BusEvents:
        return BusEvents(bus_api or self.bus_api, "bus", queue_api or self.queue_api, self.queue_url)

    def arrived(self) -> list[Told]:
        """As the records function reads them."""
        found: list[Told] = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(read({"messageId": message["MessageId"], "body": message["Body"]}).told)
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def wiring(aws_url: str, aws_keys: None, http_client: HttpClient) -> Iterator[Wiring]:
    made = Wiring(aws_url, http_client)
    yield made
    made.sqs.delete_queue(QueueUrl=made.queue_url)


@pytest.fixture
def bus(wiring: Wiring) -> Iterator[None]:
    wiring.events.create_event_bus(Name="bus")
    yield
    wiring.events.delete_event_bus(Name="bus")


@pytest.fixture
def nobody(http_client: HttpClient) -> Iterator[AwsApi]:
    """An API at an address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield aws_api(http_client, f"http://127.0.0.1:{unused.getsockname()[1]}", "events", "AWSEvents", "1.1")


def in_order(told: list[Told]) -> list[Told]:
    return sorted(told, key=lambda one: one.id)


@pytest.mark.usefixtures("bus")
async def test_what_the_bus_takes_goes_nowhere_else(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    await wiring.sender().send([*TOLD, *(record(f"req_{number}") for number in range(23))])
    assert wiring.arrived() == []
    assert capsys.readouterr().out == ""


async def test_past_a_bus_that_does_not_answer_it_goes_to_the_queue(
    wiring: Wiring, nobody: AwsApi, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    await wiring.sender(bus_api=nobody).send(TOLD)
    assert in_order(wiring.arrived()) == in_order(TOLD)
    assert json.loads(capsysbinary.readouterr().out)["event"] == "events.bus_failed"


@pytest.mark.usefixtures("bus")
async def test_what_the_bus_refuses_of_a_batch_goes_to_the_queue(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = wiring.bus_api.call

    async def taking_all_but_one(operation: str, payload: dict[str, Any], *rest: Any) -> dict[str, Any]:
        _, *others = payload["Entries"]
        answer = await call(operation, {"Entries": others}, *rest)
        refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        return {"FailedEntryCount": 1, "Entries": [refused, *answer["Entries"]]}

    monkeypatch.setattr(wiring.bus_api, "call", taking_all_but_one)
    await wiring.sender().send(TOLD)
    assert wiring.arrived() == TOLD[:1]


async def test_what_nobody_takes_stands_whole_in_the_log_and_can_be_replayed(
    wiring: Wiring,
    nobody: AwsApi,
    aws_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await wiring.sender(bus_api=nobody, queue_api=nobody).send(TOLD)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["events.bus_failed", *["events.undelivered"] * 3]
    logs = boto3.client("logs", endpoint_url=aws_url, region_name=REGION)
    named = {"logGroupName": "/aws/lambda/llm-gateway-chat", "logStreamName": "one"}
    logs.create_log_group(logGroupName=named["logGroupName"])
    logs.create_log_stream(**named)
    now_ms = int(time.time() * 1000)
    said = [*lines, "START RequestId: no json", json.dumps("events.undelivered")]
    logs.put_log_events(**named, logEvents=[{"timestamp": now_ms, "message": line} for line in said])

    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    since = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M")
    for more, told in ((["--dry-run"], []), ([], TOLD)):
        monkeypatch.setattr(sys, "argv", ["replay", "--since", since, *more])
        replay_undelivered.main()
        assert in_order(wiring.arrived()) == in_order(told)
    assert capsys.readouterr().out.splitlines() == [
        "3 records would be put into the queue",
        "3 records were put into the queue",
    ]
    logs.delete_log_group(logGroupName=named["logGroupName"])


async def test_telling_never_raises(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: Any) -> dict[str, Any]:
        raise AwsFailure("AccessDeniedException", is_fault=False)

    monkeypatch.setattr(wiring.bus_api, "call", failing)
    monkeypatch.setattr(wiring.queue_api, "call", failing)
    await wiring.sender().send(TOLD)
    assert wiring.arrived() == []
