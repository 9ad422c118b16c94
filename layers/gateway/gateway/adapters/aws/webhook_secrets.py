"""What webhooks of tenants are signed with: derived from one secret of the stack, "<stack>/webhook-root".

So a tenant has a secret from its first job on, and another one by the next version, while there is only one to keep.
Where the root is to be another, its text is the new one and the old one, with a space between: messages have a
signature by each until the old one is taken out.
"""

from __future__ import annotations

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.kept import Kept
from gateway.adapters.telemetry import log_trouble
from gateway.hooks.signature import derived_secret
from gateway.model.errors import StorageUnavailable
from gateway.model.secret import Secret
from gateway.ports import Clock

TIMEOUT_S = 3.0
LEAST_CHARACTERS = 32


class DerivedWebhookSecrets:
    def __init__(self, secrets: AwsApi, stack: str, clock: Clock) -> None:
        self._secrets, self._name = secrets, f"{stack}/webhook-root"
        self._kept = Kept(self._read, _unavailable, clock)

    async def find(self, tenant_id: str, version: int) -> list[Secret]:
        try:
            roots = await self._kept.find(self._name)
        except AwsFailure as failure:
            raise StorageUnavailable(f"Webhooks cannot be signed at the moment ({failure.code}).") from failure
        return [derived_secret(root, tenant_id, version) for root in roots]

    def forget(self) -> None:
        self._kept.forget()

    async def _read(self, name: str) -> list[Secret]:
        answer = await self._secrets.call("GetSecretValue", {"SecretId": name}, TIMEOUT_S)
        roots = [Secret(root) for root in answer.get("SecretString", "").split()]
        if not roots or any(len(root.reveal()) < LEAST_CHARACTERS for root in roots):
            raise AwsFailure("UnreadableSecret", is_fault=False)
        return roots


def _unavailable(name: str, failure: AwsFailure) -> None:
    log_trouble("webhook_root.unavailable", name=name, code=failure.code)
