"""One AWS JSON API: sign, send, retry once on a fault, decode."""

from __future__ import annotations

from datetime import UTC, datetime
from random import SystemRandom
from typing import Any, cast

import msgspec

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import KEEP_ALIVE_S, HttpClient
from gateway.model.http import HttpRequest, HttpResponse
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, sign

TRIES = 2
CONNECTING_S = 1.0
# Answered with status 400, and good the next time:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_THROTTLED = ("ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException")
_MOMENTARY = (*_THROTTLED, "TransactionConflictException", "TransactionInProgressException")
THROTTLED_PAUSE_S = 0.03
"""Give or take half of it, so that what was turned away together does not come again together."""
_dice = SystemRandom()
"""Not of a seed, which all environments that are restored from one snapshot would share."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024


class AwsFailure(Exception):
    """`code`: the service's error name without namespace; "Unreachable" when there was no answer.

    `item`: what DynamoDB has where a condition did not hold, when the call asked for that. `reasons`: why it cancelled
    a transaction, one for each of its actions, "None" for those that were not to blame; `items`: what it has for each.
    `did_nothing`: every try was turned away before it was looked at.
    """

    did_nothing = False

    def __init__(
        self,
        code: str,
        *,
        is_fault: bool,
        item: dict[str, Any] | None = None,
        reasons: tuple[str, ...] = (),
        items: tuple[dict[str, Any], ...] = (),
    ) -> None:
        super().__init__(code)
        self.code, self.is_fault, self.item, self.reasons, self.items = code, is_fault, item, reasons, items


class Service(msgspec.Struct, frozen=True):
    """`name`: signing name. `target`: prefix of x-amz-target. `url`: endpoint."""

    name: str
    target: str
    version: str
    url: str


class AwsApi:
    """Calls that may be repeated are tried twice, for `timeout_s` together: a quick fault leaves time for the second.

    A call that comes after a pause has to connect first and may take CONNECTING_S; so may those that come with it.
    """

    def __init__(self, service: Service, region: str, *, keys: RoleKeys, client: HttpClient, clock: Clock) -> None:
        self._service, self._scope = service, Scope(region, service.name)
        self._keys, self._client, self._clock = keys, client, clock
        self._last_end_s: float | None = None

    async def call(
        self, operation: str, payload: dict[str, Any], timeout_s: float, tries: int = TRIES
    ) -> dict[str, Any]:
        """The decoded answer. Raises AwsFailure."""
        body = msgspec.json.encode(payload)
        ends_s = self._clock.monotonic_s() + max(timeout_s, self._connecting_s())
        try:
            return await self._tried(operation, body, ends_s, tries)
        finally:
            self._last_end_s = self._clock.monotonic_s()

    def _connecting_s(self) -> float:
        paused = self._last_end_s is None or self._clock.monotonic_s() - self._last_end_s > KEEP_ALIVE_S
        return CONNECTING_S if paused else 0.0

    async def _tried(self, operation: str, body: bytes, ends_s: float, tries: int) -> dict[str, Any]:
        did_nothing = True
        for remaining in reversed(range(tries)):
            try:
                return await self._send(operation, body, ends_s - self._clock.monotonic_s())
            except AwsFailure as failure:
                is_throttled = failure.code in _THROTTLED
                failure.did_nothing = did_nothing = did_nothing and is_throttled
                pause_s = THROTTLED_PAUSE_S * _dice.uniform(0.5, 1.5) if is_throttled else 0.0
                if not (failure.is_fault and remaining and self._clock.monotonic_s() + pause_s < ends_s):
                    raise
            await self._clock.sleep(pause_s)
        raise AssertionError("the last try either returned or raised")

    async def _send(self, operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        headers = {
            "content-type": f"application/x-amz-json-{self._service.version}",
            "x-amz-target": f"{self._service.target}.{operation}",
        }
        now = datetime.fromtimestamp(self._clock.now_s(), UTC)
        try:
            keys = await self._keys.current()
            request = sign(HttpRequest("POST", self._service.url, headers, body), keys, self._scope, now)
            response = await self._client.send(request, timeout_s, MAX_ANSWER_BYTES)
        except HttpFailure as failure:
            raise AwsFailure("Unreachable", is_fault=True) from failure
        if response.status != 200:
            raise _refused(response)
        return cast(dict[str, Any], msgspec.json.decode(response.body or b"{}"))  # some have nothing to say


def _refused(response: HttpResponse) -> AwsFailure:
    """`__type` is "namespace#Name" or "Name"."""
    try:
        answer = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        answer = {"__type": "Unreadable"}
    if not isinstance(answer, dict):
        answer = {}
    code = str(answer.get("__type", "")).rpartition("#")[2] or "Unknown"
    why = answer.get("CancellationReasons") or ()
    reasons = tuple(str(reason.get("Code")) for reason in why)
    is_conflict = set(reasons) - {"None"} == {"TransactionConflict"}
    is_fault = response.status >= 500 or code in _MOMENTARY or is_conflict
    items = tuple(reason.get("Item") or {} for reason in why)
    return AwsFailure(code, is_fault=is_fault, item=answer.get("Item"), reasons=reasons, items=items)
