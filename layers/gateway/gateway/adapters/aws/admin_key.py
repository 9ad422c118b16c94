"""The administrator's key from Secrets Manager: secret "<stack>/admin-key", read when somebody first asks."""

from __future__ import annotations

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.telemetry import log_trouble
from gateway.model.errors import AdmissionUnavailable
from gateway.model.secret import Secret
from gateway.ports import Clock

KEEP_S = 300.0
DOUBTED_AFTER_S = 10.0
"""So that wrong keys, however many, cost one read in ten seconds."""
TIMEOUT_S = 3.0


class SecretsManagerAdminKey:
    def __init__(self, secrets: AwsApi, stack: str, clock: Clock) -> None:
        self._secrets, self._name, self._clock = secrets, f"{stack}/admin-key", clock
        self._kept: tuple[float, Secret] | None = None

    async def current(self, *, is_doubted: bool = False) -> Secret:
        now_s = self._clock.monotonic_s()
        if self._kept is not None:
            read_s, secret = self._kept
            if now_s - read_s < (DOUBTED_AFTER_S if is_doubted else KEEP_S):
                return secret
        secret = await self._read()
        self._kept = (now_s, secret)
        return secret

    def forget(self) -> None:
        """Nothing secret may outlive a snapshot."""
        self._kept = None

    async def _read(self) -> Secret:
        try:
            answer = await self._secrets.call("GetSecretValue", {"SecretId": self._name}, TIMEOUT_S)
        except AwsFailure as failure:
            log_trouble("admin_key.unavailable", code=failure.code)
            raise AdmissionUnavailable(f"The administrator's key cannot be read ({failure.code}).") from failure
        if not (value := answer.get("SecretString")):
            log_trouble("admin_key.empty")
            raise AdmissionUnavailable("The secret of the administrator's key is empty.")
        return Secret(value)
