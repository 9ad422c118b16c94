"""Webhooks to whoever ordered a job: signed here, sent by the webhook send function, which has no secrets."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.invoke import LambdaApi
from gateway.hooks.signature import signed_headers
from gateway.model.errors import StorageUnavailable
from gateway.model.secret import Secret
from gateway.model.webhook import WebhookMessage, WebhookReceipt
from gateway.ports import Clock
from gateway.webhook_ports import WebhookSecrets

SEND_TIMEOUT_S = 10.0
INVOKE_TIMEOUT_S = 20.0
MAX_RESULT_BYTES = 64 * 1024
GONE = 410


class _Result(msgspec.Struct):
    status: str
    code: str | None = None
    http_status: int | None = None
    retry_after: str | None = None


class LambdaWebhookSender:
    """`function`: its name, with its alias."""

    def __init__(self, functions: LambdaApi, function: str, secrets: WebhookSecrets, clock: Clock) -> None:
        self._functions, self._function, self._secrets, self._clock = functions, function, secrets, clock

    async def send(self, message: WebhookMessage) -> WebhookReceipt:
        now_s = self._clock.now_s()
        signed = signed_headers(message.id, int(now_s), message.body, await self._secrets_of(message))
        order = {
            "url": message.url,
            "headers": {"content-type": "application/json", **signed},
            "body": message.body.decode(),
            "timeout_s": SEND_TIMEOUT_S,
        }
        try:
            answer = await self._functions.invoke(
                self._function, msgspec.json.encode(order), INVOKE_TIMEOUT_S, MAX_RESULT_BYTES
            )
        except AwsFailure as failure:
            raise StorageUnavailable(f"Webhooks cannot be sent at the moment ({failure.code}).") from failure
        return _receipt(msgspec.json.decode(answer, type=_Result), now_s)

    async def _secrets_of(self, message: WebhookMessage) -> list[Secret]:
        found: list[Secret] = []
        for version in message.versions:
            found += await self._secrets.find(message.tenant_id, version)
        return found


def _receipt(result: _Result, now_s: float) -> WebhookReceipt:
    """What the rules forbid they forbid again, and who says "gone" wants to be told nothing more:
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    if result.http_status is None:
        return WebhookReceipt(result.code or "unknown", is_final=result.status == "refused")
    if 200 <= result.http_status < 300:
        return WebhookReceipt()
    failure, is_final = f"status_{result.http_status}", result.http_status == GONE
    return WebhookReceipt(failure, is_final, seconds_to_wait(result.retry_after or "", now_s))


def seconds_to_wait(retry_after: str, now_s: float) -> float:
    """0 for what is neither a number of seconds nor a date. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after"""
    try:
        wait_s = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0
        wait_s = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now_s
    return max(0.0, wait_s) if math.isfinite(wait_s) else 0
