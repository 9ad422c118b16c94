"""What providers' webhooks are signed with: secret "<stack>/callbacks/<provider>", the text of one key or several."""

from __future__ import annotations

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.kept import Kept
from gateway.adapters.telemetry import log_trouble
from gateway.hooks.signature import read_secrets
from gateway.model.errors import StorageUnavailable
from gateway.model.secret import Secret
from gateway.model.standard_webhooks import PREFIX
from gateway.ports import Clock

TIMEOUT_S = 3.0
UNKNOWN = "ResourceNotFoundException"


def secret_name(stack: str, provider: str) -> str:
    return f"{stack}/callbacks/{provider}"


class SecretsManagerCallbackSecrets:
    """Kept for ten minutes, that there is none too; while Secrets Manager fails the last known ones go on serving."""

    def __init__(self, secrets: AwsApi, stack: str, clock: Clock) -> None:
        self._secrets, self._stack = secrets, stack
        self._kept = Kept(self._read, _unavailable, clock)

    async def find(self, provider: str) -> list[Secret]:
        try:
            return await self._kept.find(secret_name(self._stack, provider))
        except AwsFailure as failure:
            raise StorageUnavailable("What the message is signed with cannot be read at the moment.") from failure

    def forget(self) -> None:
        self._kept.forget()

    async def _read(self, name: str) -> list[Secret]:
        try:
            answer = await self._secrets.call("GetSecretValue", {"SecretId": name}, TIMEOUT_S)
            keys = answer["SecretString"].split()
            return read_secrets(" ".join(key if key.startswith(PREFIX) else PREFIX + key for key in keys))
        except AwsFailure as failure:
            if failure.code != UNKNOWN:
                raise
            return []
        except (KeyError, ValueError):
            raise AwsFailure("UnreadableSecret", is_fault=False) from None


def _unavailable(name: str, failure: AwsFailure) -> None:
    log_trouble("callback_secrets.unavailable", name=name, code=failure.code)
