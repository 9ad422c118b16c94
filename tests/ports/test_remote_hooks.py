"""Each kind of remote hook over real sockets: what it is sent, and what its failures are called."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import boto3
import pytest
from standardwebhooks import Webhook

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.hook_secrets import HookSecrets
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import read_exempt
from gateway.adapters.guarded_fetch.post import GuardedPost
from gateway.adapters.http_client import HttpClient
from gateway.adapters.remote_hooks import Functions, Guardrails, RemoteHooksByKind, Webhooks
from gateway.model.hook import GuardrailHook, HookFailed, HookMessage, LambdaHook, RemoteHook, WebhookHook
from gateway.model.http import Credential
from gateway.model.secret import AwsKeys, Secret
from tests.fakes import MemoryCredentials
from tests.ports.conftest import REGION

SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"
MESSAGE = HookMessage("req_1.dlp.pre_call", "acme", b'{"stage": "pre_call"}')
ALLOW = b'{"action": "allow"}'


@dataclass
class Service:
    """Answers every POST alike. `requests`: line, headers and body of each."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = ALLOW
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in rest)}
        self.requests.append((line, headers, await reader.readexactly(int(headers["content-length"]))))
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"HTTP/1.1 {self.status} X\r\n{extra}content-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    listening = await asyncio.start_server(service.connected, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield service
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def hooks(service: Service, http_client: HttpClient, secrets_api: AwsApi) -> RemoteHooksByKind:
    clock = SystemClock()
    keys = RoleKeys(http_client, clock)
    post = GuardedPost(http_client, clock, exempt=read_exempt(service.url.removeprefix("http://")))
    aws_keys = AwsKeys("AKIA", Secret("s"))
    bedrock = Credential(Secret(""), f"{service.url}/bedrock", aws_keys, settings={"region": REGION})
    return RemoteHooksByKind(
        Functions(LambdaApi(service.url, REGION, keys, http_client, clock)),
        Webhooks(post, HookSecrets(secrets_api, "gw", clock), clock),
        Guardrails(MemoryCredentials({"bedrock": bedrock}), http_client, clock),
    )


@pytest.fixture
def store_secret(aws_url: str, aws_keys: None) -> Callable[[str, str], None]:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)

    def store(name: str, value: str) -> None:
        client.create_secret(Name=f"gw/hooks/{name}", SecretString=value)

    return store


def function(name: str = "gateway-hook-dlp") -> LambdaHook:
    return LambdaHook(id="dlp", function=name)


def webhook(service: Service, hook_id: str, path: str = "/hook") -> WebhookHook:
    return WebhookHook(id=hook_id, url=f"{service.url}{path}")


GUARDRAIL = GuardrailHook(id="dlp", guardrail_id="gr1", version="3")


async def failure(hooks: RemoteHooksByKind, hook: RemoteHook) -> str:
    with pytest.raises(HookFailed) as failed:
        await hooks.ask(hook, MESSAGE)
    return failed.value.cause


@pytest.mark.parametrize("name", ["gateway-hook-dlp", "gateway-hook-dlp:live"])
async def test_a_function_is_invoked_with_the_question(hooks: RemoteHooksByKind, service: Service, name: str) -> None:
    assert await hooks.ask(function(name), MESSAGE) == ALLOW
    [(line, headers, body)] = service.requests
    assert line == f"POST /2015-03-31/functions/{name.replace(':', '%3A')}/invocations HTTP/1.1"
    assert f"/{REGION}/lambda/aws4_request" in headers["authorization"]
    assert body == MESSAGE.body


@pytest.mark.parametrize(
    ("status", "headers", "cause"),
    [
        (200, {"x-amz-function-error": "Unhandled"}, "FunctionError"),
        (404, {"x-amzn-errortype": "ResourceNotFoundException:http://x/"}, "ResourceNotFoundException"),
        (429, {"x-amzn-errortype": "TooManyRequestsException"}, "TooManyRequestsException"),
        (500, {}, "Status500"),
    ],
)
async def test_a_function_that_fails(
    hooks: RemoteHooksByKind, service: Service, status: int, headers: dict[str, str], cause: str
) -> None:
    service.status, service.headers = status, headers
    assert await failure(hooks, function()) == cause


