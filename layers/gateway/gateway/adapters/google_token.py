"""Access tokens for Google Cloud: a service account's key signs a claim, Google's token endpoint exchanges it.

Source: https://developers.google.com/identity/protocols/oauth2/service-account#httprest (2026-11).
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.adapters.telemetry import log_trouble
from gateway.model.http import Credential, HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import Secret
from gateway.ports import Clock, Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME_S = 3600
REFRESH_AHEAD_S = 300.0
REPLACE_AGAIN_S = 30.0
"""How soon a token that was not let in is replaced again: that of an account without rights never will be."""
TIMEOUT_S = 5.0
TRIES = 2
MAX_ANSWER_BYTES = 64 * 1024
HEADERS = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}


class ServiceAccount(msgspec.Struct, frozen=True):
    """The key file that Google gives out, as far as it is read. `private_key`: RSA, PEM."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    project_id: str = ""
    token_uri: str = TOKEN_URI

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"


class _Answer(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = LIFETIME_S


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


class _Kept(msgspec.Struct):
    """The token of one account. `refreshing` is held by whoever gets the next one. `replaceable_from_s`: when it may be
    replaced before its time.
    """

    token: Secret | None = None
    expires_s: float = 0.0
    replaceable_from_s: float = 0.0
    refreshing: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    def good_for(self, seconds: float, now_s: float) -> Secret | None:
        return self.token if now_s + seconds < self.expires_s else None


class GoogleTokens:
    """A token is kept until five minutes before its end and then fetched once, however many ask for it."""

    def __init__(self, client: HttpClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._kept: dict[ServiceAccount, _Kept] = {}

    async def token(self, account: ServiceAccount) -> Secret:
        """Raises ProviderError (502) when Google gives none and the last one is over."""
        kept = self._kept.setdefault(account, _Kept())
        ahead_s = 0.0 if kept.refreshing.locked() else REFRESH_AHEAD_S  # while one fetches, the old one is good enough
        if token := kept.good_for(ahead_s, self._clock.now_s()):
            return token
        async with kept.refreshing:
            if token := kept.good_for(REFRESH_AHEAD_S, self._clock.now_s()):
                return token  # another one fetched it meanwhile
            return await self._refreshed(kept, account)

    async def renewed(self, account: ServiceAccount, refused: Secret) -> Secret:
        """In place of one that was not let in before its time; the same where there is none. Raises as `token`."""
        kept = self._kept.setdefault(account, _Kept())
        async with kept.refreshing:
            now_s = self._clock.now_s()
            if kept.token is not None and (kept.token != refused or now_s < kept.replaceable_from_s):
                return kept.token
            kept.replaceable_from_s = now_s + REPLACE_AGAIN_S
            return await self._refreshed(kept, account)

    def forget(self) -> None:
        self._kept.clear()

    async def _refreshed(self, kept: _Kept, account: ServiceAccount) -> Secret:
        now_s = self._clock.now_s()
        try:
            answer = await self._exchange(account, now_s)
        except ProviderError as error:
            log_trouble("google_token.unavailable", code=error.provider_code or "none")
            if token := kept.good_for(0, now_s):
                return token
            raise
        kept.token, kept.expires_s = Secret(answer.access_token), now_s + answer.expires_in
        return kept.token

    async def _exchange(self, account: ServiceAccount, now_s: float) -> _Answer:
        form = {"grant_type": GRANT_TYPE, "assertion": signed_claim(account, int(now_s))}
        request = HttpRequest("POST", account.token_uri, HEADERS, urlencode(form).encode())
        for remaining in reversed(range(TRIES)):
            try:
                response = await self._client.send(request, TIMEOUT_S, MAX_ANSWER_BYTES)
            except HttpFailure as failure:
                if not remaining:
                    raise ProviderError("Google's token endpoint cannot be reached.") from failure
                continue
            if response.status < 500 or not remaining:
                return _answer(response)
        raise AssertionError("the last try either returned or raised")


def _answer(response: HttpResponse) -> _Answer:
    """Raises ProviderError (502)."""
    try:
        if response.status == 200:
            return msgspec.json.decode(response.body, type=_Answer)
        code = msgspec.json.decode(response.body, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        code = ""
    raise ProviderError("Google gives no access token for the service account.", provider_code=code[:64] or None)


def signed_claim(account: ServiceAccount, now_s: int) -> str:
    """A JWT (RS256) that asks for a token. Raises ProviderError (502) for a private key that is none.

    `cryptography` is imported here because only Vertex AI needs it.
    """
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  # see above
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415  # see above

    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claim = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now_s,
        "exp": now_s + LIFETIME_S,
    }
    signed = ".".join(_base64url(msgspec.json.encode(part)) for part in (header, claim))
    try:
        key = serialization.load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ProviderError("The private key of the service account is no RSA key.")
    return f"{signed}.{_base64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_key_file(credential: Credential) -> bool:
    return credential.api_key.reveal().lstrip().startswith("{")


def _with_token(credential: Credential, account: ServiceAccount, token: Secret) -> Credential:
    project = {"project": account.project_id} if account.project_id else {}
    return replace(credential, api_key=Secret(""), access_token=token, settings={**project, **credential.settings})


class GoogleCredentials:
    """Credentials in which a service account's key file is replaced by its access token and its project."""

    def __init__(self, stored: Credentials, tokens: GoogleTokens) -> None:
        self._stored, self._tokens = stored, tokens
        self._read: tuple[Credential, ServiceAccount] | None = None

    async def find(self, provider: str) -> Credential:
        """As `Credentials.find`; ProviderError (502) also for a key file that does not read."""
        credential = await self._stored.find(provider)
        if not _is_key_file(credential):
            return credential
        account = self._account(credential, provider)
        return _with_token(credential, account, await self._tokens.token(account))

    async def renewed(self, provider: str, refused: Credential) -> Credential:
        """As `Credentials.renewed`: another key file where one is stored by now, else another token of this one."""
        if refused.access_token is None:
            return await self._stored.renewed(provider, refused)
        try:
            known = await self.find(provider)
            if known != refused:
                return known
            stored = await self._stored.find(provider)
            stored = await self._stored.renewed(provider, stored)
            if not _is_key_file(stored):
                return stored
            account = self._account(stored, provider)
            return _with_token(stored, account, await self._tokens.renewed(account, refused.access_token))
        except ProviderError:
            return refused

    def forget(self) -> None:
        """Nothing secret may outlive a snapshot."""
        self._tokens.forget()
        self._read = None

    def _account(self, credential: Credential, provider: str) -> ServiceAccount:
        if self._read is None or self._read[0] is not credential:
            try:
                account = msgspec.json.decode(credential.api_key.reveal(), type=ServiceAccount)
            except msgspec.MsgspecError:
                raise ProviderError(f"The service account of {provider} does not read.") from None
            self._read = credential, account
        return self._read[1]
