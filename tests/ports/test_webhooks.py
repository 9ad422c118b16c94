"""What callers are told, over real sockets: signed, sent by a function without secrets, and what comes of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from standardwebhooks import Webhook

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.webhook_secrets import DerivedWebhookSecrets
from gateway.adapters.aws.webhook_sender import LambdaWebhookSender, seconds_to_wait
from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import read_exempt
from gateway.adapters.guarded_fetch.post import GuardedPost
from gateway.adapters.http_client import HttpClient
from gateway.entry.runtime.client import Invocation
from gateway.entry.webhook_send import WebhookSend
from gateway.model.errors import StorageUnavailable
from gateway.model.webhook import WebhookMessage, WebhookReceipt
from gateway.webhook_ports import WebhookSecrets
from tests.fakes import RootedWebhookSecrets
from tests.ports.conftest import REGION
from tests.ports.test_remote_hooks import Service, service

__all__ = ["service"]

ROOT = "r" * 48
FOLDER = Path(__file__).parents[2]
INVOCATION = Invocation("request-1", deadline_s=0)
BODY = b'{"type":"job.completed"}'


@pytest.fixture
def root(aws_url: str, aws_keys: None) -> Iterator[str]:
    """The stack's name, under which the root is stored."""
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.create_secret(Name="gw/webhook-root", SecretString=ROOT)
    yield "gw"
    client.delete_secret(SecretId="gw/webhook-root", ForceDeleteWithoutRecovery=True)


@pytest.fixture(params=["memory", "aws"])
def secrets(request: pytest.FixtureRequest) -> WebhookSecrets:
    if request.param == "memory":
        return RootedWebhookSecrets([ROOT])
    api, stack = request.getfixturevalue("secrets_api"), request.getfixturevalue("root")
    return DerivedWebhookSecrets(api, stack, SystemClock())


@dataclass
class Invoked:
    """Lambda, with one function. `events`: what it was invoked with. `failure`: where it cannot be."""

    function: WebhookSend
    events: list[dict[str, Any]] = field(default_factory=list)
    failure: AwsFailure | None = None

    async def invoke(self, function: str, payload: bytes, timeout_s: float, max_bytes: int) -> bytes:
        if self.failure is not None:
            raise self.failure
        assert function == "gw-webhook-send:live"
        self.events.append(json.loads(payload))
        answer = msgspec.json.encode(await self.function.handle(self.events[-1], INVOCATION))
        assert len(answer) <= max_bytes
        return answer


@pytest.fixture
def invoked(service: Service, http_client: HttpClient) -> Invoked:
    clock = SystemClock()
    post = GuardedPost(http_client, clock, exempt=read_exempt(service.url.removeprefix("http://")))
    return Invoked(WebhookSend(post, clock))


@pytest.fixture
def sender(invoked: Invoked) -> LambdaWebhookSender:
    secrets = RootedWebhookSecrets([ROOT])
    return LambdaWebhookSender(invoked, "gw-webhook-send:live", secrets, SystemClock())  # type: ignore[arg-type]  # it invokes as Lambda would


def message(url: str, *versions: int) -> WebhookMessage:
    return WebhookMessage("job_1.completed", "acme", versions or (1,), url, BODY)


# -- secrets


async def test_each_tenant_has_another_secret_by_each_version(secrets: WebhookSecrets) -> None:
    [first], [again] = await secrets.find("acme", 1), await secrets.find("acme", 1)
    assert first.reveal() == again.reveal()
    derived = hmac.new(ROOT.encode(), b"webhooks/acme/1", hashlib.sha256).digest()
    assert first.reveal() == f"whsec_{base64.b64encode(derived).decode()}"
    others = [(await secrets.find(tenant, version))[0].reveal() for tenant, version in (("acme", 2), ("acme2", 1))]
    assert len({first.reveal(), *others}) == 3
    assert first.reveal() not in repr(first)


async def test_a_root_that_takes_over_from_another(aws_url: str, root: str, secrets_api: AwsApi) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.put_secret_value(SecretId="gw/webhook-root", SecretString=f"{'n' * 48} {ROOT}")
    new, old = await DerivedWebhookSecrets(secrets_api, root, SystemClock()).find("acme", 1)
    assert (await RootedWebhookSecrets([ROOT]).find("acme", 1))[0].reveal() == old.reveal() != new.reveal()


@pytest.mark.parametrize("text", ["short", f"{ROOT} short"])
async def test_a_root_that_somebody_could_guess_signs_nothing(
    aws_url: str, root: str, secrets_api: AwsApi, text: str
) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.put_secret_value(SecretId="gw/webhook-root", SecretString=text)
    with pytest.raises(StorageUnavailable):
        await DerivedWebhookSecrets(secrets_api, root, SystemClock()).find("acme", 1)


async def test_without_a_root_nothing_is_signed(secrets_api: AwsApi, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StorageUnavailable):
        await DerivedWebhookSecrets(secrets_api, "nobody", SystemClock()).find("acme", 1)
    assert "gateway.webhook_root.unavailable" in capfd.readouterr().out


# -- sending


async def test_a_receiver_believes_what_it_is_told(
    sender: LambdaWebhookSender, service: Service, invoked: Invoked
) -> None:
    assert await sender.send(message(f"{service.url}/jobs?a=b", 2, 1)) == WebhookReceipt()
    [(line, headers, body)] = service.requests
    assert (line, body, headers["webhook-id"]) == ("POST /jobs?a=b HTTP/1.1", BODY, "job_1.completed")
    assert headers["content-type"] == "application/json"
    for version in (1, 2):
        [secret] = await RootedWebhookSecrets([ROOT]).find("acme", version)
        assert Webhook(secret.reveal()).verify(body, headers) == {"type": "job.completed"}
        assert secret.reveal().removeprefix("whsec_") not in json.dumps(invoked.events)


