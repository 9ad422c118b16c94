"""What it takes to tell somebody outside that a job has ended."""

from __future__ import annotations

from typing import Protocol

from gateway.model.secret import Secret
from gateway.model.webhook import WebhookMessage, WebhookReceipt


class WebhookUrls(Protocol):
    def refusal(self, url: str) -> str | None:
        """Why it may not be called, in a sentence; None where it may, as far as the URL itself says."""
        ...


class WebhookSecrets(Protocol):
    async def find(self, tenant_id: str, version: int) -> list[Secret]:
        """What that tenant's messages are signed with, as `whsec_` secrets; the first is the one to show.

        Raises StorageUnavailable (503).
        """
        ...


class WebhookSender(Protocol):
    async def send(self, message: WebhookMessage) -> WebhookReceipt:
        """Signs and sends it once. Raises StorageUnavailable (503) where nobody could even try."""
        ...
