"""Tokens of the owner's identity provider: JWTs, checked with the keys that their issuer publishes.

Source: https://openid.net/specs/openid-connect-discovery-1_0.html. `jwt` is imported where a token comes, for most
gateways never see one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.adapters.telemetry import log_trouble
from gateway.model.caller import Caller
from gateway.model.errors import AdmissionUnavailable, InvalidApiKey
from gateway.model.http import HttpRequest
from gateway.model.tenant import ApiKey, Scope
from gateway.ports import Clock

if TYPE_CHECKING:
    from jwt import PyJWK

LEEWAY_S = 30
KEYS_KEPT_S = 600.0
KEYS_SERVE_S = 3_600.0
"""How long keys go on serving while the issuer does not answer."""
ASK_AGAIN_S = 10.0
"""So that tokens with keys that nobody knows, however many, cost one question in ten seconds."""
TIMEOUT_S = 3.0
MAX_ANSWER_BYTES = 256 * 1024
ALGORITHMS = {"RSA": "RS256", "EC P-256": "ES256"}
"""By the kind of key: what a key signs with is never left to who signs."""
MIN_RSA_BITS = 2_048
EVERYTHING: Scope = "*"
SCOPES: tuple[Scope, ...] = get_args(Scope)
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_USER_ID = re.compile(r"[!-~]{1,256}")
_REFUSAL = "The token is not valid here."


class Issuer(msgspec.Struct, frozen=True):
    """`url`: as its tokens name it in `iss`. `audience`: whom they have to be for. `tenant_claim`: the claim that says
    whose user it is. `scope_claim`: the one that says for what; empty: tokens are for every capability. `allows_http`:
    on the local stack.
    """

    url: str
    audience: str
    tenant_claim: str = "tenant"
    scope_claim: str = "scope"
    allows_http: bool = False


class OidcTokens:
    def __init__(self, issuer: Issuer, client: HttpClient, clock: Clock) -> None:
        self._issuer, self._keys = issuer, IssuerKeys(issuer, client, clock)

    async def verify(self, token: str) -> Caller | None:
        if token.count(".") != 2:
            return None
        import jwt  # noqa: PLC0415 - see the module

        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # what the key is for, whatever the token says of itself
                audience=self._issuer.audience,
                issuer=self._issuer.url,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError:
            raise InvalidApiKey(_REFUSAL) from None
        return Caller(token_key=self._api_key(claims))

    def _api_key(self, claims: dict[str, Any]) -> ApiKey:
        """What a key of that user would be. Raises InvalidApiKey (401)."""
        tenant_id, user_id = claims.get(self._issuer.tenant_claim), claims["sub"]
        if not isinstance(tenant_id, str) or not _TENANT_ID.fullmatch(tenant_id) or not _USER_ID.fullmatch(user_id):
            raise InvalidApiKey(_REFUSAL)
        named = hashlib.sha256(f"{self._issuer.url}\n{user_id}".encode()).hexdigest()[:16]
        return ApiKey(
            id=f"oidc_{named}",
            tenant_id=tenant_id,
            user_id=user_id,
            scopes=self._scopes(claims),
            expires_at_s=int(claims["exp"]) + LEEWAY_S,
            label="token",
        )

    def _scopes(self, claims: dict[str, Any]) -> tuple[Scope, ...]:
        """Those that the gateway has, by their names or with the audience before them, as resource servers have it."""
        if not self._issuer.scope_claim:
            return (EVERYTHING,)
        said = claims.get(self._issuer.scope_claim, ())
        names = said.split() if isinstance(said, str) else said
        if not isinstance(names, list | tuple):
            return ()
        plain = {str(name).removeprefix(f"{self._issuer.audience}/") for name in names}
        return tuple(scope for scope in SCOPES if scope in plain)


class IssuerKeys:
    """Public keys by their ids, read anew after ten minutes, and when there is one that nobody knows."""

    def __init__(self, issuer: Issuer, client: HttpClient, clock: Clock) -> None:
        self._issuer, self._client, self._clock = issuer, client, clock
        self._keys: dict[str, PyJWK] = {}
        self._read_s = self._asked_s = float("-inf")
        self._asking = asyncio.Lock()

    async def find(self, kid: object) -> PyJWK:
        """Raises InvalidApiKey (401) when the issuer has no such key, AdmissionUnavailable (503) when nobody knows."""
        if not self._knows(kid):
            async with self._asking:
                if not self._knows(kid) and self._clock.monotonic_s() - self._asked_s >= ASK_AGAIN_S:
                    await self._ask()
        if self._age_s() >= KEYS_SERVE_S:
            raise AdmissionUnavailable("Tokens cannot be checked at the moment (their issuer does not answer).")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is not None:
            return key
        if self._asked_s > self._read_s:  # the last question was not answered
            raise AdmissionUnavailable("This token cannot be checked at the moment (its issuer does not answer).")
        raise InvalidApiKey(_REFUSAL)

    def _knows(self, kid: object) -> bool:
        return kid in self._keys and self._age_s() < KEYS_KEPT_S

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._read_s

    async def _ask(self) -> None:
        self._asked_s = self._clock.monotonic_s()
        try:
            self._keys = await self._fetched()
            self._read_s = self._asked_s
        except (HttpFailure, _Unusable, msgspec.MsgspecError, UnicodeDecodeError) as failure:
            log_trouble("oidc.unavailable", code=getattr(failure, "kind", type(failure).__name__))

    async def _fetched(self) -> dict[str, PyJWK]:
        discovery = await self._get(f"{self._issuer.url.rstrip('/')}/.well-known/openid-configuration", _Discovery)
        if discovery.issuer != self._issuer.url:
            raise _Unusable("another_issuer")
        published = await self._get(discovery.jwks_uri, _Published)
        keys = {kid: key for kid, key in map(_usable, published.keys) if key is not None}
        if not keys:
            raise _Unusable("no_keys")
        return keys

    async def _get(self, url: str, kind: type[Any]) -> Any:
        if not url.startswith("https://") and not (self._issuer.allows_http and url.startswith("http://")):
            raise _Unusable("no_https")
        request = HttpRequest("GET", url, {"accept": "application/json"})
        response = await self._client.send(request, TIMEOUT_S, MAX_ANSWER_BYTES)
        if response.status != 200:
            raise _Unusable(f"status_{response.status}")
        return msgspec.json.decode(response.body, type=kind)


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


class _Published(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Unusable(Exception):
    """What the issuer published is of no use. `kind`: why."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _usable(published: dict[str, Any]) -> tuple[str, PyJWK | None]:
    """A key for signatures by RS256 or ES256, for that alone; None for any other."""
    import jwt  # noqa: PLC0415 - see the module

    kid, kind = published.get("kid"), f"{published.get('kty')} {published.get('crv', '')}".strip()
    algorithm = ALGORITHMS.get(kind)
    is_for_signatures = published.get("use", "sig") == "sig" and published.get("alg", algorithm) == algorithm
    if algorithm is None or not is_for_signatures or not isinstance(kid, str) or "d" in published:
        return "", None
    try:
        key = jwt.PyJWK(published, algorithm=algorithm)
    except jwt.PyJWTError:
        return "", None
    return kid, key if kind != "RSA" or key.key.key_size >= MIN_RSA_BITS else None