async def test_a_webhook_is_signed_so_that_a_receiver_believes_it(
    hooks: RemoteHooksByKind, service: Service, store_secret: Callable[[str, str], None]
) -> None:
    store_secret("acme/signed", SECRET)
    assert await hooks.ask(webhook(service, "signed"), MESSAGE) == ALLOW
    [(line, headers, body)] = service.requests
    assert line == "POST /hook HTTP/1.1"
    assert Webhook(SECRET).verify(body, headers) == {"stage": "pre_call"}
    assert headers["webhook-id"] == MESSAGE.id
    assert "authorization" not in headers


async def test_while_a_secret_is_replaced_there_are_two_signatures(
    hooks: RemoteHooksByKind, service: Service, store_secret: Callable[[str, str], None]
) -> None:
    other = f"whsec_{base64.b64encode(b'o' * 24).decode()}"
    store_secret("acme/rotated", f"{other} {SECRET}\n")
    await hooks.ask(webhook(service, "rotated"), MESSAGE)
    [(_, headers, body)] = service.requests
    for secret in (SECRET, other):
        Webhook(secret).verify(body, headers)


async def test_a_webhook_without_a_secret_of_this_tenant_is_not_called(
    hooks: RemoteHooksByKind,
    service: Service,
    store_secret: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_secret("other-tenant/mine", SECRET)
    store_secret("acme/broken", "not a secret")
    assert await failure(hooks, webhook(service, "mine")) == "no_secret"
    assert await failure(hooks, webhook(service, "broken")) == "no_secret"
    assert service.requests == []
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["hook_secrets.unavailable"] * 2
    assert "not a secret" not in json.dumps(lines)


@pytest.mark.parametrize("status", [201, 204, 302, 404, 500])
async def test_only_200_is_an_answer(
    hooks: RemoteHooksByKind, service: Service, store_secret: Callable[[str, str], None], status: int
) -> None:
    store_secret(f"acme/status{status}", SECRET)
    service.status, service.headers = status, {"location": f"{service.url}/elsewhere"}
    service.body = b"" if status in (204,) else ALLOW
    assert await failure(hooks, webhook(service, f"status{status}")) == f"status_{status}"
    assert len(service.requests) == 1


async def test_an_address_inside_is_not_called(
    hooks: RemoteHooksByKind, service: Service, store_secret: Callable[[str, str], None]
) -> None:
    store_secret("acme/inside", SECRET)
    hook = WebhookHook(id="inside", url="https://169.254.169.254/latest/meta-data/")
    assert await failure(hooks, hook) == "address_not_public"


async def test_a_guardrail_is_applied_where_bedrock_is(hooks: RemoteHooksByKind, service: Service) -> None:
    assert await hooks.ask(GUARDRAIL, MESSAGE) == ALLOW
    [(line, headers, body)] = service.requests
    assert line == "POST /bedrock/guardrail/gr1/version/3/apply HTTP/1.1"
    assert f"/{REGION}/bedrock/aws4_request" in headers["authorization"]
    assert body == MESSAGE.body


async def test_a_guardrail_that_fails(hooks: RemoteHooksByKind, service: Service) -> None:
    service.status = 429
    assert await failure(hooks, GUARDRAIL) == "status_429"


async def test_without_a_credential_no_guardrail_is_asked(http_client: HttpClient) -> None:
    guardrails = Guardrails(MemoryCredentials(), http_client, SystemClock())
    with pytest.raises(HookFailed, match="no_credential"):
        await guardrails.ask(GUARDRAIL, MESSAGE)


async def test_what_cannot_be_reached(http_client: HttpClient, aws_keys: None) -> None:
    clock = SystemClock()
    functions = LambdaApi("http://127.0.0.1:1", REGION, RoleKeys(http_client, clock), http_client, clock)
    with pytest.raises(HookFailed, match="Unreachable"):
        await Functions(functions).ask(function(), MESSAGE)
    bedrock = Credential(Secret("key"), "http://127.0.0.1:1")
    with pytest.raises(HookFailed, match="unreachable"):
        await Guardrails(MemoryCredentials({"bedrock": bedrock}), http_client, clock).ask(GUARDRAIL, MESSAGE)
