"""Provider credentials from Secrets Manager: read once, kept for minutes, served stale when the service is down."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.kept import KEEP_S, LACKING_S, READ_AGAIN_S
from gateway.adapters.aws.secrets import Role, SecretsManagerCredentials
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.model.provider_errors import ProviderError
from tests.fakes import ManualClock
from tests.ports.conftest import REGION


class CountedApi:
    """The real API, with a count of calls and a switch that cuts it off. `refuses`: what it says instead."""

    def __init__(self, api: AwsApi) -> None:
        self.api, self.calls, self.down, self.refuses = api, 0, False, ""

    async def call(self, operation: str, payload: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        self.calls += 1
        if self.down:
            raise AwsFailure("Unreachable", is_fault=True)
        if self.refuses:
            raise AwsFailure(self.refuses, is_fault=False)
        return await self.api.call(operation, payload, timeout_s)


@pytest.fixture
def openai_secret(aws_url: str, aws_keys: None) -> Iterator[Any]:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    name = "gw/providers/openai"
    client.create_secret(Name=name, SecretString='{"api_key": "sk-one", "base_url": ""}')
    yield client
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    client.close()


@pytest.fixture
def store(secrets_api: AwsApi) -> tuple[SecretsManagerCredentials, CountedApi, ManualClock]:
    counted, clock = CountedApi(secrets_api), ManualClock()
    return SecretsManagerCredentials(counted, "gw", clock), counted, clock  # type: ignore[arg-type]


Store = tuple[SecretsManagerCredentials, CountedApi, ManualClock]


async def test_a_credential_is_read_once_and_an_empty_base_url_is_none(store: Store, openai_secret: Any) -> None:
    credentials, counted, _ = store
    for _ in range(3):
        found = await credentials.find("openai")
        assert (found.api_key.reveal(), found.base_url) == ("sk-one", None)
    assert counted.calls == 1


async def test_a_rotated_key_is_seen_after_the_keeping_time(store: Store, openai_secret: Any) -> None:
    credentials, _, clock = store
    await credentials.find("openai")
    openai_secret.put_secret_value(SecretId="gw/providers/openai", SecretString='{"api_key": "sk-two"}')
    assert (await credentials.find("openai")).api_key.reveal() == "sk-one"
    clock.running_s += KEEP_S
    assert (await credentials.find("openai")).api_key.reveal() == "sk-two"


async def test_the_last_known_one_serves_while_the_service_is_down(
    store: Store, openai_secret: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials, counted, clock = store
    await credentials.find("openai")
    clock.running_s += KEEP_S
    counted.down = True
    assert (await credentials.find("openai")).api_key.reveal() == "sk-one"
    counted.down, before = False, counted.calls
    clock.running_s += READ_AGAIN_S
    assert (await credentials.find("openai")).api_key.reveal() == "sk-one"
    assert counted.calls == before + 1


async def test_one_that_was_deleted_ends_with_its_keeping_time(store: Store, openai_secret: Any) -> None:
    credentials, counted, clock = store
    await credentials.find("openai")
    openai_secret.delete_secret(SecretId="gw/providers/openai")  # which can be undone for a month
    clock.running_s += KEEP_S
    with pytest.raises(ProviderError, match="No credential for openai"):
        await credentials.find("openai")
    counted.down = True
    clock.running_s += LACKING_S
    with pytest.raises(ProviderError, match="No credential for openai"):
        await credentials.find("openai")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure"])
async def test_one_that_is_withheld_ends_at_once_where_its_provider_refuses_it(
    store: Store, openai_secret: Any, code: str
) -> None:
    credentials, counted, _ = store
    refused, counted.refuses = await credentials.find("openai"), code
    assert await credentials.renewed("openai", refused) == refused
    with pytest.raises(ProviderError, match="No credential for openai"):
        await credentials.find("openai")


async def test_that_there_is_none_is_known_for_a_moment(store: Store) -> None:
    credentials, counted, clock = store
    for _ in range(5):
        with pytest.raises(ProviderError, match="No credential for openai/acme"):
            await credentials.find("openai/acme")
    assert counted.calls == 1
    clock.running_s += LACKING_S
    with pytest.raises(ProviderError):
        await credentials.find("openai/acme")
    assert counted.calls == 2


async def test_that_it_cannot_be_read_is_not(store: Store, openai_secret: Any) -> None:
    credentials, counted, _ = store
    counted.down = True
    with pytest.raises(ProviderError):
        await credentials.find("openai")
    counted.down = False
    assert (await credentials.find("openai")).api_key.reveal() == "sk-one"


async def test_without_a_credential_the_provider_cannot_be_called(store: Store) -> None:
    credentials, _, _ = store
    with pytest.raises(ProviderError, match="No credential for mistral"):
        await credentials.find("mistral")


async def test_a_forgotten_credential_is_read_again(store: Store, openai_secret: Any) -> None:
    credentials, counted, _ = store
    await credentials.find("openai")
    credentials.forget()
    await credentials.find("openai")
    assert counted.calls == 2


@pytest.fixture
def bedrock_secret(aws_url: str, aws_keys: None) -> Iterator[Callable[..., None]]:
    """Stores what it is given."""
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    name = "gw/providers/bedrock"
    yield lambda **stored: client.create_secret(Name=name, SecretString=json.dumps(stored))
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    client.close()


@pytest.fixture
def role_store(secrets_api: AwsApi, http_client: HttpClient) -> Store:
    counted, clock = CountedApi(secrets_api), ManualClock()
    role = Role(RoleKeys(http_client, clock), REGION)
    return SecretsManagerCredentials(counted, "gw", clock, role), counted, clock  # type: ignore[arg-type]


async def test_a_provider_within_aws_needs_no_secret(role_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """That there is none is remembered; the role's keys are not, for they change on their own."""
    credentials, counted, _ = role_store
    for key_id in ("ASIA1", "ASIA2"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
        found = await credentials.find("bedrock")
        assert found.aws_keys is not None
        assert (found.aws_keys.access_key_id, bool(found.api_key)) == (key_id, False)
        assert found.settings == {"region": REGION}
    assert counted.calls == 1


async def test_only_a_provider_within_aws_needs_no_secret(role_store: Store, store: Store) -> None:
    with pytest.raises(ProviderError, match="No credential for mistral"):
        await role_store[0].find("mistral")
    with pytest.raises(ProviderError, match="No credential for bedrock"):  # and no gateway without a role's keys
        await store[0].find("bedrock")


async def test_silence_of_the_store_is_not_taken_for_no_secret(role_store: Store) -> None:
    credentials, counted, _ = role_store
    counted.down = True
    with pytest.raises(ProviderError, match="No credential for bedrock"):
        await credentials.find("bedrock")


async def test_a_region_alone_moves_the_role_there(role_store: Store, bedrock_secret: Callable[..., None]) -> None:
    bedrock_secret(region="us-west-2", base_url="")
    found = await role_store[0].find("bedrock")
    assert found.aws_keys is not None
    assert (found.aws_keys.access_key_id, found.settings["region"], found.base_url) == ("testing", "us-west-2", None)


async def test_an_api_key_goes_before_the_role(role_store: Store, bedrock_secret: Callable[..., None]) -> None:
    bedrock_secret(api_key="bedrock-api-key-1")
    found = await role_store[0].find("bedrock")
    assert (found.api_key.reveal(), found.aws_keys, found.settings["region"]) == ("bedrock-api-key-1", None, REGION)


async def test_stored_aws_keys_go_before_the_role_and_do_not_show(
    role_store: Store, bedrock_secret: Callable[..., None]
) -> None:
    bedrock_secret(access_key_id="AKIA1", secret_access_key="very-secret", session_token="very-secret-too")  # noqa: S106
    found = await role_store[0].find("bedrock")
    assert found.aws_keys is not None
    keys = found.aws_keys
    stored = ("AKIA1", "very-secret", "very-secret-too")
    assert (
        keys.access_key_id,
        keys.secret_access_key.reveal(),
        keys.session_token and keys.session_token.reveal(),
    ) == stored
    assert found.settings == {"region": REGION}
    assert "very-secret'" not in repr(found)


async def test_a_role_without_keys_is_our_failure(
    role_store: Store, monkeypatch: pytest.MonkeyPatch, httpserver_role: tuple[str, list[str]]
) -> None:
    credentials, _, _ = role_store
    await credentials.find("bedrock")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/role")
    with pytest.raises(ProviderError, match="has no keys at the moment"):
        await credentials.find("bedrock")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", httpserver_role[0])
    found = await credentials.find("bedrock")
    assert found.aws_keys is not None
    assert found.aws_keys.access_key_id == "ASIA1"


async def test_role_keys_come_from_the_container_endpoint_and_are_renewed(
    monkeypatch: pytest.MonkeyPatch, httpserver_role: tuple[str, list[str]], http_client: HttpClient
) -> None:
    url, seen = httpserver_role
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "role-token")
    clock = ManualClock()
    keys = RoleKeys(http_client, clock)
    first = await keys.current()
    await keys.current()
    assert first.session_token is not None
    assert (first.access_key_id, first.session_token.reveal(), len(seen)) == ("ASIA1", "T1", 1)
    clock.unix_s = 4_000_000_000
    await keys.current()
    assert seen == ["role-token", "role-token"]


