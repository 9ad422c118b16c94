"""What webhooks are signed with: secret "<stack>/hooks/<tenant>/<hook>", the text of one `whsec_` secret or several."""

from __future__ import annotations

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.kept import Kept
from gateway.adapters.telemetry import log_trouble
from gateway.hooks.signature import read_secrets
from gateway.model.hook import HookFailed
from gateway.model.secret import Secret
from gateway.ports import Clock

TIMEOUT_S = 3.0


class HookSecrets:
    def __init__(self, secrets: AwsApi, stack: str, clock: Clock) -> None:
        self._secrets, self._stack = secrets, stack
        self._kept = Kept(self._read, _unavailable, clock)

    async def find(self, tenant_id: str, hook_id: str) -> list[Secret]:
        """Raises HookFailed without one."""
        try:
            return await self._kept.find(f"{self._stack}/hooks/{tenant_id}/{hook_id}")
        except AwsFailure as failure:
            raise HookFailed("no_secret") from failure

    def forget(self) -> None:
        self._kept.forget()

    async def _read(self, name: str) -> list[Secret]:
        answer = await self._secrets.call("GetSecretValue", {"SecretId": name}, TIMEOUT_S)
        try:
            return read_secrets(answer["SecretString"])
        except (KeyError, ValueError):
            raise AwsFailure("UnreadableSecret", is_fault=False) from None


def _unavailable(name: str, failure: AwsFailure) -> None:
    log_trouble("hook_secrets.unavailable", name=name, code=failure.code)