async def test_each_try_says_when_it_was_made(sender: LambdaWebhookSender, service: Service) -> None:
    for _ in range(2):
        await sender.send(message(service.url))
    ids = {headers["webhook-id"] for _, headers, _ in service.requests}
    assert (len(ids), len(service.requests)) == (1, 2)


@pytest.mark.parametrize(
    ("status", "headers", "receipt"),
    [
        (204, {}, WebhookReceipt()),
        (500, {}, WebhookReceipt("status_500")),
        (503, {"retry-after": "120"}, WebhookReceipt("status_503", wait_s=120)),
        (404, {}, WebhookReceipt("status_404")),
        (302, {"location": "http://127.0.0.1:1/"}, WebhookReceipt("status_302")),
        (410, {}, WebhookReceipt("status_410", is_final=True)),
    ],
)
async def test_only_2xx_is_taken(
    sender: LambdaWebhookSender, service: Service, status: int, headers: dict[str, str], receipt: WebhookReceipt
) -> None:
    service.status, service.headers, service.body = status, headers, b""
    assert await sender.send(message(service.url)) == receipt


async def test_an_answer_is_good_however_long_it_is(sender: LambdaWebhookSender, service: Service) -> None:
    service.body = b"x" * 1_000_000
    assert await sender.send(message(service.url)) == WebhookReceipt()


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "https://10.0.0.7/hook", "http://127.0.0.1:9/"])
async def test_what_leads_inside_is_refused_for_good(sender: LambdaWebhookSender, url: str) -> None:
    receipt = await sender.send(message(url))
    assert receipt.is_final
    assert receipt.failure in ("address_not_public", "scheme_not_allowed")


async def test_nobody_is_there(sender: LambdaWebhookSender, service: Service, http_client: HttpClient) -> None:
    closed = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    post = GuardedPost(http_client, SystemClock(), exempt=read_exempt(f"127.0.0.1:{port}"))
    there = Invoked(WebhookSend(post, SystemClock()))
    alone = LambdaWebhookSender(there, "gw-webhook-send:live", RootedWebhookSecrets(), SystemClock())  # type: ignore[arg-type]  # as above
    assert await alone.send(message(f"http://127.0.0.1:{port}/")) == WebhookReceipt("connect_failed")


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """Takes every request and answers none."""
    held = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    held.set()
    server.close()
    await server.wait_closed()


async def test_a_receiver_that_says_nothing_is_not_waited_for(silent: str, http_client: HttpClient) -> None:
    exempt = read_exempt(silent.removeprefix("http://").rstrip("/"))
    function = WebhookSend(GuardedPost(http_client, SystemClock(), exempt=exempt), SystemClock())
    order = {"url": silent, "headers": {"webhook-id": "m1"}, "body": "{}", "timeout_s": 0.05}
    told = await function.handle(order, INVOCATION)
    assert told == {"status": "failed", "code": "timeout", "http_status": None, "retry_after": None}


async def test_what_cannot_be_sent_at_all(sender: LambdaWebhookSender, invoked: Invoked, service: Service) -> None:
    invoked.failure = AwsFailure("TooManyRequestsException", is_fault=False)
    with pytest.raises(StorageUnavailable):
        await sender.send(message(service.url))
    unsigned = LambdaWebhookSender(invoked, "gw-webhook-send:live", RootedWebhookSecrets(is_broken=True), SystemClock())  # type: ignore[arg-type]  # as above
    with pytest.raises(StorageUnavailable):
        await unsigned.send(message(service.url))
    assert service.requests == []


@pytest.mark.parametrize(
    "order",
    [
        {"url": "https://a.example", "headers": {"authorization": "x"}, "body": "", "timeout_s": 1},
        {"url": "https://a.example", "headers": {"webhook-id": "a\r\nhost: b"}, "body": "", "timeout_s": 1},
        {"url": "https://a.example", "headers": {}, "body": "", "timeout_s": 900},
        {"url": "https://a.example", "headers": {}, "body": "x" * 100_000, "timeout_s": 1},
        {},
    ],
)
async def test_an_event_of_another_shape_is_a_defect(invoked: Invoked, order: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        await invoked.function.handle(order, INVOCATION)


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        ("120", 120),
        ("1.5", 1.5),
        ("-3", 0),
        ("inf", 0),
        ("nan", 0),
        ("", 0),
        ("soon", 0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:02:00 -0000", 20),
    ],
)
def test_how_long_a_receiver_wants_to_be_left_alone(retry_after: str, wait_s: float) -> None:
    assert seconds_to_wait(retry_after, 100) == wait_s


def test_the_function_starts_and_knows_no_key() -> None:
    """Its door loads without a name of a table, a bucket or a secret in its environment."""
    environment = {
        "PYTHONPATH": os.pathsep.join(str(FOLDER / folder) for folder in ("functions/webhook_send", "layers/gateway")),
        "AWS_REGION": REGION,
    }
    code = "import app, sys; print(type(app.handler).__name__, 'gateway.adapters.aws.secrets' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    assert loaded.stdout.split() == ["EventHandler", "False"]