async def test_role_keys_are_asked_for_once_by_all_and_serve_to_their_end_without_newer_ones(
    monkeypatch: pytest.MonkeyPatch, httpserver_role: tuple[str, list[str]], http_client: HttpClient
) -> None:
    url, seen = httpserver_role
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    clock = ManualClock()
    keys = RoleKeys(http_client, clock)
    found = await asyncio.gather(*(keys.current() for _ in range(20)))
    assert ({each.access_key_id for each in found}, len(seen)) == ({"ASIA1"}, 1)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/role")
    clock.unix_s = datetime(2089, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    assert (await keys.current()).access_key_id == "ASIA1"
    clock.unix_s += 60
    with pytest.raises(HttpFailure):
        await keys.current()


@pytest.fixture
def httpserver_role() -> Iterator[tuple[str, list[str]]]:
    """A container credentials endpoint; the list collects the authorization headers it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            body = b'{"AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"T1","Expiration":"2090-01-01T00:00:00Z"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/role", seen
    server.shutdown()
    thread.join()
    server.server_close()


def rotated(client: Any, key: str = "sk-two") -> None:
    client.put_secret_value(SecretId="gw/providers/openai", SecretString=json.dumps({"api_key": key}))


async def test_a_refused_key_is_read_anew_and_the_new_one_kept(store: Store, openai_secret: Any) -> None:
    credentials, counted, _ = store
    refused = await credentials.find("openai")
    rotated(openai_secret)
    assert (await credentials.renewed("openai", refused)).api_key.reveal() == "sk-two"
    assert (await credentials.find("openai")).api_key.reveal() == "sk-two"
    assert counted.calls == 2


async def test_a_key_that_is_wrong_where_it_is_stored_is_read_anew_seldom(store: Store, openai_secret: Any) -> None:
    credentials, counted, clock = store
    refused = await credentials.find("openai")
    assert [await credentials.renewed("openai", refused) for _ in range(5)] == [refused] * 5
    assert counted.calls == 2
    rotated(openai_secret)
    clock.running_s += READ_AGAIN_S - 1
    assert await credentials.renewed("openai", refused) == refused
    clock.running_s += 1
    assert (await credentials.renewed("openai", refused)).api_key.reveal() == "sk-two"


async def test_many_whose_key_is_refused_at_once_read_it_once(store: Store, openai_secret: Any) -> None:
    credentials, counted, _ = store
    refused = await credentials.find("openai")
    rotated(openai_secret)
    found = await asyncio.gather(*(credentials.renewed("openai", refused) for _ in range(20)))
    assert {one.api_key.reveal() for one in found} == {"sk-two"}
    assert counted.calls == 2
    rotated(openai_secret, "sk-three")  # and who comes late with the old one is given what is known
    assert (await credentials.renewed("openai", refused)).api_key.reveal() == "sk-two"
    assert counted.calls == 2


async def test_one_who_gives_up_while_he_reads_it_leaves_it_to_the_next(
    store: Store, openai_secret: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials, counted, _ = store
    refused = await credentials.find("openai")
    rotated(openai_secret)
    began = asyncio.Event()

    async def never(*_: object) -> dict[str, Any]:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as stalled:
        stalled.setattr(counted, "call", never)
        reading = asyncio.create_task(credentials.renewed("openai", refused))
        await began.wait()
        reading.cancel()
    assert (await credentials.renewed("openai", refused)).api_key.reveal() == "sk-two"


async def test_a_key_that_cannot_be_read_anew_stays(
    store: Store, openai_secret: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials, counted, _ = store
    refused = await credentials.find("openai")
    counted.down = True
    assert await credentials.renewed("openai", refused) == refused
    assert "credentials.unavailable" in capsys.readouterr().out


async def test_keys_of_the_role_that_are_others_by_now_are_found(
    role_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials, counted, _ = role_store
    refused = await credentials.find("bedrock")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIA2")
    found = await credentials.renewed("bedrock", refused)
    assert found.aws_keys is not None
    assert found.aws_keys.access_key_id == "ASIA2"
    assert counted.calls == 1


@pytest.mark.parametrize(("stored", "most"), [(20, 20), ("20", 20), ("", None), (1, 1)])
async def test_how_many_calls_a_provider_may_have_at_a_time(
    role_store: Store, bedrock_secret: Callable[..., None], stored: Any, most: int | None
) -> None:
    bedrock_secret(api_key="key", max_concurrent=stored)
    found = await role_store[0].find("bedrock")
    assert (found.max_concurrent, found.settings) == (most, {"region": REGION})


@pytest.mark.parametrize("stored", [0, -1, "many", 10_001, True, None, 1.5])
async def test_a_number_of_calls_that_is_none_is_no_credential(
    role_store: Store, bedrock_secret: Callable[..., None], stored: Any
) -> None:
    bedrock_secret(api_key="key", max_concurrent=stored)
    with pytest.raises(ProviderError, match="No credential for bedrock"):
        await role_store[0].find("bedrock")
