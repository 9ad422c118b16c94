"""The function as it is invoked: an event in, a file in S3, facts out; real sockets to S3 (moto) and to the site."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import local_exempt
from gateway.adapters.guarded_fetch.fetch import GuardedFetch
from gateway.adapters.http_client import HttpClient
from gateway.entry.media_fetch import MediaFetch
from gateway.entry.runtime.client import Invocation
from tests.ports.conftest import REGION
from tests.ports.guarded_fetch.sites import PNG, Network, Site, answer, ok
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi

ROOT = Path(__file__).parents[3]

BUCKET, KEY = "media-of-the-test", "fetched/acme.dev/0123456789abcdef"
INVOCATION = Invocation("request-1", deadline_s=0)


@pytest.fixture
def bucket(aws_url: str, aws_keys: None) -> Iterator[Any]:
    resource = boto3.resource("s3", endpoint_url=aws_url, region_name=REGION)
    bucket = resource.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield bucket
    bucket.objects.delete()
    bucket.delete()


@pytest.fixture
def function(aws_url: str, guarded: GuardedFetch, http_client: HttpClient, network: Network) -> MediaFetch:
    clock = SystemClock()
    network.direct.add(int(aws_url.rpartition(":")[2]))
    keys = RoleKeys(http_client, clock)
    return MediaFetch(
        guarded,
        lambda name: Bucket(Place.of(name, REGION, aws_url), keys=keys, client=http_client, clock=clock),
        clock,
    )


def event(**changes: Any) -> dict[str, Any]:
    return {
        "url": "https://site.example/a.png",
        "max_bytes": 10_000_000,
        "timeout_s": 5,
        "accept": ["image/"],
        "put": {"bucket": BUCKET, "key": KEY},
        **changes,
    }


async def handle(function: MediaFetch, sent: dict[str, Any]) -> Any:
    """The result as the invoking function reads it."""
    return json.loads(json.dumps(await function.handle(json.loads(json.dumps(sent)), INVOCATION)))


async def test_what_is_fetched_is_stored_with_the_type_that_it_has(
    function: MediaFetch, bucket: Any, site: Site
) -> None:
    body = PNG + bytes(3_000_000)
    site.answers["/a.png"] = ok(body, "Content-Type: text/html")
    assert await handle(function, event()) == {
        "status": "ok",
        "code": None,
        "reason": None,
        "content_type": "image/png",
        "size_bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    stored = await asyncio.to_thread(bucket.Object(KEY).get)
    assert (stored["Body"].read(), stored["ContentType"]) == (body, "image/png")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"url": "https://169.254.169.254/"}, "refused", "address_not_public"),
        ({"max_bytes": 5}, "refused", "too_large"),
        ({"accept": ["audio/", "video/mp4"]}, "refused", "type_not_accepted"),
        ({"url": "https://site.example/missing"}, "failed", "upstream_status"),
        ({"url": "https://unknown.example/"}, "failed", "name_not_resolved"),
    ],
)
async def test_what_is_not_fetched_is_told_and_not_stored(
    function: MediaFetch, bucket: Any, site: Site, changes: dict[str, Any], status: str, code: str
) -> None:
    site.answers["/missing"] = answer("404 Not Found", "Content-Length: 0")
    result = await handle(function, event(**changes))
    assert (result["status"], result["code"], bool(result["reason"])) == (status, code, True)
    assert [result[name] for name in ("content_type", "size_bytes", "sha256")] == [None, None, None]
    assert list(bucket.objects.all()) == []


async def test_a_storage_that_refuses_is_a_failure(function: MediaFetch, aws_keys: None) -> None:
    result = await handle(function, event(put={"bucket": "no-such-bucket", "key": KEY}))
    assert (result["status"], result["code"]) == ("failed", "storage_failed")


async def test_the_log_has_facts_and_neither_url_nor_content(
    function: MediaFetch, bucket: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    await handle(function, event(url="https://site.example/secret-path?token=secret"))
    await handle(function, event(url="https://unknown.example/secret-path"))
    logged = capfd.readouterr()
    first, second = (json.loads(line) for line in logged.err.splitlines())
    assert (first["status"], first["content_type"], first["request_id"]) == ("ok", "image/png", "request-1")
    assert (second["status"], second["code"]) == ("failed", "name_not_resolved")
    assert "secret" not in logged.err + logged.out
    assert "example" not in logged.err + logged.out


@pytest.mark.parametrize(
    "changes",
    [
        {"url": None},
        {"max_bytes": 0},
        {"max_bytes": 50 * 1024 * 1024 + 1},
        {"timeout_s": 0},
        {"timeout_s": 51},
        {"accept": []},
        {"accept": [""]},
        {"accept": ["image"]},
        {"accept": ["image/\n"]},
        {"put": {"bucket": BUCKET, "key": "files/acme/1"}},
        {"put": {"bucket": BUCKET, "key": "fetched/../files/1"}},
        {"put": {"bucket": BUCKET, "key": "fetched/a?acl"}},
        {"put": {"bucket": BUCKET, "key": "fetched//a"}},
        {"put": {"bucket": BUCKET, "key": "fetched/."}},
        {"put": {"bucket": "a.evil.example/", "key": KEY}},
        {"put": {"bucket": BUCKET, "key": KEY + "\n"}},
        {"headers": {"authorization": "x"}},
    ],
    ids=str,
)
async def test_an_event_of_another_shape_fails_the_invocation(
    function: MediaFetch, network: Network, changes: dict[str, Any]
) -> None:
    with pytest.raises(msgspec.ValidationError):
        await handle(function, event(**changes))
    assert network.attempts == []


def test_exceptions_are_for_the_local_stack_only() -> None:
    setting = {"GATEWAY_FETCH_EXCEPTIONS": "127.0.0.1:8001"}
    assert local_exempt(setting) == local_exempt({**setting, "GATEWAY_LOCAL_ENDPOINT": ""}) == frozenset()
    assert len(local_exempt({**setting, "GATEWAY_LOCAL_ENDPOINT": "http://127.0.0.1:4566"})) == 1
    with pytest.raises(ValueError, match="loopback"):
        local_exempt({"GATEWAY_FETCH_EXCEPTIONS": "10.0.0.1:80", "GATEWAY_LOCAL_ENDPOINT": "http://127.0.0.1:4566"})


@pytest.fixture
async def running(aws_url: str, bucket: Any, inside: Site) -> AsyncIterator[FakeRuntimeApi]:
    """The function in a process of its own, as Lambda starts it, on a local stack with `inside` as its exception."""
    async with FakeRuntimeApi() as api:
        environment = {
            "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("functions/media_fetch", "layers/gateway")),
            "AWS_LAMBDA_RUNTIME_API": api.authority,
            "_HANDLER": "app.handler",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "GATEWAY_LOCAL_ENDPOINT": aws_url,
            "GATEWAY_FETCH_EXCEPTIONS": f"127.0.0.1:{inside.port}",
            "HTTPS_PROXY": f"http://127.0.0.1:{inside.port}",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "gateway.entry.runtime", env=environment, stderr=asyncio.subprocess.PIPE
        )
        yield api
        process.kill()
        await process.communicate()


async def test_the_function_as_lambda_runs_it(running: FakeRuntimeApi, inside: Site, bucket: Any) -> None:
    stored = await running.answered(running.deliver(event(url=f"http://127.0.0.1:{inside.port}/a.png")))
    assert stored.result["status"] == "ok"
    assert (await asyncio.to_thread(bucket.Object(KEY).get))["Body"].read() == PNG
    for url, code in (
        (f"http://{running.authority}/2018-06-01/runtime/invocation/next", "scheme_not_allowed"),
        (f"http://127.1:{inside.port}/", "address_notation"),
        ("https://169.254.170.2/v2/credentials", "address_not_public"),
        ("https://name.invalid/", "host_not_allowed"),
    ):
        refused = await running.answered(running.deliver(event(url=url)))
        assert (refused.result["status"], refused.result["code"]) == ("refused", code)
    wrong = await running.answered(running.deliver(event(accept=[])))
    assert wrong.error["errorType"] == "ValidationError"
    assert inside.paths == ["/a.png"]
