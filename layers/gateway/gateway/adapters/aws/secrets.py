"""Provider credentials from Secrets Manager: secret "<stack>/providers/<provider>" with `api_key`, `base_url` and
`max_concurrent`, and a tenant's own, "<stack>/providers/<provider>/<tenant>".

For a provider within AWS it may hold `access_key_id` and `secret_access_key` instead, only a `region`, or not exist:
then the gateway's own role is used.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.kept import Kept
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.telemetry import log_trouble
from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import AwsKeys, Secret
from gateway.ports import Clock

TIMEOUT_S = 3.0
MOST_CONCURRENT = 10_000
WITHIN_AWS = frozenset({"bedrock"})
"""Providers that the gateway's own role opens where nothing is stored, or no key is."""


class Role(msgspec.Struct, frozen=True):
    """The gateway's own. `region`: where it runs, and where it looks for a provider within AWS."""

    keys: RoleKeys
    region: str


class SecretsManagerCredentials:
    """Kept for ten minutes in memory; while Secrets Manager cannot answer, the last known credential goes on serving.
    One that is deleted or withheld does not: it ends when those are over, or at once where its provider refuses it.

    Keys of the `role` are never kept here, for they are renewed on their own.
    """

    def __init__(self, secrets: AwsApi, stack: str, clock: Clock, role: Role | None = None) -> None:
        self._secrets, self._stack, self._role = secrets, stack, role
        self._kept = Kept(self._read, _unavailable, clock)

    async def find(self, provider: str) -> Credential:
        try:
            stored = await self._kept.find(provider)
        except AwsFailure as failure:
            raise ProviderError(f"No credential for {provider} is available.") from failure
        return await self._opened(provider, stored)

    async def renewed(self, provider: str, refused: Credential) -> Credential:
        try:
            stored = await self._kept.find(provider)
            if (known := await self._opened(provider, stored)) != refused:
                return known  # another one has read it meanwhile, or the role's keys are others
            return await self._opened(provider, await self._kept.anew(provider, stored))
        except (AwsFailure, ProviderError):
            return refused

    def forget(self) -> None:
        self._kept.forget()

    async def _opened(self, provider: str, stored: Credential) -> Credential:
        if self._role is None or provider not in WITHIN_AWS:
            return stored
        return await _opened_by(self._role, stored)

    async def _read(self, provider: str) -> Credential:
        try:
            answer = await self._secrets.call(
                "GetSecretValue", {"SecretId": f"{self._stack}/providers/{provider}"}, TIMEOUT_S
            )
        except AwsFailure as failure:
            if failure.code == "ResourceNotFoundException" and self._role is not None and provider in WITHIN_AWS:
                return Credential(Secret(""))
            raise
        try:
            members = msgspec.json.decode(answer["SecretString"], type=dict[str, str | int])
            most = _cap(members.pop("max_concurrent", ""))
            stored = msgspec.convert(members, dict[str, str])
        except (KeyError, ValueError, msgspec.MsgspecError):
            raise AwsFailure("UnreadableSecret", is_fault=False) from None
        api_key, base_url, aws_keys = stored.pop("api_key", ""), stored.pop("base_url", ""), _aws_keys(stored)
        return Credential(Secret(api_key), base_url or None, aws_keys, settings=stored, max_concurrent=most)


def _unavailable(provider: str, failure: AwsFailure) -> None:
    log_trouble("credentials.unavailable", provider=provider, code=failure.code)


def _cap(stored: str | int) -> int | None:
    """A number, or text of one; None where there is none. Raises ValueError for what is no cap."""
    if stored == "":
        return None
    if not 1 <= (most := int(stored)) <= MOST_CONCURRENT:
        raise ValueError("no number of calls")
    return most


def _aws_keys(stored: dict[str, str]) -> AwsKeys | None:
    """Taken out of what is stored, so that no secret is left among the settings. None unless both parts are there."""
    key_id, secret = stored.pop("access_key_id", ""), stored.pop("secret_access_key", "")
    session_token = stored.pop("session_token", "")
    return (
        AwsKeys(key_id, Secret(secret), Secret(session_token) if session_token else None) if key_id and secret else None
    )


async def _opened_by(role: Role, stored: Credential) -> Credential:
    """What is stored goes before the role. Raises ProviderError (502) when the role has no keys at the moment."""
    settings = {"region": role.region, **stored.settings}
    if stored.api_key or stored.aws_keys:
        return replace(stored, settings=settings)
    try:
        keys = await role.keys.current()
    except HttpFailure as failure:
        log_trouble("role_keys.unavailable", code=failure.kind)
        raise ProviderError("The gateway's role has no keys at the moment.") from failure
    return replace(stored, aws_keys=keys, settings=settings)
