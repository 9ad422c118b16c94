"""Access tokens for Google Cloud, from a token endpoint over a real socket that checks the signature."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from msgspec.structs import replace

from gateway.adapters.google_token import REFRESH_AHEAD_S, REPLACE_AGAIN_S, GoogleCredentials, GoogleTokens
from gateway.adapters.http_client import HttpClient
from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import Secret
from tests.fakes import ManualClock, MemoryCredentials

LIFETIME_S = 3600
WAIT_S = 10


@dataclass
class TokenEndpoint:
    """Gives the tokens "token-1", "token-2", ... ; `answers` are given instead, while there are any."""

    public_key: rsa.RSAPublicKey
    claims: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        signed, _, signature = form["assertion"][0].rpartition(".")
        self.public_key.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        header, claim = (json.loads(_decoded(part)) for part in signed.split("."))
        self.claims.append({**header, **claim})
        self.asked.set()
        assert self.open.wait(WAIT_S)
        if self.answers:
            return self.answers.pop(0)
        return 200, {"access_token": f"token-{len(self.claims)}", "expires_in": LIFETIME_S, "token_type": "Bearer"}


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def endpoint(key: rsa.RSAPrivateKey) -> Iterator[TokenEndpoint]:
    state = TokenEndpoint(key.public_key())
    state.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            status, said = state.answer(parse_qs(body))
            answer = json.dumps(said).encode()
            with contextlib.suppress(ConnectionError):  # of a client that was cancelled
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/token"
    yield state
    state.open.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class World:
    stored: MemoryCredentials
    credentials: GoogleCredentials
    clock: ManualClock

    async def token(self) -> str | None:
        token = (await self.credentials.find("vertex")).access_token
        return token.reveal() if token else None


@pytest.fixture
def world(endpoint: TokenEndpoint, key: rsa.RSAPrivateKey, http_client: HttpClient) -> World:
    clock = ManualClock()
    stored = MemoryCredentials({"vertex": _key_file(endpoint.url, _pem(key))})
    return World(stored, GoogleCredentials(stored, GoogleTokens(http_client, clock)), clock)


def _key_file(token_uri: str, private_key: str, **settings: str) -> Credential:
    account = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "key-1",
        "private_key": private_key,
        "client_email": "gateway@acme.example",
        "token_uri": token_uri,
    }
    return Credential(Secret(json.dumps(account)), "https://vertex.example", settings={"location": "eu", **settings})


async def test_a_key_file_becomes_a_token_and_a_project(world: World, endpoint: TokenEndpoint) -> None:
    found = await world.credentials.find("vertex")
    assert found.access_token is not None
    assert found.access_token.reveal() == "token-1"
    assert (found.api_key.reveal(), found.base_url) == ("", "https://vertex.example")
    assert found.settings == {"project": "acme", "location": "eu"}
    now_s = int(world.clock.unix_s)
    assert endpoint.claims == [
        {
            "alg": "RS256",
            "typ": "JWT",
            "kid": "key-1",
            "iss": "gateway@acme.example",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": endpoint.url,
            "iat": now_s,
            "exp": now_s + 3600,
        }
    ]


async def test_the_owners_project_wins(world: World, endpoint: TokenEndpoint, key: rsa.RSAPrivateKey) -> None:
    world.stored.held["vertex"] = _key_file(endpoint.url, _pem(key), project="another")
    assert (await world.credentials.find("vertex")).settings["project"] == "another"


async def test_a_token_is_kept_until_five_minutes_before_its_end(world: World) -> None:
    assert [await world.token() for _ in range(3)] == ["token-1"] * 3
    world.clock.unix_s += LIFETIME_S - REFRESH_AHEAD_S - 1
    assert await world.token() == "token-1"
    world.clock.unix_s += 1
    assert [await world.token() for _ in range(3)] == ["token-2"] * 3


async def test_many_at_once_fetch_one(world: World, endpoint: TokenEndpoint) -> None:
    endpoint.open.clear()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(world.token()) for _ in range(20)]
        assert await asyncio.to_thread(endpoint.asked.wait, WAIT_S)
        endpoint.open.set()
    assert {task.result() for task in asking} == {"token-1"}
    assert len(endpoint.claims) == 1


async def test_nobody_waits_for_the_next_token_while_the_last_one_is_good(
    world: World, endpoint: TokenEndpoint
) -> None:
    await world.token()
    world.clock.unix_s += LIFETIME_S - REFRESH_AHEAD_S
    endpoint.asked.clear()
    endpoint.open.clear()
    async with asyncio.TaskGroup() as group:
        fetching = group.create_task(world.token())
        assert await asyncio.to_thread(endpoint.asked.wait, WAIT_S)
        assert await world.token() == "token-1"
        endpoint.open.set()
    assert fetching.result() == "token-2"


async def test_whoever_waits_goes_on_when_the_one_who_fetches_is_cancelled(
    world: World, endpoint: TokenEndpoint
) -> None:
    endpoint.open.clear()
    fetching = asyncio.create_task(world.token())
    assert await asyncio.to_thread(endpoint.asked.wait, WAIT_S)
    waiting = asyncio.create_task(world.token())
    await asyncio.sleep(0)
    fetching.cancel()
    endpoint.open.set()
    assert await waiting == "token-2"
    with pytest.raises(asyncio.CancelledError):
        await fetching


async def test_a_good_token_serves_on_while_google_refuses(
    world: World, endpoint: TokenEndpoint, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    await world.token()
    refusal = (400, {"error": "invalid_grant", "error_description": "Invalid JWT: gateway@acme.example"})
    endpoint.answers = [refusal, refusal]
    world.clock.unix_s += LIFETIME_S - 1
    assert await world.token() == "token-1"
    world.clock.unix_s += 1
    with pytest.raises(ProviderError) as refused:
        await world.token()
    assert refused.value.provider_code == "invalid_grant"
    assert "acme" not in refused.value.message
    assert capfdbinary.readouterr().out.count(b'"event":"google_token.unavailable","code":"invalid_grant"') == 2
    assert await world.token() == "token-4"


async def test_a_fault_of_google_is_tried_again_once(world: World, endpoint: TokenEndpoint) -> None:
    endpoint.answers = [(503, {})]
    assert await world.token() == "token-2"


@pytest.mark.parametrize("answer", [(503, {}), (200, {}), (200, {"access_token": 1})])
async def test_nonsense_is_an_error_of_the_provider(
    world: World, endpoint: TokenEndpoint, answer: tuple[int, dict[str, Any]], capfdbinary: Any
) -> None:
    endpoint.answers = [answer, answer]
    with pytest.raises(ProviderError, match="no access token"):
        await world.token()


async def test_an_endpoint_that_is_not_there(world: World, key: rsa.RSAPrivateKey, capfdbinary: Any) -> None:
    world.stored.held["vertex"] = _key_file("http://127.0.0.1:1/token", _pem(key))
    with pytest.raises(ProviderError, match="cannot be reached"):
        await world.token()


@pytest.mark.parametrize(
    "private_key", ["-----BEGIN nonsense", _pem(ec.generate_private_key(ec.SECP256R1()))], ids=["nonsense", "elliptic"]
)
async def test_another_kind_of_key(world: World, endpoint: TokenEndpoint, private_key: str, capfdbinary: Any) -> None:
    world.stored.held["vertex"] = _key_file(endpoint.url, private_key)
    with pytest.raises(ProviderError, match="no RSA key"):
        await world.token()
    assert endpoint.claims == []


async def test_a_key_file_that_does_not_read_is_not_quoted(world: World) -> None:
    world.stored.held["vertex"] = Credential(Secret('{"private_key": "hush"}'))
    with pytest.raises(ProviderError) as refused:
        await world.token()
    assert refused.value.message == "The service account of vertex does not read."


async def test_an_api_key_stays_what_it_is(world: World, endpoint: TokenEndpoint) -> None:
    world.stored.held["vertex"] = kept = Credential(Secret("AIza-one"))
    assert await world.credentials.find("vertex") is kept
    assert endpoint.claims == []


async def test_a_forgotten_token_is_fetched_again(world: World) -> None:
    await world.token()
    world.credentials.forget()
    assert await world.token() == "token-2"


async def test_a_rotated_key_file_is_used_at_once(world: World, endpoint: TokenEndpoint) -> None:
    await world.token()
    rotated = rsa.generate_private_key(65537, 2048)
    endpoint.public_key = rotated.public_key()
    world.stored.held["vertex"] = _key_file(endpoint.url, _pem(rotated))
    assert await world.token() == "token-2"


def test_the_signing_library_is_loaded_by_those_who_sign_only() -> None:
    code = "import sys, gateway.adapters.google_token; sys.exit('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)  # noqa: S603  # our own interpreter and text
    assert done.returncode == 0


async def test_a_token_that_is_not_let_in_is_replaced_before_its_time_but_seldom(
    world: World, endpoint: TokenEndpoint
) -> None:
    refused = await world.credentials.find("vertex")
    found = await world.credentials.renewed("vertex", refused)
    assert found.access_token == Secret("token-2")
    assert await world.credentials.renewed("vertex", refused) == found  # another one has replaced it meanwhile
    assert await world.credentials.renewed("vertex", found) == found
    world.clock.unix_s += REPLACE_AGAIN_S
    assert (await world.credentials.renewed("vertex", found)).access_token == Secret("token-3")
    assert len(endpoint.claims) == 3


async def test_many_whose_token_is_not_let_in_have_it_replaced_once(world: World, endpoint: TokenEndpoint) -> None:
    refused = await world.credentials.find("vertex")
    found = await asyncio.gather(*(world.credentials.renewed("vertex", refused) for _ in range(20)))
    assert {one.access_token for one in found} == {Secret("token-2")}
    assert len(endpoint.claims) == 2


async def test_another_key_file_that_is_stored_by_now_opens(
    world: World, endpoint: TokenEndpoint, key: rsa.RSAPrivateKey
) -> None:
    refused = await world.credentials.find("vertex")
    stored = world.stored.held["vertex"]
    text = stored.api_key.reveal().replace("key-1", "key-2")
    world.stored.rotated["vertex"] = replace(stored, api_key=Secret(text))
    assert (await world.credentials.renewed("vertex", refused)).access_token == Secret("token-2")
    assert endpoint.claims[-1]["kid"] == "key-2"


async def test_a_token_that_cannot_be_replaced_stays(
    world: World, endpoint: TokenEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = await world.credentials.find("vertex")
    endpoint.answers = [(400, {"error": "invalid_grant"})]
    assert await world.credentials.renewed("vertex", refused) == refused
    assert "google_token.unavailable" in capsys.readouterr().out
