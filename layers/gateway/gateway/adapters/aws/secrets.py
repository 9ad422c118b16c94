"""Provider credentials from Secrets Manager: secret "<stack>/providers/<provider>" with `api_key` and `base_url`."""

from __future__ import annotations

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.telemetry import log_trouble
from gateway.model.errors import ProviderError
from gateway.model.http import Credential
from gateway.model.secret import Secret
from gateway.ports import Clock

KEEP_S = 600.0
TIMEOUT_S = 3.0


class SecretsManagerCredentials:
    """Kept for ten minutes in memory; when Secrets Manager fails, the last known credential goes on serving."""

    def __init__(self, secrets: AwsApi, stack: str, clock: Clock) -> None:
        self._secrets, self._stack, self._clock = secrets, stack, clock
        self._kept: dict[str, tuple[float, Credential]] = {}

    async def find(self, provider: str) -> Credential:
        read_s, credential = self._kept.get(provider, (0.0, None))
        now_s = self._clock.monotonic_s()
        if credential is not None and now_s - read_s < KEEP_S:
            return credential
        try:
            fresh = await self._read(provider)
        except AwsFailure as failure:
            log_trouble("credentials.unavailable", provider=provider, code=failure.code)
            if credential is None:
                raise ProviderError(f"No credential for {provider} is available.") from failure
            fresh = credential
        self._kept[provider] = (now_s, fresh)
        return fresh

    def forget(self) -> None:
        """Nothing secret may outlive a snapshot."""
        self._kept.clear()

    async def _read(self, provider: str) -> Credential:
        answer = await self._secrets.call(
            "GetSecretValue", {"SecretId": f"{self._stack}/providers/{provider}"}, TIMEOUT_S
        )
        try:
            stored = msgspec.json.decode(answer["SecretString"], type=dict[str, str])
        except (KeyError, msgspec.DecodeError):
            raise AwsFailure("UnreadableSecret", is_fault=False) from None
        api_key, base_url = stored.pop("api_key", ""), stored.pop("base_url", "")
        return Credential(Secret(api_key), base_url or None, settings=stored)
