"""The stand-ins of part A against the gateway's own adapters and a runtime's calls, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import httpx
import pytest

from benchmarks.aws_stand_in import ACCESS_KEY_ID, API_KEY, LEDGER, REGION, STACK, TABLE, AwsStandIn
from benchmarks.pollers import Pollers
from benchmarks.runtime_api import RuntimeApi
from benchmarks.storing import PART_BYTES
from benchmarks.storing_stand_in import StoringStandIn
from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.files import S3Files
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.aws.secrets import SecretsManagerCredentials
from gateway.adapters.clock import SystemClock
from gateway.adapters.downloads import GuardedDownloads
from gateway.adapters.http_client import HttpClient
from gateway.model.caller import Caller
from gateway.model.file import File, new_file_id
from gateway.model.ledger import Account, Hold, Meter, settling
from local.console import Problem

BASE_URL = "http://127.0.0.1:1/openai/v1"


@pytest.fixture
def aws() -> Iterator[AwsStandIn]:
    with AwsStandIn(BASE_URL) as stand_in:
        yield stand_in


def _api(aws: AwsStandIn, client: HttpClient, name: str, target: str) -> AwsApi:
    clock = SystemClock()
    service = Service(name, target, "1.0", f"{aws.url}/")
    return AwsApi(service, REGION, keys=RoleKeys(client, clock), client=client, clock=clock)


async def test_aws_answers_the_gateways_own_calls(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "bench")
    async with aclosing(HttpClient()) as client:
        access = DynamoAccess(_api(aws, client, "dynamodb", "DynamoDB_20120810"), TABLE, 5.0, SystemClock())
        principal = await access.read(Caller(key_hash=hashlib.sha256(API_KEY.encode()).hexdigest()))
        unknown = await access.read(Caller(key_hash="0" * 64))
        secrets = _api(aws, client, "secretsmanager", "secretsmanager")
        credential = await SecretsManagerCredentials(secrets, STACK, SystemClock()).find("openai")
    assert principal is not None
    assert principal.tenant.approves("openai/gpt-4o-mini")
    assert unknown is None
    assert credential.base_url == BASE_URL


async def test_the_ledger_holds_what_is_reserved_and_ends_it(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no request would be admitted, and nothing measured."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "bench")
    hold = Hold(until_s=9, admitted_s=1, cost_nano_usd=70, rules=("",))
    account = Account("T#acme#0", "tenant", (Meter("r1", "requests", 1, 10), Meter("s2026-09-21", "spend", 70, 1_000)))
    async with aclosing(HttpClient()) as client:
        ledger = DynamoLedger(_api(aws, client, "dynamodb", "DynamoDB_20120810"), LEDGER, 5.0)
        reserved = await ledger.reserve(account, "h1", hold)
        settled = await ledger.settle(account.id, "h1", settling(hold, 42))
    assert reserved.is_held
    assert reserved.reading.holds == {"h1": hold}
    assert settled is not None


def test_aws_refuses_what_is_not_signed(aws: AwsStandIn) -> None:
    answer = httpx.post(aws.url, headers={"x-amz-target": "DynamoDB_20120810.BatchGetItem"}, content=b"{}")
    assert answer.status_code == 403


def _serve_once(authority: str, status: int, body: bytes) -> bytes:
    """A runtime that answers one event; returns what it was handed."""
    host, _, port = authority.partition(":")
    address = host, int(port)
    with socket.create_connection(address) as poll:
        poll.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        handed = poll.recv(65_536)
        with socket.create_connection(address) as answer:
            prelude = b'{"statusCode":%d,"headers":{}}' % status + b"\0" * 8
            head = b"POST /2018-06-01/runtime/invocation/invocation-1/response HTTP/1.1\r\n\r\n"
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (prelude, body))
            answer.sendall(head + chunks + b"0\r\n\r\n")
            answer.recv(65_536)
    return handed


def test_the_runtime_api_hands_out_an_event_and_times_its_answer() -> None:
    with RuntimeApi() as api, ThreadPoolExecutor() as threads:
        runtime = threads.submit(_serve_once, api.authority, 200, b"data: {}\n\n")
        timed = api.invoke(b'{"httpMethod":"POST"}')
        assert runtime.result().endswith(b'\r\n\r\n{"httpMethod":"POST"}')
    assert b"data: {}" in timed.raw
    assert 0 < timed.first_ms <= timed.last_ms


def test_a_refused_request_is_no_measurement() -> None:
    with RuntimeApi() as api, ThreadPoolExecutor() as threads:
        threads.submit(_serve_once, api.authority, 401, b"{}")
        with pytest.raises(Problem, match="refused"):
            api.invoke(b"{}")


async def _poll(authority: str, status: int) -> None:
    """A poller that answers with `status` whatever it is handed, until nothing is handed out any more."""
    host, _, port = authority.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head, body = b"POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\n\r\n", b'{"statusCode":%d}' % status
    answer = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    try:
        while True:
            writer.write(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.rpartition(b" ")[2]))
            taker, giver = await asyncio.open_connection(host, int(port))
            giver.write(answer)
            await taker.readuntil(b"\r\n\r\n")
            giver.close()
    finally:
        writer.close()


async def test_pollers_are_handed_as_many_events_as_are_asked_for() -> None:
    pollers = Pollers(3, b"{}")
    authority = await pollers.listen()
    polling = [asyncio.create_task(_poll(authority, 200)) for _ in range(3)]
    assert await pollers.serve(7) > 0
    assert await pollers.serve(5) > 0
    await pollers.aclose()
    ended = await asyncio.gather(*polling, return_exceptions=True)
    assert all(isinstance(each, asyncio.IncompleteReadError) for each in ended)


async def test_a_poller_that_is_refused_is_no_measurement() -> None:
    pollers = Pollers(1, b"{}")
    polling = asyncio.create_task(_poll(await pollers.listen(), 503))
    with pytest.raises(Problem, match="refused"):
        await pollers.serve(1)
    await pollers.aclose()
    await asyncio.gather(polling, return_exceptions=True)


async def test_a_bucket_that_keeps_nothing_takes_a_video_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "bench")
    with StoringStandIn() as world:
        world.size_bytes = 20_000_000
        downloads = GuardedDownloads(world.authority)
        async with aclosing(HttpClient()) as client, downloads.open(f"{world.url}/video.mp4", 10**9, 30.0) as chunks:
            clock = SystemClock()
            place = Place("bench-files", REGION, f"{world.url}/bench-files")
            bucket = Bucket(place, keys=RoleKeys(client, clock), client=client, clock=clock)
            file = File(new_file_id("generated", 0, bytes(10)), "a.mp4", "video/mp4", 0)
            assert await S3Files(bucket, clock).put_stream("acme", file, chunks) == world.size_bytes
    assert (world.stored_bytes, world.largest_request_bytes) == (20_000_000, PART_BYTES)
