"""Tokens of an identity provider over a real socket: who gets in, and who does not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.adapters.http_client import HttpClient
from gateway.adapters.oidc import ASK_AGAIN_S, KEYS_KEPT_S, KEYS_SERVE_S, LEEWAY_S, Issuer, OidcTokens
from gateway.model.errors import AdmissionUnavailable, GatewayError, InvalidApiKey
from gateway.model.tenant import ApiKey
from local.simulators.http1 import Request
from local.simulators.identity import AUDIENCE, ISSUER, IdentityProvider, SigningKey, default_claims
from tests.fakes import ManualClock


@dataclass(frozen=True)
class In:
    """So many seconds from when the token is made."""

    seconds: int


@dataclass
class Provider:
    """The simulated one behind a socket. `answers`: instead of its own, by path. `asked`: paths, in their order."""

    identity: IdentityProvider = field(default_factory=IdentityProvider)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, host: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if (other := self.answers.get(path)) is not None:
            return other
        status, body = self.identity.answer(Request("GET", path, {"host": host}))
        return status, json.dumps(body).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {**default_claims(self.url), **changes}
        claims = {name: int(time.time()) + v.seconds if isinstance(v, In) else v for name, v in claims.items()}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, algorithm: str = "RS256", /, **changes: Any) -> str:
        return self.identity.keys[algorithm].sign(self.claims(**changes))


DISCOVERY, JWKS = f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/jwks"


@pytest.fixture(scope="module")
def identity() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture
def provider(identity: IdentityProvider) -> Iterator[Provider]:
    state = Provider(identity)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = state.answer(self.path, self.headers["host"])
            self.send_response(status)
            if status in (301, 302):
                self.send_header("location", f"{state.url}/jwks")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}{ISSUER}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


Verify = Callable[[str], Awaitable[ApiKey | None]]


@pytest.fixture
def tokens(provider: Provider, http_client: HttpClient, clock: ManualClock) -> OidcTokens:
    return OidcTokens(Issuer(provider.url, AUDIENCE, allows_http=True), http_client, clock)


async def verified(tokens: OidcTokens, token: str) -> ApiKey:
    caller = await tokens.verify(token)
    assert caller is not None
    assert caller.token_key is not None
    assert (caller.key_hash, caller.user_id) == ("", None)
    return caller.token_key


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_token_says_whose_user_calls_and_for_what(
    tokens: OidcTokens, provider: Provider, algorithm: str
) -> None:
    claims = provider.claims(sub="auth0|7", tenant="acme", scope="openid chat models profile")
    key = await verified(tokens, provider.identity.keys[algorithm].sign(claims))
    assert (key.tenant_id, key.user_id, key.scopes, key.models) == ("acme", "auth0|7", ("chat", "models"), ("*",))
    assert key.expires_at_s == claims["exp"] + LEEWAY_S
    again = await verified(tokens, provider.token(algorithm, sub="auth0|7"))
    assert key.id == again.id != (await verified(tokens, provider.token(sub="auth0|8"))).id


@pytest.mark.parametrize("text", ["", "gwk_key", "a.b", "a.b.c.d"])
async def test_what_does_not_look_like_a_token_is_none(tokens: OidcTokens, provider: Provider, text: str) -> None:
    assert await tokens.verify(text) is None
    assert provider.asked == []


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("*", ("*",)),
        ("chat assert_user", ("assert_user", "chat")),
        (["chat", "files"], ("chat", "files")),
        (f"{AUDIENCE}/chat other/models", ("chat",)),
        (f"{AUDIENCE}/*", ("*",)),
        ("", ()),
        (None, ()),
        (7, ()),
        ({"chat": True}, ()),
        ([["chat"]], ()),
        ("CHAT", ()),
    ],
)
async def test_scopes_are_those_of_keys_and_no_others(
    tokens: OidcTokens, provider: Provider, scope: Any, granted: tuple[str, ...]
) -> None:
    assert (await verified(tokens, provider.token(scope=scope))).scopes == granted


async def test_other_claims_may_name_tenant_and_scopes(
    provider: Provider, http_client: HttpClient, clock: ManualClock
) -> None:
    issuer = Issuer(provider.url, AUDIENCE, "https://acme.example/tenant", "scp", allows_http=True)
    token = provider.token(**{"https://acme.example/tenant": "beta", "scp": "chat"})
    key = await verified(OidcTokens(issuer, http_client, clock), token)
    assert (key.tenant_id, key.scopes) == ("beta", ("chat",))
    everything = Issuer(provider.url, AUDIENCE, scope_claim="", allows_http=True)
    key = await verified(OidcTokens(everything, http_client, clock), provider.token(scope=None))
    assert key.scopes == ("*",)
    assert not key.allows("assert_user")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": In(-LEEWAY_S - 5)},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": In(3_600)},
        {"iat": In(3_600)},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://another.example"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"sub": ""},
        {"sub": "two words"},
        {"sub": "x" * 257},
        {"tenant": None},
        {"tenant": 7},
        {"tenant": ["demo"]},
        {"tenant": "Demo"},
        {"tenant": "demo/../other"},
    ],
    ids=str,
)
async def test_a_claim_that_is_not_right(tokens: OidcTokens, provider: Provider, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidApiKey):
        await tokens.verify(provider.token(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"exp": In(20 - LEEWAY_S)}, {"nbf": In(LEEWAY_S - 5)}, {"aud": ["another", AUDIENCE]}],
    ids=str,
)
async def test_clocks_may_differ_a_little_and_a_token_may_be_for_several(
    tokens: OidcTokens, provider: Provider, changes: dict[str, Any]
) -> None:
    await verified(tokens, provider.token(**changes))


def forged(provider: Provider) -> dict[str, str]:
    """Tokens that somebody else could make."""
    signer = provider.identity.keys["RS256"]
    claims = provider.claims()
    assert isinstance(signer.private, rsa.RSAPrivateKey)
    public = signer.private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    stranger = SigningKey(rsa.generate_private_key(65537, 2048), "RS256", signer.kid)
    elliptic = SigningKey(ec.generate_private_key(ec.SECP256R1()), "ES256", signer.kid)
    head, body, signature = signer.sign(claims).split(".")
    longer = _base64url({**claims, "tenant": "other"})
    confused = _base64url({"alg": "HS256", "typ": "JWT", "kid": signer.kid})
    return {
        "unsigned": jwt.encode(claims, "", "none", headers={"kid": signer.kid}),
        "no signature": f"{head}.{body}.",
        "changed": f"{head}.{longer}.{signature}",
        "of a stranger": stranger.sign(claims),
        "of another kind": elliptic.sign(claims),
        "public key as secret": f"{confused}.{body}." + _hmac(f"{confused}.{body}", pem),
        "another strength": jwt.encode(claims, signer.private, "RS512", headers={"kid": signer.kid}),
        "no key named": jwt.encode(claims, signer.private, "RS256"),
        "an unknown key": signer.sign(claims, kid="unknown"),
        "a key that is no text": f"{_base64url({'alg': 'RS256', 'kid': ['a']})}.{body}.{signature}",
        "a key of its own": signer.sign(claims, kid="own", jwk=stranger.published()),
        "no claims": f"{head}.{_base64url([])}.{signature}",
        "nonsense": "a.b.c",
    }


def _base64url(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _hmac(text: str, secret: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "kind",
    [
        "unsigned",
        "no signature",
        "changed",
        "of a stranger",
        "of another kind",
        "public key as secret",
        "another strength",
        "no key named",
        "an unknown key",
        "a key that is no text",
        "a key of its own",
        "no claims",
        "nonsense",
    ],
)
async def test_a_forged_token_opens_nothing(tokens: OidcTokens, provider: Provider, kind: str) -> None:
    with pytest.raises(InvalidApiKey) as refused:
        await tokens.verify(forged(provider)[kind])
    assert refused.value.message == "The token is not valid here."


async def test_keys_are_read_once_for_many_and_again_after_ten_minutes(
    tokens: OidcTokens, provider: Provider, clock: ManualClock
) -> None:
    await asyncio.gather(*(verified(tokens, provider.token()) for _ in range(20)))
    clock.running_s += KEYS_KEPT_S - 1
    await verified(tokens, provider.token())
    assert provider.asked == [DISCOVERY, JWKS]
    clock.running_s += 1
    await verified(tokens, provider.token())
    assert provider.asked == [DISCOVERY, JWKS] * 2


async def test_a_new_key_is_found_at_once_and_unknown_ones_cost_one_question_in_ten_seconds(
    tokens: OidcTokens, provider: Provider, clock: ManualClock
) -> None:
    provider.identity = IdentityProvider()
    await verified(tokens, provider.token())
    clock.running_s += ASK_AGAIN_S
    old = provider.token()
    provider.identity.rotate()
    await verified(tokens, provider.token())
    with pytest.raises(InvalidApiKey):  # the old key is not published any more
        await tokens.verify(old)
    for _ in range(5):
        with pytest.raises(InvalidApiKey):
            await tokens.verify(forged(provider)["an unknown key"])
    assert provider.asked == [DISCOVERY, JWKS] * 2
    clock.running_s += ASK_AGAIN_S
    with pytest.raises(InvalidApiKey):
        await tokens.verify(forged(provider)["an unknown key"])
    assert provider.asked == [DISCOVERY, JWKS] * 3


DOWN = {DISCOVERY: (503, b"")}


async def test_known_keys_serve_on_for_an_hour_while_the_issuer_is_down(
    tokens: OidcTokens, provider: Provider, clock: ManualClock, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    await verified(tokens, provider.token())
    provider.answers = DOWN
    clock.running_s += KEYS_SERVE_S - 1
    await verified(tokens, provider.token())
    with pytest.raises(AdmissionUnavailable):  # it may be a new one: nobody can tell
        await tokens.verify(forged(provider)["an unknown key"])
    clock.running_s += 1
    with pytest.raises(AdmissionUnavailable):
        await tokens.verify(provider.token())
    provider.answers = {}
    clock.running_s += ASK_AGAIN_S
    await verified(tokens, provider.token())
    assert b'"event":"oidc.unavailable","code":"status_503"' in capfdbinary.readouterr().out


def published(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (DISCOVERY, 404, b"{}"),
        (DISCOVERY, 302, b"{}"),
        (DISCOVERY, 200, b"<html>"),
        (DISCOVERY, 200, b"{}"),
        (DISCOVERY, 200, b'{"issuer": "https://another.example", "jwks_uri": "https://another.example/jwks"}'),
        (DISCOVERY, 200, b"x" * 300_000),
        (JWKS, 500, b""),
        (JWKS, 200, b'{"keys": {}}'),
        (JWKS, 200, published()),
        (JWKS, 200, published({"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"})),
        (JWKS, 200, published({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a"})),
        (JWKS, 200, published({"kty": "RSA", "kid": "a"})),
    ],
)
async def test_an_issuer_that_cannot_be_understood_lets_nobody_in(
    tokens: OidcTokens,
    provider: Provider,
    path: str,
    status: int,
    body: bytes,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    provider.answers = {path: (status, body)}
    with pytest.raises(AdmissionUnavailable):
        await tokens.verify(provider.token())
    assert b"oidc.unavailable" in capfdbinary.readouterr().out


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"alg": "HS256"}, {"kty": "EC"}, {"d": "AQAB"}])
async def test_a_key_that_is_for_something_else_is_not_used(
    tokens: OidcTokens, provider: Provider, change: dict[str, str]
) -> None:
    keys = provider.identity.keys
    provider.answers = {JWKS: (200, published({**keys["RS256"].published(), **change}, keys["ES256"].published()))}
    with pytest.raises(InvalidApiKey):
        await tokens.verify(provider.token("RS256"))
    await verified(tokens, provider.token("ES256"))


async def test_nothing_is_fetched_without_tls_but_on_the_local_stack(
    provider: Provider, http_client: HttpClient, clock: ManualClock, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with pytest.raises(AdmissionUnavailable):
        await OidcTokens(Issuer(provider.url, AUDIENCE), http_client, clock).verify(provider.token())
    assert provider.asked == []
    assert b"no_https" in capfdbinary.readouterr().out


async def test_an_issuer_that_is_silent_does_not_hold_the_caller(
    http_client: HttpClient, clock: ManualClock, provider: Provider, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    monkeypatch.setattr("gateway.adapters.oidc.TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tokens = OidcTokens(Issuer(url, AUDIENCE, allows_http=True), http_client, clock)
        async with asyncio.timeout(5):
            failures = await asyncio.gather(
                *(tokens.verify(provider.token()) for _ in range(5)), return_exceptions=True
            )
    assert [type(failure) for failure in failures] == [AdmissionUnavailable] * 5
    assert all(isinstance(failure, GatewayError) for failure in failures)


def test_the_library_is_loaded_by_those_who_see_a_token_only() -> None:
    code = "import sys, gateway.entry.wiring; sys.exit('jwt' in sys.modules or 'cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)  # noqa: S603 - our own interpreter and text
    assert done.returncode == 0
